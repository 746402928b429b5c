"""Altered training images: more to learn from than there are."""

from __future__ import annotations

import numpy as np


def augment(images: np.ndarray, *, shift: int, flip: bool, rng: np.random.Generator) -> np.ndarray:
    """Moves each image by up to `shift` pixels each way, and mirrors it left to right half of the time.

    What moves in at an edge is the image reflected there, so pixels keep their statistics.

    Args:
        images: uint8 `(num_images, height, width, 3)`.
        shift: Pixels, at least 0 and less than height and width.
        flip: Whether to mirror.
        rng: Where the random numbers come from.

    Returns:
        uint8, same shape.
    """
    num_images, height, width, _ = images.shape
    rows, columns = (
        _reflected(np.arange(side) + rng.integers(-shift, shift + 1, (num_images, 1)), side) for side in (height, width)
    )
    if flip:
        mirrored = rng.random((num_images, 1)) < 0.5
        columns = np.where(mirrored, columns[:, ::-1], columns)
    return images[np.arange(num_images)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _reflected(positions: np.ndarray, side: int) -> np.ndarray:
    """Positions from -side + 1 to 2 * side - 2, those outside of 0 to side - 1 mirrored at the edge pixels."""
    positions = np.abs(positions)
    return np.where(positions >= side, 2 * (side - 1) - positions, positions)
