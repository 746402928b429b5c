"""Percentiles of distances among random pairs of images, and among corrupted copies."""

from __future__ import annotations

import numpy as np

from latentsearch.config import Metric
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.index import distances_between, distances_of_rows

_NUM_PAIRS = 500_000
_SEED = 0


class Scale:
    """A scale from distances in a gallery to percentages that can be compared between galleries.

    Args:
        gallery: Gallery of at least two images.
        metric: Metric of the distances.

    Attributes:
        random: Distances of (at most 500,000) pairs of its images drawn at random, ascending.
        copies: Distances between images and corrupted copies of them, ascending.
    """

    def __init__(self, gallery: Gallery, *, metric: Metric) -> None:
        num_images = len(gallery.ids)
        rng = np.random.default_rng(_SEED)
        first = rng.integers(0, num_images, _NUM_PAIRS)
        second = (first + rng.integers(1, max(num_images, 2), _NUM_PAIRS)) % num_images  # never itself
        self.random = np.sort(distances_of_rows(gallery.codes, first, second, metric=metric))
        self.copies = np.sort(distances_between(gallery.copies[:, 0], gallery.copies[:, 1], metric=metric))

    def score(self, distances: np.ndarray) -> np.ndarray:
        """Compute the percentage of random pairs that are farther apart, float64 in [0, 100], same shape."""
        return _farther(self.random, distances)

    def copy_score(self, distances: np.ndarray) -> np.ndarray:
        """Compute the percentage of corrupted copies that are farther from their original, float64 in [0, 100]."""
        return _farther(self.copies, distances)


def _farther(ascending: np.ndarray, distances: np.ndarray) -> np.ndarray:
    return 100 * (1 - np.searchsorted(ascending, distances, side="right") / max(len(ascending), 1))
