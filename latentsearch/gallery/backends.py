"""Search backends of NumPy, SciPy and FAISS, all exact.

Every backend returns candidates, with proven bounds of their distances. `index.Index` decides by the bounds which
distances to compute anew and which queries to ask again, so all backends give the same results.
"""

from __future__ import annotations

import threading
from typing import NamedTuple, Protocol

import numpy as np

from latentsearch.config import Metric
from latentsearch.gallery.largest import GROUP, largest
from latentsearch.gallery.threads import in_threads, num_threads

_LEAF = 48
_BLOCK = 2**14  # vectors whose differences stay in the processor's cache
_PRODUCTS, _LEAST_PRODUCTS = 2**24, 2**21  # held at a time, by all threads together, but so many by each at least
_BATCH = 64  # queries from which on starting threads pays

_SINGLE, DOUBLE = 2.0**-24, 2.0**-53  # rounding errors of float32 and float64, as a share of the number
_TINY = 2.0**-126  # below it float32 loses digits
_LARGE = 1e18  # above it squares have no room in float32
_LAST = np.finfo(np.float32).max
SAME = 1e-30  # cosine distances below come from rounding: no two directions of float32 vectors are so near


class Candidates(NamedTuple):
    """Vectors that may be the nearest, with bounds of their distances.

    Args:
        rows: Rows of the vectors, int64 `(num_queries, count)`, without repetition.
        bounds: Lower and upper bounds of the distances, float64 `(num_queries, count)` each; None where they would tell
            too little.
        beyond: Lower bounds of the distances of all other vectors, float64 `(num_queries,)`.
    """

    rows: np.ndarray
    bounds: tuple[np.ndarray, np.ndarray] | None
    beyond: np.ndarray


class Backend(Protocol):
    """A search for candidates among points, float64 `(num_vectors, dim)`; see `index.points`."""

    def __init__(self, points: np.ndarray, metric: Metric) -> None: ...

    @staticmethod
    def enough(k: int) -> int:
        """Return how many candidates are likely to settle which are the `k` nearest."""

    def candidates(self, queries: np.ndarray, count: int) -> Candidates:
        """Find the `count` vectors that seem nearest.

        Args:
            queries: Points, float64 `(num_queries, dim)`.
            count: Number of candidates, at most that of the vectors.
        """


class BruteForce:
    """All distances of one query after the other; see `Backend`. Its bounds are the distances."""

    def __init__(self, points: np.ndarray, metric: Metric) -> None:
        self._points, self._metric = points, metric

    @staticmethod
    def enough(k: int) -> int:
        """See `Backend.enough`."""
        return k

    def candidates(self, queries: np.ndarray, count: int) -> Candidates:
        """See `Backend.candidates`."""
        rows = np.empty((len(queries), count), dtype=np.int64)
        found = np.empty((len(queries), count), dtype=np.float32)
        far = np.empty(len(self._points), dtype=np.float32)
        for number, query in enumerate(queries):
            for start in range(0, len(far), _BLOCK):
                block = slice(start, start + _BLOCK)
                far[block] = distances(query, self._points[block], self._metric)
            # Ties at the border too: of those the first rows are taken.
            near = np.flatnonzero(far <= np.partition(far, count - 1)[count - 1])
            rows[number] = near[np.argsort(far[near], kind="stable")[:count]]
            found[number] = far[rows[number]]
        return Candidates(rows, (found, found), np.full(len(queries), np.inf))


class KDTree:
    """A k-d tree (SciPy's), for cosine and euclidean; see `Backend`.

    Points lie in memory in the order of its leaves, and queries are asked in the order of a tree of their own: what
    one query has brought into the cache then serves the next, which halves the time of many queries.
    """

    def __init__(self, points: np.ndarray, metric: Metric) -> None:
        from scipy.spatial import cKDTree

        self._tree_of = cKDTree
        self._metric = metric
        self._order = cKDTree(points, leafsize=_LEAF).indices
        self._tree = cKDTree(points[self._order], leafsize=_LEAF)

    @staticmethod
    def enough(k: int) -> int:
        """See `Backend.enough`."""
        return k + 1

    def candidates(self, queries: np.ndarray, count: int) -> Candidates:
        """See `Backend.candidates`."""
        if len(queries) < _BATCH:
            lengths, places = self._tree.query(queries, count)
            lengths, places = lengths.reshape(-1, count), places.reshape(-1, count)
        else:
            order = self._tree_of(queries, leafsize=_LEAF).indices
            lengths = np.empty((len(queries), count))
            places = np.empty((len(queries), count), dtype=np.int64)
            found = self._tree.query(queries[order], count, workers=-1)
            lengths[order], places[order] = (part.reshape(-1, count) for part in found)
        # Sums of squares, and of what the tree adds up on its way down: each term is rounded, none is taken away.
        share = (queries.shape[1] + 64) * 4 * DOUBLE
        low, high = (_distances_of(bound, self._metric) for bound in (lengths * (1 - share), lengths * (1 + share)))
        return Candidates(self._order[places], (low, high), low.max(axis=1))


class FaissFlat:
    """FAISS's flat index: all distances in float32, of many queries at a time, for manhattan; see `Backend`."""

    def __init__(self, points: np.ndarray, metric: Metric) -> None:
        import faiss

        self._metric = metric
        self._index = faiss.IndexFlat(points.shape[1], faiss.METRIC_L1)
        self._index.add(points.astype(np.float32))

    @staticmethod
    def enough(k: int) -> int:
        """See `Backend.enough`."""
        return k + k // 8 + 4

    def candidates(self, queries: np.ndarray, count: int) -> Candidates:
        """See `Backend.candidates`."""
        far, rows = self._index.search(queries.astype(np.float32), count)
        dim = queries.shape[1]
        beyond = far.max(axis=1).astype(np.float64) * (1 - (dim + 4) * _SINGLE) - dim * _TINY
        return Candidates(rows.astype(np.int64), None, beyond)


class MatrixProduct:
    """All distances by matrix products in float32, of many queries at a time, for cosine and euclidean; see `Backend`.

    The largest products of a query are looked for in those groups of vectors alone that have the largest maxima.
    """

    def __init__(self, points: np.ndarray, metric: Metric) -> None:
        self._metric = metric
        self._num_vectors, dim = points.shape
        # Products of long vectors cancel: by their mean all become shorter.
        self._centre = points.mean(axis=0)
        # Of (x, |x|^2 / 2) and (y, -1) the product is the larger the nearer x is to y; what fills up groups comes last.
        self._values = np.zeros((self._num_vectors + GROUP, dim + 1), np.float32)
        self._values[: self._num_vectors, :dim] = points - self._centre
        squares = _squares(self._values[: self._num_vectors, :dim].astype(np.float64))
        self._longest = np.sqrt(squares.max(initial=0))
        self._values[: self._num_vectors, dim] = (squares / 2).clip(max=_LAST)
        self._values[self._num_vectors :, dim] = _LAST

    @staticmethod
    def enough(k: int) -> int:
        """See `Backend.enough`."""
        return k + k // 64 + 4

    def candidates(self, queries: np.ndarray, count: int) -> Candidates:
        """See `Backend.candidates`."""
        num_queries, dim = queries.shape
        asked = np.full((num_queries, dim + 1), -1, np.float32)
        asked[:, :dim] = queries - self._centre
        squares = _squares(asked[:, :dim].astype(np.float64))
        reach = 1.01 * (self._longest + np.sqrt(squares))
        unknown = reach > _LARGE
        asked[unknown] = 0
        asked[unknown, dim] = -1
        rows = np.empty((num_queries, count), dtype=np.int64)
        least = np.empty(num_queries, np.float32)  # of the products of candidates
        size = max(1, max(_PRODUCTS // num_threads(), _LEAST_PRODUCTS) // len(self._values))
        held = threading.local()  # each thread keeps one array for its products

        def find(block: slice) -> None:
            if not hasattr(held, "products"):
                held.products = np.empty((min(size, num_queries), len(self._values)), np.float32)
            products = held.products[: len(asked[block])]
            np.matmul(asked[block], self._values.T, out=products)
            rows[block], least[block] = largest(products, self._num_vectors, count)

        in_threads(find, (slice(start, start + size) for start in range(0, num_queries, size)))
        # At most dim + 4 roundings of at most (|x| + |y|)^2; and x and y are rounded themselves.
        error = (dim + 4) * (_SINGLE * reach**2 + 4 * _TINY)
        squares[unknown] = least[unknown] = 0
        beyond = np.sqrt((squares - 2.0 * least - error).clip(min=0)) - _SINGLE * reach
        beyond[unknown], rows[unknown] = 0, np.arange(count)
        return Candidates(rows, None, _distances_of(beyond, self._metric))


def distances(first: np.ndarray, second: np.ndarray, metric: Metric) -> np.ndarray:
    """Compute distances of points, float64 `(..., dim)`, in float64, and round them once, to float32 `(...)`."""
    difference = second - first
    sums = np.abs(difference, out=difference).sum(axis=-1) if metric == "manhattan" else _squares(difference)
    return distances_of_sums(sums, metric).astype(np.float32)


def distances_of_sums(sums: np.ndarray, metric: Metric) -> np.ndarray:
    """Turn sums over differences of points into distances, of the same shape.

    Args:
        sums: float64 sums of squares, or of magnitudes for manhattan.
        metric: "cosine", "euclidean" or "manhattan".
    """
    if metric == "manhattan":
        return sums
    if metric == "euclidean":
        lengths: np.ndarray = np.sqrt(sums)
        return lengths
    far = sums / 2  # of unit vectors: 1 - cosine
    far *= far >= SAME
    return far


def _distances_of(lengths: np.ndarray, metric: Metric) -> np.ndarray:
    """Turn bounds of lengths of differences into bounds of distances, of the same shape."""
    if metric != "cosine":
        return lengths
    distances = lengths.clip(min=0) ** 2 / 2
    distances[distances < SAME] = 0
    return distances


def _squares(vectors: np.ndarray) -> np.ndarray:
    """Sum squares along the last axis; einsum is several times faster here than a reduction."""
    squares: np.ndarray = np.einsum("...d,...d->...", vectors, vectors)
    return squares
