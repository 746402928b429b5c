"""Files behind the images of a page: what is told of them, and that nothing but images of the gallery is served."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("httpx2")

from starlette.testclient import TestClient

from latentsearch.data import image_files
from latentsearch.page import originals
from latentsearch.text import printable
from tests.page.pages import make_images, make_page, pixels, png


@pytest.fixture
def photos(tmp_path):
    """A folder with a photograph that is turned, a TIFF, and a name that no header takes."""
    folder = tmp_path / "photos"
    make_images(folder)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (2000, 1000), "green").save(folder / "turned.jpg", exif=exif)
    Image.new("RGB", (30, 20), "green").save(folder / "zebra.tif")
    Image.new("RGB", (7, 9), "green").save(folder / 'a"\r\nSet-Cookie: b=ü.png')
    return folder


@pytest.fixture
def served(tmp_path, photos):
    """The corpus of that folder, and what asks its page."""
    corpus, _, app = make_page(tmp_path, photos)
    return corpus, TestClient(app, base_url="http://127.0.0.1")


def id_of(corpus, ending):
    return next(i for i in corpus.gallery.ids.tolist() if str(corpus.path_of(i)).endswith(ending))


def num_open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def get(client, path, image_id):
    return client.get(f"/api/{path}", params={"id": image_id})


def test_sizes_and_path_of_a_file_are_told(served):
    corpus, client = served
    photo = id_of(corpus, "turned.jpg")
    found = get(client, "details", photo).json()
    assert (found["width"], found["height"], found["type"], found["problem"]) == (1000, 2000, "JPEG", None)
    assert found["bytes"] == corpus.path_of(photo).stat().st_size
    assert found["path"] == str(corpus.path_of(photo))


def test_the_large_picture_is_whole_and_bounded(served):
    corpus, client = served
    assert pixels(get(client, "large", id_of(corpus, "turned.jpg")).content).shape == (1600, 800, 3)
    assert pixels(get(client, "large", id_of(corpus, "zebra.tif")).content).shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("ending", "media_type"), [("turned.jpg", "image/jpeg"), ("zebra.tif", "image/tiff"), ("ü.png", "image/png")]
)
def test_the_original_is_the_file_itself(ending, media_type, served):
    corpus, client = served
    image_id = id_of(corpus, ending)
    reply = get(client, "original", image_id)
    assert reply.content == corpus.path_of(image_id).read_bytes()
    assert reply.headers["content-type"] == media_type
    assert reply.headers["content-disposition"].startswith("inline; filename*=UTF-8''")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in reply.headers


def test_what_became_of_a_file_is_told_and_nothing_else_is_served(served, tmp_path):
    corpus, client = served
    (tmp_path / "secret.txt").write_text("a secret")
    for number, change in enumerate(
        [
            lambda path: path.symlink_to(tmp_path / "secret.txt"),
            lambda path: path.write_bytes(png("red")[:40] + b"a secret"),
            lambda path: None,
        ]
    ):
        path = corpus.path_of(number)
        path.unlink()
        change(path)
        reply = get(client, "original", number)
        assert reply.status_code == 400
        assert reply.json()["error"].startswith(printable(path))
        assert b"secret" not in reply.content
        assert (pixels(get(client, "large", number).content) == 128).all()
    assert get(client, "details", 2).json()["problem"].endswith("there is no such file.")


def test_files_are_bounded_and_ids_are_those_of_the_gallery(served, monkeypatch):
    corpus, client = served
    for path in ("original", "large", "details"):
        assert get(client, path, 10**6).status_code == 404
        assert get(client, path, "../1").status_code == 400
    photo = id_of(corpus, "turned.jpg")
    monkeypatch.setattr(image_files, "MAX_BYTES", 1000)
    reply = get(client, "original", photo)
    assert reply.status_code == 400
    assert "too large" in reply.json()["error"]


def test_a_large_file_is_served_in_blocks_and_closed_and_may_change_meanwhile(served, monkeypatch):
    corpus, client = served
    photo = id_of(corpus, "turned.jpg")
    path = corpus.path_of(photo)
    monkeypatch.setattr(image_files, "_READ_AT_ONCE", 100)
    monkeypatch.setattr(originals, "_BLOCK", 1000)
    assert get(client, "original", photo).content == path.read_bytes()
    files = num_open_files()
    whole, content = path.read_bytes(), originals.read(corpus, photo).content
    assert next(content) == whole[:1000]
    with open(path, "ab") as file:
        file.write(b"more")
    assert b"".join(content).startswith(whole[1000:2000])
    assert num_open_files() == files


def test_an_image_without_a_file_is_served_as_its_pixels(served, monkeypatch):
    corpus, client = served
    monkeypatch.setattr(corpus, "path_of", lambda image_id: None)
    monkeypatch.setattr(corpus, "class_of", lambda image_id: "")
    found = get(client, "details", 3).json()
    assert (found["width"], found["height"], found["bytes"], found["path"]) == (8, 8, None, None)
    assert client.post("/api/images.csv", json=[3]).text == "path,id,class\n,3,\n"
    reply = get(client, "original", 3)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(reply.content))), corpus.picture(3, 192))


def test_a_list_is_told_and_written_as_csv_without_formulas(tmp_path):
    folder = tmp_path / "photos"
    make_images(folder)
    corpus, _, app = make_page(tmp_path, folder)
    client = TestClient(app, base_url="http://127.0.0.1")
    names = ["=1+1", "+1", "-1", "@a", "\ta", 'b,"c', "plain"]
    corpus.path_of = lambda image_id: folder.__class__(names[image_id])
    corpus.class_of = lambda image_id: "red"
    ids = list(range(len(names)))
    told = client.post("/api/images", json=ids).json()
    assert [image["path"] for image in told] == [name.replace("\t", "\\t") for name in names]
    reply = client.post("/api/images.csv", json=ids)
    assert reply.headers["content-type"].startswith("text/csv")
    assert reply.text.splitlines() == [
        "path,id,class", "'=1+1,0,red", "'+1,1,red", "'-1,2,red", "'@a,3,red", "\\ta,4,red", '"b,""c",5,red',
        "plain,6,red",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/api/images", "/api/images.csv"])
@pytest.mark.parametrize("body", [b"", b"{}", b"[-1]", b'["-1"]', b'["x"]', b"[1.5]", b"[" + b"1," * 10_000 + b"1]"])
def test_a_list_that_cannot_be_is_refused(path, body, client):
    reply = client.post(path, content=body)
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("ids: expected a JSON list of at most 10,000 ids")
    assert client.post(path, content=b"[1, 99]").status_code == 404
