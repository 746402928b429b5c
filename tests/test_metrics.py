"""Every measure against a naive loop, and against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latentsearch import metrics

ranked_hits = arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 12)))
ranked_labels = arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 12)), elements=st.integers(0, 3))


@given(ranked_hits, st.data())
def test_precision_is_the_share_of_hits(relevant, data):
    k = data.draw(st.integers(1, relevant.shape[1]))
    expected = [sum(row[:k]) / k for row in relevant.tolist()]
    np.testing.assert_allclose(metrics.precision_at_k(relevant, k), expected)


@given(ranked_hits, st.data())
def test_average_precision_is_the_mean_of_precision_at_each_hit(relevant, data):
    k = data.draw(st.integers(1, relevant.shape[1]))
    expected = []
    for row in relevant.tolist():
        at_hits = [sum(row[: rank + 1]) / (rank + 1) for rank in range(k) if row[rank]]
        expected.append(sum(at_hits) / len(at_hits) if at_hits else 0)
    np.testing.assert_allclose(metrics.average_precision(relevant, k), expected)


def test_average_precision_by_hand():
    relevant = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], dtype=bool)
    np.testing.assert_allclose(metrics.average_precision(relevant, 4), [(1 + 2 / 3) / 2, 1 / 4, 0])
    np.testing.assert_allclose(metrics.average_precision(relevant, 2), [1, 0, 0])


@given(ranked_labels, st.data())
def test_knn_takes_the_majority_and_the_closest_of_equals(labels, data):
    k = data.draw(st.integers(1, labels.shape[1]))
    queries = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(labels), max_size=len(labels))))
    expected = []
    for row, query in zip(labels.tolist(), queries, strict=True):
        votes = row[:k]
        most = max(votes.count(label) for label in votes)
        winner = next(label for label in votes if votes.count(label) == most)
        expected.append(winner == query)
    np.testing.assert_array_equal(metrics.knn_correct(labels, queries, k), expected)


def test_recall_finds_the_one_expected_id():
    found = np.array([[3, 1, 2], [5, 6, 7]])
    np.testing.assert_array_equal(metrics.recall_at_k(found, np.array([1, 8]), 1), [False, False])
    np.testing.assert_array_equal(metrics.recall_at_k(found, np.array([1, 8]), 2), [True, False])


@pytest.mark.parametrize("k", [0, 4])
def test_a_depth_that_was_not_searched_is_refused(k):
    with pytest.raises(ValueError, match=r"expected \(num_queries, at least k\)"):
        metrics.precision_at_k(np.zeros((2, 3), dtype=bool), k)


def test_bootstrap_interval_holds_the_mean_and_narrows_with_more_queries():
    rng = np.random.default_rng(0)
    widths = []
    for num_queries in (100, 10_000):
        values = rng.random((num_queries, 2)) < (0.3, 0.7)
        for interval, probability in zip(metrics.bootstrap_means(values), (0.3, 0.7), strict=True):
            assert interval.low < interval.value < interval.high
            assert interval.low < probability < interval.high
        # 1.96 standard errors of a share on either side
        width = metrics.bootstrap_means(values)[0].high - metrics.bootstrap_means(values)[0].low
        assert width == pytest.approx(2 * 1.96 * (0.21 / num_queries) ** 0.5, rel=0.15)
        widths.append(width)
    assert widths[1] < widths[0] / 5


def test_bootstrap_is_repeatable():
    values = np.random.default_rng(1).random((50, 1))
    assert metrics.bootstrap_means(values, seed=3) == metrics.bootstrap_means(values, seed=3)
    assert metrics.bootstrap_means(values, seed=3) != metrics.bootstrap_means(values, seed=4)


def test_squared_error_and_psnr_by_hand():
    images = np.zeros((2, 1, 2, 3), dtype=np.float32)
    wrong = images.copy()
    wrong[1, 0, 0, 0] = 0.6
    np.testing.assert_allclose(metrics.squared_error(images, wrong), [0, 0.36 / 6], rtol=1e-6)
    assert metrics.psnr(0.01) == pytest.approx(20)


def test_strongest_channel_accuracy_by_hand():
    images = np.array([[[[0.9, 0.1, 0.2], [0.1, 0.9, 0.2]]]])
    reconstructions = np.array([[[[0.5, 0.4, 0.3], [0.1, 0.2, 0.3]]]])
    assert metrics.strongest_channel_accuracy(images, reconstructions) == 0.5


def test_effective_rank_counts_directions():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(20_000, 4))
    assert metrics.effective_rank(codes) == pytest.approx(4, abs=0.01)
    codes[:, 2:] = codes[:, :2]  # two dimensions twice over
    assert metrics.effective_rank(codes) == pytest.approx(2, abs=0.01)
    assert metrics.effective_rank(np.ones((10, 4))) == 0


def test_correlations_of_constant_dimensions_are_zero():
    rng = np.random.default_rng(0)
    first = rng.normal(size=1000)
    codes = np.column_stack([first, -2 * first + 1, np.full(1000, 7.0)])
    np.testing.assert_allclose(metrics.correlations(codes), [[1, -1, 0], [-1, 1, 0], [0, 0, 1]], atol=1e-12)


@given(st.lists(st.integers(0, 5), min_size=3, max_size=12), st.integers(0, 2**32 - 1))
def test_rank_correlation_is_spearman_s(values, seed):
    first, second = np.array(values), np.random.default_rng(seed).integers(0, 5, len(values))
    if len(set(values)) == 1 or len(set(second)) == 1:
        assert metrics.rank_correlation(first, second) == 0
    else:
        assert metrics.rank_correlation(first, second) == pytest.approx(scipy.stats.spearmanr(first, second).statistic)


@pytest.mark.parametrize(("spread", "expected"), [(0, 1), (1e-4, 1), (0.1, 50)])
def test_codes_that_hardly_differ_are_one(spread, expected):
    codes = 5 + spread * np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    assert metrics.num_distinct(codes) == expected
    assert metrics.num_distinct(np.concatenate([codes, codes])) == expected


def test_the_pareto_front_is_that_of_a_loop_and_keeps_equals():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 6, (2, 40)).astype(float)

    def beaten(row):
        return any(
            first[i] >= first[row] and second[i] >= second[row] and (first[i] > first[row] or second[i] > second[row])
            for i in range(40)
        )

    front = metrics.pareto_front(first, second)
    assert sorted(front) == [row for row in range(40) if not beaten(row)]
    assert (np.diff(first[front]) >= 0).all()
    assert metrics.pareto_front(np.ones(2), np.ones(2)).tolist() == [0, 1]
    assert metrics.pareto_front(np.array([]), np.array([])).tolist() == []


@pytest.mark.parametrize("codes", [np.ones((1, 4)), np.ones((40, 4)), np.full((2, 1), 0.7)])
def test_the_effective_rank_of_one_code_or_equal_ones_is_none(codes):
    assert metrics.effective_rank(codes) == 0
