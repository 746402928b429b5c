"""The choice of the backend of a search: all give the same results, each is the fastest for some.

Time of one query, k = 10, of 60,000 and of 1,000,000 10-d codes of images, as tried by hand on one core; whole searches
are measured by `benchmarks/search.py`:

    BruteForce     1.0 ms and  18 ms   needs nothing but NumPy: the first result of a new process comes soonest
    NativeTree     0.02 ms and 0.08 ms by all metrics, of vectors of up to 40 numbers, where there is a C compiler

Where there is none, and for other searches:

    KDTree         0.1 ms and 0.6 ms   SciPy's; built in 0.04 s and 1.2 s; by cosine and euclidean
    FaissFlat      0.13 ms and 2.2 ms  compares all, by manhattan
    MatrixProduct                      compares all, by cosine and euclidean: for long vectors and a large k
"""

from __future__ import annotations

from latentsearch.config import Metric
from latentsearch.gallery.backends import Backend, BruteForce, FaissFlat, KDTree, MatrixProduct

_FEW, _SHORT = 40, 10  # numbers in a vector: in more dimensions the bounds of a tree in C, of SciPy's, tell too little
_SCANNED = 20  # queries: as many scans cost less than a tree, and far less than loading its library
_SHARE, _SHORT_SHARE = 1 / 400, 1 / 4000  # of the vectors: to find more, the same trees look into too many leaves


def choose(num_vectors: int, dim: int, metric: Metric, *, k: int, num_asked: int) -> type[Backend]:
    """Choose the backend for a search.

    Args:
        num_vectors: Number of vectors in the index.
        dim: Numbers in each vector.
        metric: Metric of the search.
        k: Neighbours of each query.
        num_asked: Number of queries so far, with those of this search.
    """
    if dim <= _FEW and num_asked <= _SCANNED:
        return BruteForce
    if dim <= _FEW and (k <= num_vectors * _SHARE or metric == "manhattan"):
        from latentsearch.gallery.native_tree import NativeTree

        if NativeTree.is_available():
            return NativeTree
    if metric == "manhattan":
        return FaissFlat
    return KDTree if dim <= _SHORT and k <= num_vectors * _SHORT_SHARE else MatrixProduct
