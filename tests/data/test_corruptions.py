"""Corrupted copies: what they change, how much, and that they are repeatable."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from latentsearch.data import corruptions


def test_noise_has_the_stated_mean_and_variance():
    images = np.full((20, 32, 32, 3), 128, dtype=np.uint8)  # mid-grey: little is clipped
    noise = corruptions.noisy(images, 0) / 255 - 128 / 255
    assert noise.mean() == pytest.approx(0.1, abs=0.005)
    assert noise.var() == pytest.approx(0.01, rel=0.05)


def test_noise_does_not_depend_on_how_many_images_come_together():
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    noise = np.random.default_rng(7).normal(0.1, 0.1, images.shape)
    expected = np.rint((images / 255 + noise).clip(0, 1) * 255)
    np.testing.assert_array_equal(corruptions.noisy(images, 7), expected)


def test_noise_is_clipped_not_wrapped():
    assert corruptions.noisy(np.full((1, 32, 32, 3), 250, dtype=np.uint8), 0).min() > 100


def test_projection_maps_the_moved_corners_to_the_corners():
    corners = np.array([(0, 0), (0, 32), (32, 32), (32, 0)], dtype=float)
    sources = corners + np.array([(3, 1), (2, -4), (-1, -2), (-3, 2)])
    a, b, c, d, e, f, g, h = corruptions._perspective(corners, sources)
    for (x, y), expected in zip(corners, sources, strict=True):
        scale = g * x + h * y + 1
        np.testing.assert_allclose([(a * x + b * y + c) / scale, (d * x + e * y + f) / scale], expected, atol=1e-9)


def test_projection_keeps_the_inside_and_leaves_no_empty_edge():
    rng = np.random.default_rng(0)
    smooth = np.asarray(Image.fromarray(rng.integers(60, 200, (4, 4, 3), dtype=np.uint8)).resize((32, 32)))
    copies = corruptions.projected(np.repeat(smooth[None], 50, axis=0), 1)
    assert copies.shape == (50, 32, 32, 3)
    assert copies.min() > 30  # black would be outside of the image
    assert len(np.unique(copies.reshape(50, -1), axis=0)) == 50


@pytest.mark.parametrize("corrupt", corruptions.CORRUPTIONS.values(), ids=corruptions.CORRUPTIONS)
def test_distortions_are_repeatable_and_leave_the_original_alone(corrupt):
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    before = images.copy()
    np.testing.assert_array_equal(corrupt(images, 7), corrupt(images, 7))
    assert (corrupt(images, 7) != corrupt(images, 8)).any()
    np.testing.assert_array_equal(images, before)
