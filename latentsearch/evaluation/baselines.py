"""Baselines that any learnt code must beat: vectors of images that take no training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from latentsearch.config import METRICS, Metric
from latentsearch.data import ImageSet, read_rows
from latentsearch.evaluation import pca
from latentsearch.evaluation.pca import Components, batches, pixels
from latentsearch.gallery.index import Index
from latentsearch.gallery.largest import GROUP, largest
from latentsearch.gallery.threads import in_threads, num_threads
from latentsearch.metrics import squared_error, strongest_channel_accuracy

_MAX_SIDE = 32  # of images whose pixels are compared
_LEVELS = 4  # of each channel in a colour histogram
_PRODUCTS = 2**25  # held at a time, by all threads together
_SEARCHED, _LEAST_ASKED = 2000, 64  # images at a time, by a thread
_LONG = 64  # numbers in a vector, from which on a search takes so long that it is made with a part of the queries


class Vectors(NamedTuple):
    """Vectors of gallery and queries to compare, `(num_images, dim)` each, and the metrics worth the time.

    uint8: pixels, which are compared in float32: of neighbours that are as near, to six digits, any may come first.
    """

    gallery: np.ndarray
    queries: np.ndarray
    metrics: tuple[Metric, ...]

    @property
    def is_long(self) -> bool:
        """Whether a search takes so long that it is made with a part of the queries."""
        return int(self.gallery.shape[1]) >= _LONG

    def rank(self, k: int, metric: Metric, queries: np.ndarray | None = None) -> np.ndarray:
        """Find the rows of the nearest vectors of the gallery, closest first, int64 `(num_queries, k)`.

        Args:
            k: Number of neighbours, at most that of the vectors of the gallery.
            metric: Metric that compares vectors.
            queries: Other queries, `(num_queries, dim)`. Default: those of these vectors.
        """
        queries = self.queries if queries is None else queries
        if self.gallery.dtype == np.uint8:
            return _nearest_pixels(self.gallery, queries, k, metric)
        return Index(self.gallery, metric=metric).rank(queries, k)


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


def compared_shape(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the shape in which pixels are compared: longer sides are divided until they have at most 32 pixels."""
    height, width, channels = image_shape
    return height // _divisor(height), width // _divisor(width), channels


def _divisor(side: int) -> int:
    return next(divisor for divisor in range(1, side + 1) if side % divisor == 0 and side // divisor <= _MAX_SIDE)


def _compared_pixels(dataset: ImageSet, ids: np.ndarray) -> np.ndarray:
    """Flatten images to means of blocks of pixels, uint8 `(len(ids), product of compared_shape)`."""
    height, width, channels = compared_shape(dataset.image_shape)
    tall, wide = dataset.image_shape[0] // height, dataset.image_shape[1] // width
    result = np.empty((len(ids), height * width * channels), np.uint8)
    for part, batch in zip(batches(result), batches(ids), strict=True):
        blocks = read_rows(dataset.images, batch).reshape(len(batch), height, tall, width, wide, channels)
        part[:] = (blocks if tall == wide == 1 else blocks.mean(axis=(2, 4)).round()).reshape(len(batch), -1)
    return result


def _nearest_pixels(gallery: np.ndarray, queries: np.ndarray, k: int, metric: Metric) -> np.ndarray:
    """Find the rows of the nearest images by euclidean distance or cosine, by matrix products in float32.

    Args:
        gallery: Pixels, uint8 `(num_images, dim)`.
        queries: Pixels, uint8 `(num_queries, dim)`.
        k: Number of neighbours.
        metric: "euclidean" or "cosine".

    Returns:
        int64 `(num_queries, k)`, closest first.
    """
    mean = np.mean(gallery[:: max(1, len(gallery) // 1000)], axis=0, dtype=np.float32)
    mean = mean if metric == "euclidean" else np.zeros_like(mean)  # a cosine is that at the origin
    rows = np.empty((len(queries), k), np.int64)

    def find(block: slice) -> None:
        centred = queries[block] - mean
        products = np.full((len(centred), len(gallery) + GROUP), np.finfo(np.float32).min, np.float32)
        for start in range(0, len(gallery), _SEARCHED):
            values = gallery[start : start + _SEARCHED] - mean
            squares = np.einsum("nd,nd->n", values, values)
            near = centred @ values.T
            # Of the product less |x|^2 / 2, or over |x|, the largest is that of the nearest image.
            near = near - squares / 2 if metric == "euclidean" else near / np.sqrt(squares).clip(min=1)
            products[:, start : start + len(values)] = near
        columns, _ = largest(products, len(gallery), k)
        order = np.argsort(-np.take_along_axis(products, columns, axis=1), axis=1)
        rows[block] = np.take_along_axis(columns, order, axis=1)

    size = max(_LEAST_ASKED, _PRODUCTS // num_threads() // len(gallery))
    in_threads(find, (slice(start, start + size) for start in range(0, len(queries), size)))
    return rows


def colour_histograms(dataset: ImageSet, ids: np.ndarray) -> np.ndarray:
    """Compute the share of the pixels of each image in 4 x 4 x 4 boxes of colour, float32 `(len(ids), 64)`.

    Swain and Ballard 1991: under manhattan distance, histogram intersection.
    """
    histograms = np.empty((len(ids), _LEVELS**3), dtype=np.float32)
    for part, batch in zip(batches(histograms), batches(ids), strict=True):
        for histogram, image in zip(part, read_rows(dataset.images, batch), strict=True):
            red, green, blue = (image // (256 // _LEVELS)).reshape(-1, 3).astype(np.int64).T
            boxes = (red * _LEVELS + green) * _LEVELS + blue
            histogram[:] = np.bincount(boxes, minlength=_LEVELS**3) / len(boxes)
    return histograms


def compute(
    dataset: ImageSet, gallery_ids: np.ndarray, query_ids: np.ndarray, num_components: int, kind_dim: int | None = None
) -> tuple[dict[str, Vectors], list[LinearReconstruction]]:
    """Compute raw pixels, a colour histogram, a PCA with as many numbers as the code, and the same PCA whitened.

    The PCA is that of `pca.fit` on the gallery; pixels of images of more than 32 x 32 are compared at
    `compared_shape`. In whitened codes every component has variance 1.

    Args:
        dataset: The images.
        gallery_ids: Ids of the gallery, `(num_gallery,)`.
        query_ids: Ids of the queries, `(num_queries,)`.
        num_components: Number of components.
        kind_dim: Number of components of a further PCA; None for none.

    Returns:
        Vectors by the name of the baseline, and what each PCA reconstructs of the queries.
    """
    components = pca.fit(dataset, gallery_ids, num_components)
    codes, asked = (components.encode(dataset, ids) for ids in (gallery_ids, query_ids))
    # Where the images have fewer dimensions than asked for, the rest is rounding: it must not be blown up.
    least = max(1e-6 * components.variances[0], 1e-12)  # 0 where all images are equal
    deviations = np.sqrt(components.variances.clip(min=least)).astype(np.float32)
    height, width, _ = shape = compared_shape(dataset.image_shape)
    name = "raw pixels" if shape == dataset.image_shape else f"raw pixels at {width} x {height}"
    shown, asked_shown = (_compared_pixels(dataset, ids) for ids in (gallery_ids, query_ids))
    colours, asked_colours = (colour_histograms(dataset, ids) for ids in (gallery_ids, query_ids))
    num_components = len(components.axes)
    vectors = {
        # Manhattan distances of whole images cannot be had from a matrix product: ten times the others' time.
        name: Vectors(shown, asked_shown, ("euclidean", "cosine")),
        "colour histogram": Vectors(colours, asked_colours, METRICS),
        f"{num_components}-d PCA": Vectors(codes, asked, METRICS),
        f"whitened {num_components}-d PCA": Vectors(codes / deviations, asked / deviations, METRICS),
    }
    linear = [_reconstruction(dataset, query_ids, components, asked)]
    if kind_dim is not None:
        few = components.first(kind_dim)
        num_few = len(few.axes)
        vectors[f"{num_few}-d PCA"] = Vectors(codes[:, :num_few], asked[:, :num_few], METRICS)
        linear.append(_reconstruction(dataset, query_ids, few, asked[:, :num_few]))
    return vectors, linear


def _reconstruction(
    dataset: ImageSet, ids: np.ndarray, components: Components, codes: np.ndarray
) -> LinearReconstruction:
    errors, mean_errors, hits = 0.0, 0.0, 0.0
    for batch, batch_codes in zip(batches(ids), batches(codes), strict=True):
        originals, reconstructed = pixels(dataset, batch), components.decode(batch_codes)
        images = read_rows(dataset.images, batch)
        errors += squared_error(originals, reconstructed).sum()
        mean_errors += squared_error(originals, np.broadcast_to(components.mean, originals.shape)).sum()
        hits += strongest_channel_accuracy(images, reconstructed.reshape(images.shape)) * len(batch)
    return LinearReconstruction(
        mse=float(errors / len(ids)), accuracy=float(hits / len(ids)), mean_mse=float(mean_errors / len(ids))
    )


def chance(gallery_labels: np.ndarray, query_labels: np.ndarray) -> np.ndarray:
    """Compute P@k of random neighbours: the share of the gallery with the label of each query, `(num_queries,)`."""
    shares = np.bincount(gallery_labels, minlength=query_labels.max() + 1) / len(gallery_labels)
    of_queries: np.ndarray = shares[query_labels]
    return of_queries
