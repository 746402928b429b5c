"""Principal components of many images, without a copy of all pixels as floats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import linalg
from sklearn.decomposition import PCA

from latentsearch.data import ImageSet, read_rows, to_float

_MAX_FITTED = 50_000  # images
_MAX_SQUARED = 32 * 32 * 3  # pixels of which a matrix of covariances is made
_MAX_FITTED_BYTES = 2**28  # of images of more pixels
_BATCH = 1000


class Components(NamedTuple):
    """A linear code of images: its numbers are uncorrelated, those of the largest variance come first.

    Args:
        mean: Mean image, float32 `(num_pixels,)`.
        axes: Axes, float32 `(num_components, num_pixels)`.
        variances: Variance along each axis, `(num_components,)`.
    """

    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray

    def first(self, num_components: int) -> Components:
        """Select the first components."""
        return Components(self.mean, self.axes[:num_components], self.variances[:num_components])

    def encode(self, dataset: ImageSet, ids: np.ndarray) -> np.ndarray:
        """Encode images, float32 `(len(ids), num_components)`."""
        return np.concatenate([(pixels(dataset, batch) - self.mean) @ self.axes.T for batch in batches(ids)])

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Reconstruct pixels, float32 `(num_codes, num_pixels)`."""
        images: np.ndarray = codes @ self.axes + self.mean
        return images


def pixels(dataset: ImageSet, ids: np.ndarray) -> np.ndarray:
    """Flatten images to rows of pixels in [0, 1], float32 `(len(ids), height * width * 3)`."""
    return to_float(read_rows(dataset.images, ids)).reshape(len(ids), -1)


def batches(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield parts of 1,000 rows."""
    return (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))


def fit(dataset: ImageSet, ids: np.ndarray, num_components: int) -> Components:
    """Find the principal components of images: of at most 50,000, and of large ones of as many as 256 MB hold.

    Args:
        dataset: The images.
        ids: Ids of the images, `(num_images,)`.
        num_components: Number of components, at most; there are no more than images or pixels.
    """
    num_pixels = int(np.prod(dataset.image_shape))
    held = _MAX_FITTED_BYTES // (4 * num_pixels)  # images
    is_small = num_pixels <= _MAX_SQUARED
    sample = np.sort(np.random.default_rng(0).permutation(ids)[: _MAX_FITTED if is_small else min(held, _MAX_FITTED)])
    num_components = min(num_components, len(sample), num_pixels)
    if is_small and len(sample) > held:
        return _of_covariances(dataset, sample, num_components)
    # Arnoldi's method finds the few components that are asked for, without the others.
    solver = "arpack" if num_components < min(len(sample), num_pixels) else "full"
    pca = PCA(num_components, svd_solver=solver, random_state=0).fit(pixels(dataset, sample))
    return Components(pca.mean_, pca.components_, pca.explained_variance_)


def _of_covariances(dataset: ImageSet, ids: np.ndarray, num_components: int) -> Components:
    mean = np.sum([pixels(dataset, batch).sum(axis=0, dtype=np.float64) for batch in batches(ids)], axis=0) / len(ids)
    covariances = np.zeros((len(mean), len(mean)))
    for batch in batches(ids):
        centred = pixels(dataset, batch) - mean.astype(np.float32)
        covariances += centred.T @ centred
    covariances /= max(len(ids) - 1, 1)
    last = len(mean) - 1
    variances, axes = linalg.eigh(covariances, subset_by_index=(last + 1 - num_components, last), overwrite_a=True)
    return Components(mean.astype(np.float32), axes.T[::-1].astype(np.float32), variances[::-1].clip(min=0))
