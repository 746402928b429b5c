"""The page of what was published to a real server."""

from __future__ import annotations

import pytest

pytest.importorskip("pymilvus", reason="pymilvus is not installed: requirements-milvus.txt")
pytest.importorskip("starlette")
pytest.importorskip("httpx2")

from starlette.testclient import TestClient

from latentsearch.errors import InputError
from latentsearch.gallery.published import PublishedStore
from latentsearch.page import __main__ as program
from latentsearch.page.api import Handlers
from latentsearch.page.app import make_app
from latentsearch.page.code_map import CodeMap, map_path
from latentsearch.page.config import PageConfig
from latentsearch.page.image_record import id_for_browser
from latentsearch.search import open as opening
from latentsearch.search.published import PublishedCorpus
from tests.clusters import needs_spark
from tests.photos import LoggedColours
from tests.publish.publishing import make_run, on_disk, publication
from tests.publish.test_publish import photos, server, session

__all__ = ["photos", "server", "session"]  # fixtures

pytestmark = [pytest.mark.engines, pytest.mark.slow, needs_spark]


def test_the_page_shows_what_was_published_with_no_gallery(photos, server, tmp_path, monkeypatch):
    publication(tmp_path, photos, server.address, metric=("cosine", "euclidean"))[0].run()
    encoder = LoggedColours(tmp_path / "page")
    monkeypatch.setattr(opening, "open_for_files", lambda *arguments: encoder)
    corpus, lines = program._open(PageConfig(store=server.address, collection="photos", root=tmp_path))
    assert lines[0] == "run: photos"
    assert lines[1].startswith(f"store: {len(on_disk(photos))} codes of run photos in photos at {server.address}")
    assert corpus.metrics == ("cosine", "euclidean")
    code_map = CodeMap(map_path(corpus.run, None, "photos"), corpus.gallery)
    app = make_app(Handlers(corpus, lines, code_map), code_map)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        about = client.get("/api/about").json()
        assert about["num_images"] == len(on_disk(photos))
        sent = (photos / "a/9.png").read_bytes()
        asked = {"k": 5, "metric": "euclidean", "min_score": 0, "name": "9.png"}
        reply = client.post("/api/neighbours", params=asked, content=sent).json()
        assert reply["query"]["path"] == str(photos / "a/9.png")
        found = [hit["path"] for hit in reply["neighbours"]]
        assert set(found[:2]) == {str(photos / "b/c/8.png"), str(photos / "b/c/10.png")}
        assert reply["query"]["id"] == id_for_browser(corpus.id_of(photos / "a/9.png"))
        again = client.get("/api/neighbours", params={**asked, "id": reply["query"]["id"]}).json()
        assert [hit["path"] for hit in again["neighbours"]] == found
        assert len(client.get("/api/examples", params={"seed": 0}).json()) == 24
    corpus.searcher.close()


def test_metrics_that_were_not_published_are_left_out(photos, server, tmp_path):
    publication(tmp_path, photos, server.address, metric=("euclidean",))[0].run()
    store = PublishedStore(server.address, "photos")
    assert store.metrics == ("euclidean",)
    corpus = PublishedCorpus(make_run(tmp_path), LoggedColours(tmp_path / "page"), store)
    assert corpus.holds(int(corpus.gallery.ids[0]))
    assert not corpus.holds(7)
    store.close()
    with pytest.raises(InputError, match="was not published for cosine"):
        PublishedStore(server.address, "photos", ("cosine",))
