"""What a distance means: shares of random pairs and of corrupted copies, counted naively."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from latentsearch.config import METRICS
from latentsearch.search.percentiles import Scale
from tests.gallery.galleries import gallery_of

SCIPY = {"cosine": "cosine", "euclidean": "euclidean", "manhattan": "cityblock"}


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_shares_of_what_is_farther(metric):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(60, 4)).astype(np.float32)
    copies = rng.normal(size=(30, 2, 4)).astype(np.float32)
    scale = Scale(gallery_of(codes, copies=copies), metric=metric)
    distances = cdist(codes, codes, SCIPY[metric])
    pairs = distances[~np.eye(60, dtype=bool)]
    own = np.array([cdist(*pair[:, None], SCIPY[metric])[0, 0] for pair in copies])
    for distance in np.quantile(pairs, [0.001, 0.1, 0.5, 0.9]):
        assert scale.score(distance) == pytest.approx(100 * (pairs > distance).mean(), abs=0.5)
        assert scale.copy_score(distance) == pytest.approx(100 * (own > distance).mean(), abs=1e-6)
    assert scale.score(np.array([[0.0, 1e9]])).tolist() == [[100.0, 0.0]]


def test_an_image_is_not_paired_with_itself():
    scale = Scale(gallery_of(np.array([[0.0, 0], [1, 0]], np.float32)), metric="euclidean")
    assert set(scale.random) == {1.0}
