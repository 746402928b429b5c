"""What every source of images hands over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SourceImages:
    """Images as a source has them, before they are split.

    Args:
        images: uint8 `(num_images, height, width, 3)`.
        labels: int `(num_images,)`, positions in `class_names`.
        is_test: bool `(num_images,)`, true for the images kept for the final test.
        class_names: One name a class.
        kind: What --source calls it: "cifar10" or "digits".
        origin: Where they came from, in words.
    """

    images: np.ndarray
    labels: np.ndarray
    is_test: np.ndarray
    class_names: tuple[str, ...]
    kind: str
    origin: str
