"""Uploads that break off, and a page that is killed: no traceback, and no process that goes on."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.conftest import REPOSITORY

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

import uvicorn

from latentsearch.page.app import listen

HEAD = "POST /api/neighbours?k=3&metric=euclidean&min_score=0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
BROKEN = {
    "in its body": HEAD + "Content-Length: 100000\r\n\r\n" + "x" * 5000,
    "before its body": HEAD + "Content-Length: 100000\r\n\r\n",
    "in a chunk": HEAD + "Transfer-Encoding: chunked\r\n\r\nffff\r\nxxx",
    "in its head": HEAD[:60],
    "with a chunk that is none": HEAD + "Transfer-Encoding: chunked\r\n\r\nzzzz\r\n",
    "no HTTP": "\x16\x03\x01\x02\x00",
}


@pytest.fixture
def port(page):
    """Serves the page to real connections."""
    with listen(0) as listener:
        server = uvicorn.Server(uvicorn.Config(page[2], log_level="warning", access_log=False, lifespan="off"))
        server.install_signal_handlers = lambda: None
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)


def asked(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"GET /api/about HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        return connection.recv(100)


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_an_upload_that_breaks_off_leaves_no_traceback(how, reset, port, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(BROKEN[how].format(port=port).encode("latin-1"))
                if reset:
                    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        assert asked(port).startswith(b"HTTP/1.1 200")
        time.sleep(0.2)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(("error", "status"), [(MemoryError(), 503), (OSError(28, "No space left on device"), 500)])
def test_what_the_machine_lacks_is_told_to_the_page(error, status, page, client, monkeypatch):
    def short(*arguments, **keywords):
        raise error

    monkeypatch.setattr(type(page[0]), "picture", short)
    reply = client.get("/api/picture", params={"id": 1})
    assert reply.status_code == status
    assert reply.json()["error"]


PAGE = """
import sys, pathlib, time, numpy as np
from latentsearch.gallery.gallery import Gallery
from latentsearch.page.code_map import CodeMap

if __name__ == "__main__":
    codes = np.random.default_rng(0).random((4000, 10), dtype=np.float32)
    gallery = Gallery(codes, np.arange(4000), np.zeros((0, 2, 10), np.float32), np.zeros(0, np.float32), "", {})
    code_map = CodeMap(pathlib.Path(sys.argv[1]) / "maps" / "map.npz", gallery)
    code_map.start()
    print(code_map._process.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_a_page_that_is_killed_leaves_no_process_and_no_traceback(tmp_path):
    program = tmp_path / "page.py"
    program.write_text(PAGE)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with open(tmp_path / "told", "wb") as told:
        command = [sys.executable, str(program), str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, env=environment)
        drawing = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.wait()
    for _ in range(600):
        if not is_running(drawing):
            break
        time.sleep(0.1)
    assert not is_running(drawing)
    assert (tmp_path / "told").read_bytes() == b""


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
