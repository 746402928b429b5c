"""Three exact ways to find the nearest vectors, and which one suits which question.

Time of one query, k = 10, of 60,000 and of 1,000,000 10-d codes of images, as tried by hand on one core; whole searches
are measured by `benchmarks/search.py`:

    scan    1.0 ms and  18 ms   needs nothing but NumPy, so a cold process has its first answer soonest
    tree    0.1 ms and 0.6 ms   built in 0.04 s and 1.2 s; leaves out what a bound shows to be too far
    matrix  0.13 ms and 2.2 ms  FAISS: compares all, so neither long vectors, a large k nor manhattan slow it down much
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from latentsearch.config import Metric

_SHORT = 10  # numbers in a vector: in more dimensions the bounds of a tree leave out too little
_SCANNED = 20  # queries: as many scans cost less than the tree, and far less than loading its library
_SHARE = 1 / 4000  # of the vectors: to find more of them, a tree must look into too many of its leaves
_LEAF = 48
_BLOCK = 2**16
_BATCH = 64  # queries from which on starting threads pays


class Engine(Protocol):
    """Finds the rows of the nearest among `vectors`, float32 `(num_vectors, dim)`; for cosine of length 1, or zeros."""

    def __init__(self, vectors: np.ndarray, metric: Metric) -> None: ...

    def nearest(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Rows of the `k` nearest, int64 `(num_queries, k)`: closest first, but for rounding.

        Args:
            queries: float32 `(num_queries, dim)`; for cosine of length 1, or zeros.
            k: At most the number of vectors.
        """


class Scan:
    """Computes all distances of one query after the other; see `Engine`."""

    def __init__(self, vectors: np.ndarray, metric: Metric) -> None:
        self._vectors, self._metric = vectors, metric

    def nearest(self, queries: np.ndarray, k: int) -> np.ndarray:
        """See `Engine.nearest`."""
        rows = np.empty((len(queries), k), dtype=np.int64)
        far = np.empty(len(self._vectors), dtype=np.float32)
        for number, query in enumerate(queries):
            for start in range(0, len(far), _BLOCK):  # differences of a block stay in the processor's cache
                block = slice(start, start + _BLOCK)
                far[block] = distances(query, self._vectors[block], self._metric)
            found = np.argpartition(far, k - 1)[:k]
            rows[number] = found[np.argsort(far[found])]
        return rows


class Tree:
    """A k-d tree (SciPy's), for cosine and euclidean; see `Engine`.

    Vectors lie in memory in the order of its leaves, and queries are asked in the order of a tree of their own: what
    one query has brought into the cache then serves the next, which halves the time of many queries.
    """

    def __init__(self, vectors: np.ndarray, metric: Metric) -> None:
        from scipy.spatial import cKDTree

        self._tree_of = cKDTree
        # Among unit vectors the nearest by euclidean distance are so by angle. A vector of zeros has cosine 0 with all:
        # one more dimension puts it as far from every unit vector as a right angle does.
        at_zero = ~vectors.any(axis=1)
        self._has_zeros = metric == "cosine" and bool(at_zero.any())
        points = np.column_stack([vectors, at_zero]) if self._has_zeros else vectors
        self._order = cKDTree(points, leafsize=_LEAF).indices
        self._tree = cKDTree(points[self._order], leafsize=_LEAF)

    def nearest(self, queries: np.ndarray, k: int) -> np.ndarray:
        """See `Engine.nearest`."""
        if self._has_zeros:  # of a query of zeros all are equally far: whatever is found is right
            queries = np.column_stack([queries, np.zeros_like(queries[:, 0])])
        if len(queries) < _BATCH:
            return self._order[self._tree.query(queries, k)[1]].reshape(len(queries), k)
        order = self._tree_of(queries, leafsize=_LEAF).indices
        rows = np.empty((len(queries), k), dtype=np.int64)
        rows[order] = self._order[self._tree.query(queries[order], k, workers=-1)[1]].reshape(len(queries), k)
        return rows


class Matrix:
    """Distances of many queries at a time, by matrix products where the metric allows (FAISS); see `Engine`."""

    def __init__(self, vectors: np.ndarray, metric: Metric) -> None:
        import faiss

        kinds = {"cosine": faiss.METRIC_INNER_PRODUCT, "euclidean": faiss.METRIC_L2, "manhattan": faiss.METRIC_L1}
        self._index = faiss.IndexFlat(vectors.shape[1], kinds[metric])
        self._index.add(vectors)

    def nearest(self, queries: np.ndarray, k: int) -> np.ndarray:
        """See `Engine.nearest`."""
        return self._index.search(queries, k)[1]


def choose(num_vectors: int, dim: int, metric: Metric, *, k: int, num_asked: int) -> type[Engine]:
    """The engine for a search.

    Args:
        num_vectors: In the index.
        dim: Numbers in each.
        metric: How they are compared.
        k: Neighbours of each query.
        num_asked: Queries so far, with those of this search.
    """
    if dim > _SHORT:
        return Matrix
    if num_asked <= _SCANNED:
        return Scan
    return Tree if metric != "manhattan" and k <= num_vectors * _SHARE else Matrix


def distances(first: np.ndarray, second: np.ndarray, metric: Metric) -> np.ndarray:
    """Distances of vectors, of unit length (or zero) for cosine: `(..., dim)` each, float32 `(...)`."""
    difference = second - first
    if metric == "manhattan":
        return np.abs(difference, out=difference).sum(axis=-1)
    squared = _squares(difference)
    if metric == "euclidean":
        return np.sqrt(squared)
    at_zero = (_squares(second) == 0) | (_squares(first) == 0)
    return np.where(at_zero, np.float32(1), squared / 2)  # of unit vectors: 1 - cosine


def _squares(vectors: np.ndarray) -> np.ndarray:
    """Sums of squares along the last axis; einsum is several times quicker here than a reduction."""
    return np.einsum("...d,...d->...", vectors, vectors)
