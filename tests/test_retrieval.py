"""Which images are asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentsearch import retrieval
from latentsearch.config import METRICS, RetrieveConfig


def test_random_queries_are_distinct_test_images_and_follow_the_seed(small_digits):
    first, problems = retrieval.find_queries(RetrieveConfig(seed=0), small_digits)
    again, _ = retrieval.find_queries(RetrieveConfig(seed=0), small_digits)
    other, _ = retrieval.find_queries(RetrieveConfig(seed=1), small_digits)
    assert not problems
    assert len(set(first.ids)) == 20
    assert set(first.ids) <= set(small_digits.ids("test"))
    np.testing.assert_array_equal(first.ids, again.ids)
    assert set(first.ids) != set(other.ids)


def test_files_and_positions_keep_their_order_and_bad_ones_are_told(small_digits, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    config = RetrieveConfig(query=(tmp_path / "bad.png", Path("nowhere.png")), query_index=(2, -1, 0, 10_000))
    queries, problems = retrieval.find_queries(config, small_digits)
    test_ids = small_digits.ids("test")
    np.testing.assert_array_equal(queries.ids, test_ids[[2, 0]])
    np.testing.assert_array_equal(queries.images, small_digits.images[test_ids[[2, 0]]])
    assert [problem.split(":")[0].split("/")[-1] for problem in problems] == [
        "bad.png",
        "nowhere.png",
        "--query-index -1",
        "--query-index 10000",
    ]


@pytest.mark.parametrize(("metric", "expected"), [("all", METRICS), ("manhattan", ("manhattan",))])
def test_all_means_every_metric(metric, expected):
    assert retrieval.metrics_of(RetrieveConfig(metric=metric)) == expected
