"""The index against brute force, for every engine and metric, ties allowed; and who may not answer."""

from __future__ import annotations

import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from latentsearch.config import METRICS
from latentsearch.gallery import backends
from latentsearch.gallery.backends import Matrix, Scan, Tree
from latentsearch.gallery.index import Index, Neighbours
from tests.conftest import REPOSITORY

SCIPY_NAMES = {"cosine": "cosine", "euclidean": "euclidean", "manhattan": "cityblock"}


# Every engine with every metric that it may be chosen for.
every_engine = pytest.mark.parametrize(
    ("engine", "metric"),
    [
        (engine, metric)
        for engine in (Scan, Tree, Matrix)
        for metric in METRICS
        if (engine, metric) != (Tree, "manhattan")
    ],
)


def using(engine):
    """Within this context, every search is made by `engine`."""
    return mock.patch.object(backends, "choose", return_value=engine)


def brute_force(queries, vectors, metric):
    """Distances `(num_queries, num_vectors)` in double precision."""
    distances = cdist(queries.astype(np.float64), vectors.astype(np.float64), SCIPY_NAMES[metric])
    return np.nan_to_num(distances, nan=1)  # scipy has no cosine for zero vectors; ours is 1


def assert_nearest(found, distances):
    """`found` are the nearest by `distances` `(num_queries, num_vectors)`; ties may come in any order.

    So each answer is held against the distance of the vector it names; ids are rows.
    """
    k = found.ids.shape[1]
    expected = np.sort(distances, axis=1)[:, :k]
    np.testing.assert_allclose(found.distances, expected, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(distances, found.ids, axis=1), expected, atol=1e-5)
    assert all(len(set(row)) == k for row in found.ids)
    assert (np.diff(found.distances, axis=1) >= 0).all()


@every_engine
@pytest.mark.parametrize(("num_queries", "k"), [(1, 1), (7, 10), (300, 50), (100, 500)])
def test_neighbours_are_those_of_brute_force(engine, metric, num_queries, k):
    rng = np.random.default_rng(k)
    vectors = rng.normal(size=(500, 10)).astype(np.float32)
    queries = rng.normal(size=(num_queries, 10)).astype(np.float32)
    with using(engine):
        found = Index(vectors, metric=metric).search(queries, k)
    assert_nearest(found, brute_force(queries, vectors, metric))


@every_engine
def test_many_duplicates_and_zeros_are_searched_like_any(engine, metric):
    # More of a kind than any leaf of a tree holds, on planes, and a few that are alone.
    rng = np.random.default_rng(0)
    vectors = np.zeros((3000, 6), dtype=np.float32)
    vectors[500:1500] = rng.normal(size=6)
    vectors[1500:2500, :2] = rng.integers(-1, 2, (1000, 2))
    vectors[2500:] = rng.normal(size=(500, 6))
    rng.shuffle(vectors)
    queries = np.concatenate([vectors[:100], np.zeros((2, 6), np.float32), rng.normal(size=(30, 6)).astype(np.float32)])
    index = Index(vectors, metric=metric)
    with using(engine):
        for k in (1, 20, 3000):
            assert_nearest(index.search(queries, k), brute_force(queries, vectors, metric))


@pytest.mark.parametrize("engine", [Scan, Tree, Matrix])
def test_a_vector_of_zeros_is_no_nearer_than_a_right_angle(engine):
    # By euclidean distance the zeros would come before the vector at 70 degrees.
    angle = np.deg2rad(70)
    vectors = np.array([[0, 0], [np.cos(angle), np.sin(angle)], [0, 0], [-1, 0.1]], dtype=np.float32)
    queries = np.tile(np.float32([[1, 0]]), (100, 1))
    with using(engine):
        for asked in (queries[:1], queries):
            found = Index(vectors, metric="cosine").search(asked, 1)  # of more, those that come along would be sorted
            assert (found.ids == 1).all()
            np.testing.assert_allclose(found.distances, 1 - np.cos(angle), atol=1e-6)


@every_engine
@settings(max_examples=30, deadline=None)
@given(
    # Coarse values: many ties, duplicates and zero vectors.
    vectors=arrays(np.float32, st.tuples(st.integers(3, 30), st.just(3)), elements=st.integers(-2, 2).map(float)),
    data=st.data(),
)
def test_an_image_never_answers_itself_even_among_duplicates(engine, metric, vectors, data):
    ids = np.arange(len(vectors))[::-1] * 3
    k = data.draw(st.integers(1, len(vectors) - 1))
    with using(engine):
        found = Index(vectors, ids, metric=metric).search(vectors, k, exclude=ids)
    assert not (found.ids == ids[:, None]).any()
    rows = Neighbours((len(vectors) - 1) - found.ids // 3, found.distances)
    assert_nearest(rows, np.where(np.eye(len(vectors), dtype=bool), np.inf, brute_force(vectors, vectors, metric)))


@pytest.mark.parametrize(
    ("situation", "engine"),
    [
        ((60_000, 10, "cosine", 11, 1), Scan),
        ((60_000, 10, "manhattan", 11, 20), Scan),
        ((60_000, 10, "cosine", 11, 21), Tree),
        ((1_000_000, 10, "euclidean", 100, 10_000), Tree),
        ((60_000, 10, "manhattan", 11, 21), Matrix),
        ((50_000, 10, "cosine", 1000, 10_000), Matrix),
        ((50_000, 3072, "cosine", 10, 1), Matrix),
    ],
)
def test_the_engine_suits_the_question(situation, engine):
    num_vectors, dim, metric, k, num_asked = situation
    assert backends.choose(num_vectors, dim, metric, k=k, num_asked=num_asked) is engine


def test_an_index_that_changes_its_engine_keeps_its_answers():
    rng = np.random.default_rng(0)
    index, queries = Index(rng.normal(size=(50_000, 4))), rng.normal(size=(30, 4))
    first = index.search(queries[:20], 10)  # scanned
    second = index.search(queries, 10)  # by the tree
    np.testing.assert_array_equal(second.ids[:20], first.ids)
    np.testing.assert_array_equal(second.distances[:20], first.distances)


def test_a_first_answer_waits_for_no_library_but_numpy():
    code = (
        "import sys, numpy; from latentsearch.gallery.index import Index; "
        "Index(numpy.eye(10)).search(numpy.eye(10), 3); "
        "assert not {'faiss', 'scipy', 'pandas', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


@pytest.mark.parametrize("engine", [Scan, Tree, Matrix])
def test_twenty_duplicates_answer_each_other_but_not_themselves(engine):
    vectors = np.zeros((25, 4), dtype=np.float32)
    vectors[20:] = np.arange(20).reshape(5, 4) + 1
    ids = np.arange(25)
    with using(engine):
        found = Index(vectors, metric="euclidean").search(vectors[:20], 10, exclude=ids[:20])
    assert not (found.ids == ids[:20, None]).any()
    assert (found.distances == 0).all()


def test_ids_that_are_not_there_exclude_nothing():
    vectors = np.eye(3, dtype=np.float32)
    found = Index(vectors, metric="euclidean").search(vectors, 2, exclude=np.array([-1, -1, -1]))
    np.testing.assert_array_equal(found.ids[:, 0], [0, 1, 2])


@every_engine
def test_equal_vectors_are_at_distance_zero(engine, metric):
    # Far from the origin, where a matrix product would round the distance to something else.
    vectors = (np.random.default_rng(0).normal(size=(50, 10)) + 300).astype(np.float32)
    with using(engine):
        assert (Index(vectors, metric=metric).search(vectors, 1).distances == 0).all()


@every_engine
def test_rank_gives_the_ids_of_search(engine, metric):
    rng = np.random.default_rng(0)
    index = Index(rng.normal(size=(200, 5)), metric=metric)
    queries = rng.normal(size=(30, 5))
    with using(engine):
        np.testing.assert_array_equal(index.rank(queries, 20), index.search(queries, 20).ids)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Index(np.zeros((3, 2)), metric="hamming"), "Unknown metric"),
        (lambda: Index(np.zeros(3)), "shape"),
        (lambda: Index(np.full((3, 2), np.nan)), "finite"),
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
