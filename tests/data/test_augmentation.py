"""Augmented images are the original, moved and mirrored, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latentsearch.data import augmentation
from latentsearch.data.augmentation import augment, views

IMAGES = np.random.default_rng(0).integers(0, 256, (300, 8, 12, 3), dtype=np.uint8)


def test_every_result_is_one_of_the_moves_that_are_allowed():
    augmented = augment(IMAGES, shift=2, flip=True, rng=np.random.default_rng(1))
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    seen = set()
    for image, source in zip(augmented, padded, strict=True):
        moves = {
            (down, right, mirrored): source[down : down + 8, right : right + 12][:, :: -1 if mirrored else 1]
            for down in range(5)
            for right in range(5)
            for mirrored in (False, True)
        }
        matches = [move for move, result in moves.items() if np.array_equal(result, image)]
        assert matches
        seen.update(matches)
    assert len(seen) == 50


@pytest.mark.parametrize(("shift", "flip"), [(0, False), (0, True), (3, False)])
def test_what_is_switched_off_does_not_happen(shift, flip):
    augmented = augment(IMAGES, shift=shift, flip=flip, rng=np.random.default_rng(1))
    same = np.array([np.array_equal(a, b) for a, b in zip(augmented, IMAGES, strict=True)])
    if not shift and not flip:
        assert same.all()
    elif flip:
        mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(augmented, IMAGES, strict=True)])
        assert (same | mirrored).all()
        assert 0.4 < mirrored.mean() < 0.6
    else:
        assert same.mean() < 0.1  # one move of 49 stays in place


def test_repeatable_and_the_original_is_left_alone():
    before = IMAGES.copy()
    one, two = (augment(IMAGES, shift=2, flip=True, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(IMAGES, before)


def test_views_are_parts_of_the_image_in_range_and_repeatable():
    one, two = (views(IMAGES, shape=(16, 16), flip=True, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (len(IMAGES), 16, 16, 3)
    assert one.dtype == np.float32
    assert one.min() >= 0
    assert one.max() <= 1
    assert not np.array_equal(one, views(IMAGES, shape=(16, 16), flip=True, rng=np.random.default_rng(6)))


def test_a_view_that_changes_nothing_is_the_image(monkeypatch):
    monkeypatch.setattr(augmentation, "_AREA", (1.0, 1.0))
    monkeypatch.setattr(augmentation, "_ASPECT", 1.0)
    monkeypatch.setattr(augmentation, "_COLOUR_PROBABILITY", 0.0)
    monkeypatch.setattr(augmentation, "_GREY_PROBABILITY", 0.0)
    square = IMAGES[:, :, :8]
    same = views(square, shape=(8, 8), flip=False, rng=np.random.default_rng(0))
    np.testing.assert_allclose(same, square / 255, atol=1e-5)
    mirrored = views(square, shape=(8, 8), flip=True, rng=np.random.default_rng(0))
    flipped = np.abs(mirrored - square[:, :, ::-1] / 255).max(axis=(1, 2, 3)) < 1e-5
    unmoved = np.abs(mirrored - square / 255).max(axis=(1, 2, 3)) < 1e-5
    assert (flipped | unmoved).all()
    assert 0.4 < flipped.mean() < 0.6


def test_a_view_at_half_the_size_is_the_mean_of_its_pixels(monkeypatch):
    for name, value in (
        ("_AREA", (1.0, 1.0)),
        ("_ASPECT", 1.0),
        ("_COLOUR_PROBABILITY", 0.0),
        ("_GREY_PROBABILITY", 0),
    ):
        monkeypatch.setattr(augmentation, name, value)
    flat = np.full((3, 8, 8, 3), 90, dtype=np.uint8)
    np.testing.assert_allclose(views(flat, shape=(4, 4), flip=False, rng=np.random.default_rng(0)), 90 / 255, atol=1e-5)
    # Weights reach over two pixels each way and fall to the sides: a step of one column spreads over two.
    step = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    step[:, :, 4:] = 255
    row = views(step, shape=(4, 4), flip=False, rng=np.random.default_rng(0))[0, 2, :, 0]
    np.testing.assert_allclose(row, [0, 0.125, 0.875, 1], atol=1e-5)


def test_grey_views_are_grey_and_coloured_ones_keep_their_brightness_within_bounds(monkeypatch):
    monkeypatch.setattr(augmentation, "_GREY_PROBABILITY", 1.0)
    grey = views(IMAGES, shape=(8, 8), flip=False, rng=np.random.default_rng(0))
    np.testing.assert_allclose(grey, grey[..., :1].repeat(3, axis=-1), atol=1e-5)
    monkeypatch.setattr(augmentation, "_GREY_PROBABILITY", 0.0)
    flat = np.full((2000, 8, 8, 3), 100, dtype=np.uint8)
    lumas = views(flat, shape=(4, 4), flip=False, rng=np.random.default_rng(0)).mean(axis=(1, 2, 3)) / (100 / 255)
    assert 0.6 <= lumas.min() < 0.65  # brightness alone: a flat image has no contrast, nor colour to turn
    assert 1.35 < lumas.max() <= 1.4 + 1e-5
    assert (np.abs(lumas - 1) < 1e-5).mean() == pytest.approx(0.2, abs=0.03)


def test_other_colours_are_those_of_the_formula_pixel_by_pixel(monkeypatch):
    rng = np.random.default_rng(0)
    pixels = rng.random((20, 30, 3)).astype(np.float32) * 0.4 + 0.3
    drawn = np.random.default_rng(1)
    result = augmentation._recoloured(pixels, np.random.default_rng(1))
    changed = drawn.random(20) < 0.8
    brightness, contrast, saturation, hue = (drawn.uniform(-most, most, 20) * changed for most in (0.4, 0.4, 0.4, 0.1))
    grey = drawn.random(20) < 0.2
    assert grey.any()
    for image in range(20):
        bright = pixels[image].astype(np.float64) * (1 + brightness[image])
        mean = np.mean([0.299 * r + 0.587 * g + 0.114 * b for r, g, b in bright])
        for pixel, rgb in enumerate(bright):
            luma, i, q = augmentation._YIQ @ rgb
            factor = 0 if grey[image] else 1 + saturation[image]
            turn = factor * np.exp(2j * np.pi * hue[image]) * complex(i, q)
            turned = np.linalg.inv(augmentation._YIQ) @ [luma, turn.real, turn.imag]
            expected = np.clip(mean + (turned - mean) * (1 + contrast[image]), 0, 1)
            np.testing.assert_allclose(result[image, pixel], expected, atol=1e-4)


@settings(deadline=None, max_examples=40)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 20), st.integers(1, 20), st.just(3))),
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.booleans(),
    st.floats(0, 0.5),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_views_of_any_images_stay_in_range(images, shape, flip, noise, share, seed):
    rng = np.random.default_rng(seed)
    result = views(images, shape=shape, flip=flip, rng=rng, noise=noise, noise_share=share)
    assert result.shape == (len(images), *shape, 3)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert result.min() >= 0
    assert result.max() <= 1


@settings(deadline=None, max_examples=40)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(5, 12), st.integers(5, 12), st.just(3))),
    st.integers(0, 4),
    st.booleans(),
    st.integers(0, 99),
)
def test_augmented_images_hold_no_pixel_that_the_image_lacks(images, shift, flip, seed):
    result = augment(images, shift=shift, flip=flip, rng=np.random.default_rng(seed))
    assert (result.shape, result.dtype) == (images.shape, images.dtype)
    for image, moved in zip(images, result, strict=True):
        assert {*map(tuple, moved.reshape(-1, 3).tolist())} <= {*map(tuple, image.reshape(-1, 3).tolist())}
