"""The work of an executor that encodes: parts that are there are kept, and what failed is tried by the next job."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed: requirements-spark.txt")

import pyarrow

from fuzzing.colours import MeanColours, make_photos
from latentsearch.errors import InputError
from latentsearch.publish import encode, storage


@pytest.fixture
def frame(tmp_path):
    """Six files, one of which is not there."""
    make_photos(tmp_path / "photos", 5)
    paths = [*sorted((tmp_path / "photos").rglob("*.png")), tmp_path / "photos/later.png"]
    rows = [{"path": os.fsencode(path), "size": 1, "mtime_ns": 2, "ctime_ns": 3, "inode": 4} for path in paths]
    return pyarrow.RecordBatch.from_pylist([row | {"id": number} for number, row in enumerate(rows)])


def run(tmp_path, frame, encoder, token="job", folder=None):
    task = encode._Task(tmp_path / "parts", folder, "crop", "mean colours", lambda: encoder, token)
    [counted] = task(iter([frame]))
    return counted.to_pydict()["count"]


def results(tmp_path):
    rows = [row for path in (tmp_path / "parts").glob("*.parquet") for row in storage.read_table(path).to_pylist()]
    return sorted(((row["id"], row["reason"], row["code"] is not None) for row in rows), key=str)


def test_a_task_that_is_tried_again_keeps_what_is_whole(frame, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "_PART", 4)
    encoder = MeanColours()
    assert run(tmp_path, frame, encoder) == [6]
    assert encoder.num_coded == 5
    expected = [(number, None, True) for number in range(5)] + [(5, "missing", False)]
    assert results(tmp_path) == expected
    assert len(list((tmp_path / "parts").glob("*.parquet"))) == 2
    assert run(tmp_path, frame, encoder) == [6]
    assert encoder.num_coded == 5
    assert results(tmp_path) == expected


def test_the_next_job_tries_what_failed(frame, tmp_path):
    run(tmp_path, frame.slice(5), MeanColours(), token="first")
    assert results(tmp_path) == [(5, "missing", False)]
    (tmp_path / "photos/a/1.png").rename(tmp_path / "photos/later.png")
    run(tmp_path, frame.slice(5), MeanColours(), token="second")
    assert results(tmp_path) == [(5, "missing", False), (5, None, True)]


def test_another_encoder_or_storage_that_is_not_shared_is_told(frame, tmp_path):
    other = MeanColours()
    other.fingerprint = "another"
    with pytest.raises(InputError, match="another encoder than the one"):
        run(tmp_path, frame, other)
    with pytest.raises(InputError, match=r"does not see .*nowhere: it must be on shared storage"):
        run(tmp_path, frame, MeanColours(), folder=tmp_path / "nowhere")
    assert not (tmp_path / "parts").exists()
