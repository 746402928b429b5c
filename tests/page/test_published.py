"""The page of what was published: a sample of its codes is at hand, and ids are larger than a browser's numbers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx2")

from starlette.testclient import TestClient

from latentsearch.errors import InputError
from latentsearch.page import code_map as maps
from latentsearch.page.code_map import CodeMap
from latentsearch.page.config import PageConfig, check_flags
from latentsearch.page.image_record import id_for_browser
from tests.page.pages import ASK, make_images, pixels, png
from tests.page.published import NUM_SAMPLED, make_published_page

COSINE = {**ASK, "metric": "cosine"}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    make_images(root / "photos")
    corpus, *_ = make_published_page(root, root / "photos")
    identity = CodeMap(root / "published.npz", corpus.gallery).identity
    maps.draw(root / "published.npz", identity, corpus.gallery.ids, corpus.gallery.codes)
    return make_published_page(root, root / "photos")


@pytest.fixture
def client(page):
    with TestClient(page[3], base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def outside(page):
    """The id of an image that is not in the sample."""
    corpus, _, everything, _ = page
    return next(one for one in everything.ids.tolist() if one not in corpus.gallery.ids)


def test_it_tells_of_all_images_and_offers_what_was_published(client):
    about = client.get("/api/about").json()
    assert (about["num_images"], about["max_k"], about["classes"]) == (30, 29, ["blue", "red"])
    assert about["name"] == "collection photos at http://fake:1"
    assert (about["metrics"], about["look"], about["has_duplicates"]) == (["cosine"], None, False)
    assert "duplicates are not" in client.get("/api/duplicates").json()["error"].lower()
    reply = client.get("/api/neighbours", params={**ASK, "metric": "euclidean", "id": 1})
    assert (reply.status_code, reply.json()["error"][:34]) == (400, "metric: expected one of cosine, re")


def test_an_image_that_is_not_in_the_sample_is_asked_about(client, page, outside):
    everything = page[2]
    reply = client.get("/api/neighbours", params={**COSINE, "k": 29, "id": outside}).json()
    own = everything.code_of([outside])
    found = everything.ask(own, 30).ids[0].tolist()
    found.remove(outside)
    assert [hit["id"] for hit in reply["neighbours"]] == [id_for_browser(one) for one in found]
    assert reply["query"]["id"] == id_for_browser(outside)
    assert all(hit["path"].endswith(hit["name"]) and hit["class"] in ("blue", "red") for hit in reply["neighbours"])
    assert int(reply["place"]) in page[0].gallery.ids
    why = client.get("/api/explanation", params={"metric": "cosine", "id": outside, "neighbour": found[0]}).json()
    assert why["neighbour"]["id"] == id_for_browser(found[0])


def test_a_file_of_a_published_image_is_known_as_itself(client, outside, page):
    path = page[0].path_of(outside)
    sent = path.read_bytes()
    reply = client.post("/api/neighbours", params={**COSINE, "name": path.name}, content=sent).json()
    assert (reply["query"]["is_known"], reply["query"]["id"]) == (True, id_for_browser(outside))
    assert id_for_browser(outside) not in [hit["id"] for hit in reply["neighbours"]]
    new = client.post("/api/neighbours", params={**COSINE, "name": "new.png"}, content=png((81, 90, 159))).json()
    assert (new["query"]["is_known"], new["query"]["id"]) == (False, None)


def test_pictures_are_larger_than_the_encoder_takes_them(tmp_path):
    make_images(tmp_path / "photos")
    (tmp_path / "photos/red/20.png").write_bytes(png((81, 90, 159), size=(300, 200)))
    corpus, *_, app = make_published_page(tmp_path, tmp_path / "photos")
    image_id = corpus.id_of(tmp_path / "photos/red/20.png")
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert pixels(client.get("/api/picture", params={"id": image_id}).content).shape[0] > 100
        (tmp_path / "photos/red/20.png").unlink()
        gone = pixels(client.get("/api/picture", params={"id": image_id}).content)
    assert gone.shape == (8, 8, 3)
    assert len(np.unique(gone)) == 1


def test_many_images_are_looked_up_at_once(client, page):
    _, milvus, everything, _ = page
    page[0].searcher._now.rows.clear()
    milvus.looked_up.clear()
    reply = client.get("/api/map").json()
    assert len(reply["ids"]) == NUM_SAMPLED
    assert set(reply["group_of"]) == {0, 1}
    assert [len(ids) for ids in milvus.looked_up] == [NUM_SAMPLED]
    ids = [id_for_browser(one) for one in everything.ids.tolist()]
    assert set(reply["ids"]) < set(ids)
    images = client.post("/api/images", json=ids).json()
    assert [image["id"] for image in images] == ids
    assert [len(asked) for asked in milvus.looked_up] == [NUM_SAMPLED, len(ids) - NUM_SAMPLED]
    assert client.post("/api/images.csv", json=ids[:2]).text.count("\n") == 3
    assert client.get("/api/details", params={"id": 5}).status_code == 404


def test_ids_that_a_browser_would_round_go_as_text(page):
    large = [one for one in page[2].ids.tolist() if one >= 2**53]
    assert large
    assert [id_for_browser(one) for one in (7, 2**53 - 1, 2**53)] == [7, 2**53 - 1, str(2**53)]


def test_another_share_of_the_look_is_refused(page):
    with pytest.raises(InputError, match=r"collection photos at http://fake:1 is shown for a look of 0"):
        page[0].with_look(0.5)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"store": "http://here:1"}, "give it by --collection"),
        ({"collection": "photos"}, "name the server that it is in by --store"),
        ({"store": "http://here:1", "collection": "photos", "gallery": "photos"}, "leave out --gallery"),
        ({"store": "http://here:1", "collection": "photos", "sync": False}, "leave out --no-sync"),
        ({"store": "http://here:1", "collection": "photos", "encoder_precision": "int8"}, "--encoder-precision"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags, said):
    with pytest.raises(InputError, match=said):
        check_flags(PageConfig(**flags))
