"""What is said where a corpus is opened: what was left out, scaled, or unusual."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fuzzing.colours import MeanColours, make_photos
from latentsearch import data, files
from latentsearch.config import OWN_RUN, PHOTOS_RUN
from latentsearch.errors import InputError
from latentsearch.gallery import novelty
from latentsearch.gallery.folder import gallery_path, open_kept
from latentsearch.gallery.published import PublishedStore
from latentsearch.gallery.sync import sync
from latentsearch.models.encoder import Autoencoder
from latentsearch.runs import Run
from latentsearch.search import open as opening
from latentsearch.search.config import RetrieveConfig
from latentsearch.search.open import _skipped
from latentsearch.search.queries import find_queries
from tests.gallery.test_trained_run import make_trained
from tests.photos import photo_corpus


def test_what_is_left_out_is_told(tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    make_photos(photos, 6)
    names = ["1.heic", "2.HEIC", "3.mov", "4.txt", "5.pdf", "6.zip", "7.doc", "\x1b.odd"]
    for name in names:
        (photos / name).write_bytes(b"other")
    (photos / "empty.png").touch()
    (photos / "private").mkdir()
    os.mkfifo(photos / "pipe.png")
    scanned = os.scandir

    def guarded(path):
        if Path(path).name == "private":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scanned(path)

    monkeypatch.setattr(os, "scandir", guarded)
    corpus = photo_corpus(tmp_path, num_images=0)
    assert _skipped(corpus.content) == [
        "skipped: empty.png: empty",
        "skipped: private: unreadable Permission denied",
        "skipped: 8 files, another type of file: 2 .heic, 1 .doc, 1 .mov, 1 .odd, 1 .pdf, 2 other endings",
        "skipped: 1 file, not a file: 1 .png",
    ]


def test_a_store_of_many_keeps_what_two_roots_call_the_same_apart(tmp_path):
    names = []

    def sync(name, *arguments, **options):
        names.append(name)
        return "all"

    store = SimpleNamespace(sync=sync, place="there")
    for root in ("one", "two"):
        corpus = photo_corpus(tmp_path / root, num_images=4)
        for _ in range(2):
            assert opening.fill(store, corpus) == ["store: all (there)"]
    assert names[0] == names[1] != names[2] == names[3]
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    copy = SimpleNamespace(run=Run(tmp_path / "copy", "photos"), compared=None, labels=None, store_name="photos")
    opening.fill(store, copy)
    opening.fill(store, SimpleNamespace(**vars(copy) | {"run": Run(tmp_path / "one", "photos")}))
    assert len(set(names)) == 4


def test_where_the_users_own_run_encodes_a_folder_the_shipped_one_is_named(tmp_path, monkeypatch):
    corpus = SimpleNamespace()
    monkeypatch.setattr(opening, "open_corpus", lambda *arguments, **keywords: (corpus, []))
    for name in (OWN_RUN, PHOTOS_RUN):
        monkeypatch.setattr(opening.runs, "choose", lambda *arguments, name=name, **keywords: name)
        own = RetrieveConfig(gallery=tmp_path, root=tmp_path)
        [line] = opening.open_named(own, None)[1]
        assert (f"--run {PHOTOS_RUN}" in line) == (name == OWN_RUN)
        assert opening.open_named(dataclasses.replace(own, run=name), None)[1] == [f"run: {name}"]


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, ["1 image: too few to tell whether this encoder knows such images"]),
        (49, ["49 images: too few to tell whether this encoder knows such images"]),
        (50, ["50 images are too few to train an encoder of their own; our advice: 2,000"]),
        (2000, ["an encoder of their own may find better neighbours:"]),
    ],
)
def test_of_few_images_it_is_not_told_how_many_are_unusual(count, told, tmp_path, monkeypatch):
    corpus = photo_corpus(tmp_path, num_images=1)
    content = dataclasses.replace(corpus.content, files=corpus.content.files * count)
    monkeypatch.setattr(novelty, "load", lambda *_: None)
    monkeypatch.setattr(novelty, "compare", lambda *_: novelty.Novelty(0.9, 0.9))
    lines = opening._novelty(corpus.run, corpus.autoencoder.fingerprint, content)
    assert [line for line in lines if "these images" not in line and not line.startswith("    ")] == told
    assert any("DataPreperation.py" in line for line in lines) == (count == 2000)


def test_images_that_were_scaled_by_their_own_range_are_told_of_a_folder_and_of_queries(tmp_path):
    photos = tmp_path / "photos"
    make_photos(photos, 6)
    for name, low in (("a", 0.0), ("b", 50.0), ("c", 0.0)):
        ramp = np.linspace(low, 4095, 400, dtype=np.float32).reshape(20, 20)
        Image.fromarray(ramp / (4095 if name == "c" else 1)).save(photos / f"{name}.tif")
    corpus = photo_corpus(tmp_path, num_images=0)
    assert corpus.content.scaled_by_range == {"float": 2}
    path = gallery_path(tmp_path / "models/photos/galleries", photos)
    assert open_kept(path, photos, MeanColours()).scaled_by_range == {"float": 2}
    (photos / "a.tif").unlink()
    assert sync(path, photos, MeanColours())[0].scaled_by_range == {"float": 1}
    queries, _ = find_queries(RetrieveConfig(query=(str(photos / "b.tif"), str(photos / "c.tif"))), corpus)
    assert data.scaled_in_words(queries.scaled_by_range) == [
        "1 image of float pixels has no fixed range: black and white were set by its own values"
    ]


def test_a_gallery_keeps_the_arithmetic_that_it_was_made_in_until_another_is_asked_for(exported_root, tmp_path):
    root, folder = shutil.copytree(exported_root, tmp_path / "root"), tmp_path / "images"
    make_photos(folder, 4)
    run = make_trained(root)

    def opened(precision=None, *, sync=True):
        corpus, lines = opening.open_corpus(root, "digits", folder, sync=sync, precision=precision)
        assert corpus.gallery.encoder == corpus.autoencoder.fingerprint  # queries are encoded as the gallery was
        return corpus.autoencoder.precision, "\n".join(lines)

    precision, told = opened()
    assert (precision, "anew" in told) == ("int8", False)
    precision, told = opened("float32")
    assert (precision, "4 added" in told) == ("float32", True)
    assert "all encoded anew" in told
    for said, keywords in (("4 unchanged, 0 added", {}), ("as it was kept", {"sync": False})):
        precision, told = opened(**keywords)
        assert (precision, said in told) == ("float32", True)
        assert "codes stay in float32" in told
    with pytest.raises(InputError, match=r"another encoder or --encoder-precision"):
        opened("int8", sync=False)
    assert opened("int8")[0] == opened()[0] == opened(sync=False)[0] == "int8"
    corpus, _ = opening.open_corpus(root, "digits", None)
    assert corpus.autoencoder.precision == "float32"
    assert corpus.gallery.encoder == Autoencoder(run.best_model).fingerprint


def test_a_run_whose_checks_failed_is_not_searched_in_silence(exported_root, tmp_path):
    root = shutil.copytree(exported_root, tmp_path / "root")
    run = make_trained(root)
    trained = Autoencoder(run.best_model).trained
    checks = [{"name": "effective rank", "status": "FAIL"}, {"name": "leaks", "status": "WARN"}]
    told = "SanityChecks.py of it: FAIL: effective rank"
    for encoder, found, is_told in ((trained, checks, True), ("another", checks, False), (trained, checks[1:], False)):
        files.write_json(run.reports / "metrics.json", {"encoder": encoder, "checks": found})
        lines = opening.open_corpus(root, "digits", None)[1]
        assert any(line.startswith(told) for line in lines) == is_told


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_queries_of_a_publication_are_encoded_as_its_images_were(precision, exported_digits, tmp_path, monkeypatch):
    model = tmp_path / "models" / "digits" / "initial.keras"
    model.rename(model.with_name("best.keras"))
    encoder = Autoencoder(model.with_name("best.keras"), precision=precision)
    store = object.__new__(PublishedStore)
    store._opened = SimpleNamespace(manifest=SimpleNamespace(encoder=encoder.fingerprint, run="digits"))
    monkeypatch.setattr(opening, "PublishedCorpus", lambda run, autoencoder, store: autoencoder)
    config = RetrieveConfig(root=tmp_path, collection="photos")
    assert opening.open_named(config, store)[0].fingerprint == encoder.fingerprint
