"""Datasets that are opened while they are prepared anew: readers see the old or the new one."""

from __future__ import annotations

import multiprocessing
import re
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path

import numpy as np
import pytest

from latentsearch import data
from latentsearch.config import PrepareConfig
from latentsearch.data import storage
from latentsearch.data.imageset import pieces, read_rows
from latentsearch.data.splits import fingerprint
from latentsearch.errors import InputError
from tests.data.folders import fill, many

_PREPARATIONS = 25
_LOADS = 400


def prepare(root: Path, seed: int) -> data.ImageSet:
    config = {"source": str(root / "photos"), "dataset": "photos", "image_size": 8, "seed": seed}
    return data.prepare(PrepareConfig(root=root, **config))


def whole(dataset: data.ImageSet) -> str:
    """The fingerprint of what is read from a dataset."""
    assert len(dataset.paths) == len(dataset.images)
    images = np.concatenate([part for _, part in pieces(dataset.images)])
    arrays = {"images": images, "labels": np.asarray(dataset.labels), "split": np.asarray(dataset.split)}
    return fingerprint(arrays, dataset.class_names)


@pytest.fixture
def root(tmp_path):
    fill(tmp_path / "photos", many(30, "train/a/"))
    return tmp_path


def test_a_dataset_that_is_replaced_while_it_is_opened_is_the_new_one(root, monkeypatch):
    prepare(root, 0)
    opened, new = storage.open_record, []

    def replaced_first(*arguments):
        if not new:
            new.append(None)
            new[0] = prepare(root, 1)
        return opened(*arguments)

    monkeypatch.setattr(storage, "open_record", replaced_first)
    assert data.load(root, "photos").fingerprint == new[0].fingerprint


def test_a_dataset_that_is_replaced_after_it_was_opened_is_the_old_one(root):
    old = prepare(root, 0)
    expected = old.fingerprint
    assert prepare(root, 1).fingerprint != expected
    assert not old.folder.exists()
    assert whole(old) == expected


def test_a_dataset_whose_arrays_are_gone_is_damaged(root):
    dataset = prepare(root, 0)
    (dataset.folder / "labels.npy").unlink()
    with pytest.raises(InputError, match="damaged"):
        data.load(root, "photos")


def read_on(root: Path, known: set[str], ready: Semaphore, ended: Event, counts: multiprocessing.Queue) -> None:
    seen: list[str] = []
    ready.release()
    while len(seen) < _LOADS and not (seen and ended.is_set()):
        seen.append(whole(data.load(root, "photos")))
        assert seen[-1] in known
    counts.put((len(seen), len(set(seen))))


@pytest.mark.slow
def test_processes_that_load_beside_one_that_prepares_see_the_old_or_the_new(root):
    known = {prepare(root, seed).fingerprint for seed in (0, 1)}
    context = multiprocessing.get_context("spawn")
    ready, ended, counts = context.Semaphore(0), context.Event(), context.Queue()
    readers = [context.Process(target=read_on, args=(root, known, ready, ended, counts)) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in readers:
        assert ready.acquire(timeout=120)
    for number in range(_PREPARATIONS):
        prepare(root, number % 2)
    ended.set()
    for reader in readers:
        reader.join(timeout=120)
    assert [reader.exitcode for reader in readers] == [0, 0]
    assert sum(counts.get()[0] for _ in readers) > 0


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="this system does not tell which pages are held")
def test_rows_of_a_mapped_file_are_read_without_holding_its_memory(tmp_path):
    path = tmp_path / "images.npy"
    images = np.random.default_rng(0).integers(0, 256, (500, 32, 32, 3), np.uint8)
    np.save(path, images)
    mapped = np.load(path, mmap_mode="r")

    def held() -> int:
        maps = Path("/proc/self/smaps").read_text().split(str(path), 1)[1]
        return int(re.search(r"Rss:\s+(\d+) kB", maps)[1])

    assert mapped.sum() == images.sum()
    assert held() > 1000
    ids = np.array([0, 7, 499, 7])
    np.testing.assert_array_equal(read_rows(mapped, ids), images[ids])
    assert held() == 0
    np.testing.assert_array_equal(mapped, images)
    np.testing.assert_array_equal(read_rows(images, ids), images[ids])
