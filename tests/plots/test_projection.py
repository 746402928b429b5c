"""Codes on a plane: what is too small for t-SNE stays as it is."""

import numpy as np
import pytest

from latentsearch.plots.projection import project


@pytest.mark.parametrize(("num_images", "dim"), [(5, 7), (50, 2), (50, 1), (1, 3)])
def test_few_codes_and_flat_ones_are_not_projected(num_images, dim):
    codes = np.random.default_rng(0).normal(size=(num_images, dim)).astype(np.float32)
    points = project(codes)
    assert points.dtype == np.float32
    assert points.shape == (num_images, 2)
    np.testing.assert_array_equal(points[:, : min(dim, 2)], codes[:, :2])


def test_groups_stay_together_and_a_seed_repeats_the_points():
    rng = np.random.default_rng(0)
    centres = 20 * np.eye(2, 10)
    codes = np.concatenate([rng.normal(centre, 0.1, (20, 10)) for centre in centres]).astype(np.float32)
    points = project(codes, seed=3)
    np.testing.assert_array_equal(points, project(codes, seed=3))
    means = points[:20].mean(axis=0), points[20:].mean(axis=0)
    spread = max(np.linalg.norm(part - mean, axis=1).max() for part, mean in zip((points[:20], points[20:]), means))
    assert np.linalg.norm(means[0] - means[1]) > spread
