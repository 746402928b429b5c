"""Fixtures that run scripts and programs: as a process, in this one, in forks, killed at a moment."""

from __future__ import annotations

import contextlib
import json
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def run_process(name: str, *arguments: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts as a process, from another working directory."""
    command = [sys.executable, str(REPOSITORY / name), *map(str, arguments)]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture
def script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_process`."""
    return run_process


@pytest.fixture
def in_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs one of the scripts as `script` does, but in this process, which has TensorFlow loaded already."""

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(REPOSITORY / name), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(command[0], run_name="__main__")
        return subprocess.CompletedProcess(command, ended.value.code, *capsys.readouterr())

    return run


FORKS = """
import json, os, sys, traceback
IMPORTS
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(2, 1)
        try:
            exec(json.loads(line), {})
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextlib.contextmanager
def forking() -> Iterator[Callable[[str], Callable[[str], int]]]:
    """See `forks`."""
    started = []

    def start(imports: str) -> Callable[[str], int]:
        command = [sys.executable, "-c", FORKS.replace("IMPORTS", imports)]
        parent = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(parent)

        def run(program: str) -> int:
            print(json.dumps(program), file=parent.stdin, flush=True)
            return int(parent.stdout.readline())

        return run

    yield start
    for parent in started:
        parent.communicate(timeout=60)


@pytest.fixture
def forks() -> Iterator[Callable[[str], Callable[[str], int]]]:
    """Starts a process that imports, once; returns what runs a program in a fork of it and gives its exit status."""
    with forking() as start:
        yield start


@pytest.fixture(scope="module")
def training_fork() -> Iterator[Callable[[str], int]]:
    """Runs a program in a fork of a process that has imported the training, and gives its exit status."""
    with forking() as start:
        yield start("import keras, latentsearch.training.train")


KILL = """
import os, pathlib, signal, sys
import numpy as np

def kill_at(number):
    # Counts what changes the disk, and ends the process as kill -9 would, before the one of this number.
    count = 0
    def counted(operation):
        def wrapped(*arguments, **keywords):
            nonlocal count
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            return operation(*arguments, **keywords)
        return wrapped
    for holder, name in (
        (np, "save"), (np, "savez"), (os, "fsync"),
        (pathlib.Path, "replace"), (pathlib.Path, "rename"), (pathlib.Path, "unlink"), (pathlib.Path, "write_text"),
        (pathlib.Path, "rmdir"), (os, "write"),
    ):
        setattr(holder, name, counted(getattr(holder, name)))
"""


@pytest.fixture
def killed_at(forks: Callable[[str], Callable[[str], int]]) -> Callable[[int, str], bool]:
    """Runs a program that is killed before its n-th change of the disk; false if it came to its end before."""
    run = forks("import numpy, latentsearch.data, sklearn.datasets")

    def killed(number: int, program: str) -> bool:
        status = run(f"{KILL}\n{program.replace('KILL_HERE', f'kill_at({number})')}")
        assert status in (0, -signal.SIGKILL)
        return status != 0

    return killed
