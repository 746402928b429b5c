"""Approximate search among many vectors: for proposals, of which a few may be missed."""

from __future__ import annotations

import numpy as np

from latentsearch.data.memory import give_back
from latentsearch.gallery.index import as_compared, not_excluded

_CELL = 256  # vectors, about
_VISITED = 24  # cells
_TRAINED_BY = 64  # vectors of each cell, at most
_MEASURED = 500  # queries
_AT_A_TIME = 2**14  # vectors


def rank(vectors: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    """Find most of the nearest vectors by cosine, each query itself left out, by FAISS's IVF.

    The vectors lie in cells of about 256, of which each query visits 24: time grows with the number of vectors, not
    with its square. Vectors and queries are scaled to length 1 where they lie: copies of very many take much memory.

    Args:
        vectors: float32 `(num_vectors, dim)`.
        queries: float32 `(num_vectors, dim)`; row n is that of vector n. They may be the vectors.
        k: Number of neighbours.

    Returns:
        Rows `(num_vectors, k)`, -1 where too few were found; and the share of the true neighbours of 500 queries that
        is among them.
    """
    import faiss

    for values in (vectors,) if queries is vectors else (vectors, queries):
        for start in range(0, len(values), _AT_A_TIME):
            values[start : start + _AT_A_TIME] = as_compared(values[start : start + _AT_A_TIME], metric="cosine")
    num_vectors, dim = vectors.shape
    num_cells = max(1, num_vectors // _CELL)
    # In float16: its lists take up to twice the room of what is in them.
    index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatL2(dim), dim, num_cells, faiss.ScalarQuantizer.QT_fp16)
    index.cp.niter, index.cp.max_points_per_centroid, index.nprobe = 8, _TRAINED_BY, _VISITED
    index.train(vectors)
    index.add(vectors)
    found = np.empty((num_vectors, k + 1), np.int64)
    for start in range(0, num_vectors, _AT_A_TIME):  # the cells of each query take four times the room of its results
        _, found[start : start + _AT_A_TIME] = index.search(queries[start : start + _AT_A_TIME], k + 1)
    del index  # as large as the vectors
    give_back()
    own = np.arange(num_vectors)
    found = found[not_excluded(found, own)].reshape(-1, k)
    asked = np.sort(np.random.default_rng(0).permutation(num_vectors)[:_MEASURED])
    _, true = faiss.knn(queries[asked], vectors, k + 1)
    true = true[not_excluded(true, asked)].reshape(-1, k)
    return found, float((found[asked][:, :, None] == true[:, None]).any(axis=1).mean())
