"""The validation images that a training looks at: some of every class, and no more than fit into memory."""

from __future__ import annotations

from typing import Literal

import numpy as np

from latentsearch.data import ImageSet, drawn

_MAX_IMAGES, _MAX_COPIED = 5000, 2000
_MAX_BYTES = 2**28


def validation_ids(
    dataset: ImageSet, most: int | None = None, *, how: Literal["first", "drawn"] = "drawn", item_bytes: int = 1
) -> np.ndarray:
    """Returns the ids of validation images: at most so many, and as many as 256 MB hold.

    Args:
        dataset: The images.
        most: Number of ids, at most. Default: 5,000.
        how: "drawn", in random order; or the "first", as trainings of older versions did.
        item_bytes: Bytes of each number of an image where it is held: 1 of uint8, 4 of float32.
    """
    ids = dataset.ids("validation")
    held = _MAX_BYTES // (item_bytes * int(np.prod(dataset.image_shape)))
    most = min(_MAX_IMAGES if most is None else most, held)
    return drawn(ids, most) if how == "drawn" else ids[:most]


def num_copied(dataset: ImageSet) -> int:
    """Counts the validation images of which copies are looked for: the first of `validation_ids`."""
    return len(validation_ids(dataset, _MAX_COPIED, item_bytes=4))
