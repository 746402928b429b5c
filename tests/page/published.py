"""A page of what was published, without a server: the store answers from memory, with the ids of a server."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from latentsearch import files
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.manifest import Manifest, PublishedCodes, id_of
from latentsearch.page.api import Handlers
from latentsearch.page.app import make_app
from latentsearch.page.code_map import CodeMap
from latentsearch.runs import Run
from latentsearch.search.published import PublishedCorpus
from tests.page.pages import RedAndBlue, pixels

NUM_SAMPLED = 12  # of the thirty images


class StoreInMemory:
    """Stands for a `PublishedStore` of the images of a folder, published for euclidean distances."""

    metrics, look = ("euclidean",), None

    def __init__(self, folder: Path, encoder: RedAndBlue) -> None:
        paths = sorted(folder.rglob("*.png"))
        ids = [id_of(os.fsencode(path)) for path in paths]
        images = np.stack([pixels(path.read_bytes())[:8, :8] for path in paths])
        codes = encoder.encode(images)
        self.everything = Gallery(codes, np.array(ids), np.empty((0, 2, 2)), np.empty(0), encoder.fingerprint, {})
        chosen = np.sort(np.random.default_rng(0).permutation(len(ids))[:NUM_SAMPLED])
        self.sample = self.everything.only(np.array(ids)[chosen])
        self._rows = {
            one: {"id": one, "path": str(path), "label": path.parent.name, "digest": files.file_fingerprint(path)}
            for one, path in zip(ids, paths, strict=True)
        }
        codes_of = PublishedCodes("codes", "euclidean", 0, "flat", {})
        self.manifest = Manifest(
            "photos", "", "", "colours", encoder.fingerprint, "crop", 2, None, len(ids), ("blue", "red"), (codes_of,)
        )
        self.place = "photos at http://here"
        self.asked: list[int] = []  # ids of each time that rows were looked up

    def rows(self, ids):
        ids = list(ids)
        self.asked.append(len(ids))
        return {one: self._rows[one] for one in ids if one in self._rows}

    def of_content(self, digest):
        return [row for row in self._rows.values() if row["digest"] == digest]

    def count(self, only):
        return self.manifest.num_codes

    def search(self, codes, k, *, metric, exclude=None, only=()):
        assert metric in self.metrics
        return self.everything.ask(codes, k, metric=metric, exclude=exclude)


def make_published_page(root: Path, folder: Path):
    """The corpus, its store, and the application."""
    encoder = RedAndBlue()
    store = StoreInMemory(folder, encoder)
    corpus = PublishedCorpus(Run(root, "colours"), encoder, store)
    code_map = CodeMap(root / "published.npz", corpus.gallery)
    return corpus, store, make_app(Handlers(corpus, ["store: here"], code_map), code_map)
