"""Codes to neighbours: exact search, by the engine that is quickest for what is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentsearch.config import METRICS, Metric
from latentsearch.gallery import backends
from latentsearch.gallery.backends import Engine

_BLOCK = 2**21  # numbers whose differences are held at a time


@dataclass(frozen=True)
class Neighbours:
    """Answers to queries, closest first.

    Args:
        ids: int64 `(num_queries, k)`.
        distances: float32 `(num_queries, k)`; smaller is closer whatever the metric.
    """

    ids: np.ndarray
    distances: np.ndarray


class Index:
    """Vectors that can be asked for those nearest to a query.

    cosine is 1 minus the cosine of the angle, in [0, 2] (a zero vector is at distance 1 from everything);
    euclidean and manhattan are the L2 and L1 norms of the difference. Answers are exact. What searches (a scan, a k-d
    tree or FAISS) is chosen by `engines.choose` at each search and prepared when it is first needed.

    Args:
        vectors: `(num_vectors, dim)`, finite.
        ids: int `(num_vectors,)`, distinct. Default: the rows.
        metric: "cosine", "euclidean" or "manhattan".

    Raises:
        ValueError: if a shape, a value or the metric is not as stated.
    """

    def __init__(self, vectors: np.ndarray, ids: np.ndarray | None = None, *, metric: Metric = "cosine") -> None:
        if metric not in METRICS:
            raise ValueError(f"Unknown metric {metric!r}: expected one of {METRICS}.")
        vectors = _checked(vectors)
        self.metric = metric
        self.ids = np.arange(len(vectors)) if ids is None else np.asarray(ids, dtype=np.int64)
        if self.ids.shape != (len(vectors),):
            raise ValueError(f"Expected {len(vectors)} ids, received an array of shape {self.ids.shape}.")
        self._vectors = _normalised(vectors) if metric == "cosine" else vectors
        self._engines: dict[type[Engine], Engine] = {}
        self._num_asked = 0

    def __len__(self) -> int:
        return len(self.ids)

    def search(self, queries: np.ndarray, k: int, *, exclude: np.ndarray | None = None) -> Neighbours:
        """The `k` nearest vectors of each query, with their distances.

        Args:
            queries: `(num_queries, dim)`, finite.
            k: At least 1, at most the number of vectors (less one when `exclude` is given).
            exclude: int `(num_queries,)`: for each query the id that may not answer, such as its own; ids that
                are not in the index exclude nothing.

        Raises:
            ValueError: if a shape, a value or k is not as stated.
        """
        queries, rows = self._rows(queries, k, exclude)
        # Matrix products round small distances: they are computed anew.
        distances = np.empty(rows.shape, dtype=np.float32)
        size = max(1, _BLOCK // (k * self._vectors.shape[1]))
        for start in range(0, len(queries), size):
            block = slice(start, start + size)
            distances[block] = backends.distances(queries[block, None], self._vectors[rows[block]], self.metric)
        order = np.argsort(distances, axis=1, kind="stable")
        line = np.arange(len(queries))[:, None]
        return Neighbours(self.ids[rows[line, order]], distances[line, order])

    def rank(self, queries: np.ndarray, k: int, *, exclude: np.ndarray | None = None) -> np.ndarray:
        """Like `search`, but the ids alone, int64 `(num_queries, k)`: for large k and long vectors."""
        return self.ids[self._rows(queries, k, exclude)[1]]

    def _rows(self, queries: np.ndarray, k: int, exclude: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The queries as they are compared, and the rows of their neighbours `(num_queries, k)`."""
        queries = _checked(queries, dim=self._vectors.shape[1])
        most = len(self) - (exclude is not None)
        if not 1 <= k <= most:
            raise ValueError(f"k = {k}: expected 1 to {most}, the vectors that can answer.")
        if self.metric == "cosine":
            queries = _normalised(queries)
        if exclude is None:
            return queries, self._nearest(queries, k)
        if np.shape(exclude) != (len(queries),):
            raise ValueError(f"Expected {len(queries)} ids to exclude, received shape {np.shape(exclude)}.")
        rows = self._nearest(queries, k + 1)
        return queries, rows[not_excluded(self.ids[rows], exclude)].reshape(len(queries), k)

    def _nearest(self, queries: np.ndarray, k: int) -> np.ndarray:
        self._num_asked += len(queries)
        kind = backends.choose(*self._vectors.shape, self.metric, k=k, num_asked=self._num_asked)
        if kind not in self._engines:
            self._engines[kind] = kind(self._vectors, self.metric)
        return self._engines[kind].nearest(queries, k)


def not_excluded(ids: np.ndarray, exclude: np.ndarray) -> np.ndarray:
    """Which answers to keep, where one more than wanted was found, so that one may be left out.

    Args:
        ids: Of the answers, closest first, `(num_queries, k + 1)`.
        exclude: int `(num_queries,)`: for each query the id that may not answer.

    Returns:
        bool `(num_queries, k + 1)`, k of them true in each row: all but the excluded one, or but the last.
    """
    # The query's own id is found by value: with exact duplicates it need not come first, nor come at all.
    own = ids == np.asarray(exclude)[:, None]
    own[~own.any(axis=1), -1] = True
    return ~own


def as_compared(vectors: np.ndarray, *, metric: Metric) -> np.ndarray:
    """Vectors as they are compared: of length 1 (zeros stay zeros) for cosine, as they are for other metrics.

    Args:
        vectors: `(num_vectors, dim)`, finite.
        metric: "cosine", "euclidean" or "manhattan".

    Raises:
        ValueError: if the shape or a value is not as stated.
    """
    vectors = _checked(vectors)
    return _normalised(vectors) if metric == "cosine" else vectors


def distances_between(first: np.ndarray, second: np.ndarray, *, metric: Metric) -> np.ndarray:
    """Distances of pairs of vectors, row by row, as `Index` defines them.

    Args:
        first: `(num_pairs, dim)`, finite.
        second: Same shape.
        metric: "cosine", "euclidean" or "manhattan".

    Returns:
        float32 `(num_pairs,)`.
    """
    first, second = _checked(first), _checked(second)
    if metric == "cosine":
        first, second = _normalised(first), _normalised(second)
    return backends.distances(first, second, metric)


def _checked(vectors: np.ndarray, dim: int | None = None) -> np.ndarray:
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or (dim is not None and vectors.shape[1] != dim):
        raise ValueError(f"Expected vectors of shape (num_vectors, {dim or 'dim'}), received {vectors.shape}.")
    if not np.isfinite(vectors).all():
        raise ValueError("Expected finite vectors; some values are NaN or infinite.")
    return vectors


def _normalised(vectors: np.ndarray) -> np.ndarray:
    """Rows at length 1; rows of zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
