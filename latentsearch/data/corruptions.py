"""Corruptions of images, for the check whether the code of a corrupted copy finds its original."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

NOISE_MEAN, NOISE_VARIANCE = 0.1, 0.01
CORNER_SHIFT = 0.15  # of a side, at most, for each corner of a projective corruption


def noisy(images: np.ndarray, seed: int) -> np.ndarray:
    """Add Gaussian noise of mean 0.1 and variance 0.01 (of images in [0, 1]) and clip.

    Args:
        images: uint8 `(num_images, height, width, 3)`.
        seed: Seed of the noise.

    Returns:
        uint8, same shape.
    """
    rng = np.random.default_rng(seed)
    result = np.empty_like(images)
    for image, copy in zip(images, result, strict=True):  # one at a time: large ones take much memory in float64
        noise = rng.normal(NOISE_MEAN, NOISE_VARIANCE**0.5, image.shape)
        copy[:] = np.rint((image / 255 + noise).clip(0, 1) * 255)
    return result


def projected(images: np.ndarray, seed: int) -> np.ndarray:
    """Show images at an angle: each corner is drawn inwards by up to 15 % of a side.

    Args:
        images: uint8 `(num_images, height, width, 3)`.
        seed: Seed of the corners.

    Returns:
        uint8, same shape.
    """
    height, width = images.shape[1:3]
    side = np.array([width, height], dtype=np.float64)
    corners = np.array([(0, 0), (0, 1), (1, 1), (1, 0)]) * side  # (4, 2): x, y
    inwards = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    shifts = np.random.default_rng(seed).uniform(0, CORNER_SHIFT, (len(images), 4, 2)) * side * inwards
    return np.stack(
        [
            np.asarray(
                Image.fromarray(image).transform(
                    (width, height),
                    Image.Transform.PERSPECTIVE,
                    _perspective(corners, corners + shift),
                    Image.Resampling.BILINEAR,
                )
            )
            for image, shift in zip(images, shifts, strict=True)
        ]
    )


def _perspective(corners: np.ndarray, sources: np.ndarray) -> list[float]:
    """Solve for Pillow's eight coefficients of the projective map that takes `corners` to `sources`, both `(4, 2)`.

    x' = (a x + b y + c) / (g x + h y + 1), y' = (d x + e y + f) / (g x + h y + 1) at four points.
    """
    rows, values = [], []
    for (x, y), (to_x, to_y) in zip(corners, sources, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -to_x * x, -to_x * y], [0, 0, 0, x, y, 1, -to_y * x, -to_y * y]]
        values += [to_x, to_y]
    coefficients: list[float] = np.linalg.solve(np.array(rows), np.array(values)).tolist()
    return coefficients


CORRUPTIONS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"noise": noisy, "projection": projected}
