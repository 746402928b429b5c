"""The shares of a distance add up, and the pictures lead from one code to the other."""

from __future__ import annotations

import numpy as np
import pytest

from fuzzing.colours import MeanColours
from latentsearch.config import METRICS
from latentsearch.search.explanation import explain, shares


def test_shares_of_a_case_that_can_be_reckoned_by_hand():
    first, second = np.array([3.0, 0, 4], np.float32), np.array([0.0, 0, 5], np.float32)
    np.testing.assert_allclose(shares(first, second, metric="manhattan"), [0.75, 0, 0.25])
    np.testing.assert_allclose(shares(first, second, metric="euclidean"), [0.9, 0, 0.1])
    # At length 1: (0.6, 0, 0.8) and (0, 0, 1).
    np.testing.assert_allclose(shares(first, second, metric="cosine"), [0.9, 0, 0.1])


@pytest.mark.parametrize("metric", METRICS)
def test_shares_add_up_to_one_or_are_nothing(metric):
    first, second = np.random.default_rng(0).normal(size=(2, 10)).astype(np.float32)
    assert shares(first, second, metric=metric).sum() == pytest.approx(1)
    assert not shares(first, first, metric=metric).any()
    assert np.isfinite(shares(np.zeros(10), first, metric=metric)).all()
    assert shares(first, 2 * first, metric=metric).any() == (metric != "cosine")


def test_the_path_leads_from_one_code_to_the_other():
    red, blue = np.array([255.0, 0, 0], np.float32), np.array([0.0, 0, 255], np.float32)
    image = np.zeros((8, 8, 3), np.uint8)
    path = explain(image, red, image, blue, metric="euclidean", autoencoder=MeanColours()).path
    np.testing.assert_allclose(path[:, 0, 0], [[1 - step, 0, step] for step in (0, 0.25, 0.5, 0.75, 1)], atol=1e-6)
