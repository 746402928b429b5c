"""Preparing: exact arrays, disjoint splits, and every kind of bad input refused without loss."""

from __future__ import annotations

import io
import itertools
import json
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from latentsearch import data
from latentsearch.config import PrepareConfig
from latentsearch.data import SPLITS, cifar10
from latentsearch.data.splits import fingerprint
from latentsearch.errors import InputError
from tests.conftest import IMAGES_PER_BATCH, batch_content


def prepare(source, root, **changes):
    return data.prepare(PrepareConfig(source=str(source), root=root, **changes))


def test_arrays_come_back_exactly(cifar_copy, tmp_path):
    dataset = prepare(cifar_copy, tmp_path)
    expected = [batch_content(number) for number in range(6)]
    for number, batch in enumerate(expected):
        rows = slice(number * IMAGES_PER_BATCH, (number + 1) * IMAGES_PER_BATCH)
        np.testing.assert_array_equal(dataset.labels[rows], batch[b"labels"])
        channels_first = dataset.images[rows].transpose(0, 3, 1, 2).reshape(IMAGES_PER_BATCH, -1)
        np.testing.assert_array_equal(channels_first, batch[b"data"])
    assert dataset.images.dtype == np.uint8
    assert isinstance(dataset.images, np.memmap)
    assert dataset.class_names == cifar10.CLASS_NAMES


def test_splits_are_disjoint_stratified_and_cover_everything(digits_root):
    dataset = data.load(digits_root, "digits")
    parts = [set(dataset.ids(name)) for name in SPLITS]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert set.union(*parts) == set(range(1797))
    for counts in data.class_counts(dataset).values():
        assert counts["validation"] == round(0.1 * (counts["train"] + counts["validation"]))


def test_the_seed_decides_the_split(digits_root):
    first = data.load(digits_root, "digits").ids("validation")
    again = prepare("digits", digits_root).ids("validation")
    other = prepare("digits", digits_root, seed=1).ids("validation")
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_order_changes_the_fingerprint_but_neither_content_nor_split(cifar_copy, tmp_path):
    one = prepare(cifar_copy, tmp_path / "one")
    first, second = (cifar_copy / name for name in list(cifar10.OFFICIAL_MD5)[:2])
    swapped = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(swapped)
    other = prepare(cifar_copy, tmp_path / "other")
    assert one.fingerprint != other.fingerprint
    assert one.content == other.content
    np.testing.assert_array_equal(one.split[:20], other.split[20:40])


def test_images_reach_the_network_as_float32_between_0_and_1(digits_root):
    dataset = data.load(digits_root, "digits")
    images = data.to_float(dataset.images)
    assert images.dtype == np.float32
    assert images.min() == 0
    assert images.max() == 1
    np.testing.assert_array_equal(np.rint(images * 255), dataset.images)
    assert "(355, 32, 32, 3) float32 in [0.000, 1.000], no NaN" in data.verify(dataset)[-1]
    with pytest.raises(ValueError, match="uint8"):
        data.to_float(images)


def archive_of(folder, path, *, without=()):
    with tarfile.open(path, "w:gz") as archive:
        for file in sorted(folder.iterdir()):
            if file.name not in without:
                archive.add(file, f"{cifar10.FOLDER}/{file.name}")
    return path


def accept(path, monkeypatch):
    import hashlib

    monkeypatch.setattr(cifar10, "ARCHIVE_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_the_archive_gives_what_the_folder_gives(cifar_copy, tmp_path, monkeypatch):
    archive = accept(archive_of(cifar_copy, tmp_path / cifar10.ARCHIVE), monkeypatch)
    assert prepare(archive, tmp_path / "a").fingerprint == prepare(cifar_copy, tmp_path / "b").fingerprint


def test_an_archive_that_is_not_official_is_refused(cifar_copy, tmp_path):
    with pytest.raises(InputError, match=r"(?s)not the official.*SHA-256.*Download it again"):
        prepare(archive_of(cifar_copy, tmp_path / cifar10.ARCHIVE), tmp_path)


def test_an_archive_without_a_batch_or_cut_short_is_refused(cifar_copy, tmp_path, monkeypatch):
    archive = accept(archive_of(cifar_copy, tmp_path / "a.tar.gz", without=("data_batch_3",)), monkeypatch)
    with pytest.raises(InputError, match="no cifar-10-batches-py/data_batch_3"):
        prepare(archive, tmp_path)
    archive = archive_of(cifar_copy, tmp_path / "b.tar.gz")
    archive.write_bytes(archive.read_bytes()[:3000])
    accept(archive, monkeypatch)
    with pytest.raises(InputError, match=r"cannot be unpacked|truncated or damaged"):
        prepare(archive, tmp_path)


class Harmful:
    """Unpickles to a call of os.system."""

    def __reduce__(self):
        return os.system, ("touch harmed",)


def damaged_batches():
    whole = pickle.dumps(batch_content(0), protocol=2)
    content = batch_content(0)
    objects = np.array([None] * IMAGES_PER_BATCH, dtype=object)
    return {
        "empty": (b"", "truncated or damaged"),
        "truncated": (whole[: len(whole) // 2], "truncated or damaged"),
        "not a pickle": (b"\x89PNG\r\n" * 100, "truncated or damaged"),
        "code": (pickle.dumps(Harmful()), "does not need"),
        "object array": (pickle.dumps({**content, b"data": objects}), "not allowed"),
        "a list": (pickle.dumps([1, 2]), "its images are NoneType"),
        "missing key": (pickle.dumps({b"labels": []}), "its images are NoneType"),
        "wrong shape": (pickle.dumps({**content, b"data": content[b"data"][:, :100]}), r"uint8 \(20, 100\)"),
        "wrong type": (pickle.dumps({**content, b"data": content[b"data"].astype(np.int8)}), "int8"),
        "few labels": (pickle.dumps({**content, b"labels": [1]}), "20 labels from 0 to 9"),
        "label 10": (pickle.dumps({**content, b"labels": [10] * IMAGES_PER_BATCH}), "20 labels from 0 to 9"),
        "text labels": (pickle.dumps({**content, b"labels": ["a"] * IMAGES_PER_BATCH}), "whole numbers"),
        "changed labels": (pickle.dumps({**content, b"labels": [3] * IMAGES_PER_BATCH}), "as many of each"),
        "too large": (b"\0" * (2 * IMAGES_PER_BATCH * cifar10.IMAGE_BYTES + 1), "not a batch of CIFAR-10"),
    }


@pytest.mark.parametrize("kind", damaged_batches())
def test_a_damaged_batch_is_refused_and_what_was_prepared_stays(kind, cifar_copy, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "_MAX_BATCH_BYTES", 2 * IMAGES_PER_BATCH * cifar10.IMAGE_BYTES)
    monkeypatch.chdir(tmp_path)
    before = prepare(cifar_copy, tmp_path).fingerprint
    content, message = damaged_batches()[kind]
    (cifar_copy / "data_batch_2").write_bytes(content)
    with pytest.raises(InputError, match=message):
        prepare(cifar_copy, tmp_path, seed=5)
    assert data.load(tmp_path, "cifar10").fingerprint == before
    assert not Path("harmed").exists()


def test_a_missing_batch_is_named(cifar_copy, tmp_path):
    (cifar_copy / "data_batch_4").unlink()
    with pytest.raises(InputError, match=r"data_batch_4 is missing"):
        prepare(cifar_copy, tmp_path)


def test_old_and_new_pickle_protocols_are_read(cifar_copy, tmp_path):
    before = prepare(cifar_copy, tmp_path).fingerprint
    for protocol in range(5):
        for number, name in enumerate(cifar10.OFFICIAL_MD5):
            (cifar_copy / name).write_bytes(pickle.dumps(batch_content(number), protocol=protocol))
        assert prepare(cifar_copy, tmp_path).fingerprint == before


def test_without_a_network_the_message_says_what_to_do(tmp_path, monkeypatch):
    import keras

    def fail():
        raise OSError("URL fetch failure: no route to host")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fail)
    with pytest.raises(InputError) as error:
        prepare("cifar10", tmp_path)
    for part in ("no route to host", "cs.toronto.edu", "--source PATH/TO/cifar-10-python.tar.gz", "--source digits"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "nowhere"}, "nothing is there"),
        ({"source": __file__}, "something else"),
        ({"source": "digits", "validation_fraction": 1.5}, "more than 0 and less than 1"),
        ({"source": "digits", "validation_fraction": 0.9999}, "every split needs at least one"),
        ({"source": "digits", "dataset": "../up"}, "--dataset"),
        ({"source": "digits", "dataset": ""}, "--dataset"),
    ],
)
def test_flags_that_cannot_be_are_refused(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        data.prepare(PrepareConfig(root=tmp_path, **changes))


def test_a_dataset_that_is_missing_or_damaged_names_the_command(digits_root):
    with pytest.raises(InputError, match=r"python DataPreperation.py --root"):
        data.load(digits_root, "cifar10")
    with pytest.raises(InputError, match=r"python DataPreperation.py --source PATH --dataset photos --root"):
        data.load(digits_root, "photos")
    folder = next(path for path in (digits_root / "data" / "digits").iterdir() if path.is_dir())
    (folder / "images.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match=r"(?s)damaged.*--source digits"):
        data.load(digits_root, "digits")
    np.save(folder / "images.npy", np.zeros((3, 32, 32, 3), dtype=np.uint8))
    with pytest.raises(InputError, match=r"(?s)damaged.*expected 3 numbers"):
        data.load(digits_root, "digits")
    record = digits_root / "data" / "digits" / "dataset.json"
    record.write_text('{"folder": 3}')
    with pytest.raises(InputError, match=r"(?s)dataset.json: .*--source digits"):
        data.load(digits_root, "digits")
    record.write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        data.load(digits_root, "digits")


def test_a_failure_while_writing_leaves_what_was_there(digits_root, monkeypatch):
    before = data.load(digits_root, "digits")

    def full_disk(*arguments, **keywords):
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "save", full_disk)
    for seed in (0, 7):
        with pytest.raises(InputError, match=r"images\.npy cannot be written"):
            prepare("digits", digits_root, seed=seed)
        assert data.load(digits_root, "digits").fingerprint == before.fingerprint
    assert len(list((digits_root / "data" / "digits").glob("[!.]*"))) == 2  # dataset.json and one folder


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_kill_at_any_change_of_the_disk_leaves_the_old_or_the_new_dataset(seed, digits_root, killed_at):
    """Prepared again as it was (seed 0), or with another split (seed 1)."""
    program = (
        "from pathlib import Path; from latentsearch import data; from latentsearch.config import PrepareConfig;"
        f"config = PrepareConfig(source='digits', seed={seed}, root=Path({str(digits_root)!r}));"
        "KILL_HERE; data.prepare(config)"
    )
    found = [data.load(digits_root, "digits").fingerprint]
    for step in range(40):
        killed = killed_at(step, program)
        dataset = data.load(digits_root, "digits")
        data.verify(dataset)
        arrays = {name: np.asarray(getattr(dataset, name)) for name in ("images", "labels", "split")}
        assert fingerprint(arrays, dataset.class_names) == dataset.fingerprint
        found.append(dataset.fingerprint)
        if not killed:
            break
    assert not killed
    assert len(found) > 8
    changes = sum(before != after for before, after in itertools.pairwise(found))
    assert changes == seed
    assert len(list((digits_root / "data" / "digits").glob("[!.]*"))) == 2  # dataset.json and one folder


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", None, b"\x93NUMPY\x01\x00\x04\x00{'a(", b"\x80\x04N."])
def test_arrays_that_are_none_are_refused(content, digits_root):
    packed = io.BytesIO()
    np.savez(packed, images=np.zeros(3))
    folder = next(path for path in (digits_root / "data" / "digits").iterdir() if path.is_dir())
    (folder / "labels.npy").write_bytes(packed.getvalue() if content is None else content)
    with pytest.raises(InputError, match=r"(?s)damaged.*--source digits"):
        data.load(digits_root, "digits")


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"class_names": "0123456789"}, "class_names"),
        ({"class_names": [[]] * 10}, r"class_names\[0\]"),
        ({"fingerprint": 5}, "fingerprint"),
        ({"content": ["a"], "fit": "bend"}, "content|fit"),
        ({"seed": 0.5}, "seed"),
    ],
)
def test_a_record_with_odd_values_is_refused(changes, place, digits_root):
    path = digits_root / "data" / "digits" / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(InputError, match=rf"(?s)dataset.json: ({place}): .*--source digits"):
        data.load(digits_root, "digits")


def test_changed_files_in_a_folder_are_told(cifar_copy, tmp_path, monkeypatch):
    import hashlib

    md5 = {name: hashlib.md5((cifar_copy / name).read_bytes()).hexdigest() for name in cifar10.OFFICIAL_MD5}
    monkeypatch.setattr(cifar10, "OFFICIAL_MD5", md5)
    assert prepare(cifar_copy, tmp_path).provenance.origin == f"folder {cifar10.FOLDER}, hashes verified"
    (cifar_copy / "data_batch_5").write_bytes(pickle.dumps(batch_content(77), protocol=2))
    assert "not the official files: data_batch_5" in prepare(cifar_copy, tmp_path).provenance.origin
