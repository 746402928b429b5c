"""The page: what it refuses, and what it never gives away."""

from __future__ import annotations

import io
import os
import re
import sys

import pytest

from tests.conftest import REPOSITORY

pytest.importorskip("starlette")
pytest.importorskip("httpx2")

from PIL import Image
from starlette.testclient import TestClient

from latentsearch.data.memory import MemoryBudget
from latentsearch.page import app as server
from tests.page.pages import ASK, make_images, make_page, pixels, png

STATIC = REPOSITORY / "latentsearch" / "page" / "static"


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": "0"}, {"k": "30"}, {"k": "ten"}, {"k": "9" * 5000}, {"metric": "hamming"}, {"min_score": "nan"},
        {"min_score": "101"}, {"id": "-1"}, {"id": ""}, {"id": "1e3"}, {"id": "../7"}, {"id": str(2**70)},
    ],
    ids=str,
)  # fmt: skip
def test_values_that_cannot_be_are_refused_in_words(wrong, client):
    response = client.get("/api/neighbours", params={**ASK, "id": 7, **wrong})
    (name,) = wrong
    assert response.status_code == 400
    assert response.json()["error"].startswith(f"{name}: expected")


def test_unknown_images_and_addresses_are_not_found(client):
    for url in ("/api/picture?id=30", "/api/explanation?id=1&neighbour=30&metric=cosine", "/api/nothing", "/data"):
        response = client.get(url)
        assert response.status_code == 404
        assert set(response.json()) == {"error"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"some text", "notes.txt: not an image that can be read, expected JPEG"),
        (b"", "notes.txt: the file is empty"),
        (png("red")[:50], "notes.txt: the image is damaged"),
    ],
)
def test_a_file_that_is_no_image_is_refused_in_words(content, words, client):
    response = client.post("/api/neighbours", params={**ASK, "name": "notes.txt"}, content=content)
    assert response.status_code == 400
    assert words in response.json()["error"]


def test_uploads_are_bounded(client, monkeypatch):
    file = io.BytesIO()
    Image.new("1", (11_000, 10_000)).save(file, "PNG")
    response = client.post("/api/neighbours", params=ASK, content=file.getvalue())
    assert response.status_code == 400
    assert "too large" in response.json()["error"]
    monkeypatch.setattr(server, "MAX_UPLOAD", 10_000_000)
    assert client.post("/api/neighbours", params=ASK, content=png("red") + bytes(9_000_000)).status_code == 200
    assert client.post("/api/neighbours", params=ASK, content=png("red") + bytes(10_000_000)).status_code == 413


def test_uploads_are_written_nowhere(client):
    written, watching = [], True

    def watch(event, arguments):
        if watching and event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.append(arguments[0])

    sys.addaudithook(watch)  # stays until the process ends, so it is told when to sleep
    content = png("red") + bytes(5_000_000)
    assert client.post("/api/neighbours", params=ASK, content=content).status_code == 200
    watching = False
    assert written == []


@pytest.mark.parametrize(
    "url",
    [
        "/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "/%2e%2e%2f%2e%2e%2fconfig.py", "/%2fetc/passwd",
        "//etc/passwd", "/etc/passwd", "/api/picture?id=%2e%2e%2fserver.py", "/api/picture/%2e%2e/server.py",
        "/..%5cserver.py", "/%00", "/page.css/%2e%2e/%2e%2e/server.py",
    ],
)  # fmt: skip
def test_no_file_is_reached_by_its_path(url, client):
    response = client.get(url)
    assert response.status_code in (400, 404, 405)
    assert set(response.json()) == {"error"}


def test_a_link_in_the_gallery_shows_no_file_that_is_no_image(tmp_path):
    make_images(tmp_path / "photos")
    (tmp_path / "secret.txt").write_text("a secret")
    (tmp_path / "photos/link.png").symlink_to(tmp_path / "secret.txt")  # before it is coded
    corpus, _, app = make_page(tmp_path, tmp_path / "photos")
    assert len(corpus.gallery.ids) == 30
    swapped = corpus.path_of(4)
    swapped.unlink()
    swapped.symlink_to(tmp_path / "secret.txt")  # and after
    response = TestClient(app, base_url="http://127.0.0.1").get("/api/picture?id=4")
    assert b"secret" not in response.content
    assert (pixels(response.content) == 128).all()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "10.0.0.1:8765", ""])
def test_other_names_of_the_server_are_refused(host, client):
    response = client.get("/", headers={"host": host})
    assert response.status_code == 403
    assert "127.0.0.1" in response.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8765", "sec-fetch-site": "same-origin"}, 200),
        ({"host": "localhost:9000", "origin": "http://localhost:9000"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_other_pages_may_not_ask(headers, status, client):
    assert client.post("/api/neighbours", params=ASK, content=png("red"), headers=headers).status_code == status
    for path in ("/api/picture", "/api/large", "/api/original", "/api/details"):
        assert client.get(path, params={"id": 1}, headers=headers).status_code == status
    assert client.post("/api/images.csv", json=[1], headers=headers).status_code == status


def test_a_link_to_the_page_may_be_anywhere(client):
    response = client.get("/", headers={"sec-fetch-site": "cross-site"})
    assert response.status_code == 200
    assert "<title>latentsearch</title>" in response.text


@pytest.mark.parametrize(
    "url", ["/", "/page.js", "/api/about", "/api/picture?id=1", "/api/original?id=1", "/api/details?id=1", "/nothing"]
)
def test_every_answer_binds_the_browser(url, client):
    headers = client.get(url).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert set(policy) == {"default-src", "img-src", "base-uri", "form-action", "frame-ancestors"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_static_files_name_no_other_host_and_hold_no_script_in_the_html():
    for path in STATIC.iterdir():
        hosts = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", path.read_text(encoding="utf-8")))
        assert hosts <= {"http://www.w3.org/2000/svg"}, path  # a name, not an address
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\bsrc=)", html)
    named = re.findall(r"(?:src|href)=\"([^#\"]+)\"", html)
    assert {"page.js", "page.css"} <= set(named)
    assert all((STATIC / name).is_file() for name in named)


def test_uploads_are_bounded_together_and_their_memory_is_given_back(client, monkeypatch):
    monkeypatch.setattr(server, "_UPLOADS", MemoryBudget(5000))
    for _ in range(3):
        assert client.post("/api/neighbours", params=ASK, content=png("red") + bytes(4000)).status_code == 200
        refused = client.post("/api/neighbours", params=ASK, content=png("red") + bytes(6000))
        assert refused.status_code == 503
        assert "at once" in refused.json()["error"]
