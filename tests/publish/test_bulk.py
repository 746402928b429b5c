"""Parts that a Milvus server takes in itself from files, each once, whoever fails on the way."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from latentsearch.errors import InputError
from latentsearch.gallery.manifest import PublishedCodes
from latentsearch.publish import bulk, insert
from latentsearch.publish.bulk import BulkFolder
from latentsearch.publish.config import PublishConfig
from latentsearch.publish.publish import publish

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: requirements-spark.txt")
CODES = PublishedCodes("codes", "euclidean", 0, "flat", {})


class Milvus:
    """Takes in files in so many steps, or not at all; `ends` are its answers to what it is asked, once each."""

    where = "http://fake:1"

    def __init__(self, folder, steps=2, fails=False):
        self.folder, self.steps, self.fails, self.tasks, self.ids, self.asked = folder, steps, fails, {}, [], []
        self.ends = False

    def __call__(self, where):
        return self

    def close(self):
        pass

    def call(self, method, collection, rows):
        self.asked.append(method)
        self.ids = [one for one in self.ids if one not in {row["id"] for row in rows}] + [row["id"] for row in rows]

    def bulk(self, method, *arguments):
        if method == "do_bulk_insert":
            self.asked.append(method)
            name = arguments[2][0]
            self.tasks[len(self.tasks)] = SimpleNamespace(
                task_id=len(self.tasks), files=f"[{name}]", left=self.steps, row_count=0, infos={}, failed_reason="no"
            )
            return len(self.tasks) - 1
        if method == "list_bulk_insert_tasks":
            return list(self.tasks.values())
        if self.ends:
            raise InputError("it does not answer")
        task = self.tasks[arguments[0]]
        task.left -= 1
        if task.left == 0 and not self.fails:
            from pyarrow import parquet

            table = parquet.read_table(self.folder / task.files.strip("[]").removeprefix("its/"))
            assert table.column("code").to_pylist() == [[1, 0], [0, 1], [1, 1]]
            assert table.column("path").to_pylist()[0] == "a.png"
            self.ids += table.column("id").to_pylist()
        task.state_name = "Started" if task.left > 0 else "Failed and cleaned" if self.fails else "Completed"
        return task


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A part of three images, to be sent by a task: its Milvus, a function that makes the task, and the folder."""
    columns = {
        "id": [1, 2, 3],
        "path": [b"a.png", b"b.png", b"c.png"],
        "size": [10, 20, 30],
        "mtime_ns": [1, 2, 3],
        "label": ["cat", None, "dog"],
        "digest": [b"1", b"2", b"3"],
        "code": pyarrow.array([[1, 0], [0, 1], [1, 1]], pyarrow.list_(pyarrow.float32())),
    }
    monkeypatch.setattr(insert, "read_part", lambda contents, number, names: pyarrow.table(columns))
    monkeypatch.setattr(bulk, "_ASKED_EVERY", 0)
    folder, marks = tmp_path / "bulk", tmp_path / "marks"
    folder.mkdir()
    marks.mkdir()
    milvus = Milvus(folder)
    monkeypatch.setattr(insert, "MilvusConnection", milvus)

    def task(*, in_bulk=True):
        return insert._Task("http://fake:1", None, marks, CODES, None, BulkFolder(folder, "its") if in_bulk else None)

    return milvus, task, folder


def test_a_part_is_taken_in_once_and_its_file_deleted(made):
    milvus, task, folder = made
    assert list(task()([0])) == [3]
    assert list(task()([0])) == [3]
    assert milvus.asked == ["do_bulk_insert"]
    assert milvus.ids == [1, 2, 3]
    assert list(folder.rglob("*.parquet")) == []


@pytest.mark.parametrize("in_bulk", [True, False])
def test_what_a_server_was_at_when_all_ended_is_waited_for_and_not_sent_again(made, in_bulk):
    milvus, task, _ = made
    milvus.ends = True
    with pytest.raises(InputError, match="does not answer"):
        list(task()([0]))
    milvus.ends = False
    assert list(task(in_bulk=in_bulk)([0])) == [3]
    assert milvus.asked == ["do_bulk_insert"]
    assert milvus.ids == [1, 2, 3]


def test_what_a_server_cannot_take_in_is_told_and_can_be_sent(made):
    milvus, task, _ = made
    milvus.fails = True
    with pytest.raises(InputError, match=r"take in its/codes/000000\.parquet: no\. It must read --bulk-folder"):
        list(task()([0]))
    assert list(task(in_bulk=False)([0])) == [3]
    assert milvus.asked == ["do_bulk_insert", "upsert"]
    assert milvus.ids == [1, 2, 3]


def test_a_part_of_which_rows_were_sent_goes_on_by_rows(made):
    milvus, task, _ = made
    assert list(task(in_bulk=False)([0])) == [3]
    for mark in task().marks.glob("*.json"):  # killed before it was written
        mark.unlink()
    assert list(task()([0])) == [3]
    assert milvus.asked == ["insert", "upsert"]
    assert milvus.ids == [1, 2, 3]


def test_a_server_that_makes_no_progress_is_not_waited_for(made, monkeypatch):
    _, task, _ = made
    monkeypatch.setattr(bulk, "_WITHOUT_PROGRESS", -1)
    with pytest.raises(InputError, match="has made no progress with a bulk insert"):
        list(task()([0]))


@pytest.mark.parametrize(("left", "stuck"), [(2, False), (10**9, True)])
def test_a_server_that_was_killed_at_it_never_ends_it(made, monkeypatch, left, stuck):
    milvus, task, _ = made
    monkeypatch.setattr(bulk, "_STUCK", 0.05)
    milvus.ends, milvus.steps = True, left
    with pytest.raises(InputError, match="does not answer"):
        list(task()([0]))
    milvus.ends = False
    assert insert.was_begun_in_bulk(task().marks)
    assert bulk.is_stuck(milvus, "codes") is stuck


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"bulk_name": "key"}, "--bulk-name key: it names --bulk-folder for Milvus"),
        ({"bulk_folder": "nowhere"}, "--bulk-folder .*nowhere: there is no such folder"),
    ],
)
def test_flags_that_do_not_fit_are_refused(tmp_path, flags, message):
    flags = {name: tmp_path / value if name == "bulk_folder" else value for name, value in flags.items()}
    with pytest.raises(InputError, match=message):
        publish(PublishConfig(gallery=tmp_path, store="http://x:1", collection="photos", root=tmp_path, **flags))
