"""The page tells groups of duplicates, and how far the search for them is."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("httpx2")
from starlette.testclient import TestClient

from latentsearch.errors import InputError
from latentsearch.search import duplicates
from tests.gallery.test_image_matching import scenes
from tests.page.pages import make_images, make_page


def test_duplicates_are_looked_for_once_and_told_in_groups(tmp_path, monkeypatch):
    make_images(tmp_path / "photos")
    for number, image in enumerate(scenes(6, side=64)):
        Image.fromarray(image).save(tmp_path / "photos" / f"shot{number}.png")
    for name in ("=copy.png", "<b>again.png"):
        shutil.copy(tmp_path / "photos" / "shot3.png", tmp_path / "photos" / name)
    client = TestClient(make_page(tmp_path, tmp_path / "photos")[2], base_url="http://127.0.0.1")
    while "share" in (reply := client.get("/api/duplicates").json()):
        assert 0 <= reply["share"] <= 1
    (group,) = reply["groups"]
    assert (reply["num_groups"], group["num_images"]) == (1, 3)
    assert "3 of 38 images" in reply["words"]
    assert [image["kind"] for image in group["images"]] == ["first", "exact", "exact"]
    assert {image["name"] for image in group["images"]} == {"shot3.png", "=copy.png", "<b>again.png"}
    assert all(image["bytes"] == Path(image["path"]).stat().st_size for image in group["images"])
    monkeypatch.setattr(duplicates, "find_groups", None)  # not asked again
    assert client.get("/api/duplicates").json() == reply
    assert all(client.get("/api/picture", params={"id": image["id"]}).status_code == 200 for image in group["images"])


def test_who_asks_for_duplicates_is_told_how_far_the_search_is_or_why_it_ended(tmp_path, monkeypatch):
    went_on = threading.Event()

    def find_groups(corpus, *, watch):
        watch(0.25)
        went_on.wait(60)
        raise InputError("no such gallery")

    monkeypatch.setattr(duplicates, "find_groups", find_groups)
    make_images(tmp_path / "photos")
    client = TestClient(make_page(tmp_path, tmp_path / "photos")[2], base_url="http://127.0.0.1")
    assert client.get("/api/duplicates").json() == {"share": 0.25}
    went_on.set()
    while (reply := client.get("/api/duplicates")).status_code == 200:
        assert reply.json() == {"share": 0.25}
    assert "no such gallery" in reply.json()["error"]
    monkeypatch.undo()  # it is begun anew
    while "share" in (reply := client.get("/api/duplicates").json()):
        pass
    assert reply["groups"] == []
