"""What any learnt code must beat: vectors of images that take no training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA

from latentsearch.config import METRICS, Metric
from latentsearch.datasets import ImageSet, to_float
from latentsearch.metrics import squared_error, strongest_channel_accuracy

_BATCH = 1000


class Vectors(NamedTuple):
    """Vectors of gallery and queries to compare, `(num_images, dim)` each, and the metrics worth the time."""

    gallery: np.ndarray
    queries: np.ndarray
    metrics: tuple[Metric, ...]


class LinearReconstruction(NamedTuple):
    """What a PCA with as many numbers as the code reconstructs of the queries.

    Args:
        mse: Mean squared error.
        accuracy: Share of pixels whose strongest channel is right.
        mean_mse: Mean squared error of the gallery's mean image, taken for every query.
    """

    mse: float
    accuracy: float
    mean_mse: float


def pixels(dataset: ImageSet, ids: np.ndarray) -> np.ndarray:
    """Images as rows of pixels in [0, 1], float32 `(len(ids), height * width * 3)`."""
    return to_float(dataset.images[ids]).reshape(len(ids), -1)


def compute(
    dataset: ImageSet, gallery_ids: np.ndarray, query_ids: np.ndarray, num_components: int
) -> tuple[dict[str, Vectors], LinearReconstruction]:
    """Raw pixels, a PCA with as many numbers as the code, and the same PCA whitened.

    The PCA is fitted on the gallery. In whitened codes every component has variance 1.

    Args:
        dataset: The images.
        gallery_ids: `(num_gallery,)`.
        query_ids: `(num_queries,)`.
        num_components: Components to keep.

    Returns:
        Vectors by the name of the baseline, and the PCA's reconstruction of the queries.
    """
    gallery, queries = pixels(dataset, gallery_ids), pixels(dataset, query_ids)
    num_components = min(num_components, *gallery.shape)
    pca = PCA(num_components, svd_solver="covariance_eigh").fit(gallery)
    gallery_codes, query_codes = pca.transform(gallery), pca.transform(queries)
    # Where the images have fewer dimensions than asked for, the rest is rounding: it must not be blown up.
    deviations = np.sqrt(pca.explained_variance_.clip(min=1e-6 * pca.explained_variance_[0])).astype(np.float32)
    reconstructed = pca.inverse_transform(query_codes)
    images = dataset.images[query_ids]
    linear = LinearReconstruction(
        mse=float(squared_error(queries, reconstructed).mean()),
        accuracy=strongest_channel_accuracy(images, reconstructed.reshape(images.shape)),
        mean_mse=float(squared_error(queries, np.broadcast_to(pca.mean_, queries.shape)).mean()),
    )
    return {
        # Manhattan distances of whole images cannot be had from a matrix product: ten times the others' time.
        "raw pixels": Vectors(gallery, queries, ("euclidean", "cosine")),
        f"{num_components}-d PCA": Vectors(gallery_codes, query_codes, METRICS),
        f"whitened {num_components}-d PCA": Vectors(gallery_codes / deviations, query_codes / deviations, METRICS),
    }, linear


def mean_image_error(dataset: ImageSet) -> float:
    """Mean squared error of the mean training image, taken for every validation image; a few images at a time."""
    total, ids = np.zeros(dataset.image_shape), dataset.ids("train")
    for start in range(0, len(ids), _BATCH):
        total += to_float(dataset.images[ids[start : start + _BATCH]]).sum(axis=0, dtype=np.float64)
    mean, error, asked = total / len(ids), 0.0, dataset.ids("validation")
    for start in range(0, len(asked), _BATCH):
        error += squared_error(to_float(dataset.images[asked[start : start + _BATCH]]), mean).sum()
    return float(error / len(asked))


def chance(gallery_labels: np.ndarray, query_labels: np.ndarray) -> np.ndarray:
    """P@k of neighbours drawn at random: the share of the gallery with each query's label, `(num_queries,)`."""
    shares = np.bincount(gallery_labels, minlength=query_labels.max() + 1) / len(gallery_labels)
    return shares[query_labels]
