"""Whether two images show the same shot: more alike than chance makes images of their dataset, or equal to the eye."""

from __future__ import annotations

import numpy as np

from latentsearch.gallery import image_matching
from latentsearch.gallery.image_matching import Fit

_HALFWAY = 0.5  # of the way from chance to identity: found by eye, see README
_CHANCE_PAIRS = 1000
_TAIL = 1.25  # from the 50th to the 90th percentile, and so much farther to the 99th, in a Gumbel distribution
# Of photographs, by each fit; too few images to tell must not lower it.
_LEAST_CHANCE: dict[Fit, float] = {image_matching.fit: 0.35, image_matching.fit_of_most: 0.54}
_EMPTINESS = 0.1
_LEAST_LIKENESS = 0.45  # of pairs that are looked at once more
# Of the way from identity to chance: of photographs 0.97 is needed; the most alike unlike ones of 3,000 reach 0.95.
_OTHER_LAYOUT = 0.045
_OF_EQUAL_LAYOUT = 0.75  # of the likeness that others need
_SAME_LEVELS = 2  # of 255, at `image_matching.SIDE` pixels: no eye sees it
_EVEN = 8.0  # levels, standard deviation: two even images are alike without being one shot


def show_the_same(grey: np.ndarray, pairs: np.ndarray, likeness: np.ndarray, richness: np.ndarray) -> np.ndarray:
    """Tell which pairs show the same shot, bool `(num_pairs,)`: more alike than chance makes images of one dataset.

    So are pairs that fit well; that fit well but for a quarter of the image, such as text over it; or that fit a little
    less, but have the same layout, such as small and strongly compressed copies.

    Args:
        grey: The images from `image_matching.brightness`.
        pairs: Rows of `grey`, `(num_pairs, 2)`.
        likeness: Likeness of the pairs by `image_matching.fit`, as they are and mirrored, `(num_pairs, 2)`.
        richness: The smaller `image_matching.richness` of each pair.
    """
    if not len(pairs):
        return np.zeros(0, dtype=bool)
    best, chance = likeness.max(axis=1), chance_likeness(grey)
    found = _stand_out(grey, pairs, best, richness, chance=chance, fitted=image_matching.fit)
    rest = np.flatnonzero(~found & (best >= _LEAST_LIKENESS))
    if len(rest):
        layouts = image_matching.layout_likeness(grey, pairs[rest])
        equal = rest[layouts >= 1 - _OTHER_LAYOUT * (1 - chance)]
        nearly = best[equal] / _OF_EQUAL_LAYOUT
        found[equal] = _stand_out(grey, pairs[equal], nearly, richness[equal], chance=chance, fitted=image_matching.fit)
        rest = rest[~found[rest]]
    if len(rest):
        fitted = image_matching.fit_of_most
        chance = chance_likeness(grey, fitted)
        rest = rest[needed_likeness(chance, richness[rest]) <= 1]  # of digits, no pair is left
        of_most = image_matching.likeness(grey, pairs[rest], fitted).max(axis=1)
        found[rest] = _stand_out(grey, pairs[rest], of_most, richness[rest], chance=chance, fitted=fitted)
    return found


def _stand_out(
    grey: np.ndarray, pairs: np.ndarray, likeness: np.ndarray, richness: np.ndarray, *, chance: float, fitted: Fit
) -> np.ndarray:
    """Tell which pairs fit better than chance makes images of this dataset, and than one of them upside down does."""
    found: np.ndarray = likeness >= needed_likeness(chance, richness)
    # Walls of bricks fit upside down as well: then the fit of this pair says as little.
    own_chance = _upside_down(grey, pairs[found], fitted).clip(min=chance)
    found[found] = likeness[found] >= needed_likeness(own_chance, richness[found])
    return found


def needed_likeness(chance: float | np.ndarray, richness: np.ndarray) -> np.ndarray:
    """Compute the likeness from which on two images are duplicates, same shape as `richness`; above 1, none is.

    (half of the way from `chance` to 1) * (1 + 0.1 / richness). In CIFAR-10 chance is 0.36, so two common photographs
    need 0.77, two ships between an even sea and an even sky 0.91: the less there is to compare, the more often images
    agree by chance. Images that are all of one kind, such as digits, need more.

    Args:
        chance: See `chance_likeness`.
        richness: The smaller `image_matching.richness` of the two images.
    """
    needed: np.ndarray = (chance + _HALFWAY * (1 - chance)) * (1 + _EMPTINESS / np.maximum(richness, 1e-6))
    return needed


def chance_likeness(grey: np.ndarray, fitted: Fit = image_matching.fit) -> float:
    """Estimate the likeness that images of one dataset reach by chance, up to 1, whatever its duplicates.

    1 pair in 100 reaches it in which one image stands on its head: no shot comes back upside down, while strokes,
    textures and horizons stay what they are. Random pairs as they are would be duplicates where these are frequent.
    The best of many places follows a Gumbel distribution, which two lower percentiles tell: among few shots a single
    one that is its own mirror image in a lake would decide the 99th. In CIFAR-10 all three ways agree (0.35 to 0.36).

    Args:
        grey: At least two images from `image_matching.brightness`.
        fitted: How images are fitted: at least 0.35 by `fit`, 0.54 by `fit_of_most`.
    """
    count = len(grey)
    rng = np.random.default_rng(0)
    first = rng.integers(0, count, _CHANCE_PAIRS)
    second = (first + rng.integers(1, count, _CHANCE_PAIRS)) % count
    likeness = _upside_down(grey, np.column_stack([first, second]), fitted)
    middle, high = np.percentile(likeness, [50, 90])
    return float(np.clip(high + _TAIL * (high - middle), _LEAST_CHANCE[fitted], 1))


def _upside_down(grey: np.ndarray, pairs: np.ndarray, fitted: Fit) -> np.ndarray:
    """Compute the likeness of pairs with the second image upside down, `(num_pairs,)`."""
    images, rows = np.unique(pairs, return_inverse=True)
    both = np.concatenate([grey[images], grey[images, ::-1]])
    likeness = image_matching.likeness(both, rows.reshape(-1, 2) + np.array([0, len(images)]), fitted)
    best: np.ndarray = likeness.max(axis=1)
    return best


def look_the_same(
    grey: np.ndarray, images: np.ndarray, ids: np.ndarray, pairs: np.ndarray, levels: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Tell whether no pixel of two images differs by more than 2 of 255, bool `(num_pairs,)`; False for even images.

    Args:
        grey: The images of `ids` from `image_matching.brightness`.
        images: All images.
        ids: Ids of images.
        pairs: Pairs of rows of `ids`, `(num_pairs, 2)`.
        levels: `levels_of(grey)`.
    """
    means, deviations = levels
    same = np.zeros(len(pairs), dtype=bool)
    # Where no pixel differs by more, means do not either: this leaves one pair in ten to be looked at.
    near = np.abs(means[pairs[:, 0]] - means[pairs[:, 1]]) <= _SAME_LEVELS + 0.01
    near &= np.abs(deviations[pairs[:, 0]] - deviations[pairs[:, 1]]) <= _SAME_LEVELS + 0.01
    likely = np.flatnonzero(near & (deviations[pairs[:, 0]] >= _EVEN))
    for rows in image_matching.batches(len(likely)):
        one, other = (grey[of].astype(np.int16) for of in pairs[likely[rows]].T)
        same[likely[rows]] = (np.abs(one - other) <= _SAME_LEVELS).all(axis=(1, 2))
    for row in np.flatnonzero(same):  # in grey, which is cheap; few are left for the colours
        first, second = (image_matching.small(images[image_id]).astype(np.int16) for image_id in ids[pairs[row]])
        same[row] = (np.abs(first - second) <= _SAME_LEVELS).all()
    return same


def levels_of(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean of each image and its standard deviation, in grey levels, `(num_images,)` each.

    Args:
        grey: Images from `image_matching.brightness`.
    """
    means, deviations = np.empty(len(grey)), np.empty(len(grey))
    for rows in image_matching.batches(len(grey)):
        values = grey[rows]
        means[rows], deviations[rows] = values.mean(axis=(1, 2)), values.std(axis=(1, 2))
    return means, deviations
