"""The index against brute force, for every metric, ties allowed; and who may not answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from latentsearch.config import METRICS
from latentsearch.index import Index

SCIPY_NAMES = {"cosine": "cosine", "euclidean": "euclidean", "manhattan": "cityblock"}


def brute_force(queries, vectors, metric):
    """Distances `(num_queries, num_vectors)` in double precision."""
    return cdist(queries.astype(np.float64), vectors.astype(np.float64), SCIPY_NAMES[metric])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("num_queries", "k"), [(1, 1), (7, 10), (300, 50)])
def test_neighbours_are_those_of_brute_force(metric, num_queries, k):
    rng = np.random.default_rng(k)
    vectors = rng.normal(size=(500, 10)).astype(np.float32)
    queries = rng.normal(size=(num_queries, 10)).astype(np.float32)
    found = Index(vectors, np.arange(500) + 1000, metric=metric).search(queries, k)
    distances = brute_force(queries, vectors, metric)
    np.testing.assert_allclose(found.distances, np.sort(distances, axis=1)[:, :k], atol=1e-5)
    # Ties may come in any order, so each answer is held against the distance of the image it names.
    np.testing.assert_allclose(
        np.take_along_axis(distances, found.ids - 1000, axis=1), np.sort(distances, axis=1)[:, :k], atol=1e-5
    )
    assert all(len(set(row)) == k for row in found.ids)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=30, deadline=None)
@given(
    # Coarse values: many ties, duplicates and zero vectors.
    vectors=arrays(np.float32, st.tuples(st.integers(3, 30), st.just(3)), elements=st.integers(-2, 2).map(float)),
    data=st.data(),
)
def test_an_image_never_answers_itself_even_among_duplicates(metric, vectors, data):
    ids = np.arange(len(vectors))[::-1] * 3
    k = data.draw(st.integers(1, len(vectors) - 1))
    found = Index(vectors, ids, metric=metric).search(vectors, k, exclude=ids)
    assert not (found.ids == ids[:, None]).any()
    assert all(len(set(row)) == k for row in found.ids)
    expected = np.where(np.eye(len(vectors), dtype=bool), np.inf, brute_force(vectors, vectors, metric))
    if metric == "cosine":  # scipy has no cosine for zero vectors; ours is 1
        zero = ~vectors.any(axis=1)
        expected[(zero[:, None] | zero) & np.isfinite(expected) | np.isnan(expected)] = 1
        np.fill_diagonal(expected, np.inf)
    np.testing.assert_allclose(found.distances, np.sort(expected, axis=1)[:, :k], atol=1e-5)


def test_twenty_duplicates_answer_each_other_but_not_themselves():
    vectors = np.zeros((25, 4), dtype=np.float32)
    vectors[20:] = np.arange(20).reshape(5, 4) + 1
    ids = np.arange(25)
    found = Index(vectors, metric="euclidean").search(vectors[:20], 10, exclude=ids[:20])
    assert not (found.ids == ids[:20, None]).any()
    assert (found.distances == 0).all()


def test_ids_that_are_not_there_exclude_nothing():
    vectors = np.eye(3, dtype=np.float32)
    found = Index(vectors, metric="euclidean").search(vectors, 2, exclude=np.array([-1, -1, -1]))
    np.testing.assert_array_equal(found.ids[:, 0], [0, 1, 2])


@pytest.mark.parametrize("metric", METRICS)
def test_equal_vectors_are_at_distance_zero(metric):
    # Far from the origin, where a matrix product would round the distance to something else.
    vectors = (np.random.default_rng(0).normal(size=(50, 10)) + 300).astype(np.float32)
    assert (Index(vectors, metric=metric).search(vectors, 1).distances == 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_rank_gives_the_ids_of_search(metric):
    rng = np.random.default_rng(0)
    index = Index(rng.normal(size=(200, 5)), metric=metric)
    queries = rng.normal(size=(30, 5))
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
