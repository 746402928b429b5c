"""A collection that follows a gallery: only what changed is compared, and every interruption is mended by the next."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsearch.gallery import milvus_mirror, store_record
from latentsearch.gallery.milvus_mirror import Mirror
from latentsearch.gallery.store_record import StoreRecord


class Killed(Exception):
    """Stands for the end of the process."""


class Milvus:
    """Rows of one collection, by the calls that a mirror makes; it can end before the nth of those that write."""

    def __init__(self):
        self.rows, self.calls, self.writes_left = {}, [], None

    def load(self, collection):
        pass

    def call(self, method, collection, data=None, **options):
        self.calls.append((method, options))
        if method in ("upsert", "delete"):
            if self.writes_left == 0:
                raise Killed
            self.writes_left = None if self.writes_left is None else self.writes_left - 1
        if method == "upsert":
            self.rows |= {row["id"]: row for row in data}
        elif method == "delete":
            for one in options["ids"]:
                del self.rows[one]
        elif method == "get":
            return [self.rows[one] for one in options["ids"] if one in self.rows]
        elif options["output_fields"] == ["count(*)"]:
            return [{"count(*)": len(self.rows)}]
        else:
            low, high = re.fullmatch(r"id >= (\d+)(?: and id < (\d+))?", options["filter"]).groups()
            found = [row for one, row in self.rows.items() if int(low) <= one < int(high or 1e18)]
            return found[: options["limit"]]

    def compared(self):
        """How many rows were read to be compared since the last time."""
        calls, self.calls = self.calls, []
        return sum(len(options["ids"]) for method, options in calls if method == "get")

    def holds(self):
        return {one: (row["label"], *row["code"]) for one, row in self.rows.items()}


def follow(milvus, ids, seed, folder, *, verify=False, created="1"):
    """Bring the collection up to the codes of a seed; returns what it should hold, and the counts."""
    ids = np.array(sorted(ids), np.int64)
    labels, vectors = ids % 3 + seed % 2, np.outer(ids + 1, [1, seed]).astype(np.float32)
    record = StoreRecord(folder, "http://host", "codes", created) if folder else None
    counts, count = Mirror(milvus, "codes", ids, labels, vectors, record).bring_up_to_date(verify=verify)
    assert count == len(ids)
    expected = {int(one): (int(label), *map(float, vector)) for one, label, vector in zip(ids, labels, vectors)}
    return expected, counts


@pytest.fixture
def small_blocks(monkeypatch):
    for module in (milvus_mirror, store_record):
        monkeypatch.setattr(module, "BLOCK", 4)
    monkeypatch.setattr(milvus_mirror, "_WRITTEN", 3)
    monkeypatch.setattr(milvus_mirror, "_READ", 5)


ids_of_all = st.integers(0, 30)
foreign = st.none() | st.tuples(ids_of_all, st.booleans())  # an id that others delete, or change
killed = st.none() | st.integers(0, 4)
one_step = st.tuples(st.sets(ids_of_all, min_size=1), st.integers(0, 3), killed, st.booleans(), foreign)


def meddle(milvus, one, deletes):
    """What others do to a collection."""
    if deletes:
        milvus.rows.pop(one, None)
    elif one in milvus.rows:
        milvus.rows[one] = milvus.rows[one] | {"code": [-1.0, -1.0]}


@pytest.mark.usefixtures("small_blocks")
@settings(max_examples=100, deadline=None)
@given(steps=st.lists(one_step, min_size=1, max_size=5), recorded=st.booleans())
def test_whatever_was_interrupted_the_next_call_that_ends_leaves_the_gallery(steps, recorded):
    milvus = Milvus()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "records" if recorded else None
        for ids, seed, writes, verify, others in steps:
            milvus.writes_left = writes
            if others:
                meddle(milvus, *others)
            for again in (False, True):
                try:
                    expected, counts = follow(milvus, ids, seed, folder, verify=verify and not again)
                except Killed:
                    milvus.writes_left = None
                    continue
                if verify or not others or others[1] or not recorded:  # else nobody can know
                    assert milvus.holds() == expected
                else:
                    follow(milvus, ids, seed, folder, verify=True)
                assert sum(counts[:3]) == len(expected)
                break
        assert follow(milvus, ids, seed, folder)[1] == (len(ids), 0, 0, 0)


@pytest.mark.usefixtures("small_blocks")
def test_what_a_killed_call_left_is_found_without_comparing_all(tmp_path):
    milvus = Milvus()
    follow(milvus, range(20), 1, tmp_path)
    milvus.writes_left = 0
    with pytest.raises(Killed):
        follow(milvus, {*range(18), 20, 21, 22}, 1, tmp_path)
    milvus.writes_left = None
    milvus.compared()
    assert follow(milvus, {*range(18), 20, 21, 22}, 1, tmp_path)[1] == (18, 3, 0, 2)
    assert milvus.compared() == 2 + 3


@pytest.mark.usefixtures("small_blocks")
def test_only_blocks_that_changed_are_compared(tmp_path):
    milvus = Milvus()
    assert follow(milvus, range(40), 1, tmp_path)[1] == (0, 40, 0, 0)
    assert milvus.compared() == 0  # there was nothing
    assert follow(milvus, range(40), 1, tmp_path)[1] == (40, 0, 0, 0)
    assert milvus.compared() == 0
    assert follow(milvus, {*range(38), 40, 41}, 1, tmp_path)[1] == (38, 2, 0, 2)
    assert milvus.compared() == 2 + 2
    assert follow(milvus, range(8), 1, tmp_path)[1] == (8, 0, 0, 32)
    assert milvus.compared() == 0
    assert follow(milvus, range(8), 1, None)[1] == (8, 0, 0, 0)
    assert milvus.compared() == 8  # without a record


@pytest.mark.usefixtures("small_blocks")
def test_what_others_changed_is_mended_where_the_count_tells_and_by_verify(tmp_path):
    milvus = Milvus()
    follow(milvus, range(20), 1, tmp_path)
    del milvus.rows[7]
    milvus.rows[99] = milvus.rows[3] | {"id": 99}
    del milvus.rows[3]
    expected, counts = follow(milvus, range(20), 1, tmp_path)
    assert counts == (18, 2, 0, 1)
    assert milvus.holds() == expected
    milvus.rows[2] = milvus.rows[2] | {"code": [0.0, 0.0]}
    expected, counts = follow(milvus, range(20), 1, tmp_path, verify=True)
    assert milvus.holds() == expected
    assert counts[2] == 1


@pytest.mark.usefixtures("small_blocks")
def test_a_record_of_another_collection_or_a_damaged_one_says_nothing(tmp_path):
    milvus = Milvus()
    follow(milvus, range(20), 1, tmp_path)
    milvus.rows[2] = milvus.rows[2] | {"code": [0.0, 0.0]}
    assert follow(milvus, range(20), 1, tmp_path, created="2")[1] == (19, 0, 1, 0)
    [path] = tmp_path.glob("*.json")
    for text in ("{", "[]", "{}", '{"where": 1}', path.read_text().replace('"blocks"', '"others"')):
        path.write_text(text)
        milvus.compared()
        follow(milvus, range(20), 1, tmp_path, created="2")
        assert milvus.compared() == 20
