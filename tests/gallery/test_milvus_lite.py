"""Milvus Lite, a file: what every store must do, interruptions, a second process, and who can reach it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("pymilvus", reason="pymilvus is not installed: requirements-milvus.txt")
pytest.importorskip("milvus_lite", reason="milvus-lite is not installed: requirements-milvus.txt")

from latentsearch.errors import InputError
from latentsearch.gallery.milvus_store import MilvusStore
from tests.gallery.listening import addresses_of
from tests.gallery.milvus_faults import fill_command
from tests.gallery.store_contract import METRICS, StoreContract, changed, check_answers, labels_for, random_gallery

pytestmark = pytest.mark.engines


class TestMilvusLite(StoreContract):
    @pytest.fixture
    def open_store(self, tmp_path):
        records = tmp_path / "records"
        return lambda *metrics: closing(MilvusStore(str(tmp_path / "codes.db"), metrics or METRICS, records))

    @pytest.fixture(scope="class")
    def open_for_class(self, tmp_path_factory):
        path = tmp_path_factory.mktemp("class") / "codes.db"
        return lambda *metrics: closing(MilvusStore(str(path), metrics or METRICS))


@pytest.mark.parametrize(
    ("before", "die_at"),
    [
        ("nothing", "create_collection:0"),
        ("nothing", "create_index:0"),
        ("nothing", "upsert:0"),
        ("nothing", "upsert:3"),
        ("encoder", "upsert:0"),
        ("another encoder", "drop_collection:0"),
    ],
)
def test_a_command_that_was_killed_ends_right_when_run_again(before, die_at, tmp_path):
    where, path = str(tmp_path / "codes.db"), tmp_path / "gallery.npz"
    second = changed(random_gallery(8000), seed=1)
    if before != "nothing":
        first = random_gallery(8000, encoder=before)
        with closing(MilvusStore(where, ("euclidean",), tmp_path / "records")) as store:
            store.sync("run", first, labels_for(first))
    second.save(path)
    assert subprocess.run(fill_command(where, path, die_at), check=False).returncode == -signal.SIGKILL
    with closing(MilvusStore(where, ("euclidean",), tmp_path / "records")) as store:
        store.sync("run", second, labels_for(second))
        assert store.sync("run", second, labels_for(second)).unchanged == len(second.ids)
        np.testing.assert_array_equal(store.ids(metric="euclidean"), second.ids)
        check_answers(store, second, second.codes[:20], 10, metric="euclidean", exclude=second.ids[:20])


def test_a_second_process_is_told_and_changes_nothing(tmp_path):
    where, path, content = str(tmp_path / "codes.db"), tmp_path / "gallery.npz", random_gallery(100)
    random_gallery(50, seed=1).save(path)
    with closing(MilvusStore(where, ("euclidean",))) as store:
        store.sync("run", content, labels_for(content))
        started = time.monotonic()
        second = subprocess.run(fill_command(where, path), capture_output=True, text=True, check=False)
        assert time.monotonic() - started < 30
        assert second.returncode == 2
        assert second.stdout == ""
        assert "in use by another process" in second.stderr
        assert "Traceback" not in second.stderr
        np.testing.assert_array_equal(store.ids(metric="euclidean"), content.ids)


def test_it_listens_on_this_machine_alone(tmp_path):
    before = addresses_of([os.getpid()])
    with closing(MilvusStore(str(tmp_path / "codes.db"), ("cosine",))):
        opened = {port: at for port, at in addresses_of([os.getpid()]).items() if port not in before}
        assert len(opened) == 1
        assert set(opened.values()) == {"127.0.0.1"}
    assert not set(opened) & set(addresses_of([os.getpid()]))


def test_where_a_process_listens_is_seen():
    with socket.create_server(("0.0.0.0", 0)) as everywhere, socket.create_server(("127.0.0.1", 0)) as here:
        found = addresses_of([os.getpid()])
        assert found[everywhere.getsockname()[1]] == "00000000"
        assert found[here.getsockname()[1]] == "127.0.0.1"


def test_without_comparing_only_the_count_is_held(tmp_path):
    where, content = str(tmp_path / "codes.db"), random_gallery(100)
    with closing(MilvusStore(where, ("cosine",))) as store:
        assert store.sync("run", content, labels_for(content), compare=False).added == 100
        assert store.sync("run", content, labels_for(content), compare=False).unchanged == 100
        fewer = random_gallery(99)
        with pytest.raises(InputError, match=r"holds 100 codes, expected 99.\n.*without --no-sync"):
            store.sync("run", fewer, labels_for(fewer), compare=False)


def test_a_collection_that_another_process_changed_is_told(tmp_path):
    where, content = str(tmp_path / "codes.db"), random_gallery(100)
    with closing(MilvusStore(where, ("cosine",))) as store, closing(MilvusStore(where, ("cosine",))) as other:
        store.sync("run", content, labels_for(content))
        fewer = random_gallery(40)
        other.sync("run", fewer, labels_for(fewer))
        with pytest.raises(InputError, match="another process changed"):
            store.search(content.codes[:2], 60, metric="cosine")
        more = random_gallery(300, seed=1)
        other.sync("run", more, labels_for(more))
        with pytest.raises(InputError, match="another process changed"):
            store.search(more.codes[200:201], 1, metric="cosine")


@pytest.mark.parametrize("content", ["file", "folder"])
def test_what_is_not_of_milvus_lite_is_refused_and_left_alone(content, tmp_path):
    path = tmp_path / "codes.db"
    if content == "folder":
        path.mkdir()
    inside = path / "mine.txt" if content == "folder" else path
    inside.write_text("mine")
    with pytest.raises(InputError, match=r"not of this Milvus Lite"):
        MilvusStore(str(path), ("cosine",))
    assert inside.read_text() == "mine"
    assert len(list(tmp_path.rglob("*"))) == 1 + (content == "folder")


def test_more_than_milvus_gives_is_refused_in_words(tmp_path):
    content = random_gallery(16_500, dim=2)
    with closing(MilvusStore(str(tmp_path / "codes.db"), ("euclidean",))) as store:
        store.sync("run", content, labels_for(content))
        with pytest.raises(InputError, match="at most 16,383"):
            store.search(content.codes[:1], 16_384, metric="euclidean", exclude=np.array([0]))
        check_answers(store, content, content.codes[:1], 16_383, metric="euclidean", exclude=np.array([0]))
        # More rows than one answer of Milvus holds, all of them gone.
        few = random_gallery(10, dim=2, seed=1)
        assert store.sync("run", few, labels_for(few)).removed == 16_490
        np.testing.assert_array_equal(store.ids(metric="euclidean"), few.ids)


@pytest.mark.usefixtures("built_digits")
def test_the_script_answers_from_it_as_without(in_process, tmp_path):
    root = tmp_path
    (root / "models/digits/best.keras").write_bytes((root / "models/digits/initial.keras").read_bytes())
    arguments = ("--run", "digits", "--root", root, "--query-index", 0, 1, "--json", "--no-figure", "--k", 5)
    plain = json.loads(in_process("RetrieveSimilar.py", *arguments, "--only", "3", "8").stdout)
    for _ in range(2):
        result = in_process("RetrieveSimilar.py", *arguments, "--only", "3", "8", "--store", root / "codes.db")
        assert result.returncode == 0
        found = json.loads(result.stdout)
        assert found == plain
        assert {hit["class"] for query in found["queries"] for hit in query["neighbours"]} <= {"3", "8"}
    assert "0 added, 0 changed, 0 removed" in result.stderr
    refused = in_process("RetrieveSimilar.py", *arguments, "--store", root / "codes.db", "--metric", "all")
    assert refused.returncode == 2
    assert "Milvus has no metric manhattan" in refused.stderr
