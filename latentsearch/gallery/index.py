"""Exact search for the nearest vectors, by the fastest backend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentsearch.config import METRICS, Metric
from latentsearch.gallery import backend_choice, backends
from latentsearch.gallery.backends import Backend, BruteForce

_BLOCK = 2**21  # numbers that are held at a time
_CACHED = 2**12  # pairs whose numbers stay in the processor's cache
_WIDER = 8  # times as many candidates, where those so far do not settle a result
_LARGEST = 2.0**100  # magnitude of a number: of as many as there may be, sums have room in float32


@dataclass(frozen=True)
class Neighbours:
    """Nearest vectors of queries, closest first.

    Args:
        ids: Ids of the vectors, int64 `(num_queries, k)`.
        distances: Distances, float32 `(num_queries, k)`; smaller is closer for every metric.
    """

    ids: np.ndarray
    distances: np.ndarray


class Index:
    """Vectors that can be searched for those nearest to a query.

    cosine is 1 minus the cosine of the angle, in [0, 2] (a zero vector is at distance 1 from everything);
    euclidean and manhattan are the L2 and L1 norms of the difference. Distances are computed in float64 and rounded
    once, to float32; results are exact, ordered by distance, then id, also where a tie falls on the last place.

    `backend_choice.choose` chooses the backend of each search, which is prepared when it is first needed. A backend
    gives bounds of the distances of its candidates: where they leave a distance open, it is computed anew; where they
    leave the nearest open, more candidates are requested. So all backends give the same results.

    Args:
        vectors: `(num_vectors, dim)`, of magnitudes up to 1e30.
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
        if (self.ids[1:] < self.ids[:-1]).any():  # in the order of ids, ties are in the order of rows
            order = np.argsort(self.ids)
            vectors, self.ids = vectors[order], self.ids[order]
        self._dim = vectors.shape[1]
        self._points = points(vectors, metric)
        if metric == "cosine":
            # A vector of zeros has cosine 0 with all: one more dimension puts it as far from every unit vector as a
            # right angle does.
            at_zero = ~vectors.any(axis=1)
            if at_zero.any():
                self._points = np.column_stack([self._points, at_zero])
        self._backends: dict[type[Backend], Backend] = {}
        self._num_asked = 0

    def __len__(self) -> int:
        return len(self.ids)

    def search(self, queries: np.ndarray, k: int, *, exclude: np.ndarray | None = None) -> Neighbours:
        """Find the `k` nearest vectors of each query, with their distances.

        Args:
            queries: `(num_queries, dim)`, of magnitudes up to 1e30.
            k: At least 1, at most the number of vectors (less one when `exclude` is given).
            exclude: Id to leave out of the results of each query, such as its own, int `(num_queries,)`; ids that
                are not in the index exclude nothing.

        Raises:
            ValueError: if a shape, a value or k is not as stated.
        """
        queries = _checked(queries, dim=self._dim)
        most = len(self) - (exclude is not None)
        if not 1 <= k <= most:
            raise ValueError(f"k = {k}: expected 1 to {most}, the vectors that can answer.")
        if exclude is None:
            rows, distances = self._nearest(queries, k)
            return Neighbours(self.ids[rows], distances)
        if np.shape(exclude) != (len(queries),):
            raise ValueError(f"Expected {len(queries)} ids to exclude, received shape {np.shape(exclude)}.")
        rows, distances = self._nearest(queries, k + 1)
        ids = self.ids[rows]
        kept = not_excluded(ids, exclude)
        return Neighbours(ids[kept].reshape(-1, k), distances[kept].reshape(-1, k))

    def rank(self, queries: np.ndarray, k: int, *, exclude: np.ndarray | None = None) -> np.ndarray:
        """Search as `search` does, and return the ids alone, int64 `(num_queries, k)`."""
        return self.search(queries, k, exclude=exclude).ids

    def _nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find rows and distances of the nearest, `(num_queries, k)` each."""
        self._num_asked += len(queries)
        kind = backend_choice.choose(len(self), self._dim, self.metric, k=k, num_asked=self._num_asked)
        size = max(1, 2 * _BLOCK // kind.enough(k))
        if len(queries) <= size:
            rows, distances = self._nearest_of_block(kind, queries, k)
        else:
            rows = np.empty((len(queries), k), dtype=np.int64)
            distances = np.empty((len(queries), k), dtype=np.float32)
            for start in range(0, len(queries), size):
                block = slice(start, start + size)
                rows[block], distances[block] = self._nearest_of_block(kind, queries[block], k)
        if self.metric == "cosine":  # from a query of zeros all are equally far
            nonzero = queries.any(axis=1)
            if np.count_nonzero(nonzero) < len(queries):
                at_zero = np.flatnonzero(~nonzero)
                rows[at_zero], distances[at_zero] = np.arange(k), 1
        return rows, distances

    def _nearest_of_block(self, kind: type[Backend], queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        asked = points(queries, self.metric)
        if self._points.shape[1] > self._dim:
            asked = np.column_stack([asked, np.zeros(len(asked))])
        return self._settled(kind, asked, k, min(kind.enough(k), len(self)))

    def _settled(self, kind: type[Backend], queries: np.ndarray, k: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest among `count` candidates of a backend, and among more where those leave it open."""
        if kind not in self._backends:
            self._backends[kind] = kind(self._points, self.metric)
        rows, bounds, beyond = self._backends[kind].candidates(queries, count)
        if bounds is None:
            distances = self._distances(queries, rows)
        else:
            distances = bounds[0].astype(np.float32)
            lines, columns = np.nonzero(distances != bounds[1].astype(np.float32))
            for start in range(0, len(lines), _CACHED):
                of = lines[start : start + _CACHED], columns[start : start + _CACHED]
                distances[of] = backends.distances(queries[of[0]], self._points[rows[of]], self.metric)
        not_farther = distances[:, 1:] <= distances[:, :-1]
        if np.count_nonzero(not_farther):  # takes a fifth of the time of any(), which one query would notice
            mixed = np.flatnonzero(not_farther.any(axis=1))
            # The bits of floats that are not negative are ordered as they are: one key for both sorts much sooner.
            keys = np.sort(distances[mixed].view(np.int32).astype(np.int64) << 32 | rows[mixed], axis=1)
            rows[mixed] = keys & 0xFFFF_FFFF
            distances[mixed] = (keys >> 32).astype(np.int32).view(np.float32)
        rows, distances = rows[:, :k], distances[:, :k]
        still_open = distances[:, -1] >= beyond.astype(np.float32)
        if count < len(self) and np.count_nonzero(still_open):
            count *= _WIDER
            wider = (kind, count) if count * _WIDER <= len(self) else (BruteForce, k)
            rows[still_open], distances[still_open] = self._settled(wider[0], queries[still_open], k, wider[1])
        return rows, distances

    def _distances(self, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Compute the distances of queries from rows of points, float32 `(num_queries, count)`."""
        distances = np.empty(rows.shape, dtype=np.float32)
        size = max(1, _CACHED // rows.shape[1])
        for start in range(0, len(rows), size):
            block = slice(start, start + size)
            distances[block] = backends.distances(queries[block, None], self._points[rows[block]], self.metric)
        return distances


def not_excluded(ids: np.ndarray, exclude: np.ndarray) -> np.ndarray:
    """Mark the results to keep, where one more than wanted was found, so that one may be left out.

    Args:
        ids: Ids of the results, closest first, `(num_queries, k + 1)`.
        exclude: Id to leave out of the results of each query, int `(num_queries,)`.

    Returns:
        bool `(num_queries, k + 1)`, k of them true in each row: all but the excluded one, or but the last.
    """
    # The query's own id is found by value: with exact duplicates it need not come first, nor come at all.
    own: np.ndarray = ids == np.asarray(exclude)[:, None]
    own[~own.any(axis=1), -1] = True
    return ~own


def as_compared(vectors: np.ndarray, *, metric: Metric) -> np.ndarray:
    """Scale vectors as they are compared, float32: to length 1 (zeros stay zeros) for cosine, else unchanged.

    Args:
        vectors: `(num_vectors, dim)`, of magnitudes up to 1e30.
        metric: "cosine", "euclidean" or "manhattan".

    Raises:
        ValueError: if the shape or a value is not as stated.
    """
    return points(_checked(vectors), metric).astype(np.float32)


def distances_between(first: np.ndarray, second: np.ndarray, *, metric: Metric) -> np.ndarray:
    """Compute distances of pairs of vectors, row by row, as `Index` defines them.

    Args:
        first: `(num_pairs, dim)`, of magnitudes up to 1e30.
        second: Same shape.
        metric: "cosine", "euclidean" or "manhattan".

    Returns:
        float32 `(num_pairs,)`.
    """
    first, second = _checked(first), _checked(second)
    vectors, rows = np.concatenate([first, second]), np.arange(len(first))
    return distances_of_rows(vectors, rows, rows + len(first), metric=metric)


def distances_of_rows(vectors: np.ndarray, first: np.ndarray, second: np.ndarray, *, metric: Metric) -> np.ndarray:
    """Compute distances between rows of vectors, as `Index` defines them.

    Args:
        vectors: `(num_vectors, dim)`, of magnitudes up to 1e30.
        first: Rows of the first vectors, int `(num_pairs,)`.
        second: Rows of the second vectors, int `(num_pairs,)`.
        metric: "cosine", "euclidean" or "manhattan".

    Returns:
        float32 `(num_pairs,)`.
    """
    vectors = _checked(vectors)
    compared = points(vectors, metric)
    distances = np.empty(len(first), dtype=np.float32)
    for start in range(0, len(first), _CACHED):
        pairs = slice(start, start + _CACHED)
        distances[pairs] = backends.distances(compared[first[pairs]], compared[second[pairs]], metric)
    if metric == "cosine":
        at_zero = np.asarray(~vectors.any(axis=1))
        distances[at_zero[first] | at_zero[second]] = 1
    return distances


def points(vectors: np.ndarray, metric: Metric) -> np.ndarray:
    """Convert vectors to float64, of length 1 (zeros stay zeros) for cosine.

    Args:
        vectors: float32 `(num_vectors, dim)`, finite.
        metric: "cosine", "euclidean" or "manhattan".
    """
    vectors = vectors.astype(np.float64)
    if metric == "cosine":
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
        lengths[lengths == 0] = 1
        vectors /= lengths[:, None]
    return vectors


def _checked(vectors: np.ndarray, dim: int | None = None) -> np.ndarray:
    with np.errstate(over="ignore"):  # what has no room in float32 is refused below
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or (dim is not None and vectors.shape[1] != dim):
        raise ValueError(f"Expected vectors of shape (num_vectors, {dim or 'dim'}), received {vectors.shape}.")
    if vectors.size and not max(vectors.max(), -vectors.min()) <= _LARGEST:  # nor is what is not a number
        raise ValueError("Expected finite vectors of magnitudes up to 1e30; some values are larger, NaN or infinite.")
    return vectors
