"""A run whose encoder sees colours alone, and publications by it."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np

from latentsearch.publish.config import PublishConfig
from latentsearch.publish.publish import Publication
from latentsearch.runs import Run
from tests.clusters import MASTER
from tests.photos import LoggedColours


class KindAndLook(LoggedColours):
    """Tells kind (red and green) from look (blue): two codes."""

    kind_dim, fingerprint = 2, "kind and look"

    def encode(self, images, ids=None, *, progress=False):
        return (super().encode(images, ids) / 100).astype(np.float32)


def make_run(root: Path) -> Run:
    """A run "photos" whose images are cropped."""
    run = Run(root, "photos")
    run.models.mkdir(parents=True, exist_ok=True)
    dataset = {"name": "photos", "content": "", "kind": "folder", "seed": 0, "validation_fraction": 0.1}
    run.build_record.write_text(
        json.dumps({"config": {"architecture": "compact"}, "num_weights": 0, "dataset": dataset})
    )
    return run


def publication(root: Path, gallery: Path, address: str, *, encoder=LoggedColours, seconds=0.0, log="log", **flags):
    """A publication as "photos", and the lines that it says."""
    said: list[str] = []
    config = PublishConfig(gallery=gallery, store=address, collection="photos", spark=MASTER, root=root, **flags)
    opening = functools.partial(encoder, root / log, seconds)
    return Publication(config, make_run(root), opening(), opening, said.append), said


def num_encoded(root: Path, log: str = "log") -> int:
    """Images that executors encoded, and this process not."""
    return sum(int(path.read_text()) for path in (root / log).glob("*/*") if path.parent.name != Path.cwd().name)
