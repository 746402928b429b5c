"""A file that is an image of the gallery is known as itself."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx2")

from starlette.testclient import TestClient

from latentsearch.page.recognition import find_itself
from tests.page.pages import ASK, make_images, make_page, png


def test_a_file_of_the_gallery_is_the_query_itself_and_not_among_its_hits(client, page):
    corpus = page[0]
    content = corpus.path_of(7).read_bytes()
    reply = client.post("/api/neighbours", params={**ASK, "k": 29, "name": "other.png"}, content=content).json()
    assert (reply["query"]["id"], reply["query"]["is_known"]) == (7, True)
    assert reply["query"]["name"] == corpus.path_of(7).name
    assert sorted(hit["id"] for hit in reply["neighbours"]) == [number for number in range(30) if number != 7]
    by_id = client.get("/api/neighbours", params={**ASK, "k": 29, "id": 7}).json()
    assert by_id["neighbours"] == reply["neighbours"]
    assert not by_id["query"]["is_known"]  # nobody sent a file


def test_another_file_is_not_known_however_near_its_code(client, page):
    reply = client.post("/api/neighbours", params=ASK, content=png((57, 90, 184))).json()  # one level beside image 7
    assert (reply["query"]["id"], reply["query"]["is_known"]) == (None, False)
    assert reply["neighbours"][0]["id"] == 7


def test_of_equal_images_the_one_of_that_name_is_meant_and_the_others_are_hits(tmp_path):
    make_images(tmp_path / "photos")
    for name in ("a.png", "z.png"):
        shutil.copy(tmp_path / "photos/blue/07.png", tmp_path / "photos" / name)
    corpus, _, app = make_page(tmp_path, tmp_path / "photos")
    content = (tmp_path / "photos/z.png").read_bytes()
    client = TestClient(app, base_url="http://127.0.0.1")
    reply = client.post("/api/neighbours", params={**ASK, "name": "z.png"}, content=content).json()
    assert reply["query"]["name"] == "z.png"
    assert {hit["name"] for hit in reply["neighbours"][:2]} == {"a.png", "07.png"}
    image = corpus.images(corpus.gallery.ids[:1])[0]
    code = corpus.autoencoder.encode(image[None])
    assert find_itself(corpus, image, code, "unknown.png") is not None
    assert find_itself(corpus, np.flip(image, 2), code, "a.png") is None
