"""What finds nearest codes: our index, other exact searches, and approximate ones, each behind the same two calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from latentsearch.config import METRICS, Metric

Ask = Callable[[np.ndarray, int], np.ndarray]
"""Rows of the nearest, closest first, int `(num_queries, k)`, of queries `(num_queries, dim)` and k."""

OURS = "latentsearch"
_LEAF = 32  # as quick or quicker than the trees' own defaults (8 to 40) on codes
_LINKS, _BUILD_WIDTH, _SEARCH_WIDTH = 32, 64, 64  # of all graphs (HNSW)


@dataclass(frozen=True)
class Contender:
    """A way to search.

    Args:
        build: Gives what answers, for vectors `(num_vectors, dim)` and a metric; imports what it needs.
        exact: Whether it finds all of the nearest.
        is_quick: Whether it is measured in every round; those that take minutes are measured once.
        metrics: Those it can search by.
    """

    build: Callable[[np.ndarray, Metric], Ask]
    exact: bool = True
    is_quick: bool = True
    metrics: tuple[Metric, ...] = METRICS


def _normalised(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _by_angle(build: Callable[[np.ndarray], Ask], vectors: np.ndarray, metric: Metric) -> Ask:
    """Cosine for what knows euclidean distances only: among unit vectors both have the same neighbours."""
    if metric != "cosine":
        return build(vectors)
    ask = build(_normalised(vectors))
    return lambda queries, k: ask(_normalised(queries), k)


def _ours(vectors: np.ndarray, metric: Metric) -> Ask:
    from latentsearch.gallery.index import Index

    index = Index(vectors, metric=metric)
    return lambda queries, k: index.search(queries, k).ids


def _scipy_tree(vectors: np.ndarray, metric: Metric) -> Ask:
    from scipy.spatial import cKDTree

    def build(vectors: np.ndarray) -> Ask:
        tree = cKDTree(vectors, leafsize=_LEAF)
        norm = 1 if metric == "manhattan" else 2
        return lambda queries, k: tree.query(queries, k, p=norm, workers=1 if len(queries) == 1 else -1)[1]

    return _by_angle(build, vectors, metric)


def _pykdtree(vectors: np.ndarray, metric: Metric) -> Ask:
    from pykdtree.kdtree import KDTree

    def build(vectors: np.ndarray) -> Ask:
        tree = KDTree(vectors, leafsize=_LEAF)
        return lambda queries, k: tree.query(queries, k, sqr_dists=True)[1]

    return _by_angle(build, vectors, metric)


def _nanoflann(vectors: np.ndarray, metric: Metric) -> Ask:
    import napf

    def build(vectors: np.ndarray) -> Ask:
        tree = napf.KDT(vectors, metric=1 if metric == "manhattan" else 2, leaf_size=_LEAF, nthread=-1)
        return lambda queries, k: tree.knn_search(queries, k, 1 if len(queries) == 1 else -1)[1]

    return _by_angle(build, vectors, metric)


def _sklearn(algorithm: str) -> Callable[[np.ndarray, Metric], Ask]:
    def build(vectors: np.ndarray, metric: Metric) -> Ask:
        from sklearn.neighbors import NearestNeighbors

        def fitted(vectors: np.ndarray, metric: Metric) -> Ask:
            found = NearestNeighbors(algorithm=algorithm, metric=metric, leaf_size=_LEAF, n_jobs=-1).fit(vectors)
            return lambda queries, k: found.kneighbors(queries, k, return_distance=False)

        if metric == "cosine" and algorithm != "brute":
            return _by_angle(lambda unit: fitted(unit, "euclidean"), vectors, metric)
        return fitted(vectors, metric)

    return build


def _faiss(make: Callable[[int, int, int], object]) -> Callable[[np.ndarray, Metric], Ask]:
    """`make` gives an index for a number of dimensions, FAISS's number of a metric, and the number of vectors."""

    def build(vectors: np.ndarray, metric: Metric) -> Ask:
        import faiss

        def filled(vectors: np.ndarray) -> Ask:
            kinds = {"cosine": faiss.METRIC_INNER_PRODUCT, "euclidean": faiss.METRIC_L2, "manhattan": faiss.METRIC_L1}
            index = make(vectors.shape[1], kinds[metric], len(vectors))
            index.train(vectors)
            index.add(vectors)
            return lambda queries, k: index.search(queries, k)[1]

        return _by_angle(filled, vectors, metric)

    return build


def _faiss_flat(dim: int, kind: int, num_vectors: int) -> object:
    import faiss

    return faiss.IndexFlat(dim, kind)


def _faiss_graph(dim: int, kind: int, num_vectors: int) -> object:
    import faiss

    index = faiss.IndexHNSWFlat(dim, _LINKS, kind)
    index.hnsw.efConstruction, index.hnsw.efSearch = _BUILD_WIDTH, _SEARCH_WIDTH
    return index


def _faiss_cells(dim: int, kind: int, num_vectors: int) -> object:
    import faiss

    num_cells = round(2 * num_vectors**0.5)
    index = faiss.IndexIVFFlat(faiss.IndexFlat(dim, kind), dim, num_cells, kind)
    index.nprobe = num_cells // 20
    return index


def _hnswlib(vectors: np.ndarray, metric: Metric) -> Ask:
    import hnswlib

    index = hnswlib.Index(space={"cosine": "cosine", "euclidean": "l2"}[metric], dim=vectors.shape[1])
    index.init_index(len(vectors), M=_LINKS, ef_construction=_BUILD_WIDTH, random_seed=0)
    index.add_items(vectors)
    index.set_ef(_SEARCH_WIDTH)
    return lambda queries, k: index.knn_query(queries, k)[0]


_USEARCH_NAMES = {"cosine": "cos", "euclidean": "l2sq"}


def _usearch_graph(vectors: np.ndarray, metric: Metric) -> Ask:
    from usearch.index import Index

    index = Index(
        ndim=vectors.shape[1],
        metric=_USEARCH_NAMES[metric],
        dtype="f32",
        connectivity=_LINKS,
        expansion_add=_BUILD_WIDTH,
        expansion_search=_SEARCH_WIDTH,
    )
    index.add(np.arange(len(vectors)), vectors)
    return lambda queries, k: index.search(queries, k).keys.reshape(len(queries), k)


def _usearch_exact(vectors: np.ndarray, metric: Metric) -> Ask:
    from usearch.index import search

    def ask(queries: np.ndarray, k: int) -> np.ndarray:
        # It keeps all distances of a call, 16 bytes each.
        parts = [queries[start : start + 64] for start in range(0, len(queries), 64)]
        found = [search(vectors, part, k, _USEARCH_NAMES[metric], exact=True).keys.reshape(-1, k) for part in parts]
        return np.concatenate(found)

    return ask


def _original(vectors: np.ndarray, metric: Metric) -> Ask:
    """One query at a time, all distances, and a sort of all of them in Python."""
    from sklearn.metrics import pairwise_distances

    def nearest(query: np.ndarray, k: int) -> list[int]:
        distances = pairwise_distances(query[None], vectors, metric=metric)[0].tolist()
        return [row for row, _ in sorted(enumerate(distances), key=lambda pair: pair[1])[:k]]

    return lambda queries, k: np.array([nearest(query, k) for query in queries])


_NOT_MANHATTAN: tuple[Metric, ...] = ("cosine", "euclidean")

CONTENDERS = {
    OURS: Contender(_ours),
    "FAISS flat": Contender(_faiss(_faiss_flat)),
    "SciPy cKDTree": Contender(_scipy_tree),
    "pykdtree": Contender(_pykdtree, metrics=_NOT_MANHATTAN),
    "nanoflann (napf)": Contender(_nanoflann),
    "scikit-learn kd_tree": Contender(_sklearn("kd_tree"), is_quick=False),
    "scikit-learn ball_tree": Contender(_sklearn("ball_tree"), is_quick=False),
    "scikit-learn brute": Contender(_sklearn("brute"), is_quick=False),
    "usearch exact": Contender(_usearch_exact, is_quick=False, metrics=_NOT_MANHATTAN),
    "distances and a Python sort": Contender(_original, is_quick=False, metrics=("cosine",)),
    # Approximate ones take minutes to build: one metric shows what they trade.
    "FAISS HNSW": Contender(_faiss(_faiss_graph), exact=False, is_quick=False, metrics=("cosine",)),
    "FAISS IVF": Contender(_faiss(_faiss_cells), exact=False, is_quick=False, metrics=("cosine",)),
    "hnswlib": Contender(_hnswlib, exact=False, is_quick=False, metrics=("cosine",)),
    "usearch HNSW": Contender(_usearch_graph, exact=False, is_quick=False, metrics=("cosine",)),
}
