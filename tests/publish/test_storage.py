"""Parquet files of a publication: whole or told to be damaged, and only ours are deleted."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed: requirements-spark.txt")

from latentsearch.errors import InputError
from latentsearch.publish import storage
from latentsearch.publish.storage import Workspace, batches, slices_of

ROW = {"id": 7, "path": b"/\xff.png", "size": 3, "mtime_ns": 4, "ctime_ns": 5, "inode": -6, "digest": b"1" * 32}


def test_rows_come_back_and_what_they_lack_is_empty(tmp_path):
    code = np.arange(4, dtype=np.float32)
    storage.write_rows(tmp_path / "part.parquet", [ROW | {"code": code}, ROW])
    first, second = storage.read_table(tmp_path / "part.parquet").to_pylist()
    assert first == ROW | {"code": code.tolist(), "label": None, "reason": None, "detail": None}
    assert second["code"] is None


def test_each_byte_that_changes_is_noticed_or_changes_nothing(tmp_path):
    path = tmp_path / "part.parquet"
    rows = [ROW | {"id": number, "code": np.full(4, number, np.float32)} for number in range(50)]
    storage.write_rows(path, rows)
    whole, expected, noticed = path.read_bytes(), storage.read_table(path), 0
    for position in range(0, len(whole), 23):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        try:
            found = storage.read_table(path)
        except InputError:
            noticed += 1
        else:
            assert found.equals(expected), position
    assert noticed > 20


def test_a_damaged_file_of_ours_is_deleted_and_one_of_another_is_not(tmp_path):
    ours, theirs = tmp_path / "ours.parquet", tmp_path / "theirs.parquet"
    storage.write_rows(ours, [ROW])
    assert storage._removed(str(ours)) == 0
    for path in (ours, theirs):
        path.write_bytes(b"PAR1 and no more")
        storage._removed(str(path))
    assert not ours.exists()
    assert theirs.exists()


def test_what_is_whole_elsewhere_is_deleted_and_nothing_else(tmp_path):
    workspace = Workspace(tmp_path / "published")
    for folder in (workspace.listing, workspace.parts("x"), workspace.contents("old"), workspace.contents("new")):
        storage.write_rows(folder / "part.parquet", [ROW])
    (workspace.contents("old") / "mine.txt").write_text("of the user")
    workspace.keep_only("new")
    assert [path.name for path in workspace.all_contents()] == ["new", "old"]
    assert [path.name for path in workspace.contents("old").glob("[!.]*")] == ["mine.txt"]
    assert (workspace.contents("new") / "part.parquet").exists()
    assert not workspace.listing.exists()


def test_batches_and_slices():
    assert list(batches(iter(range(5)), 2)) == [[0, 1], [2, 3], [4]]
    assert [slices_of(count, 10) for count in (0, 1, 10, 11)] == [1, 1, 1, 2]
    assert storage.escaped("/a[1]/{b}*.parquet") == r"/a\[1\]/\{b\}\*.parquet"
