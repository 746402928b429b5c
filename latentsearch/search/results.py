"""Search for the nearest images of queries in a corpus, and what their distances mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from latentsearch.config import Metric
from latentsearch.errors import InputError
from latentsearch.gallery.store import EmbeddedStore, Searcher
from latentsearch.search.corpus import Corpus
from latentsearch.search.percentiles import Likeness
from latentsearch.search.queries import NOT_IN_CORPUS, Queries
from latentsearch.text import printable

_DEFAULT_K = 10


class Hit(NamedTuple):
    """A neighbour of a query.

    Args:
        rank: Rank, from 1.
        id: Id in the corpus.
        distance: Distance of the codes; smaller is closer.
        score: Percentage of random pairs of gallery images that are farther apart.
        copy_score: Percentage of corrupted copies that are farther from their original.
        likeness: How near it is, in a word; see `percentiles.Scale.likeness`.
    """

    rank: int
    id: int
    distance: float
    score: float
    copy_score: float
    likeness: Likeness


@dataclass(frozen=True)
class SearchResults:
    """Neighbours of queries under one or more metrics.

    Args:
        queries: The queries.
        codes: Codes of the queries, `(num_queries, latent_dim)`.
        hits: Hits by metric, then query, closest first; an empty list where nothing is close enough.
    """

    queries: Queries
    codes: np.ndarray
    hits: dict[Metric, list[list[Hit]]]

    def __iter__(self) -> Iterator[tuple[int, Metric, list[Hit]]]:
        """Yield the number of the query, the metric, and the hits; the metrics of one query after each other."""
        for number in range(len(self.queries.names)):
            for metric, hits in self.hits.items():
                yield number, metric, hits[number]


def search(
    queries: Queries,
    corpus: Corpus,
    *,
    k: int | None = None,
    metrics: tuple[Metric, ...],
    min_score: float = 0,
    weak: bool = True,
    only: tuple[str, ...] = (),
    codes: np.ndarray | None = None,
    store: Searcher | None = None,
) -> SearchResults:
    """Search for the `k` nearest images of each query; neither the query itself nor a link to it is a hit.

    Args:
        queries: The queries, at least one.
        corpus: The corpus.
        k: Neighbours of each query. Default: 10, or all where there are fewer.
        metrics: Metrics that compare codes.
        min_score: Least score of a hit, 0 to 100.
        weak: Whether hits whose likeness is weak are kept.
        only: Names of the classes that results are restricted to; (): all images.
        codes: Codes of the queries, if known, `(num_queries, latent_dim)`. Default: the encoder makes them.
        store: Store of the codes of the corpus. Default: what holds them, or one in this process.

    Raises:
        InputError: if fewer than `k` images can be found, or none, `min_score` is not a percentage, a class is
            unknown, or the store does not respond.
    """
    labels = corpus.labels_of(only)
    num_candidates, is_inside = corpus.answering(labels, queries.ids)
    most = num_candidates - is_inside  # one image less can be found where a query is among them
    if most < 1:
        raise InputError(f"{corpus.name}: no image but the query itself can answer. Add images, or ask for another.")
    if k is None:
        k = min(_DEFAULT_K, most)
    if not 1 <= k <= most:
        raise InputError(f"--k {k}: expected 1 to {most}, the images that can answer.")
    if not 0 <= min_score <= 100:
        raise InputError(f"--min-score {min_score}: expected 0 to 100, a percentage.")
    codes = corpus.autoencoder.encode(queries.images) if codes is None else codes
    store = corpus.searcher if store is None else store
    if store is None:
        store = embedded = EmbeddedStore()
        embedded.sync(corpus.store_name, corpus.compared, corpus.labels)
    own = [corpus.same_file(number) if number != NOT_IN_CORPUS else () for number in queries.ids.tolist()]
    depth = min(k + max(map(len, own)), most)
    results, compared = {}, corpus.weigh(codes)
    for metric in metrics:
        excluded = queries.ids if is_inside else None
        found = store.search(compared, depth, metric=metric, exclude=excluded, only=labels)
        scale = corpus.scale(metric)
        words = np.reshape(scale.likeness(found.distances.ravel()), found.distances.shape)
        scores, copy_scores = (score(found.distances).round(4) for score in (scale.score, scale.copy_score))
        columns = (found.ids, found.distances, scores, copy_scores, words)
        rows = zip(own, *(column.tolist() for column in columns), strict=True)
        others = [[values for values in zip(*row, strict=True) if values[0] not in itself][:k] for itself, *row in rows]
        hits = [[Hit(rank, *values) for rank, values in enumerate(row, 1)] for row in others]
        results[metric] = [
            [hit for hit in row if hit.score >= min_score and (weak or hit.likeness != "weak")] for row in hits
        ]
    return SearchResults(queries, codes, results)


def short_name(name: str, corpus: Corpus) -> str:
    """Return a path below the folder that is searched as it is in there, and any other name as it is."""
    path = Path(name)
    inside = corpus.folder is not None and path.is_absolute() and path.is_relative_to(corpus.folder)
    return printable(str(path.relative_to(corpus.folder)) if inside and corpus.folder else name)


def class_of(image_id: int, corpus: Corpus) -> str:
    """Look up the class name of a query; "" where there is none or it is not in the corpus."""
    return "" if image_id == NOT_IN_CORPUS else corpus.class_of(int(image_id))
