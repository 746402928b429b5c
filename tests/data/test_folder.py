"""A folder of image files as a source: classes, splits, what is skipped, and going on after an interruption."""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tyro

from latentsearch import data
from latentsearch.config import PrepareConfig
from latentsearch.data import SPLITS, preparation
from latentsearch.data.images import read_image
from latentsearch.data.imageset import pieces
from latentsearch.errors import InputError
from tests.data.folders import fill, many, picture, prepare


@pytest.fixture
def photos(tmp_path):
    return tmp_path / "photos"


def split_of(dataset):
    """Name of the split by path."""
    return {path: SPLITS[number] for path, number in zip(dataset.paths, dataset.split, strict=True)}


def test_every_image_is_that_of_its_path_and_a_flat_folder_has_no_labels(photos):
    dataset = prepare(fill(photos, many(40)))
    assert dataset.class_names == ()
    assert not dataset.is_labelled
    assert (dataset.labels == -1).all()
    assert list(dataset.class_of(dataset.ids("test"))) == [""] * 4
    assert (dataset.same_class(np.arange(2), np.arange(6).reshape(2, 3)) == -1).all()
    assert list(dataset.paths) == many(40)
    for row, path in enumerate(dataset.paths):
        np.testing.assert_array_equal(dataset.images[row], read_image(photos / path, (8, 8, 3)))
    assert np.bincount(dataset.split).tolist() == [32, 4, 4]
    assert data.class_counts(dataset) == {"all": {"train": 32, "validation": 4, "test": 4}}


@pytest.mark.parametrize(
    ("paths", "labels", "expected"),
    [
        (["a/1.png", "b/2.png", "a/deep/3.png"], "auto", ("a", "b")),
        (["a/1.png", "b/2.png", "3.png"], "auto", ()),
        (["a/1.png", "a/b/2.png", "a/c/3.png"], "auto", ()),
        (["a/1.png", "b/2.png", "a/3.png"], "none", ()),
        (["train/a/1.png", "val/b/2.png", "test/a/3.png"], "auto", ("a", "b")),
        (["train/1.png", "validation/2.png", "test/3.png"], "auto", ()),
        (["train/a/1.png", "val/2.png", "test/b/3.png"], "auto", ()),
        (["train/a/1.png", "test/b/2.png", "more/3.png"], "auto", ("more", "test", "train")),
        (["val/a/1.png", "test/b/2.png", "test/3.png"], "auto", ("test", "val")),
    ],
)
def test_classes_are_the_first_folders_if_every_image_lies_in_one(paths, labels, expected, photos):
    top = next(iter(paths)).partition("/")[0]
    fill(photos, [*paths, *(f"{paths[0]}-{number}.png" for number in range(30)), *many(8, f"{top}/a/x")])
    dataset = prepare(photos, labels=labels)
    assert dataset.class_names == expected
    for path, label in zip(dataset.paths, dataset.labels, strict=True):
        assert label == -1 if not expected else expected[label] in path.split("/")[:2]


def test_the_splits_of_the_folder_are_kept_and_those_it_lacks_held_out_of_train(photos):
    fill(photos, [*many(20, "train/a/"), *many(20, "train/b/"), *many(7, "test/a/"), *many(3, "val/b/")])
    assert {(path.partition("/")[0], split) for path, split in split_of(prepare(photos)).items()} == {
        ("train", "train"),
        ("test", "test"),
        ("val", "validation"),
    }
    shutil.rmtree(photos / "val")
    counts = data.class_counts(prepare(photos))
    assert counts["a"] == {"train": 18, "validation": 2, "test": 7}
    assert counts["b"] == {"train": 18, "validation": 2, "test": 0}
    shutil.rmtree(photos / "test")
    dataset = prepare(photos, test_fraction=0.2, validation_fraction=0.25)
    assert data.class_counts(dataset)["b"] == {"train": 12, "validation": 4, "test": 4}


@pytest.mark.parametrize(
    "names",
    [("train", "valid", "test"), ("Train", "VAL", "Test"), ("TRAIN", "dev", "eval"), ("training", "val", "testing")],
)
def test_splits_are_known_by_the_names_that_people_give_them(names, photos):
    fill(photos, [path for name in names for kind in ("cat", "dog") for path in many(6, f"{name}/{kind}/")])
    dataset = prepare(photos)
    assert dataset.class_names == ("cat", "dog")
    expected = dict(zip(names, ("train", "validation", "test"), strict=True))
    assert {(path.partition("/")[0], split) for path, split in split_of(dataset).items()} == set(expected.items())
    assert "WARNING" not in dataset.provenance.origin


def test_an_accent_makes_one_class_however_it_is_written(photos):
    composed, apart = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    fill(photos, [*many(20, f"{composed}/"), *many(20, f"{apart}/"), *many(20, "tea/")])
    dataset = prepare(photos)
    assert dataset.class_names == (composed, "tea")
    assert {path.partition("/")[0] for path in dataset.paths} == {composed, apart, "tea"}  # as they are on the disk


def test_a_split_among_the_classes_is_told(photos):
    fill(photos, [path for name in ("Train", "test", "more") for path in many(20, f"{name}/")])
    assert "WARNING: a split is taken for a class, as Train, more, test are not" in prepare(photos).provenance.origin


def test_the_split_follows_content_and_seed_not_names(photos):
    fill(photos, many(60))
    before = prepare(photos)
    images_of = [
        {dataset.images[i].tobytes() for i in dataset.ids("test")} for dataset in (before, prepare(photos, seed=1))
    ]
    assert images_of[0] != images_of[1]
    for number, path in enumerate(sorted(photos.iterdir())):
        path.rename(photos / f"renamed-{(number * 7) % 60:03}.png")
    after = prepare(photos)
    assert before.content == after.content
    assert before.fingerprint != after.fingerprint
    assert {after.images[i].tobytes() for i in after.ids("test")} == images_of[0]


@pytest.mark.parametrize("seed", range(5))
def test_equal_images_fall_into_one_split_whatever_their_class(seed, photos):
    copies = [f"{number % 15}={'ab'[number // 15 % 2]}/{number}.png" for number in range(60)]  # each four times
    blank = [f"99=a/blank-{number}.png" for number in range(20)]
    dataset = prepare(fill(photos, [*copies, *blank, *many(20, "a/"), *many(20, "b/")]), seed=seed)
    splits = {}
    for image, split in zip(dataset.images, dataset.split, strict=True):
        splits.setdefault(image.tobytes(), set()).add(int(split))
    assert all(len(found) == 1 for found in splits.values())
    assert splits[picture(99).tobytes()] == {0}  # too many to be held out
    assert 6 <= len(dataset.ids("test")) <= 12


def test_classes_too_small_to_give_an_image_are_taken_together(photos):
    fill(photos, [*(f"album-{number}/{k}.png" for number in range(30) for k in range(2)), *many(40, "large/")])
    counts = data.class_counts(prepare(photos))
    assert counts["large"] == {"train": 32, "validation": 4, "test": 4}
    small = [splits for name, splits in counts.items() if name != "large"]
    assert sum(splits["test"] for splits in small) == 6
    assert sum(splits["validation"] for splits in small) == 5


def test_what_cannot_be_used_is_counted_and_listed(photos):
    fill(photos, many(30))
    (photos / "sub").mkdir()
    for name, content in {
        "empty.png": b"",
        "text.jpg": b"no image",
        "half.png": (photos / "000.png").read_bytes()[:60],
        "sub/notes.txt": b"notes",
        "line\nbreak.png": b"x",
    }.items():
        (photos / name).write_bytes(content)
    Path(os.fsdecode(os.fsencode(photos) + b"/\xff.gif")).write_bytes(b"")
    (photos / "gone.png").symlink_to(photos / "nowhere.png")
    dataset = prepare(photos)
    assert dataset.provenance.skipped == {
        "not an image": 2,
        "empty": 2,
        "missing": 1,
        "another type of file": 1,
        "damaged": 1,
    }
    with open(photos.parent / "data" / "photos" / "skipped.csv", encoding="utf-8", newline="") as file:
        rows = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert rows == {
        "empty.png": "empty",
        "text.jpg": "not an image",
        "half.png": "damaged",
        "sub/notes.txt": "another type of file",
        r"line\nbreak.png": "not an image",
        r"\xff.gif": "empty",
        "gone.png": "missing",
    }
    assert list(dataset.paths) == many(30)


def test_names_of_any_bytes_survive(photos):
    fill(photos, many(20, "a/"))
    strange = os.fsdecode(os.fsencode(photos) + b"/b\n\xff")
    fill(Path(strange), ["\u732b\t.png"])
    dataset = prepare(photos)
    assert dataset.class_names == ("a", r"b\n\xff")
    assert (photos / dataset.paths[-1]).is_file()
    assert dataset.paths[-1].encode("utf-8", "surrogateescape") == b"b\n\xff/\xe7\x8c\xab\t.png"


def test_a_folder_above_a_copy_of_cifar10_names_the_copy(cifar_copy, tmp_path_factory):
    with pytest.raises(InputError, match=rf"no image that can be used(?s:.*)give --source {cifar_copy}\."):
        data.prepare(
            PrepareConfig(source=str(cifar_copy.parent), root=tmp_path_factory.mktemp("root"), dataset="above")
        )


@pytest.mark.parametrize(
    ("paths", "changes", "message"),
    [
        ([], {}, "no image that can be used.\nthere are no files"),
        (["a.txt", "b.txt"], {}, "skipped: 2 files, another type of file: 2 .txt"),
        (
            many(2),
            {},
            r"(?s)2 images, 2 of them different, make 1 train, 0 validation, 1 test.*--test-fraction.*--gallery",
        ),
        (many(1), {}, r"1 image, 1 of them different, make 1 train, 0 validation, 0 test"),
        ([f"7={path}" for path in many(40)], {}, "40 images, 1 of them different"),
        (many(30), {"image_size": 50}, "--image-size 50: expected a multiple of 8"),
        (many(30), {"image_size": 0}, "--image-size 0"),
        (many(30), {"image_size": 4096}, "--image-size 4096"),
        (many(30), {"test_fraction": 1.0}, "--test-fraction 1.0"),
        (many(30), {"labels": "folders"}, "000.png lies in no folder of a class"),
        (many(30, "a/"), {"labels": "folders"}, "all lie in one folder, a"),
        (many(30), {"source": "digits"}, "--image-size is for folders"),
        (many(30), {"dataset": "../up"}, "--dataset"),
    ],
)
def test_folders_and_flags_that_cannot_be_are_refused(paths, changes, message, photos):
    photos.mkdir()
    fill(photos, [path for path in paths if not path.endswith(".txt")])
    for path in paths:
        if path.endswith(".txt"):
            (photos / path).write_text("text")
    with pytest.raises(InputError, match=message):
        prepare(photos, **changes)
    assert not (photos.parent / "data" / "photos" / "dataset.json").exists()


@pytest.mark.parametrize(("name", "expected"), [("My photos (2)", "My-photos-2"), ("digits", None), ("\u732b", None)])
def test_a_dataset_is_called_as_its_folder(name, expected, tmp_path):
    folder = fill(tmp_path / name, many(20))
    if expected:
        assert prepare(folder, dataset=None).name == expected
    else:
        with pytest.raises(InputError, match="--dataset NAME"):
            prepare(folder, dataset=None)


def test_the_command_that_prepares_it_again_gives_the_same_flags(photos, monkeypatch):
    fill(photos, many(40, "a/") + many(40, "b b/"))
    monkeypatch.chdir(photos.parent)
    changes = {"fit": "pad", "labels": "folders", "test_fraction": 0.2, "validation_fraction": 0.3, "seed": 3}
    dataset = prepare(Path("photos"), root=photos.parent, **changes)
    assert dataset.fit == "pad"
    command = data.prepare_command(photos.parent, "photos", dataset.provenance)
    _, script, *arguments = shlex.split(command)
    assert script == "DataPreperation.py"
    again = tyro.cli(PrepareConfig, args=arguments)
    expected = {"source": str(photos), "dataset": "photos", "image_size": 8, "root": photos.parent}
    assert again == PrepareConfig(**expected, **changes)
    table = dataset.folder / "paths.json"
    table.write_text('{"paths": ["one.png"]}')
    with pytest.raises(InputError, match=r"does not name 80 files(?s:.)*--labels folders"):
        _ = data.load(photos.parent, "photos").paths


def test_pieces_are_the_array(tmp_path, monkeypatch):
    monkeypatch.setattr("latentsearch.data.imageset._PIECE_BYTES", 500)
    images = np.random.default_rng(0).integers(0, 256, (13, 4, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    for array, expected in ((images, images), (mapped, images), (mapped[3:9], images[3:9])):
        starts, parts = zip(*pieces(array), strict=True)
        assert [len(part) for part in parts[:-1]] == [5] * (len(parts) - 1)
        assert list(starts) == list(range(0, len(array), 5))
        np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_of_few_images_a_shipped_encoder_is_advised(photos, monkeypatch):
    dataset = prepare(fill(photos, many(12)))
    assert data.advice(dataset)[-1].endswith(f"python RetrieveSimilar.py --run photos --gallery {photos}")
    monkeypatch.setattr(preparation, "FEW_IMAGES", len(dataset.ids("train")))
    assert not data.advice(dataset)


@pytest.mark.parametrize("count", [3, 4, 5, 6, 9, 12])
def test_of_a_handful_each_split_gets_an_image(count, photos):
    dataset = prepare(fill(photos, many(count)))
    assert [len(dataset.ids(split)) for split in data.SPLITS] == [count - 2, 1, 1]
