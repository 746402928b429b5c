"""Small folders of images, for tests."""

from __future__ import annotations

import numpy as np
from PIL import Image

from latentsearch import data
from latentsearch.config import PrepareConfig


def picture(number, side=8):
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)


def fill(folder, paths):
    """Writes an image of its own to each path; of equal numbers before a "=" equal images, as in "7=a/b.png"."""
    for number, path in enumerate(paths):
        seed, _, name = path.rpartition("=")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(int(seed) if seed else 1000 + number)).save(folder / name)
    return folder


def many(count, where=""):
    return [f"{where}{number:03}.png" for number in range(count)]


def prepare(folder, **changes):
    config = {"source": str(folder), "image_size": 8, "root": folder.parent, "dataset": "photos"} | changes
    return data.prepare(PrepareConfig(**config))
