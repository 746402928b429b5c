"""A real Milvus server for tests, of the package milvus, that only this machine can reach and that can be killed."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

DOOR = Path(__file__).with_name("milvus_door.py")


def _in_own_network() -> list[str]:
    """The start of a command line that runs a program in a network of its own."""
    return ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--net"]


def why_not() -> str:
    """Why no server can be started here; empty where one can."""
    if not importlib.util.find_spec("milvus"):
        return "the package milvus is not installed: requirements-milvus-server.txt"
    command = [*_in_own_network(), "true"]
    if not shutil.which("unshare") or subprocess.run(command, capture_output=True, check=False).returncode:
        return "the server would listen on all interfaces: a network of its own (unshare --net) cannot be made here"
    return ""


class MilvusServer:
    """A server that keeps its data in a folder.

    Args:
        folder: For its data and programs, 0.5 GB.

    Attributes:
        address: For --store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, 0
        self.pids: list[int] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def is_alive(self) -> bool:
        """Whether its door is open; it closes when the first one asks a server that has ended."""
        return self._process.poll() is None

    def start(self) -> None:
        """Starts it, at the same address as before, and waits until it answers."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        program = [sys.executable, str(DOOR), str(listener.fileno()), str(self._folder)]
        self._process = subprocess.Popen(
            [*_in_own_network(), *program],
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        listener.listen()
        listener.close()
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError(f"The Milvus server did not start: see {self._folder}/logs.")
        self.pids = [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if self._is_ours(stat)]

    def kill(self) -> None:
        """Ends what is left of it as kill -9 does, and waits until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()
        deadline = time.monotonic() + 30
        while any(self._is_ours(Path(f"/proc/{pid}/stat")) for pid in self.pids):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def drop_all(self) -> None:
        """Drops all collections."""
        from latentsearch.gallery.milvus_client import MilvusConnection

        with contextlib.closing(MilvusConnection(self.address)) as milvus:
            for collection in milvus.call("list_collections"):
                milvus.call("drop_collection", collection)

    def _is_ours(self, stat: Path) -> bool:
        """Whether a process is of this server, and alive."""
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            return False
        return int(session) == self._process.pid and state != "Z"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[MilvusServer]:
    """Starts a server, and kills it afterwards; skips where there can be none."""
    if why_not():
        pytest.skip(why_not())
    server = MilvusServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
