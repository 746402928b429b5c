"""Percentiles of distances among random pairs of images, and among corrupted copies of one image."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from latentsearch.config import Metric
from latentsearch.data.corruptions import CORRUPTIONS
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.index import distances_between, distances_of_rows

Likeness = Literal["same picture", "very like", "alike", "weak"]
LIKENESSES: tuple[Likeness, ...] = get_args(Likeness)
_ALIKE, _WEAK = LIKENESSES.index("alike"), LIKENESSES.index("weak")
# Percentage of the copies of an image that are farther from it, from which on a hit is called so.
_LEAST = (99, 75, 20, 0)
_ALIKE_FROM = 99.9  # score from which on a hit is "alike" at least, whatever the copies say

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
        recognised: The same of the kind of corruption that the encoder withstands best, by the median.
    """

    def __init__(self, gallery: Gallery, *, metric: Metric) -> None:
        num_images = len(gallery.ids)
        rng = np.random.default_rng(_SEED)
        first = rng.integers(0, num_images, _NUM_PAIRS)
        second = (first + rng.integers(1, max(num_images, 2), _NUM_PAIRS)) % num_images  # never itself
        self.random = np.sort(distances_of_rows(gallery.codes, first, second, metric=metric))
        copies = distances_between(gallery.copies[:, 0], gallery.copies[:, 1], metric=metric)
        self.copies = np.sort(copies)
        kinds = [np.sort(part) for part in np.array_split(copies, len(CORRUPTIONS)) if len(part)]
        self.recognised = min(kinds, key=lambda part: float(np.median(part)), default=self.copies)

    def score(self, distances: np.ndarray) -> np.ndarray:
        """Compute the percentage of random pairs that are farther apart, float64 in [0, 100], same shape."""
        return _farther(self.random, distances)

    def copy_score(self, distances: np.ndarray) -> np.ndarray:
        """Compute the percentage of corrupted copies that are farther from their original, float64 in [0, 100]."""
        return _farther(self.copies, distances)

    def likeness(self, distances: np.ndarray) -> list[Likeness]:
        """Say in words how near the images at these distances `(num_distances,)` are.

        "Very like" is nearer than 75 of 100 copies of an image, seen at an angle or with noise, are to it: this depends
        on the encoder alone. Nearer than 999 of 1,000 random pairs of the gallery is "alike" at least: another image
        of the same kind is farther than a copy. Without copies, only such pairs are not "weak".
        """
        shares = _farther(self.recognised, distances) if len(self.recognised) else np.zeros(len(distances))
        by_copies = np.array([next(place for place, least in enumerate(_LEAST) if share >= least) for share in shares])
        by_pairs = np.where(self.score(distances) >= _ALIKE_FROM, _ALIKE, _WEAK)
        return [LIKENESSES[place] for place in np.minimum(by_copies, by_pairs).astype(int)]


def nearer_pairs(score: float) -> str:
    """Return which share of random pairs is as near as a hit of this score, such as "1 in 5,000"."""
    count = min(int(1 / max(1 - score / 100, 1 / _NUM_PAIRS)), _NUM_PAIRS)
    digits = max(len(str(count)) - 2, 0)
    return f"1 in {count // 10**digits * 10**digits:,}"


def _farther(ascending: np.ndarray, distances: np.ndarray) -> np.ndarray:
    return 100 * (1 - np.searchsorted(ascending, distances, side="right") / max(len(ascending), 1))
