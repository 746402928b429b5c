"""The 1,797 handwritten digits of scikit-learn: real, and on every machine that has scikit-learn."""

from __future__ import annotations

import numpy as np

from latentsearch.data.imageset import SPLITS
from latentsearch.data.source import SourceImages

_SIDE = 32
_LEVELS = 16  # pixels are counts from 0 to 16
_TEST_EVERY = 5


def read() -> SourceImages:
    """Read the digits as 32 x 32 x 3 images: each of their 8 x 8 pixels becomes a block of 4 x 4.

    Every fifth image of each class is test: 355 images, and 1,442 for the gallery.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    levels = np.rint(digits.images * (255 / _LEVELS)).astype(np.uint8)  # (1797, 8, 8)
    block = _SIDE // levels.shape[1]
    images = levels.repeat(block, axis=1).repeat(block, axis=2)[..., None].repeat(3, axis=3)
    split = np.zeros(len(images), dtype=np.uint8)
    for label in range(10):
        split[np.flatnonzero(digits.target == label)[_TEST_EVERY - 1 :: _TEST_EVERY]] = SPLITS.index("test")
    return SourceImages(
        images=images,
        labels=digits.target.astype(np.int64),
        split=split,
        class_names=tuple(str(digit) for digit in range(10)),
        kind="digits",
        origin="scikit-learn load_digits",
    )
