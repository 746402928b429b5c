"""A real Milvus server: what every store must do, and what becomes of codes when server, client or network fail."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pymilvus", reason="pymilvus is not installed: requirements-milvus.txt")

from latentsearch.errors import InputError
from latentsearch.gallery import milvus_client
from latentsearch.gallery.milvus_client import MilvusConnection
from latentsearch.gallery.milvus_store import MilvusStore
from tests.gallery.listening import addresses_of
from tests.gallery.milvus_faults import fill_command
from tests.gallery.store_contract import METRICS, StoreContract, changed, check_answers, labels_for, random_gallery

pytestmark = [pytest.mark.engines, pytest.mark.slow]


@pytest.fixture
def server(empty_server):
    return empty_server


@pytest.fixture
def open_euclidean(server, tmp_path):
    return lambda: closing(MilvusStore(server.address, ("euclidean",), tmp_path / "records"))


class TestMilvusServer(StoreContract):
    @pytest.fixture
    def open_store(self, server, tmp_path):
        return lambda *metrics: closing(MilvusStore(server.address, metrics or METRICS, tmp_path / "records"))

    @pytest.fixture(scope="class")
    def open_for_class(self, milvus_server):
        return lambda *metrics: closing(MilvusStore(milvus_server.address, metrics or METRICS))


def check_holds(open_store, content):
    """The store holds this once, and says that nothing is to be done."""
    with open_store() as store:
        changes = store.sync("run", content, labels_for(content))
        assert (changes.unchanged, changes.added, changes.changed, changes.removed) == (len(content.ids), 0, 0, 0)
        np.testing.assert_array_equal(store.ids(metric="euclidean"), content.ids)
        check_answers(store, content, content.codes[:20], 10, metric="euclidean", exclude=content.ids[:20])


def test_only_this_machine_can_reach_it(server):
    port = int(server.address.rpartition(":")[2])
    assert addresses_of(server.pids) == {port: "127.0.0.1"}
    for pid in server.pids:  # all else that it listens at is in a network that has nothing but a loopback
        devices = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
        assert [device.split(":")[0].strip() for device in devices] == ["lo"]


def test_what_is_stored_outlives_a_kill_between_commands(server, open_euclidean):
    first = random_gallery(5000)
    second = changed(first, seed=1)
    with open_euclidean() as store:
        assert store.sync("run", first, labels_for(first)).added == 5000
    server.kill()
    server.start()
    with open_euclidean() as store:
        store.sync("run", second, labels_for(second))
    server.kill()
    server.start()
    check_holds(open_euclidean, second)


@pytest.mark.parametrize("back_at_once", [False, True])
@pytest.mark.parametrize("number", [0, 7])
def test_a_server_killed_during_an_insert_ends_right_after_the_same_command(
    number, back_at_once, server, open_euclidean, monkeypatch
):
    content = random_gallery(20_000)
    call, made, helpers = MilvusConnection.call, [], []

    def fail() -> None:
        time.sleep(0.005)  # the insert is on its way
        server.kill()
        if back_at_once:
            server.start()

    def failing(self, method, *arguments, **options):
        if method == "upsert":
            made.append(method)
            if len(made) == number + 1:
                monkeypatch.setattr(milvus_client, "_TO_ANSWER", 60 if back_at_once else 3)
                helpers.append(threading.Thread(target=fail))
                helpers[0].start()
        return call(self, method, *arguments, **options)

    monkeypatch.setattr(MilvusConnection, "call", failing)
    with open_euclidean() as store:
        started, told = time.monotonic(), ""
        try:
            store.sync("run", content, labels_for(content))
        except InputError as error:
            told = str(error)
        assert time.monotonic() - started < 90
    if told or not back_at_once:  # else it waited, and went on
        expected = "Milvus could not" if back_at_once else r"Milvus could not upsert: it does not answer\."
        assert re.search(expected + r".*\n.*the same command runs again", told)
    helpers[0].join()
    monkeypatch.undo()
    if not back_at_once:
        server.start()
    with open_euclidean() as store:
        changes = store.sync("run", content, labels_for(content))
        assert changes.unchanged + changes.added == 20_000
        assert changes.unchanged >= number * 2000  # what was stored before is not stored again
    check_holds(open_euclidean, content)


@pytest.mark.parametrize("die_at", ["create_index:0", "upsert:4", "drop_collection:0"])
def test_a_command_that_was_killed_ends_right_when_run_again(die_at, server, open_euclidean, tmp_path):
    if die_at.startswith("drop"):
        before = random_gallery(100, encoder="another encoder")
        with open_euclidean() as store:
            store.sync("run", before, labels_for(before))
    content, path = random_gallery(12_000), tmp_path / "gallery.npz"
    content.save(path)
    killed = subprocess.run(fill_command(server.address, path, die_at), check=False)
    assert killed.returncode == -signal.SIGKILL
    with open_euclidean() as store:
        store.sync("run", content, labels_for(content))
    check_holds(open_euclidean, content)
    with closing(MilvusConnection(server.address)) as milvus:
        assert len(milvus.call("list_collections")) == 1


@pytest.mark.parametrize("same", [True, False])
def test_two_writers_at_once_leave_what_the_next_command_makes_right(same, server, open_euclidean, tmp_path):
    content = random_gallery(12_000)
    galleries = [content, content if same else changed(content, seed=2)]
    writers = []
    for number, written in enumerate(galleries):
        path = tmp_path / f"{number}.npz"
        written.save(path)
        command = fill_command(server.address, path)
        writers.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    for writer in writers:
        out, error = writer.communicate(timeout=300)
        assert writer.returncode == 0 or (writer.returncode == 2 and "Run the same command again" in error)
        assert "Traceback" not in error
        assert same <= (writer.returncode == 0), out + error
    with open_euclidean() as store:
        store.sync("run", content, labels_for(content))
    check_holds(open_euclidean, content)


@pytest.mark.parametrize("kind", ["nothing listens", "no answer", "unknown host"])
def test_a_network_that_refuses_is_told_within_seconds(kind, monkeypatch):
    assert milvus_client._TO_CONNECT < 15
    monkeypatch.setattr(milvus_client, "_TO_CONNECT", 1)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if kind == "no answer":
            listener.listen()
        host = "nowhere.invalid" if kind == "unknown host" else "127.0.0.1"
        started = time.monotonic()
        with pytest.raises(InputError, match=r"no Milvus answers there.\n.*same command"):
            MilvusStore(f"http://{host}:{listener.getsockname()[1]}", ("cosine",))
        assert time.monotonic() - started < 5


def test_the_script_says_so_without_a_traceback(script, tmp_path):
    for address, said in (("127.0.0.1:1", "no Milvus answers there."), ("me:secret@127.0.0.1:1", "a command line")):
        result = script("RetrieveSimilar.py", "--store", f"http://{address}", "--root", tmp_path)
        assert result.returncode == 2
        assert f"--store http://127.0.0.1:1: {said}" in result.stderr
        assert "secret" not in result.stderr
        assert "Traceback" not in result.stderr


def test_a_server_that_goes_away_between_calls_is_told(server, open_euclidean, monkeypatch):
    content = random_gallery(100)
    with open_euclidean() as store:
        store.sync("run", content, labels_for(content))
        monkeypatch.setattr(milvus_client, "_TO_ANSWER", 1)
        server.kill()
        try:
            with pytest.raises(InputError, match="could not search: it does not answer"):
                store.search(content.codes[:2], 5, metric="euclidean")
        finally:
            server.start()
