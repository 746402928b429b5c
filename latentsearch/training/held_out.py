"""The validation images that a training looks at."""

from __future__ import annotations

import numpy as np

from latentsearch.data import ImageSet, drawn

_MAX_IMAGES, _MAX_IMAGE_BYTES = 5000, 2**28


def validation_ids(dataset: ImageSet) -> np.ndarray:
    """Returns the ids of the validation images that are looked at, in random order: at most 5,000, and 256 MB."""
    size = int(np.prod(dataset.image_shape))
    return drawn(dataset.ids("validation"), min(_MAX_IMAGES, _MAX_IMAGE_BYTES // size))
