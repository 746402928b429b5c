"""The index against brute force in float64, by every backend and metric, ties in order; and who may not answer."""

from __future__ import annotations

import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latentsearch.config import METRICS
from latentsearch.gallery import backend_choice
from latentsearch.gallery.backends import BruteForce, FaissFlat, KDTree, MatrixProduct
from latentsearch.gallery.index import Index, distances_between
from latentsearch.gallery.native_tree import NativeTree
from tests.conftest import REPOSITORY

# Every backend with every metric that it may be chosen for.
every_backend = pytest.mark.parametrize(
    ("backend", "metric"),
    [
        (backend, metric)
        for backend in (BruteForce, NativeTree, KDTree, FaissFlat, MatrixProduct)
        for metric in METRICS
        if backend in (BruteForce, NativeTree) or (metric == "manhattan") == (backend is FaissFlat)
    ],
)


def using(backend):
    """Within this context, every search is made by `backend`."""
    return mock.patch.object(backend_choice, "choose", return_value=backend)


def brute_force(queries, vectors, metric):
    """Distances `(num_queries, num_vectors)` by their definition, in float64, rounded to float32."""
    queries, vectors = np.asarray(queries, np.float32).astype(float), np.asarray(vectors, np.float32).astype(float)
    if metric == "manhattan":
        return np.float32([np.abs(vectors - query).sum(axis=1) for query in queries])
    if metric == "euclidean":
        return np.float32([np.linalg.norm(vectors - query, axis=1) for query in queries])
    # By einsum too: where two directions are the same but for rounding, other roundings are another answer.
    lengths = [np.sqrt(np.einsum("nd,nd->n", of, of))[:, None] for of in (queries, vectors)]
    queries, vectors = (np.divide(of, length, where=length > 0, out=np.zeros_like(of))
                        for of, length in zip((queries, vectors), lengths))  # fmt: skip
    # 1 - cosine, without its cancellation; in float64 the same direction is the same to 1e-15.
    distances = np.float32([np.square(vectors - query).sum(axis=1) / 2 for query in queries])
    distances[distances < 1e-30] = 0
    distances[(lengths[0] == 0) | (lengths[1] == 0).T] = 1
    return distances


def assert_nearest(found, distances, ids=None):
    """`found` are the nearest by `distances` `(num_queries, num_vectors)`, ordered by distance, then id.

    Args:
        found: Neighbours.
        distances: float32; infinite: may not answer.
        ids: Of the vectors, ascending. Default: the rows.
    """
    order = np.argsort(distances, axis=1, kind="stable")[:, : found.ids.shape[1]]
    np.testing.assert_array_equal(found.ids, order if ids is None else ids[order])
    assert found.distances.dtype == np.float32
    np.testing.assert_array_max_ulp(found.distances, np.take_along_axis(distances, order, axis=1), maxulp=0)


@every_backend
@pytest.mark.parametrize(("num_queries", "k"), [(1, 1), (7, 10), (300, 50), (100, 500)])
def test_neighbours_are_those_of_brute_force(backend, metric, num_queries, k):
    rng = np.random.default_rng(k)
    vectors = rng.normal(size=(500, 10)).astype(np.float32)
    queries = rng.normal(size=(num_queries, 10)).astype(np.float32)
    with using(backend):
        found = Index(vectors, metric=metric).search(queries, k)
    assert_nearest(found, brute_force(queries, vectors, metric))


@every_backend
def test_many_duplicates_and_zeros_are_searched_like_any(backend, metric):
    # More of a kind than any leaf of a tree holds, on planes, and a few that are alone.
    rng = np.random.default_rng(0)
    vectors = np.zeros((3000, 6), dtype=np.float32)
    vectors[500:1500] = rng.normal(size=6)
    vectors[1500:2500, :2] = rng.integers(-1, 2, (1000, 2))
    vectors[2500:] = rng.normal(size=(500, 6))
    rng.shuffle(vectors)
    queries = np.concatenate([vectors[:100], np.zeros((2, 6), np.float32), rng.normal(size=(30, 6)).astype(np.float32)])
    index = Index(vectors, metric=metric)
    with using(backend):
        for k in (1, 20, 3000):
            assert_nearest(index.search(queries, k), brute_force(queries, vectors, metric))


@pytest.mark.parametrize("backend", [BruteForce, NativeTree, KDTree, MatrixProduct])
def test_a_vector_of_zeros_is_no_nearer_than_a_right_angle(backend):
    # By euclidean distance the zeros would come before the vector at 70 degrees.
    angle = np.deg2rad(70)
    vectors = np.array([[0, 0], [np.cos(angle), np.sin(angle)], [0, 0], [-1, 0.1]], dtype=np.float32)
    queries = np.tile(np.float32([[1, 0]]), (100, 1))
    with using(backend):
        for asked in (queries[:1], queries):
            found = Index(vectors, metric="cosine").search(asked, 1)  # of more, those that come along would be sorted
            assert (found.ids == 1).all()
            np.testing.assert_allclose(found.distances, 1 - np.cos(angle), atol=1e-6)


@every_backend
@settings(max_examples=30, deadline=None)
@given(
    # Coarse values: many ties, duplicates and zero vectors.
    vectors=arrays(np.float32, st.tuples(st.integers(3, 30), st.just(3)), elements=st.integers(-2, 2).map(float)),
    data=st.data(),
)
def test_an_image_never_answers_itself_even_among_duplicates(backend, metric, vectors, data):
    ids = np.arange(len(vectors))[::-1] * 3
    k = data.draw(st.integers(1, len(vectors) - 1))
    with using(backend):
        found = Index(vectors, ids, metric=metric).search(vectors, k, exclude=ids)
    assert not (found.ids == ids[:, None]).any()
    distances = np.where(np.eye(len(vectors), dtype=bool), np.inf, brute_force(vectors, vectors, metric))
    assert_nearest(found, distances[:, ::-1], ids[::-1])


def test_few_queries_build_nothing_and_many_build_a_backend_once():
    vectors = np.random.default_rng(0).normal(size=(30_000, 10)).astype(np.float32)
    index = Index(vectors, metric="cosine")
    built = []
    with mock.patch.object(NativeTree, "__init__", autospec=True, side_effect=NativeTree.__init__) as started:
        for count in (1, 5, 500, 1, 500):
            index.search(vectors[:count], 5)
            built.append(started.call_count)
    assert built == [0, 0, 1, 1, 1]


def bursts(rng, num_vectors, dim):
    """Vectors of which a part lies within 1e-4 of one of them."""
    vectors = rng.normal(size=(num_vectors, dim))
    vectors[: num_vectors // 4] = vectors[0] + rng.uniform(-1e-4, 1e-4, (num_vectors // 4, dim)) / dim
    return vectors


VECTORS = {
    "normal": lambda rng, num, dim: rng.normal(size=(num, dim)),
    "bursts": bursts,
    "duplicates": lambda rng, num, dim: rng.normal(size=(3, dim))[rng.integers(0, 3, num)],
    "one direction": lambda rng, num, dim: np.outer(rng.integers(1, 50, num), rng.normal(size=dim)),
    "constant": lambda rng, num, dim: np.full((num, dim), rng.normal()),
    "coarse": lambda rng, num, dim: rng.integers(-1, 2, (num, dim)),
    "offset": lambda rng, num, dim: rng.normal(size=(num, dim)) + 10.0 ** rng.integers(1, 6),
    "small": lambda rng, num, dim: rng.normal(size=(num, dim)) * 1e-40,
    "large": lambda rng, num, dim: rng.normal(size=(num, dim)) * 1e25,
    "all scales": lambda rng, num, dim: rng.normal(size=(num, dim)) * 10.0 ** rng.integers(-42, 29, (num, 1)),
    "scales within": lambda rng, num, dim: rng.normal(size=(num, dim)) * 10.0 ** rng.integers(-30, 25, dim),
}


@every_backend
@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(VECTORS)),
    seed=st.integers(0, 2**32),
    num=st.integers(1, 400),
    dim=st.integers(1, 20),
    share=st.floats(0, 1),
    asked=st.sampled_from(["copies", "others", "zeros"]),
)
def test_every_backend_answers_as_brute_force_does(backend, metric, kind, seed, num, dim, share, asked):
    rng = np.random.default_rng(seed)
    vectors = VECTORS[kind](rng, num, dim).astype(np.float32)
    queries = {"copies": vectors[:25], "others": VECTORS[kind](rng, 80, dim), "zeros": np.zeros((2, dim))}[asked]
    with using(backend):
        found = Index(vectors, metric=metric).search(queries, max(1, round(share * num)))
    assert_nearest(found, brute_force(queries, vectors, metric))


@every_backend
def test_a_copy_in_a_burst_is_among_its_nearest(backend, metric):
    vectors = bursts(np.random.default_rng(0), 1200, 10).astype(np.float32)
    with using(backend):
        found = Index(vectors, metric=metric).search(vectors[:300], 10)
    assert (found.ids == np.arange(300)[:, None]).any(axis=1).all()
    assert (found.distances[:, 0] == 0).all()


@settings(max_examples=25, deadline=None)
@given(
    metric=st.sampled_from(METRICS),
    kind=st.sampled_from(sorted(VECTORS)),
    seed=st.integers(0, 2**32),
    dim=st.sampled_from([3, 10, 12]),
    sizes=st.lists(st.integers(1, 30), max_size=5),
    k=st.sampled_from([1, 2, 10]),
)
def test_what_was_asked_before_changes_no_answer(metric, kind, seed, dim, sizes, k):
    rng = np.random.default_rng(seed)
    vectors, queries = VECTORS[kind](rng, 9000, dim), VECTORS[kind](rng, 5, dim)
    queries[0] = vectors[5]
    fresh = Index(vectors, metric=metric)
    expected = [fresh.search(queries, number) for number in (k, 3)]
    used = Index(vectors, metric=metric)
    for size in sizes:
        used.search(VECTORS[kind](rng, size, dim), k)
    for index in (used, fresh):
        for number, before in zip((k, 3), expected):
            found = index.search(queries, number)
            np.testing.assert_array_equal(found.ids, before.ids)
            np.testing.assert_array_equal(found.distances, before.distances)


@pytest.mark.parametrize("spread", [1e-7, 1e-4, 1e-2, 1])
@pytest.mark.parametrize("scale", [1e-40, 1, 1e25])
def test_cosine_distances_are_those_of_longer_numbers(spread, scale):
    rng = np.random.default_rng(0)
    first = rng.normal(size=(500, 10)).astype(np.float32)
    first, second = (np.float32(of * scale) for of in (first, first + spread * rng.normal(size=(500, 10))))
    units = [of.astype(np.longdouble) for of in (first, second)]
    units = [of / np.sqrt(np.square(of).sum(axis=1, keepdims=True)) for of in units]
    expected = np.square(units[1] - units[0]).sum(axis=1) / 2
    found = distances_between(first, second, metric="cosine")
    np.testing.assert_allclose(found, expected.astype(float), rtol=1e-7, atol=1e-22)


@pytest.mark.parametrize("metric", METRICS)
def test_distances_of_pairs_are_those_of_answers(metric):
    vectors = np.concatenate([bursts(np.random.default_rng(0), 200, 7), np.zeros((2, 7))])
    found = Index(vectors, metric=metric).search(vectors, 202)
    pairs = vectors.repeat(202, axis=0), vectors[found.ids.ravel()]
    np.testing.assert_array_equal(distances_between(*pairs, metric=metric), found.distances.ravel())


def test_a_first_answer_waits_for_no_library_but_numpy():
    code = (
        "import sys, numpy; from latentsearch.gallery.index import Index; "
        "Index(numpy.eye(10)).search(numpy.eye(10), 3); "
        "assert not {'faiss', 'scipy', 'pandas', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


@pytest.mark.parametrize("backend", [BruteForce, NativeTree, KDTree, MatrixProduct])
def test_twenty_duplicates_answer_each_other_but_not_themselves(backend):
    vectors = np.zeros((25, 4), dtype=np.float32)
    vectors[20:] = np.arange(20).reshape(5, 4) + 1
    ids = np.arange(25)
    with using(backend):
        found = Index(vectors, metric="euclidean").search(vectors[:20], 10, exclude=ids[:20])
    assert not (found.ids == ids[:20, None]).any()
    assert (found.distances == 0).all()


def test_ids_that_are_not_there_exclude_nothing():
    vectors = np.eye(3, dtype=np.float32)
    found = Index(vectors, metric="euclidean").search(vectors, 2, exclude=np.array([-1, -1, -1]))
    np.testing.assert_array_equal(found.ids[:, 0], [0, 1, 2])


@every_backend
def test_equal_vectors_are_at_distance_zero(backend, metric):
    # Far from the origin, where a matrix product would round the distance to something else.
    vectors = (np.random.default_rng(0).normal(size=(50, 10)) + 300).astype(np.float32)
    with using(backend):
        assert (Index(vectors, metric=metric).search(vectors, 1).distances == 0).all()


@every_backend
def test_rank_gives_the_ids_of_search(backend, metric):
    index = Index(np.random.default_rng(0).normal(size=(200, 5)), metric=metric)
    with using(backend):
        np.testing.assert_array_equal(index.rank(np.eye(5), 20), index.search(np.eye(5), 20).ids)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Index(np.zeros((3, 2)), metric="hamming"), "Unknown metric"),
        (lambda: Index(np.full((3, 2), np.nan)), "finite"),
        (lambda: Index(np.float32([[0, -np.inf]])), "finite"),
        (lambda: Index(np.full((3, 2), 1e31)), "up to 1e30"),
        (lambda: Index(np.eye(2)).search([[-1e300, 0]], 1), "up to 1e30"),
        (lambda: Index(np.zeros((3, 2)), np.arange(2)), "3 ids"),
        (lambda: Index(np.eye(3)).search(np.eye(3), 4), "k = 4"),
        (lambda: Index(np.eye(3)).search(np.eye(3), 3, exclude=np.arange(3)), "1 to 2"),
        (lambda: Index(np.eye(3)).search(np.eye(4), 1), "shape"),
        (lambda: Index(np.eye(3)).search(np.eye(3), 1, exclude=np.arange(2)), "3 ids"),
    ],
)
def test_what_cannot_be_searched_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
