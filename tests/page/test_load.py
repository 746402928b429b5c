"""Thousands of requests by many connections: each is answered, and the memory is given back."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

import uvicorn

from latentsearch.page.app import listen
from tests.page.pages import png

CONNECTIONS = 20
ASK = "k=5&metric=euclidean&min_score=0"
RESULTS = Path(os.environ.get("TORTURE_RESULTS", os.devnull))


def questions(rng, ids):
    """Requests for ever: method, address, body, and the status that is right."""
    while True:
        image, other = rng.choice(ids), rng.choice(ids)
        photo = png((rng.randrange(256), 90, 40), size=(rng.randrange(1, 2000), rng.randrange(1, 2000)))
        yield from rng.sample(
            [
                ("GET", "/api/about", None, 200),
                ("GET", f"/api/examples?seed={rng.randrange(1000)}", None, 200),
                ("GET", f"/api/neighbours?{ASK}&id={image}", None, 200),
                ("GET", f"/api/explanation?metric=cosine&id={image}&neighbour={other}", None, 200),
                ("GET", f"/api/picture?id={image}", None, 200),
                ("GET", f"/api/large?id={image}", None, 200),
                ("GET", f"/api/original?id={image}", None, 200),
                ("GET", f"/api/details?id={image}", None, 200),
                ("POST", "/api/images.csv", json.dumps([image, other]).encode(), 200),
                ("GET", "/api/map", None, 200),
                ("GET", "/", None, 200),
                ("POST", f"/api/neighbours?{ASK}&name=a.png", photo, 200),
                ("POST", f"/api/neighbours?{ASK}", b"no image", 400),
                ("POST", f"/api/neighbours?{ASK}", photo[: len(photo) // 2], 400),
                ("GET", f"/api/neighbours?{ASK}&id=99999999", None, 404),
                ("GET", "/api/neighbours?k=0&metric=none", None, 400),
            ],
            16,
        )


def answered(connection, method, address, body):
    """The status of the reply, or the error. One that was idle for seconds may be closed: then it is made anew."""
    for _ in range(2):
        try:
            connection.request(method, address, body)
            reply = connection.getresponse()
            reply.read()
            return reply.status
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status = repr(error)
    return status


def ask_many(port, number):
    """Asks `number` questions by 20 connections at a time; returns how often which status came that was not right."""
    wrong, lock = Counter(), threading.Lock()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", "/api/examples?seed=0")
    ids = [image["id"] for image in json.loads(connection.getresponse().read())]

    def ask(seed):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        asked = itertools.islice(questions(random.Random(seed), ids), number // CONNECTIONS)
        for method, address, body, expected in asked:
            status = answered(connection, method, address, body)
            if status != expected:
                with lock:
                    wrong[method, address.partition("?")[0], status] += 1

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


@pytest.mark.slow
def test_every_question_of_many_connections_is_answered(page):
    with listen(0) as listener:
        server = uvicorn.Server(uvicorn.Config(page[2], log_level="warning", access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            assert ask_many(listener.getsockname()[1], 480) == {}
        finally:
            server.should_exit = True
            thread.join(30)


def megabytes(pid, name="VmRSS"):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+)", text)[1]) / 1024


@pytest.mark.torture
def test_8000_requests_are_answered_and_the_memory_is_given_back(small_root, tmp_path):
    from latentsearch.config import TrainConfig
    from latentsearch.training.train import train

    root = shutil.copytree(small_root, tmp_path / "root")
    train(TrainConfig(run="digits", epochs=1, batch_size=64, root=root))
    command = [sys.executable, "-u", "-m", "latentsearch.page", "--run", "digits", "--root", str(root), "--port", "0"]
    with open(tmp_path / "told", "wb") as told:
        page = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=told, text=True)
    try:
        port = next(int(found[1]) for line in page.stdout if (found := re.search(r"127\.0\.0\.1:(\d+)", line)))
        started = megabytes(page.pid)
        ask_many(port, 200)  # what is made once
        before, begin = megabytes(page.pid), time.monotonic()
        wrong = ask_many(port, 8000)
        wall = time.monotonic() - begin
        time.sleep(5)
        after, peak = megabytes(page.pid), megabytes(page.pid, "VmHWM")
        with open(RESULTS, "a", encoding="utf-8") as file:
            memory = f"{started:.0f} MB at start | {before:.0f} before | {peak:.0f} peak | {after:.0f} after"
            file.write(f"requests | 8000 | {wrong.total()} wrong | {wall:.0f} s | {memory}\n")
        assert wrong == {}
        told = (tmp_path / "told").read_text()
        assert re.sub(r"encoding images:[^\r\n]*", "", told).strip() == ""
        assert after < before + 300
    finally:
        page.terminate()
        page.wait(30)
