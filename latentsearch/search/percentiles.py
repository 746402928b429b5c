"""Percentiles of distances among random pairs of images, and among corrupted copies of one image; words for hits."""

from __future__ import annotations

import functools
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
# So it is among at most so many images that are as near, if pairs as near are that much rarer among codes of no kinds.
_ALIKE_IMAGES = 20
_BY_CHANCE = 0.01

_NUM_PAIRS = 500_000
_NUM_NULL_PAIRS = 200_000
_SEED = 0


class Scale:
    """A scale from distances in a gallery to percentages that can be compared between galleries.

    Args:
        gallery: Gallery of at least two images.
        metric: Metric of the distances.
        num_images: Images that are searched, if the gallery is a sample of them. Default: those of the gallery.

    Attributes:
        random: Distances of (at most 500,000) pairs of its images drawn at random, ascending.
        copies: Distances between images and corrupted copies of them, ascending.
        recognised: The same of the kind of corruption that the encoder withstands best, by the median.
    """

    def __init__(self, gallery: Gallery, *, metric: Metric, num_images: int | None = None) -> None:
        self._codes, self._metric = gallery.codes, metric
        self._num_searched = len(gallery.ids) if num_images is None else num_images
        num_images = len(gallery.ids)
        # What is nearer than all of N pairs is nearer than N of N + 1, and no more can be said.
        num_distinct = min(num_images * (num_images - 1) // 2, _NUM_PAIRS)
        self._highest = 100 * num_distinct / (num_distinct + 1)
        rng = np.random.default_rng(_SEED)
        first = rng.integers(0, num_images, _NUM_PAIRS)
        second = (first + rng.integers(1, max(num_images, 2), _NUM_PAIRS)) % num_images  # never itself
        self.random = np.sort(distances_of_rows(gallery.codes, first, second, metric=metric))
        copies = distances_between(gallery.copies[:, 0], gallery.copies[:, 1], metric=metric)
        self.copies = np.sort(copies)
        kinds = [np.sort(part) for part in np.array_split(copies, len(CORRUPTIONS)) if len(part)]
        self.recognised = min(kinds, key=_twice_the_median, default=self.copies)

    def score(self, distances: np.ndarray) -> np.ndarray:
        """Compute the percentage of random pairs that are farther apart, float64, same shape.

        In [0, 100 N / (N + 1)] where the gallery has N pairs of images: few pairs cannot tell what is rare.
        """
        scores: np.ndarray = np.minimum(_farther(self.random, distances), self._highest)
        return scores

    def copy_score(self, distances: np.ndarray) -> np.ndarray:
        """Compute the percentage of corrupted copies that are farther from their original, float64 in [0, 100]."""
        return _farther(self.copies, distances)

    def likeness(self, distances: np.ndarray) -> list[Likeness]:
        """Say in words how near the images at these distances `(num_distances,)` are.

        "Very like" is nearer than 75 of 100 copies of an image, seen at an angle or with noise, are to it: this depends
        on the encoder alone. Nearer than 999 of 1,000 random pairs of the gallery is "alike" at least: another image
        of the same kind is farther than a copy. So is, in a small gallery, one of at most 20 images that are as near,
        if chance would bring at most 1 in 100 of the pairs that are (see `by_chance`). Without copies, only such pairs
        are not "weak".
        """
        shares = _farther(self.recognised, distances) if len(self.recognised) else np.zeros(len(distances))
        by_copies = np.array([next(place for place, least in enumerate(_LEAST) if share >= least) for share in shares])
        scores = self.score(distances)
        is_alike = scores >= _ALIKE_FROM
        if self._num_searched * (1 - _ALIKE_FROM / 100) < _ALIKE_IMAGES:
            are_few = (1 - scores / 100) * self._num_searched <= _ALIKE_IMAGES
            in_question = are_few & ~is_alike & (by_copies == _WEAK)
            if in_question.any():
                is_alike[in_question] = self.by_chance(distances[in_question]) <= _BY_CHANCE
        by_pairs = np.where(is_alike, _ALIKE, _WEAK)
        return [LIKENESSES[place] for place in np.minimum(by_copies, by_pairs).astype(int)]

    def by_chance(self, distances: np.ndarray) -> np.ndarray:
        """Estimate how many of the pairs as near as this would be as near if there were no kinds, as a share.

        This is the false discovery rate of Efron ("Large-scale simultaneous hypothesis testing", 2004), whose null
        hypothesis is a normal distribution of the codes' own mean and covariance.

        Returns:
            float64, same shape; 1 where there are too few codes to tell.
        """
        null = self._null_pairs
        if not len(null):
            return np.ones(np.shape(distances))
        found, expected = (
            (np.searchsorted(pairs, distances, side="right") + 1) / len(pairs) for pairs in (self.random, null)
        )
        return np.asarray(np.minimum(expected / found, 1))

    @functools.cached_property
    def _null_pairs(self) -> np.ndarray:
        """Distances of pairs that are drawn from a normal distribution of the codes' mean and covariance, ascending."""
        codes = self._codes.astype(np.float64)
        if len(codes) <= codes.shape[1]:
            return np.empty(0)
        variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(codes, rowvar=False)))
        scales = np.sqrt(np.maximum(variances, 0)).astype(np.float32)
        drawn = np.random.default_rng(_SEED).standard_normal((2 * _NUM_NULL_PAIRS, len(scales)), np.float32) * scales
        drawn = codes.mean(axis=0).astype(np.float32) + drawn @ axes.T.astype(np.float32)
        pairs = np.split(drawn, 2)
        return np.sort(distances_between(pairs[0], pairs[1], metric=self._metric))


def nearer_pairs(score: float) -> str:
    """Return which share of random pairs is as near as a hit of this score, such as "1 in 5,000"."""
    count = min(int(1 / max(1 - score / 100, 1 / _NUM_PAIRS)), _NUM_PAIRS)
    digits = max(len(str(count)) - 2, 0)
    return f"1 in {count // 10**digits * 10**digits:,}"


def _twice_the_median(ascending: np.ndarray) -> float:
    # np.median loads NumPy's masked arrays, a tenth of the time of a first answer.
    return float(ascending[(len(ascending) - 1) // 2]) + float(ascending[len(ascending) // 2])


def _farther(ascending: np.ndarray, distances: np.ndarray) -> np.ndarray:
    return 100 * (1 - np.searchsorted(ascending, distances, side="right") / max(len(ascending), 1))
