"""Augmented images are the original, moved and mirrored, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from latentsearch.augmentation import augment

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
