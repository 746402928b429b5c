"""The page: what it answers, its map, and how it starts."""

from __future__ import annotations

import base64
import importlib.util
import io
import logging
import os
import re
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import REPOSITORY

pytest.importorskip("starlette")
pytest.importorskip("httpx2")

from starlette.testclient import TestClient

from latentsearch.config import METRICS
from latentsearch.errors import InputError
from latentsearch.gallery.sync import sync
from latentsearch.page import __main__ as program
from latentsearch.page import app as server
from latentsearch.page import code_map as maps
from latentsearch.page.api import Handlers
from latentsearch.page.code_map import CodeMap
from latentsearch.page.config import PageConfig
from latentsearch.runs import Run
from latentsearch.search.folder_corpus import FolderCorpus
from tests.page.pages import ASK, RedAndBlue, make_images, make_page, pixels, png

STATIC = REPOSITORY / "latentsearch" / "page" / "static"


def test_the_page_knows_what_it_searches(client):
    about = client.get("/api/about").json()
    assert about["name"].endswith("photos")
    assert (about["run"], about["num_images"], about["latent_dim"], about["max_k"]) == ("colours", 30, 2, 29)
    assert (about["classes"], about["metrics"]) == (["blue", "red"], list(METRICS))
    assert about["lines"] == ["these images are known"]
    assert about["check_command"] is None  # the dataset of the run is not here


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
    found = {hit["id"]: hit["distance"] for hit in reply["neighbours"]}
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


def test_an_explanation_shows_shares_ends_and_what_the_codes_hold(client, page):
    wanted = {"metric": "manhattan", "neighbour": 9}
    by_id = client.get("/api/explanation", params={**wanted, "id": 3}).json()
    first, second = page[0].gallery.code_of(np.array([3, 9]))
    np.testing.assert_allclose(by_id["shares"], np.abs(first - second) / np.abs(first - second).sum())
    assert by_id["codes"] == [first.tolist(), second.tolist()]
    held = np.array([pixels(base64.b64decode(url.partition(",")[2]))[0, 0, 0] for url in by_id["decoded"]], float)
    np.testing.assert_allclose(held, [first[0], second[0]], atol=0.51)
    assert by_id["names"] == ["number 1", "number 2"]
    (one,) = by_id["apart"]
    codes, ids = page[0].gallery.codes, page[0].gallery.ids
    values = codes[:, int(one["name"][-1]) - 1]
    order = ids[np.argsort(values, kind="stable")].tolist()
    assert one["share"] == pytest.approx(max(by_id["shares"]))
    for end, expected in zip(one["ends"], (order[:3], order[-3:]), strict=True):
        assert {image["id"] for image in end["images"]} == {*expected}
    assert [end["words"] for end in one["ends"]] == ["low end", "high end"]
    (alike,) = client.get("/api/explanation", params={**wanted, "id": 0, "neighbour": 1}).json()["alike"]
    assert len(alike["beyond"]) == 2
    assert min(alike["beyond"]) > 90
    assert len(alike["end"]["images"]) == 3
    sent = client.post("/api/explanation", params=wanted, content=page[0].path_of(3).read_bytes()).json()
    assert sent["shares"] == by_id["shares"]


def test_names_of_any_bytes_are_told(tmp_path):
    make_images(tmp_path / "photos")
    name = os.fsdecode(b"\xff<b>\n.png")
    (tmp_path / "photos/red" / name).write_bytes(png((1, 90, 239)))
    _, _, app = make_page(tmp_path, tmp_path / "photos")
    client = TestClient(app, base_url="http://127.0.0.1")
    names = [hit["name"] for hit in client.get("/api/neighbours", params={**ASK, "id": 0}).json()["neighbours"]]
    assert "\\xff<b>\\n.png" in names


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
    corpus = page[0]
    code_map = CodeMap(tmp_path / "map.npz", corpus.gallery)
    client = TestClient(server.make_app(Handlers(corpus, [], code_map), code_map), base_url="http://127.0.0.1")
    assert client.get("/api/map").json() == {"state": "drawing"}
    assert client.get("/api/neighbours", params={**ASK, "id": 5}).json()["place"] is None
    on_map = code_map._ids
    maps.draw(tmp_path / "map.npz", code_map.identity, on_map, code_map._codes)
    code_map = CodeMap(tmp_path / "map.npz", corpus.gallery)
    client = TestClient(server.make_app(Handlers(corpus, [], code_map), code_map), base_url="http://127.0.0.1")
    found = client.get("/api/map").json()
    assert (found["state"], found["ids"]) == ("ready", on_map.tolist())
    assert found["x"] == corpus.gallery.code_of(on_map)[:, 0].tolist()
    assert found["names"] == [corpus.path_of(image_id).name for image_id in on_map.tolist()]
    assert (found["grouped_by"], found["groups"]) == ("class", ["blue", "red"])
    assert found["group_of"] == [int(corpus.class_of(image_id) == "red") for image_id in on_map.tolist()]
    # Ids go by the order of the names, which goes by colour.
    nearest = on_map[np.argmin(np.abs(on_map - 5))]
    assert client.get("/api/neighbours", params={**ASK, "id": 5}).json()["place"] == nearest


@pytest.mark.slow
def test_the_map_is_drawn_beside_the_page(page):
    corpus, code_map, app = page
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/api/map").json() == {"state": "drawing"}
        code_map._process.join(60)
        assert len(client.get("/api/map").json()["ids"]) == 30
    assert CodeMap(code_map._path, corpus.gallery).state == "ready"


def test_who_asks_as_soon_as_the_address_is_told_is_not_refused(page, monkeypatch, capsys):
    asked = []

    def ask(self, sockets):
        assert "The page: http://" in capsys.readouterr().out
        with socket.create_connection(sockets[0].getsockname(), timeout=5) as connection:
            asked.append(connection.getpeername())

    monkeypatch.setattr("uvicorn.Server.run", ask)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    monkeypatch.setattr(handler, "close", stream.close)  # as that of absl, which TensorFlow brings, does
    with server.listen(0) as listener:
        server.serve(page[0], [], page[1], listener)
    assert asked
    assert not stream.closed


def test_a_port_that_is_taken_is_told():
    with server.listen(0) as first:
        first.listen()
        host, port = first.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(InputError, match=rf"--port {port}: .*use.*0 for any"):
            server.listen(port)
    with pytest.raises(InputError, match="--port 70000"):
        server.listen(70_000)


def test_one_image_is_no_corpus(tmp_path):
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
    assert not {"keras", "tensorflow", "pandas", "starlette", "sklearn"} & loaded


def test_the_slider_between_kind_and_look_ranks_anew(tmp_path):
    """Red is the kind and blue the look: see RedAndBlue."""

    class TwoCodes(RedAndBlue):
        kind_dim, fingerprint = 1, "red is the kind"

    def ask(look):
        reply = client.get("/api/neighbours", params={**ASK, "metric": "manhattan", "k": 5, "id": 7, "look": look})
        return [hit["distance"] for hit in reply.json()["neighbours"]]

    make_images(tmp_path / "photos")
    content, _ = sync(tmp_path / "gallery.npz", tmp_path / "photos", TwoCodes())
    corpus = FolderCorpus(Run(tmp_path, "colours"), TwoCodes(), content)
    code_map = CodeMap(tmp_path / "map.npz", corpus.gallery)
    client = TestClient(server.make_app(Handlers(corpus, [], code_map), code_map), base_url="http://127.0.0.1:8765")
    assert client.get("/api/about").json()["look"] == corpus.look
    codes, ids = corpus.gallery.codes, corpus.gallery.ids
    for look, column in ((0, 0), (1, 1)):
        expected = np.sort(np.abs(codes[:, column] - codes[ids == 7, column])[ids != 7])[:5]
        np.testing.assert_allclose(ask(look), expected, atol=1e-4)
    assert ask(0.5) not in (ask(0), ask(1))
    assert ask("") == ask(corpus.look)


@pytest.mark.parametrize("look", ["0.5", "2", "much"])
def test_a_share_of_the_look_is_refused_where_there_is_one_code_or_it_cannot_be(look, client):
    reply = client.get("/api/neighbours", params={**ASK, "metric": "cosine", "k": 5, "id": 7, "look": look})
    assert reply.status_code == 400
    assert "look" in reply.json()["error"]


def test_the_dialog_of_duplicates_is_there_and_reached_by_a_button():
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.search(r'<button id="find-duplicates" type="button"', page)
    assert '<dialog id="duplicates" aria-labelledby="duplicates-title">' in page
    assert (
        'byId("find-duplicates").addEventListener("click", () => showDuplicates(on))'
        in (STATIC / "page.js").read_text()
    )
