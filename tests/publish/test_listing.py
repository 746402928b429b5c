"""Listing of a folder in parts of bounded size; a part of it that cannot be read stops it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed: requirements-spark.txt")

from fuzzing.colours import make_photos
from latentsearch.data.scan import Skipped, find_images
from latentsearch.errors import InputError
from latentsearch.gallery.manifest import id_of
from latentsearch.publish import listing, storage


def test_a_folder_is_listed_in_parts_with_ids_and_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "_ROWS", 4)
    make_photos(tmp_path / "photos", 10)
    (tmp_path / "photos/notes.txt").write_text("of the user")
    shutil.copy(tmp_path / "photos/a/1.png", tmp_path / "photos" / os.fsdecode(b"\xff.png"))
    assert listing.write(None, tmp_path / "photos", tmp_path / "listing") == {"another type of file": 1}
    parts = [storage.read_table(path).to_pylist() for path in sorted((tmp_path / "listing").glob("*.parquet"))]
    assert [len(part) for part in parts] == [4, 4, 3]
    found = {row["path"]: row for part in parts for row in part}
    assert set(found) == {os.fsencode(path) for path in (tmp_path / "photos").rglob("*.png")}
    for path, row in found.items():
        status = Path(os.fsdecode(path)).stat()
        assert (row["id"], row["size"], row["mtime_ns"]) == (id_of(path), status.st_size, status.st_mtime_ns)


def test_a_folder_that_cannot_be_read_stops_it(tmp_path, monkeypatch):
    make_photos(tmp_path / "photos", 4)
    found = [*find_images(tmp_path / "photos"), Skipped("b", "unreadable", "Input/output error")]
    monkeypatch.setattr(listing, "find_images", lambda folder: iter(found))
    with pytest.raises(InputError, match=r"photos/b cannot be read \(Input/output error\): nothing is published"):
        listing.write(None, tmp_path / "photos", tmp_path / "listing")


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="there is no such folder, list of paths, or Parquet file"):
        listing.write(None, tmp_path / "nothing", tmp_path / "listing")
