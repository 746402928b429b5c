"""What executors ask of Milvus for a part of a publication."""

from __future__ import annotations

import pytest

from latentsearch.errors import InputError
from latentsearch.gallery.manifest import PublishedCodes
from latentsearch.publish import insert

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: requirements-spark.txt")
CODES = PublishedCodes("codes", "euclidean", 0, "flat", {})


class Milvus:
    """Takes so many messages, then none."""

    def __init__(self, takes):
        self.takes, self.asked, self.rows = takes, [], []

    def __call__(self, where):
        return self

    def call(self, method, collection, rows):
        if not self.takes:
            raise InputError("it does not answer")
        self.takes -= 1
        self.asked.append(method)
        if method == "upsert":
            ids = {row["id"] for row in rows}
            self.rows = [row for row in self.rows if row["id"] not in ids]
        self.rows += rows

    def close(self):
        pass


@pytest.fixture
def task(tmp_path, monkeypatch):
    columns = {
        "id": [1, 2, 3],
        "path": [b"a.png", b"b.png", b"c.png"],
        "size": [10, 20, 30],
        "mtime_ns": [1, 2, 3],
        "label": ["cat", None, "dog"],
        "digest": [b"1", b"2", b"3"],
        "code": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
    }
    monkeypatch.setattr(insert, "read_part", lambda contents, number, names: pyarrow.table(columns))
    monkeypatch.setattr(insert, "_WRITTEN", 2)
    return insert._Task("http://fake:1", None, tmp_path, CODES, None)


def test_a_part_is_inserted_once(task, monkeypatch):
    """Of 10 million upserts, each of which deletes first, Milvus 2.3.5 lost 39,357 codes."""
    milvus = Milvus(takes=10)
    monkeypatch.setattr(insert, "MilvusConnection", milvus)

    assert list(task([0])) == [3]
    assert list(task([0])) == [3]  # it is in
    assert milvus.asked == ["insert", "insert"]
    assert [row["id"] for row in milvus.rows] == [1, 2, 3]


def test_a_part_that_was_begun_is_upserted_so_that_no_image_is_there_twice(task, monkeypatch):
    milvus = Milvus(takes=1)
    monkeypatch.setattr(insert, "MilvusConnection", milvus)

    with pytest.raises(InputError):
        list(task([0]))
    milvus.takes = 10

    assert list(task([0])) == [3]
    assert milvus.asked == ["insert", "upsert", "upsert"]
    assert sorted(row["id"] for row in milvus.rows) == [1, 2, 3]
