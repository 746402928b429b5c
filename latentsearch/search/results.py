"""Answers to "what looks like this?": the nearest images of a collection, with what their distances mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latentsearch.config import Metric
from latentsearch.errors import InputError
from latentsearch.gallery.store import EmbeddedStore, Store
from latentsearch.search.corpus import Collection
from latentsearch.search.queries import NOT_IN_COLLECTION, Queries

_DEFAULT_K = 10


class Match(NamedTuple):
    """A neighbour of a query.

    Args:
        rank: From 1.
        id: In the collection.
        distance: Of the codes; smaller is closer.
        score: Percentage of random pairs of gallery images that are farther apart.
        copy_score: Percentage of altered copies that are farther from their original.
    """

    rank: int
    id: int
    distance: float
    score: float
    copy_score: float


@dataclass(frozen=True)
class Answers:
    """Neighbours of queries under one or more metrics.

    Args:
        queries: What was asked about.
        codes: Of the queries, `(num_queries, latent_dim)`.
        matches: Of each metric and query, closest first; an empty list where nothing is close enough.
    """

    queries: Queries
    codes: np.ndarray
    matches: dict[Metric, list[list[Match]]]

    def __iter__(self) -> Iterator[tuple[int, Metric, list[Match]]]:
        """Number of the query, metric, and neighbours; the metrics of one query after each other."""
        for number in range(len(self.queries.names)):
            for metric, matches in self.matches.items():
                yield number, metric, matches[number]


def answer(
    queries: Queries,
    collection: Collection,
    *,
    k: int | None = None,
    metrics: tuple[Metric, ...],
    min_score: float = 0,
    only: tuple[str, ...] = (),
    codes: np.ndarray | None = None,
    store: Store | None = None,
) -> Answers:
    """The `k` nearest images of each query; an image of the collection never answers itself, nor does a link to it.

    Args:
        queries: At least one.
        collection: What is searched.
        k: How many neighbours. Default: 10, or all where fewer can answer.
        metrics: How codes are compared.
        min_score: Neighbours with a smaller score are left out.
        only: Names of the classes that may answer; none: all images.
        codes: Of the queries, where they are known, `(num_queries, latent_dim)`. Default: the encoder makes them.

        store: Holds the codes of the collection. Default: one in this process.

    Raises:
        InputError: if fewer than `k` images can answer, or none, `min_score` is no percentage, there is no
            class of a name, or the store does not answer.
    """
    labels = collection.labels_of(only)
    num_images = np.isin(collection.labels, labels).sum() if only else len(collection.gallery.ids)
    is_inside = bool((queries.ids != NOT_IN_COLLECTION).any())  # then one image less can answer
    most = int(num_images) - is_inside
    if most < 1:
        raise InputError(
            f"{collection.name}: no image but the query itself can answer. Add images, or ask for another."
        )
    if k is None:
        k = min(_DEFAULT_K, most)
    if not 1 <= k <= most:
        raise InputError(f"--k {k}: expected 1 to {most}, the images that can answer.")
    if not 0 <= min_score <= 100:
        raise InputError(f"--min-score {min_score}: expected 0 to 100, a percentage.")
    codes = collection.autoencoder.encode(queries.images) if codes is None else codes
    if store is None:
        store = EmbeddedStore()
        store.sync(collection.store_name, collection.compared, collection.labels)
    own = [collection.same_file(number) if number != NOT_IN_COLLECTION else () for number in queries.ids.tolist()]
    depth = min(k + max(map(len, own)), most)
    answers, compared = {}, collection.weigh(codes)
    for metric in metrics:
        excluded = queries.ids if is_inside else None
        found = store.search(compared, depth, metric=metric, exclude=excluded, only=labels)
        scale = collection.scale(metric)
        columns = (found.ids, found.distances, scale.score(found.distances), scale.copy_score(found.distances))
        rows = zip(own, *(column.tolist() for column in columns), strict=True)
        others = [[values for values in zip(*row, strict=True) if values[0] not in itself][:k] for itself, *row in rows]
        answers[metric] = [
            [Match(rank, *values) for rank, values in enumerate(row, 1) if values[2] >= min_score] for row in others
        ]
    return Answers(queries, codes, answers)


def class_of(image_id: int, collection: Collection) -> str:
    """Name of the class of a query, empty where there is none or it is not in the collection."""
    return "" if image_id == NOT_IN_COLLECTION else collection.class_of(int(image_id))
