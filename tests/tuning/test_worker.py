"""Work in another process: results, exceptions, deaths, limits of time, and no orphans."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from latentsearch.errors import InputError, NoRoom
from latentsearch.failures import no_room
from latentsearch.tuning.worker import Worker, WorkFailed
from tests.conftest import REPOSITORY


def prepare():
    print("prepared")


def refuse():
    raise InputError("one\ntwo")


def fill_the_disk(path):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def fill_the_disk_in_words(path):
    raise no_room(Path(path))


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with Worker(prepare, tmp_path_factory.mktemp("worker") / "log") as process:
        yield process


def test_one_process_does_all_and_exceptions_end_only_their_own_work(worker):
    first = worker.call(os.getpid)
    assert first != os.getpid()
    with pytest.raises(WorkFailed, match="ValueError: could not convert string to float: 'x'"):
        worker.call(float, "x")
    with pytest.raises(WorkFailed, match=r"^one two$"):
        worker.call(refuse)
    assert worker.call(os.getpid) == first


@pytest.mark.parametrize("fill", [fill_the_disk, fill_the_disk_in_words])
def test_a_full_disk_is_not_the_failure_of_one_piece_of_work(fill, worker, tmp_path):
    with pytest.raises(NoRoom, match=r"best\.keras cannot be written: the disk"):
        worker.call(fill, str(tmp_path / "best.keras"))


def test_after_a_death_or_a_kill_a_new_process_works_on(worker):
    first = worker.call(os.getpid)
    with pytest.raises(WorkFailed, match="exit status 3"):
        worker.call(os._exit, 3)
    with pytest.raises(WorkFailed, match="signal 9, as Linux does when memory runs out"):
        worker.call(signal.raise_signal, signal.SIGKILL)
    with pytest.raises(WorkFailed, match=r"more than 0\.2 seconds"):
        worker.call(time.sleep, 60, seconds=0.2)
    assert worker.call(os.getpid) != first


def test_any_number_of_seconds_may_be_waited(worker):
    assert worker.call(int, "7", seconds=1e12) == 7


def test_after_so_many_calls_a_new_process_works_on(tmp_path):
    with Worker(prepare, tmp_path / "log", calls=2) as worker:
        processes = [worker.call(os.getpid) for _ in range(5)]
    assert processes[0] == processes[1] != processes[2] == processes[3] != processes[4]


def test_ctrl_c_is_left_to_the_other_process(worker):
    first = worker.call(os.getpid)
    os.kill(first, signal.SIGINT)
    assert worker.call(os.getpid) == first


@pytest.mark.slow
def test_the_process_ends_with_the_one_that_started_it_even_by_kill_9(tmp_path):
    program = f"""
import os, pathlib, signal, sys, time
from latentsearch.tuning.worker import Worker
from tests.tuning.test_worker import prepare
worker = Worker(prepare, pathlib.Path({str(tmp_path)!r}) / "log")
print(worker.call(os.getpid), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert result.returncode == -signal.SIGKILL, result.stderr
    for _ in range(200):
        try:
            os.kill(int(result.stdout), 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the process outlives the one that started it")
