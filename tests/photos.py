"""A folder of images of one colour each, and an encoder that sees nothing but the colour."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

from latentsearch.gallery.folder import gallery_path
from latentsearch.gallery.sync import sync
from latentsearch.runs import Run
from latentsearch.search.corpus import FolderCollection


class MeanColours:
    """Stands for an autoencoder: the code of an image is its mean colour. Counts what it codes."""

    image_shape, latent_dim, fingerprint = (8, 8, 3), 3, "mean colours"

    def __init__(self) -> None:
        self.num_coded = 0

    def encode(self, images: np.ndarray, ids: np.ndarray | None = None, *, progress: bool = False) -> np.ndarray:
        self.num_coded += len(images)
        return images.mean(axis=(1, 2)).astype(np.float32)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return np.tile(codes[:, None, None] / 255, (1, 8, 8, 1))


class LoggedColours(MeanColours):
    """Takes its time, and leaves a file for each call: how many images it coded, below the name of the executor."""

    def __init__(self, log: Path, seconds: float = 0.0) -> None:
        super().__init__()
        self._log, self._seconds = log, seconds

    def encode(self, images: np.ndarray, ids: np.ndarray | None = None, *, progress: bool = False) -> np.ndarray:
        folder = self._log / Path.cwd().name  # each executor works in a folder of its own
        folder.mkdir(parents=True, exist_ok=True)
        (folder / uuid.uuid4().hex).write_text(str(len(images)))
        time.sleep(self._seconds)
        return super().encode(images, ids, progress=progress)


def make_photos(folder: Path, num_images: int) -> None:
    """Writes PNG files of 20 x 10 pixels, named by their number, to two folders below `folder`."""
    for number in range(num_images):
        path = folder / ("a" if number % 2 else "b/c") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (number * 240 // num_images, 100, 255 - number * 240 // num_images)).save(path)


def photo_collection(root: Path, num_images: int) -> FolderCollection:
    """A collection of such images; `root` becomes that of a run "photos"."""
    make_photos(root / "photos", num_images)
    run = Run(root, "photos")
    run.models.mkdir(parents=True)
    run.build_record.write_text(json.dumps({"dataset": {}}))
    path = gallery_path(run.folder_galleries, root / "photos")
    return FolderCollection(run, MeanColours(), sync(path, root / "photos", MeanColours())[0])
