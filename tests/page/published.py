"""A page of what was published, without a server, with the ids of one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from latentsearch import files
from latentsearch.gallery import published
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.index import as_compared
from latentsearch.gallery.manifest import id_of
from latentsearch.gallery.published import PublishedStore
from latentsearch.page.api import Handlers
from latentsearch.page.app import make_app
from latentsearch.page.code_map import CodeMap
from latentsearch.runs import Run
from latentsearch.search.published import PublishedCorpus
from tests.gallery.fake_milvus import FakeMilvus
from tests.gallery.test_manifest import manifest
from tests.page.pages import RedAndBlue, pixels

NUM_SAMPLED = 12  # of the thirty images


def publish(folder: Path, encoder: RedAndBlue) -> tuple[FakeMilvus, Gallery]:
    """Publishes the images of a folder for cosine distances, with a sample of them; returns all of their codes too."""
    paths = sorted(folder.rglob("*.png"))
    codes = encoder.encode(np.stack([pixels(path.read_bytes())[:8, :8] for path in paths]))
    ids = [id_of(os.fsencode(path)) for path in paths]
    rows = [
        {"id": one, "path": str(path), "label": path.parent.name, "digest": files.file_fingerprint(path)}
        | {"code": code.tolist(), "size": 1, "mtime_ns": 1}
        for one, path, code in zip(ids, paths, as_compared(codes, metric="cosine"), strict=True)
    ]
    chosen = np.sort(np.random.default_rng(0).permutation(len(ids))[:NUM_SAMPLED]).tolist()
    sample = [{"id": n, "image": ids[row], "code": [*codes[row], 0.0, 0.0]} for n, row in enumerate(chosen)]
    milvus, fields = FakeMilvus(), {"latent_dim": 2, "num_codes": len(ids), "classes": ("blue", "red")}
    of = manifest(("cosine", 0.0), run="colours", encoder=encoder.fingerprint, **fields)
    milvus.publish(of, "catalogue", rows, sample)
    return milvus, Gallery(codes, np.array(ids), np.empty((0, 2, 2)), np.empty(0), encoder.fingerprint, {})


def make_published_page(root: Path, folder: Path):
    """The corpus, its Milvus, all of its codes, and the application."""
    encoder = RedAndBlue()
    milvus, everything = publish(folder, encoder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "MilvusConnection", lambda where: milvus)
        store = PublishedStore(milvus.where, "photos")
    corpus = PublishedCorpus(Run(root, "colours"), encoder, store)
    code_map = CodeMap(root / "published.npz", corpus.gallery)
    return corpus, milvus, everything, make_app(Handlers(corpus, ["store: here"], code_map), code_map)
