"""A corpus of images of one colour each, and an encoder that logs what it encodes."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

import numpy as np

from fuzzing.colours import MeanColours, make_photos
from latentsearch.gallery.folder import gallery_path
from latentsearch.gallery.sync import sync
from latentsearch.runs import Run
from latentsearch.search.folder_corpus import FolderCorpus


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


def photo_corpus(root: Path, num_images: int) -> FolderCorpus:
    """A corpus of such images; `root` becomes that of a run "photos"."""
    make_photos(root / "photos", num_images)
    run = Run(root, "photos")
    run.models.mkdir(parents=True)
    dataset = {"name": "photos", "content": "", "kind": "folder", "seed": 0, "validation_fraction": 0.1}
    record = {"config": {"architecture": "compact"}, "num_weights": 0, "dataset": dataset}
    run.build_record.write_text(json.dumps(record))
    path = gallery_path(run.folder_galleries, root / "photos")
    return FolderCorpus(run, MeanColours(), sync(path, root / "photos", MeanColours())[0])
