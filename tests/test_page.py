"""The page: what it answers, what it refuses, and what it never gives away."""

from __future__ import annotations

import base64
import importlib.util
import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("httpx2")

from pages import make_images, make_page
from starlette.testclient import TestClient

from latentsearch.config import METRICS, PageConfig
from latentsearch.errors import InputError
from latentsearch.page import __main__ as program
from latentsearch.page import code_map as maps
from latentsearch.page import server
from latentsearch.page.code_map import CodeMap
from latentsearch.page.replies import Replies

STATIC = REPOSITORY / "latentsearch" / "page" / "static"
ASK = {"k": 3, "metric": "euclidean", "min_score": 0}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    make_images(root / "photos")
    return make_page(root, root / "photos")


@pytest.fixture
def client(page):
    return TestClient(page[2], base_url="http://127.0.0.1:8765")


def png(colour, size=(20, 10)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def test_the_page_knows_what_it_searches(client):
    about = client.get("/api/about").json()
    assert about["name"].endswith("photos")
    assert (about["run"], about["num_images"], about["latent_dim"], about["max_k"]) == ("colours", 30, 2, 29)
    assert (about["classes"], about["metrics"]) == (["blue", "red"], list(METRICS))
    assert about["lines"] == ["these images are known"]


def test_examples_follow_the_seed(client):
    first, again, other = (client.get("/api/examples", params={"seed": seed}).json() for seed in (0, 0, 1))
    assert first == again != other
    assert len({image["id"] for image in first}) == 24


@pytest.mark.parametrize("metric", METRICS)
def test_neighbours_of_an_image_are_those_of_its_code(metric, client, page):
    reply = client.get("/api/neighbours", params={**ASK, "metric": metric, "k": 29, "id": 7}).json()
    codes, ids = page[0].gallery.codes, page[0].gallery.ids
    own = codes[ids == 7][0]
    if metric == "cosine":
        lengths = np.linalg.norm(codes, axis=1) * np.linalg.norm(own)
        distances = 1 - codes @ own / lengths
    else:
        distances = np.linalg.norm(codes - own, ord=1 if metric == "manhattan" else 2, axis=1)
    found = {match["id"]: match["distance"] for match in reply["neighbours"]}
    assert sorted(found) == [image_id for image_id in range(30) if image_id != 7]
    np.testing.assert_allclose(list(found.values()), np.sort(distances[ids != 7]), atol=1e-4)
    nearest = reply["neighbours"][0]
    assert nearest["path"] == str(page[0].path_of(nearest["id"]))
    assert nearest["class"] == page[0].class_of(nearest["id"])
    assert reply["query"]["id"] == 7
    assert reply["query"]["class"] == page[0].class_of(7)


def test_a_file_is_asked_about_and_told_by_its_name(client, page):
    content = png((81, 90, 159), size=(90, 50))
    reply = client.post("/api/neighbours", params={**ASK, "name": "a\nb.png"}, content=content).json()
    nearest = reply["neighbours"][0]
    assert nearest["name"] == "10.png"
    assert nearest["distance"] == pytest.approx(np.sqrt(2), abs=1e-3)
    assert (reply["query"]["id"], reply["query"]["name"]) == (None, "a\\nb.png")
    picture = pixels(base64.b64decode(reply["query"]["picture"].partition(",")[2]))
    assert picture.shape == (48, 48, 3)  # six times what the encoder takes: no more than the file has
    assert (picture == (81, 90, 159)).all()


def test_an_image_with_nothing_close_enough_has_no_match(client):
    wanted = {**ASK, "min_score": 99.9}
    assert client.post("/api/neighbours", params=wanted, content=png("white")).json()["neighbours"] == []


def test_an_explanation_shows_shares_and_the_way(client, page):
    wanted = {"metric": "manhattan", "neighbour": 9}
    by_id = client.get("/api/explanation", params={**wanted, "id": 3}).json()
    first, second = page[0].gallery.code_of(np.array([3, 9]))
    np.testing.assert_allclose(by_id["shares"], np.abs(first - second) / np.abs(first - second).sum())
    assert by_id["codes"] == [first.tolist(), second.tolist()]
    way = np.array([pixels(base64.b64decode(url.partition(",")[2]))[0, 0, 0] for url in by_id["path"]], float)
    np.testing.assert_allclose(way, np.linspace(first[0], second[0], 5), atol=0.51)
    sent = client.post("/api/explanation", params=wanted, content=page[0].path_of(3).read_bytes()).json()
    assert sent["shares"] == by_id["shares"]


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
    collection, _, app = make_page(tmp_path, tmp_path / "photos")
    assert len(collection.gallery.ids) == 30
    swapped = collection.path_of(4)
    swapped.unlink()
    swapped.symlink_to(tmp_path / "secret.txt")  # and after
    response = TestClient(app, base_url="http://127.0.0.1").get("/api/picture?id=4")
    assert b"secret" not in response.content
    assert (pixels(response.content) == 128).all()


def test_names_of_any_bytes_are_told(tmp_path):
    make_images(tmp_path / "photos")
    name = os.fsdecode(b"\xff<b>\n.png")
    (tmp_path / "photos/red" / name).write_bytes(png((1, 90, 239)))
    _, _, app = make_page(tmp_path, tmp_path / "photos")
    client = TestClient(app, base_url="http://127.0.0.1")
    names = [match["name"] for match in client.get("/api/neighbours", params={**ASK, "id": 0}).json()["neighbours"]]
    assert "\\xff<b>\\n.png" in names


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
    assert client.get("/api/picture?id=1", headers=headers).status_code == status


def test_a_link_to_the_page_may_be_anywhere(client):
    response = client.get("/", headers={"sec-fetch-site": "cross-site"})
    assert response.status_code == 200
    assert "<title>latentsearch</title>" in response.text


@pytest.mark.parametrize("url", ["/", "/page.js", "/api/about", "/api/picture?id=1", "/nothing"])
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


def test_elements_that_the_scripts_look_for_are_there():
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    scripts = "".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.js"))
    wanted = set(re.findall(r"(?:byId|show)\(\"([\w-]+)\"", scripts))
    assert len(wanted) > 10
    assert wanted <= set(re.findall(r"\sid=\"([\w-]+)\"", html))


def test_the_map_is_kept_for_these_codes_alone(page, tmp_path):
    gallery = page[0].gallery
    path = tmp_path / "map.npz"
    code_map = CodeMap(path, gallery)
    assert (code_map.state, code_map.points) == ("drawing", None)
    maps.draw(path, code_map.identity, gallery.ids, gallery.codes)
    kept = CodeMap(path, gallery)
    assert kept.state == "ready"
    np.testing.assert_array_equal(kept.points.ids, gallery.ids)
    np.testing.assert_array_equal(kept.points.places, gallery.codes)  # of two numbers: as they are
    assert CodeMap(path, gallery.only(gallery.ids[:20])).state == "drawing"
    path.write_bytes(path.read_bytes()[:-50])
    assert CodeMap(path, gallery).state == "drawing"
    few = CodeMap(path, gallery.only(gallery.ids[:3]))
    few.start()
    assert few.state == "too few images"


def test_a_query_is_placed_at_the_nearest_code_on_the_map(page, tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "MOST", 8)
    collection = page[0]
    code_map = CodeMap(tmp_path / "map.npz", collection.gallery)
    client = TestClient(server.make_app(Replies(collection, [], code_map), code_map), base_url="http://127.0.0.1")
    assert client.get("/api/map").json() == {"state": "drawing"}
    assert client.get("/api/neighbours", params={**ASK, "id": 5}).json()["place"] is None
    on_map = code_map._ids
    maps.draw(tmp_path / "map.npz", code_map.identity, on_map, code_map._codes)
    code_map = CodeMap(tmp_path / "map.npz", collection.gallery)
    client = TestClient(server.make_app(Replies(collection, [], code_map), code_map), base_url="http://127.0.0.1")
    found = client.get("/api/map").json()
    assert (found["state"], found["ids"]) == ("ready", on_map.tolist())
    assert found["x"] == collection.gallery.code_of(on_map)[:, 0].tolist()
    assert found["names"] == [collection.path_of(image_id).name for image_id in on_map.tolist()]
    assert found["classes"] == [int(collection.class_of(image_id) == "red") for image_id in on_map.tolist()]
    # Ids go by the order of the names, which goes by colour.
    nearest = on_map[np.argmin(np.abs(on_map - 5))]
    assert client.get("/api/neighbours", params={**ASK, "id": 5}).json()["place"] == nearest


@pytest.mark.slow
def test_the_map_is_drawn_beside_the_page(page):
    collection, code_map, app = page
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/api/map").json() == {"state": "drawing"}
        code_map._process.join(60)
        assert len(client.get("/api/map").json()["ids"]) == 30
    assert CodeMap(code_map._path, collection.gallery).state == "ready"


def test_a_port_that_is_taken_is_told():
    with server.listen(0) as first:
        first.listen()
        host, port = first.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(InputError, match=rf"--port {port}: .*use.*0 for any"):
            server.listen(port)
    with pytest.raises(InputError, match="--port 70000"):
        server.listen(70_000)


def test_one_image_is_no_collection(tmp_path):
    make_images(tmp_path / "photos")
    for path in sorted(tmp_path.glob("photos/*/*.png"))[1:]:
        path.unlink()
    with pytest.raises(InputError, match="one image"):
        make_page(tmp_path, tmp_path / "photos")


def test_without_its_packages_the_page_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"starlette and uvicorn.*pip install -r requirements-page\.txt"):
        program.main(PageConfig())


def test_help_loads_no_framework():
    command = [sys.executable, "-X", "importtime", "-m", "latentsearch.page", "--help"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "usage: python -m latentsearch.page" in result.stdout
    assert "--port" in result.stdout
    loaded = {line.split("|")[-1].strip() for line in result.stderr.splitlines()}
    assert not {"keras", "tensorflow", "pandas", "starlette", "umap"} & loaded
