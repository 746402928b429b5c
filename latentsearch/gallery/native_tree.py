"""A k-d tree in C, whose leaves are compared by vector instructions: the search backend of many queries."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import numpy as np

from latentsearch.config import METRICS, Metric
from latentsearch.gallery import compiled
from latentsearch.gallery.backends import DOUBLE, SAME, Candidates, distances, distances_of_sums
from latentsearch.gallery.threads import in_threads

_LEAF = 64  # points, as in nearest.c
_AT_A_TIME = 128  # queries of a thread


class NativeTree:
    """A tree whose points lie in leaves of 64; see `backends.Backend`.

    Leaves are compared in float32, which takes 4 bytes a number beside the points; what may be near enough is compared
    in float64. Many queries are asked in the order of a tree of their own, so that what one of them has brought into
    the cache serves the next, and on all cores.

    Raises:
        RuntimeError: if there is no compiled library; see `compiled.library`.
    """

    def __init__(self, points: np.ndarray, metric: Metric, functions: ctypes.CDLL | None = None) -> None:
        functions = functions or compiled.library()
        if functions is None:
            raise RuntimeError("The functions of nearest.c are not compiled here.")
        self._functions, self._metric = functions, metric
        self._tree = _Tree(functions, np.ascontiguousarray(points))

    @staticmethod
    def is_available() -> bool:
        """Tell whether the library is compiled here, or compile it where it can be."""
        return compiled.library() is not None

    @staticmethod
    def enough(k: int) -> int:
        """See `Backend.enough`."""
        return k + 1

    def candidates(self, queries: np.ndarray, count: int) -> Candidates:
        """See `Backend.candidates`."""
        rows = np.empty((len(queries), count), dtype=np.int64)
        sums = np.empty((len(queries), count))
        if len(queries) <= _AT_A_TIME:
            self._tree.search(np.ascontiguousarray(queries), rows, sums, by_magnitude=self._metric == "manhattan")
            return self._bounded(rows, sums)
        order = _Tree(self._functions, np.ascontiguousarray(queries)).rows

        def find(block: slice) -> None:
            asked = order[block]
            near, far = np.empty((len(asked), count), dtype=np.int64), np.empty((len(asked), count))
            self._tree.search(queries[asked], near, far, by_magnitude=self._metric == "manhattan")
            rows[asked], sums[asked] = near, far

        in_threads(find, (slice(start, start + _AT_A_TIME) for start in range(0, len(queries), _AT_A_TIME)))
        return self._bounded(rows, sums)

    def _bounded(self, rows: np.ndarray, sums: np.ndarray) -> Candidates:
        # Differences, squares and sums are rounded here and in `distances`; nothing is taken away from a sum.
        share = (self._tree.points.shape[1] + 8) * 4 * DOUBLE
        far = distances_of_sums(sums, self._metric)
        low, high = far * (1 - share), far * (1 + share)
        if self._metric == "cosine":
            low *= low >= SAME  # what is hardly more may be the same there
        return Candidates(rows, (low, high), low[:, -1])


class _Tree:
    """Points, float64 `(num_points, dim)`, and what is compared of them; `rows` is their order in the leaves."""

    def __init__(self, functions: ctypes.CDLL, points: np.ndarray) -> None:
        self._functions, self.points = functions, points
        num_points, dim = points.shape
        self._num_leaves = max(1, -(-num_points // _LEAF))
        self.rows = np.arange(num_points, dtype=np.int64)
        self._blocks = np.empty((self._num_leaves, dim, _LEAF), np.float32)
        self._boxes = np.empty((2 * self._num_leaves - 1, 2, dim))
        where = [of.ctypes.data for of in (points, self._blocks, self._boxes, self.rows)]
        keys = np.empty(num_points)
        functions.latentsearch_build(*where, keys.ctypes.data, num_points, dim, self._num_leaves)
        self._arguments = (*where, dim, self._num_leaves)

    def search(self, queries: np.ndarray, rows: np.ndarray, sums: np.ndarray, *, by_magnitude: bool) -> None:
        """Find the nearest points of each query, nearest first.

        Args:
            queries: float64 `(num_queries, dim)`, contiguous.
            rows: Is filled with their rows, int64 `(num_queries, count)`, contiguous.
            sums: Is filled with the sums of squares of differences, float64 `(num_queries, count)`, contiguous.
            by_magnitude: Whether magnitudes are summed in the place of squares.
        """
        self._functions.latentsearch_search(
            *(*self._arguments, by_magnitude, queries.ctypes.data, *rows.shape, rows.ctypes.data, sums.ctypes.data)
        )


def _try(path: Path) -> None:
    """Search a few points by a library that was just compiled.

    Raises:
        OSError: if it cannot be opened.
        ValueError: if an answer is wrong.
    """
    functions = compiled.declared(path)
    points = np.random.default_rng(0).normal(size=(1000, 10))
    for metric in METRICS:
        found = NativeTree(points, metric, functions).candidates(points[:50], 10)
        far = np.array([distances(query, points, metric) for query in points[:50]])
        if not np.array_equal(found.rows, np.argsort(far, axis=1)[:, :10]):
            raise ValueError(f"The library {path} finds others than the nearest by {metric}.")


if __name__ == "__main__":
    _try(Path(sys.argv[1]))
