"""Search for the nearest images of queries in a corpus, and what their distances mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latentsearch.config import Metric
from latentsearch.errors import InputError
from latentsearch.gallery.store import EmbeddedStore, Store
from latentsearch.search.corpus import Corpus
from latentsearch.search.queries import NOT_IN_CORPUS, Queries

_DEFAULT_K = 10


class Hit(NamedTuple):
    """A neighbour of a query.

    Args:
        rank: From 1.
        id: In the corpus.
        distance: Of the codes; smaller is closer.
        score: Percentage of random pairs of gallery images that are farther apart.
        copy_score: Percentage of corrupted copies that are farther from their original.
    """

    rank: int
    id: int
    distance: float
    score: float
    copy_score: float


@dataclass(frozen=True)
class SearchResults:
    """Neighbours of queries under one or more metrics.

    Args:
        queries: What was asked about.
        codes: Of the queries, `(num_queries, latent_dim)`.
        hits: Of each metric and query, closest first; an empty list where nothing is close enough.
    """

    queries: Queries
    codes: np.ndarray
    hits: dict[Metric, list[list[Hit]]]

    def __iter__(self) -> Iterator[tuple[int, Metric, list[Hit]]]:
        """Number of the query, metric, and neighbours; the metrics of one query after each other."""
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
    only: tuple[str, ...] = (),
    codes: np.ndarray | None = None,
    store: Store | None = None,
) -> SearchResults:
    """The `k` nearest images of each query; an image of the corpus never answers itself, nor does a link to it.

    Args:
        queries: At least one.
        corpus: What is searched.
        k: How many neighbours. Default: 10, or all where fewer can answer.
        metrics: How codes are compared.
        min_score: Neighbours with a smaller score are left out.
        only: Names of the classes that may answer; none: all images.
        codes: Of the queries, where they are known, `(num_queries, latent_dim)`. Default: the encoder makes them.

        store: Holds the codes of the corpus. Default: one in this process.

    Raises:
        InputError: if fewer than `k` images can answer, or none, `min_score` is no percentage, there is no
            class of a name, or the store does not answer.
    """
    labels = corpus.labels_of(only)
    candidates = corpus.gallery.ids[np.isin(corpus.labels, labels)] if only else corpus.gallery.ids
    is_inside = bool(np.isin(queries.ids, candidates).any())  # then one image less can answer
    most = len(candidates) - is_inside
    if most < 1:
        raise InputError(f"{corpus.name}: no image but the query itself can answer. Add images, or ask for another.")
    if k is None:
        k = min(_DEFAULT_K, most)
    if not 1 <= k <= most:
        raise InputError(f"--k {k}: expected 1 to {most}, the images that can answer.")
    if not 0 <= min_score <= 100:
        raise InputError(f"--min-score {min_score}: expected 0 to 100, a percentage.")
    codes = corpus.autoencoder.encode(queries.images) if codes is None else codes
    if store is None:
        store = EmbeddedStore()
        store.sync(corpus.store_name, corpus.compared, corpus.labels)
    own = [corpus.same_file(number) if number != NOT_IN_CORPUS else () for number in queries.ids.tolist()]
    depth = min(k + max(map(len, own)), most)
    results, compared = {}, corpus.weigh(codes)
    for metric in metrics:
        excluded = queries.ids if is_inside else None
        found = store.search(compared, depth, metric=metric, exclude=excluded, only=labels)
        scale = corpus.scale(metric)
        columns = (found.ids, found.distances, scale.score(found.distances), scale.copy_score(found.distances))
        rows = zip(own, *(column.tolist() for column in columns), strict=True)
        others = [[values for values in zip(*row, strict=True) if values[0] not in itself][:k] for itself, *row in rows]
        results[metric] = [
            [Hit(rank, *values) for rank, values in enumerate(row, 1) if values[2] >= min_score] for row in others
        ]
    return SearchResults(queries, codes, results)


def class_of(image_id: int, corpus: Corpus) -> str:
    """Name of the class of a query, empty where there is none or it is not in the corpus."""
    return "" if image_id == NOT_IN_CORPUS else corpus.class_of(int(image_id))
