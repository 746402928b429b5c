"""A preparation of a folder that was interrupted: what was there stays, what was read is not read again."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentsearch import data
from latentsearch.data import ingest
from latentsearch.data.image_files import ImageFileError
from latentsearch.data.images import read_file
from tests.data.folders import fill, many, prepare


@pytest.fixture
def photos(tmp_path):
    return tmp_path / "photos"


class Killed(BaseException):
    """Ends a preparation, as Ctrl-C would."""


def interrupted_after(count, monkeypatch):
    """Makes the reading of files stop after as many; returns the list of those that were read."""
    read = []

    def reading(path, *arguments, **keywords):
        if len(read) >= count:
            raise Killed
        read.append(Path(path).name)
        return read_file(path, *arguments, **keywords)

    monkeypatch.setattr(ingest, "_NUM_THREADS", 1)
    monkeypatch.setattr(ingest, "_CHUNK", 4)
    monkeypatch.setattr(ingest, "read_file", reading)
    return read


def test_an_interrupted_preparation_goes_on_where_it_stopped(photos, monkeypatch):
    fill(photos, many(30))
    (photos / "001.png").write_bytes(b"")
    for number in (2, 20):
        (photos / f"{number:03}.png").unlink()
        Image.fromarray(np.full((8, 8), 40.0 * number, np.float32)).save(photos / f"{number:03}.png", "TIFF")
    straight = prepare(photos, root=photos.parent / "straight")
    interrupted_after(11, monkeypatch)
    with pytest.raises(Killed):
        prepare(photos)
    read = interrupted_after(100, monkeypatch)
    dataset = prepare(photos)
    assert read == many(30)[8:]  # two chunks of four were finished
    assert dataset.fingerprint == straight.fingerprint
    assert dataset.paths == straight.paths
    assert dataset.provenance.skipped == {"empty": 1}
    assert dataset.provenance.scaled_by_range == {"float": 2}
    assert {path.name for path in dataset.folder.glob("[!.]*")} == {
        "images.npy",
        "labels.npy",
        "split.npy",
        "paths.json",
    }


@pytest.mark.parametrize(
    ("damage", "changes"),
    [
        (lambda photos, work: os.utime(photos / "005.png", (1, 1)), {}),
        (lambda photos, work: (photos / "000.png").unlink(), {}),
        (lambda photos, work: fill(photos, ["more.png"]), {}),
        (lambda photos, work: None, {"image_size": 16}),
        (lambda photos, work: None, {"fit": "stretch"}),
        (lambda photos, work: (work / "images.npy").unlink(), {}),
        (lambda photos, work: (work / "images.npy").write_bytes(b"short"), {}),
        (lambda photos, work: (work / "journal.jsonl").write_text("[]\n"), {}),
    ],
)
def test_a_journal_of_other_files_or_another_form_is_not_gone_on_with(damage, changes, photos, monkeypatch):
    fill(photos, many(30))
    interrupted_after(9, monkeypatch)
    with pytest.raises(Killed):
        prepare(photos)
    damage(photos, photos.parent / "data" / "photos" / "unfinished")
    read = interrupted_after(100, monkeypatch)
    dataset = prepare(photos, **changes)
    assert read == sorted(path.name for path in photos.iterdir())
    assert len(dataset.images) == len(read)


def test_half_a_line_and_half_a_chunk_are_cut_off(photos, monkeypatch):
    fill(photos, many(30))
    straight = prepare(photos, root=photos.parent / "straight")
    interrupted_after(9, monkeypatch)
    with pytest.raises(Killed):
        prepare(photos)
    work = photos.parent / "data" / "photos" / "unfinished"
    for name, half in (("images.npy", b"x" * 100), ("journal.jsonl", b'{"files": 12, "ima')):
        with open(work / name, "ab") as file:
            file.write(half)
    read = interrupted_after(21, monkeypatch)
    with pytest.raises(Killed):
        prepare(photos)
    assert read[0] == "008.png"
    interrupted_after(100, monkeypatch)
    assert prepare(photos).fingerprint == straight.fingerprint


def test_stopped_at_any_change_of_the_disk_the_old_or_the_new_dataset_is_there(photos, monkeypatch):
    """As test_datasets kills with kill -9, in one process, which is faster: nothing cleans up after a folder."""
    monkeypatch.setattr(ingest, "_CHUNK", 8)
    old = prepare(fill(photos, many(30)))
    fill(photos, ["more.png"])
    new = prepare(photos, root=photos.parent / "new").fingerprint
    found = [old.fingerprint]
    for step in range(60):
        count = 0

        def counted(operation, step=step):
            def wrapped(*arguments, **keywords):
                nonlocal count
                count += 1
                if count == step + 1:
                    raise Killed
                return operation(*arguments, **keywords)

            return wrapped

        with monkeypatch.context() as patch:
            for holder, name in (
                (np, "save"), (os, "fsync"), (os, "truncate"), (shutil, "rmtree"), (pathlib.Path, "rename"),
                (pathlib.Path, "replace"), (pathlib.Path, "write_text"), (pathlib.Path, "write_bytes"),
                (pathlib.Path, "unlink"), (pathlib.Path, "rmdir"),
            ):  # fmt: skip
                patch.setattr(holder, name, counted(getattr(holder, name)))
            try:
                prepare(photos)
                break
            except Killed:
                pass
        dataset = data.load(photos.parent, "photos")
        data.verify(dataset)
        assert len(dataset.paths) == len(dataset.images)
        found.append(dataset.fingerprint)
    else:
        pytest.fail("never came to its end")
    assert len(found) > 15
    assert set(found) == {old.fingerprint, new}
    assert data.load(photos.parent, "photos").fingerprint == new
    assert len(list((photos.parent / "data" / "photos").glob("[!.]*"))) == 3  # dataset.json, skipped.csv and one folder


@pytest.mark.slow
def test_after_kill_9_while_files_are_read_it_goes_on(photos, killed_at):
    straight = prepare(fill(photos, many(60)), root=photos.parent / "straight")
    program = f"""
from pathlib import Path
from latentsearch import data as datasets
from latentsearch.config import PrepareConfig
from latentsearch.data import ingest as decoding
decoding._CHUNK = 8
KILL_HERE
datasets.prepare(PrepareConfig(source={str(photos)!r}, image_size=8, root=Path({str(photos.parent)!r})))
"""
    journal, done = photos.parent / "data" / "photos" / "unfinished" / "journal.jsonl", 0
    for step in range(7, 60):  # until one kill comes after a chunk
        assert killed_at(step, program)
        lines = journal.read_text().splitlines() if journal.exists() else []
        done = json.loads(lines[-1])["files"] if len(lines) > 1 else 0
        if done:
            break
    assert 0 < done < 60
    assert prepare(photos).fingerprint == straight.fingerprint


def test_the_header_of_the_images_has_room_for_any_number(tmp_path):
    journal = ingest._Journal(tmp_path / "work", "listing", (8, 8, 3))
    lengths = Counter()
    for number in (0, 1, 10**6, 10**12):
        journal.num_images = number
        lengths[len(journal._header())] += 1
    assert len(lengths) == 1


def test_what_could_not_be_read_is_read_again_by_the_next_preparation(photos, monkeypatch):
    fill(photos, many(30))
    interrupted_after(11, monkeypatch)

    def failing(path, *arguments, read=ingest.read_file, **keywords):
        if Path(path).name == "005.png":
            raise ImageFileError(path, "too little memory")
        return read(path, *arguments, **keywords)

    monkeypatch.setattr(ingest, "read_file", failing)
    with pytest.raises(Killed):
        prepare(photos)
    read = interrupted_after(100, monkeypatch)
    assert prepare(photos).paths == tuple(many(30))
    assert read == many(30)[4:]  # from the chunk of that file on
