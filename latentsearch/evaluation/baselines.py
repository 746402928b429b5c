"""Baselines that any learnt code must beat: vectors of images that take no training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA

from latentsearch.config import METRICS, Metric
from latentsearch.data import ImageSet, to_float
from latentsearch.metrics import squared_error, strongest_channel_accuracy

_MAX_SIDE = 32  # of images whose pixels are compared
_MAX_FITTED_BYTES = 2**29
_BATCH = 1000
_LEVELS = 4  # of each channel in a colour histogram


class Vectors(NamedTuple):
    """Vectors of gallery and queries to compare, `(num_images, dim)` each, and the metrics worth the time."""

    gallery: np.ndarray
    queries: np.ndarray
    metrics: tuple[Metric, ...]


class LinearReconstruction(NamedTuple):
    """The reconstruction of the queries by a PCA with as many numbers as the code.

    Args:
        mse: Mean squared error.
        accuracy: Share of pixels whose strongest channel is right.
        mean_mse: Mean squared error of the mean image of the gallery, in place of every query.
    """

    mse: float
    accuracy: float
    mean_mse: float


def pixels(dataset: ImageSet, ids: np.ndarray) -> np.ndarray:
    """Flatten images to rows of pixels in [0, 1], float32 `(len(ids), height * width * 3)`."""
    return to_float(dataset.images[ids]).reshape(len(ids), -1)


def compared_shape(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the shape in which pixels are compared: longer sides are divided until they have at most 32 pixels."""
    height, width, channels = image_shape
    return height // _divisor(height), width // _divisor(width), channels


def _divisor(side: int) -> int:
    return next(divisor for divisor in range(1, side + 1) if side % divisor == 0 and side // divisor <= _MAX_SIDE)


def _compared_pixels(dataset: ImageSet, ids: np.ndarray) -> np.ndarray:
    """Flatten images to means of blocks of pixels, `(len(ids), product of compared_shape)`."""
    height, width, channels = compared_shape(dataset.image_shape)
    tall, wide = dataset.image_shape[0] // height, dataset.image_shape[1] // width
    return np.concatenate(
        [
            to_float(dataset.images[batch])
            .reshape(len(batch), height, tall, width, wide, channels)
            .mean(axis=(2, 4))
            .reshape(len(batch), -1)
            for batch in _batches(ids)
        ]
    )


def colour_histograms(dataset: ImageSet, ids: np.ndarray) -> np.ndarray:
    """Compute the share of the pixels of each image in 4 x 4 x 4 boxes of colour, float32 `(len(ids), 64)`.

    Swain and Ballard 1991: under manhattan distance, histogram intersection.
    """
    histograms = np.empty((len(ids), _LEVELS**3), dtype=np.float32)
    for row, image_id in enumerate(ids):
        red, green, blue = (dataset.images[image_id] // (256 // _LEVELS)).reshape(-1, 3).astype(np.int64).T
        boxes = (red * _LEVELS + green) * _LEVELS + blue
        histograms[row] = np.bincount(boxes, minlength=_LEVELS**3) / len(boxes)
    return histograms


def compute(
    dataset: ImageSet, gallery_ids: np.ndarray, query_ids: np.ndarray, num_components: int
) -> tuple[dict[str, Vectors], LinearReconstruction]:
    """Compute raw pixels, a colour histogram, a PCA with as many numbers as the code, and the same PCA whitened.

    The PCA is fitted on the gallery; of images of more than 32 x 32 pixels on as many of it as 512 MB hold, and their
    pixels are compared at `compared_shape`. In whitened codes every component has variance 1.

    Args:
        dataset: The images.
        gallery_ids: Ids of the gallery, `(num_gallery,)`.
        query_ids: Ids of the queries, `(num_queries,)`.
        num_components: Number of components.

    Returns:
        Vectors by the name of the baseline, and the PCA's reconstruction of the queries.
    """
    pca = _fitted(dataset, gallery_ids, num_components)
    gallery_codes, query_codes = (_transformed(pca, dataset, ids) for ids in (gallery_ids, query_ids))
    # Where the images have fewer dimensions than asked for, the rest is rounding: it must not be blown up.
    least = max(1e-6 * pca.explained_variance_[0], 1e-12)  # 0 where all images are equal
    deviations = np.sqrt(pca.explained_variance_.clip(min=least)).astype(np.float32)
    height, width, _ = shape = compared_shape(dataset.image_shape)
    name = "raw pixels" if shape == dataset.image_shape else f"raw pixels at {width} x {height}"
    num_components = pca.n_components_
    searched, asked = (_compared_pixels(dataset, ids) for ids in (gallery_ids, query_ids))
    colours, asked_colours = (colour_histograms(dataset, ids) for ids in (gallery_ids, query_ids))
    return {
        # Manhattan distances of whole images cannot be had from a matrix product: ten times the others' time.
        name: Vectors(searched, asked, ("euclidean", "cosine")),
        "colour histogram": Vectors(colours, asked_colours, METRICS),
        f"{num_components}-d PCA": Vectors(gallery_codes, query_codes, METRICS),
        f"whitened {num_components}-d PCA": Vectors(gallery_codes / deviations, query_codes / deviations, METRICS),
    }, _reconstruction(dataset, query_ids, pca, query_codes)


def pca_codes(
    dataset: ImageSet, gallery_ids: np.ndarray, query_ids: np.ndarray, num_components: int
) -> tuple[dict[str, Vectors], LinearReconstruction]:
    """Compute a PCA of so many numbers, fitted on the gallery: its codes by its name, and what it reconstructs."""
    pca = _fitted(dataset, gallery_ids, num_components)
    gallery_codes, query_codes = (_transformed(pca, dataset, ids) for ids in (gallery_ids, query_ids))
    vectors = {f"{pca.n_components_}-d PCA": Vectors(gallery_codes, query_codes, METRICS)}
    return vectors, _reconstruction(dataset, query_ids, pca, query_codes)


def _transformed(pca: PCA, dataset: ImageSet, ids: np.ndarray) -> np.ndarray:
    return np.concatenate([pca.transform(pixels(dataset, batch)) for batch in _batches(ids)])


def _fitted(dataset: ImageSet, ids: np.ndarray, num_components: int) -> PCA:
    num_pixels = int(np.prod(dataset.image_shape))
    # All pixels of large images as floats would take gigabytes: of those a sample is enough.
    rng = np.random.default_rng(0)
    most = _MAX_FITTED_BYTES // (4 * num_pixels) if num_pixels > _MAX_SIDE * _MAX_SIDE * 3 else len(ids)
    sample = np.sort(rng.permutation(ids)[:most])
    num_components = min(num_components, len(sample), num_pixels)
    # Arnoldi's method finds the few components that are asked for, without the others.
    is_few = num_components < min(len(sample), num_pixels)
    return PCA(num_components, svd_solver="arpack" if is_few else "full", random_state=0).fit(pixels(dataset, sample))


def _reconstruction(dataset: ImageSet, ids: np.ndarray, pca: PCA, codes: np.ndarray) -> LinearReconstruction:
    errors, mean_errors, hits = 0.0, 0.0, 0.0
    for batch, batch_codes in zip(_batches(ids), _batches(codes), strict=True):
        originals, reconstructed = pixels(dataset, batch), pca.inverse_transform(batch_codes)
        images = dataset.images[batch]
        errors += squared_error(originals, reconstructed).sum()
        mean_errors += squared_error(originals, np.broadcast_to(pca.mean_, originals.shape)).sum()
        hits += strongest_channel_accuracy(images, reconstructed.reshape(images.shape)) * len(batch)
    return LinearReconstruction(
        mse=float(errors / len(ids)), accuracy=float(hits / len(ids)), mean_mse=float(mean_errors / len(ids))
    )


def _batches(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]


def chance(gallery_labels: np.ndarray, query_labels: np.ndarray) -> np.ndarray:
    """Compute P@k of random neighbours: the share of the gallery with the label of each query, `(num_queries,)`."""
    shares = np.bincount(gallery_labels, minlength=query_labels.max() + 1) / len(gallery_labels)
    of_queries: np.ndarray = shares[query_labels]
    return of_queries
