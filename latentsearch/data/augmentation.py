"""Augmentation of training images: shifts and mirror images, and views for the contrastive loss."""

from __future__ import annotations

import numpy as np

# What may differ between two views of one image without its becoming a picture of something else.
_AREA = (0.2, 1.0)  # share of the image that a view shows
_ASPECT = 4 / 3  # at most, of the part that it shows
_BRIGHTNESS = _CONTRAST = _SATURATION = 0.4  # at most, as a share
_HUE = 0.1  # at most, as a share of the colour circle
_COLOUR_PROBABILITY, _GREY_PROBABILITY = 0.8, 0.2

# Luma (Y) and the two chrominances (I, Q) of NTSC: hue and saturation are angle and length in the I-Q plane.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_RGB = np.linalg.inv(_YIQ)


def augment(images: np.ndarray, *, shift: int, flip: bool, rng: np.random.Generator) -> np.ndarray:
    """Move each image by up to `shift` pixels each way, and mirror it left to right half of the time.

    The image reflected at the edge moves in there, so pixels keep their statistics.

    Args:
        images: uint8 `(num_images, height, width, 3)`.
        shift: Largest shift in pixels, from 0 to less than height and width.
        flip: Whether to mirror.
        rng: Source of the random numbers.

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
    moved: np.ndarray = images[np.arange(num_images)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved


def views(
    images: np.ndarray,
    *,
    shape: tuple[int, int],
    flip: bool,
    rng: np.random.Generator,
    noise: float = 0.0,
    noise_share: float = 0.5,
) -> np.ndarray:
    """Make a view of each image: a part of it, resized, in other colours, now and then in grey or noisy.

    Cropping, mirroring and resizing are one linear map of rows and one of columns, and all changes of colour one
    linear map of the channels: three matrix products per image.

    Args:
        images: uint8 `(num_images, height, width, 3)`.
        shape: Height and width of the views.
        flip: Whether to mirror, left to right, half of them.
        rng: Source of the random numbers.
        noise: Largest standard deviation of the Gaussian noise on some of the views.
        noise_share: Share of the views that are noisy.

    Returns:
        float32 in [0, 1], `(num_images, *shape, 3)`.
    """
    num_images, height, width, _ = images.shape
    area, aspect = rng.uniform(*_AREA, num_images), _ASPECT ** rng.uniform(-1, 1, num_images)
    heights = np.minimum(np.sqrt(area / aspect), 1) * height
    widths = np.minimum(np.sqrt(area * aspect), 1) * width
    tops, lefts = rng.random(num_images) * (height - heights), rng.random(num_images) * (width - widths)
    mirrored = np.logical_and(rng.random(num_images) < 0.5, flip)
    rows = _resampling(tops, heights, np.zeros_like(mirrored), shape[0], height)
    columns = _resampling(lefts, widths, mirrored, shape[1], width)
    pixels = images.astype(np.float32) / np.float32(255)
    pixels = np.matmul(rows, pixels.reshape(num_images, height, width * 3))  # (n, shape[0], width * 3)
    pixels = pixels.reshape(num_images, shape[0], width, 3).swapaxes(2, 3)
    pixels = np.matmul(pixels.reshape(num_images, shape[0] * 3, width), columns.swapaxes(1, 2))
    pixels = pixels.reshape(num_images, shape[0], 3, shape[1]).swapaxes(2, 3).reshape(num_images, -1, 3)
    pixels = _recoloured(pixels, rng)
    if noise:
        deviations = rng.uniform(0, noise, (num_images,)).astype(np.float32)
        deviations *= rng.random(num_images) < noise_share
        pixels += rng.standard_normal(pixels.shape, dtype=np.float32) * deviations[:, None, None]
        np.clip(pixels, 0, 1, out=pixels)
    views: np.ndarray = pixels.reshape(num_images, *shape, 3)
    return views


def _resampling(starts: np.ndarray, extents: np.ndarray, mirrored: np.ndarray, side: int, source: int) -> np.ndarray:
    """Weigh the source pixels in each pixel of a view along one axis, float32 `(num_images, side, source)`.

    Linear interpolation; where a view is coarser than its source, each pixel is a mean over what it covers.
    """
    places = (np.arange(side, dtype=np.float32) + 0.5) / side
    places = np.where(mirrored[:, None], 1 - places, places)
    centres = (starts[:, None] + places * extents[:, None] - 0.5).astype(np.float32)
    reach = np.maximum(extents / side, 1).astype(np.float32)[:, None, None]
    distance = np.abs(centres[:, :, None] - np.arange(source, dtype=np.float32))
    weights = np.maximum(0, 1 - distance / reach)
    shares: np.ndarray = weights / weights.sum(axis=2, keepdims=True)
    return shares


def _recoloured(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast, saturation and hue of pixels in [0, 1], float32 `(num_images, num_pixels, 3)`."""
    num_images = len(pixels)
    changed = rng.random(num_images) < _COLOUR_PROBABILITY

    def amount(most: float) -> np.ndarray:
        return changed * rng.uniform(-most, most, num_images)

    brightness, contrast, saturation = 1 + amount(_BRIGHTNESS), 1 + amount(_CONTRAST), 1 + amount(_SATURATION)
    angle = 2 * np.pi * amount(_HUE)
    saturation[rng.random(num_images) < _GREY_PROBABILITY] = 0
    chroma = np.zeros((num_images, 3, 3))
    chroma[:, 0, 0] = 1
    chroma[:, 1, 1] = chroma[:, 2, 2] = saturation * np.cos(angle)
    chroma[:, 2, 1] = saturation * np.sin(angle)
    chroma[:, 1, 2] = -chroma[:, 2, 1]
    channels = (_RGB @ chroma @ _YIQ) * (brightness * contrast)[:, None, None]
    # Contrast stretches about the mean luma of the (brightened) image.
    offset = (1 - contrast) * brightness * (pixels.mean(axis=1) @ _YIQ[0])
    result = np.matmul(pixels, channels.swapaxes(1, 2).astype(np.float32))
    recoloured: np.ndarray = np.clip(result + offset[:, None, None].astype(np.float32), 0, 1)
    return recoloured


def _reflected(positions: np.ndarray, side: int) -> np.ndarray:
    """Mirror positions from -side + 1 to 2 * side - 2 at the edge pixels, to 0 to side - 1."""
    positions = np.abs(positions)
    return np.where(positions >= side, 2 * (side - 1) - positions, positions)
