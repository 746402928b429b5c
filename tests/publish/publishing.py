"""A run whose encoder sees colours alone, and publications by it."""

from __future__ import annotations

import functools
import json
import os
from contextlib import closing
from pathlib import Path

import numpy as np

from latentsearch.gallery.manifest import id_of, path_of, read_manifest
from latentsearch.gallery.milvus_client import MilvusConnection
from latentsearch.gallery.published import PublishedStore
from latentsearch.publish.config import PublishConfig
from latentsearch.publish.publish import Publication
from latentsearch.runs import Run
from latentsearch.search.published import PublishedCorpus
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
    flags = {"spark": MASTER} | flags
    config = PublishConfig(gallery=gallery, store=address, collection="photos", root=root, **flags)
    opening = functools.partial(encoder, root / log, seconds)
    return Publication(config, make_run(root), opening(), opening, said.append), said


def num_encoded(root: Path, log: str = "log") -> int:
    """Images that executors encoded, and this process not."""
    return sum(int(path.read_text()) for path in (root / log).glob("*/*") if path.parent.name != Path.cwd().name)


def open_published(root, address, *, look=None, encoder=LoggedColours, metrics=("cosine",)):
    """The publication to be searched: what closes it, and the corpus."""
    store = PublishedStore(address, "photos", metrics, look=look)
    return closing(store), PublishedCorpus(make_run(root), encoder(root / "here"), store)


def paths_in(address, folder):
    """Paths below a folder that the collection holds, each with its id; each once."""
    with closing(MilvusConnection(address)) as milvus:
        [codes] = read_manifest(milvus, "photos")[1].codes
        rows = milvus.call("query", codes.collection, filter="size > 0", limit=1000, output_fields=["id", "path"])
        assert codes.collection in milvus.call("list_collections")
        assert len(milvus.call("list_collections")) == 2
    paths = [path_of(row["path"]) for row in rows]
    assert [int(row["id"]) for row in rows] == [id_of(os.fsencode(path)) for path in paths]
    assert len(set(paths)) == len(paths)
    return {os.fsencode(path.relative_to(folder)) for path in paths}


def on_disk(folder):
    """Paths below a folder of the images that can be read."""
    return {os.fsencode(path.relative_to(folder)) for path in folder.rglob("*.png") if path.name != "bad.png"}
