"""The gallery: kept codes, when they are made anew, and a file that is never half of one."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from latentsearch import data
from latentsearch.config import PrepareConfig
from latentsearch.data import digits
from latentsearch.gallery import gallery
from latentsearch.gallery.gallery import Gallery
from latentsearch.models.encoder import Autoencoder
from tests.conftest import a_part_of_the_digits


@pytest.fixture
def autoencoder(exported_digits, tmp_path):
    return Autoencoder(tmp_path / "models" / "digits" / "initial.keras")


def test_kept_codes_are_used_until_encoder_or_dataset_change(exported_digits, autoencoder, tmp_path, monkeypatch):
    path = tmp_path / "gallery.npz"
    first, built = gallery.open_or_build(path, exported_digits, autoencoder)
    assert built
    kept, built = gallery.open_or_build(path, exported_digits, autoencoder)
    assert not built
    np.testing.assert_array_equal(first.codes, kept.codes)
    np.testing.assert_array_equal(kept.ids, np.arange(200))
    assert gallery.encoder_of(path) == autoencoder.fingerprint

    monkeypatch.setattr(digits, "read", a_part_of_the_digits)
    other_split = data.prepare(PrepareConfig(source="digits", seed=1, root=tmp_path))
    assert gallery.open_or_build(path, other_split, autoencoder)[1]

    autoencoder.fingerprint = "another encoder"
    assert gallery.open_or_build(path, other_split, autoencoder)[1]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nonsense", None])
def test_a_damaged_file_is_replaced(content, exported_digits, autoencoder, tmp_path):
    path = tmp_path / "gallery.npz"
    whole, _ = gallery.open_or_build(path, exported_digits, autoencoder)
    path.write_bytes(path.read_bytes()[:1000] if content is None else content)
    assert gallery.encoder_of(path) is None
    again, built = gallery.open_or_build(path, exported_digits, autoencoder)
    assert built
    np.testing.assert_array_equal(whole.codes, again.codes)


@pytest.mark.parametrize(
    "changes",
    [
        {"codes": np.zeros((200, 10))},
        {"codes": np.full((200, 10), np.nan, np.float32)},
        {"codes": np.zeros(200, np.float32)},
        {"ids": np.arange(199)},
        {"ids": np.zeros(200, np.float32)},
        {"ids": b"no array"},
        {"ids": b"\x93NUMPY\x01\x00\x04\x00{'a("},
        {"record": np.array("[" * 10_000)},
        {"record": np.array("[1]")},
    ],
)
def test_a_gallery_with_a_damaged_member_is_replaced(changes, exported_digits, autoencoder, tmp_path):
    path = tmp_path / "gallery.npz"
    whole, _ = gallery.open_or_build(path, exported_digits, autoencoder)
    with np.load(path) as arrays:
        members = {name: arrays[name] for name in arrays}
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in (members | changes).items():
            content = io.BytesIO()
            if not isinstance(member, bytes):
                np.save(content, member)
            archive.writestr(f"{name}.npy", member if isinstance(member, bytes) else content.getvalue())
    again, built = gallery.open_or_build(path, exported_digits, autoencoder)
    assert built
    np.testing.assert_array_equal(whole.codes, again.codes)


def test_ask_and_only():
    codes = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    whole = Gallery(codes, np.arange(50), np.zeros((0, 2, 3), np.float32), np.zeros(0, np.float32), "encoder", {})
    even = whole.only(np.arange(0, 50, 2))
    found = even.ask(codes[:4], 5, metric="euclidean", exclude=np.arange(4))
    distances = cdist(codes[:4], codes)
    distances[:, 1::2] = np.inf
    distances[np.arange(4), np.arange(4)] = np.inf
    np.testing.assert_array_equal(found.ids, np.argsort(distances, axis=1)[:, :5])
    assert not (found.ids % 2).any()
    np.testing.assert_array_equal(whole.code_of(np.array([7, 3])), codes[[7, 3]])
    with pytest.raises(KeyError):
        even.code_of(np.array([3]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("codes", np.zeros((3, 2))),
        ("codes", np.full((3, 2), np.nan, np.float32)),
        ("ids", np.arange(2)),
        ("copies", np.zeros((1, 2, 3), np.float32)),
        ("errors", np.array(["no", "numbers"])),
        ("origin", []),
    ],
)
def test_a_file_of_other_things_is_no_gallery(name, value, tmp_path):
    parts = {"codes": np.zeros((3, 2), np.float32), "ids": np.arange(3), "copies": np.zeros((1, 2, 2), np.float32)}
    parts |= {"errors": np.zeros(1, np.float32), "encoder": "encoder", "origin": {}}
    Gallery(**parts).save(tmp_path / "gallery.npz", more=np.arange(5))
    kept, arrays = gallery.load(tmp_path / "gallery.npz")
    assert kept.encoder == "encoder"
    np.testing.assert_array_equal(arrays["more"], np.arange(5))
    record = '{"encoder": "encoder", "origin": []}' if name == "origin" else '{"encoder": "encoder", "origin": {}}'
    arrays = {key: parts[key] for key in ("codes", "ids", "copies", "errors")} | {"record": np.array(record)}
    if name != "origin":
        arrays[name] = value
    np.savez(tmp_path / "gallery.npz", **arrays)
    assert gallery.load(tmp_path / "gallery.npz") is None
