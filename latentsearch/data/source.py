"""What every source of images hands over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentsearch.data.scan import Skipped


@dataclass(frozen=True)
class SourceImages:
    """Images as a source has them, before any are held out.

    Args:
        images: uint8 `(num_images, height, width, 3)`, in memory, or memory-mapped from the file that is to be kept.
        labels: int `(num_images,)`, positions in `class_names`; all -1 if there are none.
        split: uint8 `(num_images,)`, positions in `SPLITS`. A split without images is held out of train.
        class_names: One name a class; () for images without labels.
        kind: "cifar10", "digits" or "folder".
        origin: Where they came from, in words.
        details: What else dataset.json shall tell of them, by name.
        paths: Of the file of each image, below the folder; () if they are not from files.
        skipped: Files that could not be used.
    """

    images: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    class_names: tuple[str, ...]
    kind: str
    origin: str
    details: Mapping[str, Any] = field(default_factory=dict)
    paths: Sequence[str] = ()
    skipped: Sequence[Skipped] = ()
