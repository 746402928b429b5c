"""Kind and look: neighbours by each of two codes alone and by both, by class and by appearance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from latentsearch.data import ImageSet, read_rows, to_float
from latentsearch.gallery.index import Index
from latentsearch.gallery.two_codes import DEFAULT_LOOK, weighted
from latentsearch.metrics import precision_at_k

LOOKS = (0.0, 0.1, DEFAULT_LOOK, 0.3, 0.5, 0.7, 1.0)
_K = 10
_SIDE = 8  # pixels, of the images whose difference is measured
_BATCH = 1000


class SliderPoint(NamedTuple):
    """Measurements of the neighbours of test images at one share of the look code.

    Args:
        look: Share of the look code in a squared distance, 0 to 1.
        precision: Mean P@10, 0 to 1; None without labels.
        visual_difference: Mean squared difference of a query and its ten neighbours, at 8 x 8 pixels in [0, 1].
    """

    look: float
    precision: float | None
    visual_difference: float


def parts(codes: np.ndarray, kind_dim: int | None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each of two codes with its name; nothing for a single code.

    Args:
        codes: `(num_images, latent_dim)`.
        kind_dim: Numbers of the kind code, None for a single code.
    """
    if kind_dim is not None:
        yield f"kind code alone, {kind_dim} numbers", weighted(codes, kind_dim, 0)
        yield f"look code alone, {codes.shape[1] - kind_dim} numbers", weighted(codes, kind_dim, 1)


def measure_slider(
    dataset: ImageSet,
    codes: np.ndarray,
    kind_dim: int | None,
    gallery_ids: np.ndarray,
    query_ids: np.ndarray,
    *,
    known: Mapping[float, np.ndarray] | None = None,
) -> list[SliderPoint]:
    """Measure the neighbours at shares of the look code from 0 to 1; nothing for a single code.

    Args:
        dataset: The images.
        codes: Codes of all images, `(num_images, latent_dim)`.
        kind_dim: Numbers of the kind code, None for a single code.
        gallery_ids: Ids of the gallery, `(num_gallery,)`.
        query_ids: Ids of the queries, `(num_queries,)`.
        known: Rows of the nearest of the gallery by cosine at some of the shares, `(num_queries, 10 or more)`.
    """
    if kind_dim is None:
        return []
    known, k = known or {}, min(_K, len(gallery_ids))
    small, small_queries = thumbnails(dataset, gallery_ids), thumbnails(dataset, query_ids)
    points = []
    for look in LOOKS:
        if look in known:
            rows = known[look][:, :k]
        else:
            compared = weighted(codes, kind_dim, look)
            rows = Index(compared[gallery_ids]).rank(compared[query_ids], k)
        found = gallery_ids[rows]
        difference = float(np.mean([np.square(small[nearest] - small_queries).mean() for nearest in rows.T]))
        precision = None
        if dataset.is_labelled:
            relevant = dataset.labels[found] == dataset.labels[query_ids][:, None]
            precision = float(precision_at_k(relevant, found.shape[1]).mean())
        points.append(SliderPoint(look, precision, difference))
    return points


def thumbnails(dataset: ImageSet, ids: np.ndarray) -> np.ndarray:
    """Average images over an 8 x 8 grid, float32 in [0, 1], `(len(ids), 8, 8, 3)`."""
    height, width, channels = dataset.image_shape
    tall, wide = height // _SIDE, width // _SIDE
    result = np.empty((len(ids), _SIDE, _SIDE, channels), np.float32)
    for start in range(0, len(result), _BATCH):
        images = to_float(read_rows(dataset.images, ids[start : start + _BATCH]))[:, : tall * _SIDE, : wide * _SIDE]
        result[start : start + _BATCH] = images.reshape(-1, _SIDE, tall, _SIDE, wide, channels).mean(axis=(2, 4))
    return result
