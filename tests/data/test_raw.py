"""Raw files of cameras: their pictures for viewers are read upright, and counted where they cannot be read."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fuzzing.raw_files import dng
from latentsearch.data import originals, raw
from latentsearch.data.folder import count_endings, skipped_in_words
from latentsearch.data.image_files import NO_RAW, ImageFileError
from latentsearch.data.images import decode, decode_larger, read_image
from latentsearch.data.scan import FoundFile, Skipped, find_images

SHAPE = (32, 32, 3)
RED, BLUE = [254, 0, 0], [0, 0, 254]

needs_rawpy = pytest.mark.skipif(not raw.is_readable(), reason="needs requirements-raw.txt")


def picture():
    image = Image.new("RGB", (120, 80), "blue")
    image.paste("red", (0, 0, 60, 80))
    return image


@needs_rawpy
@pytest.mark.parametrize(
    ("orientation", "place", "other"),
    [(1, (16, 4), (16, 28)), (3, (16, 28), (16, 4)), (6, (4, 16), (28, 16)), (8, (28, 16), (4, 16))],
)
def test_the_picture_for_viewers_is_read_upright(orientation, place, other):
    image = decode(dng(picture(), orientation=orientation), SHAPE, name="a.DNG")
    np.testing.assert_allclose(image[place], RED, atol=6)
    np.testing.assert_allclose(image[other], BLUE, atol=6)


@needs_rawpy
def test_a_picture_without_compression_is_turned_too(monkeypatch):
    import rawpy

    class Opened:
        sizes = type("Sizes", (), {"flip": 6})  # by a quarter, with the clock

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def extract_thumb(self):
            return rawpy.Thumbnail(rawpy.ThumbFormat.BITMAP, np.asarray(picture()))

    monkeypatch.setattr(rawpy, "imread", lambda stream: Opened())
    image = decode(dng(picture()), SHAPE, name="a.nef")
    np.testing.assert_array_equal(image[4, 16], [255, 0, 0])
    np.testing.assert_array_equal(image[28, 16], [0, 0, 255])


@needs_rawpy
def test_a_viewer_gets_the_picture_and_the_file(tmp_path):
    content = dng(picture(), orientation=6)
    assert decode_larger(content, SHAPE, 64, name="a.dng").shape == (64, 64, 3)
    measures = originals.measure(io.BytesIO(content), "a.dng")
    assert (measures.width, measures.height, measures.size) == (80, 120, len(content))
    assert measures.media_type == "application/octet-stream"  # no browser shows such a file
    assert originals.decode_whole(io.BytesIO(content), 60, "a.dng").shape == (60, 40, 3)


@needs_rawpy
@pytest.mark.parametrize(
    "content",
    [b"II*\0", dng(picture())[:9000], dng(picture(), picture_bytes=4 * 10**8), dng(picture(), picture_bytes=2**32 - 1)],
)
def test_a_damaged_file_is_refused_in_words(content):
    with pytest.raises(ImageFileError, match=r"a\.dng: the image is damaged \(no picture for viewers: [A-Z]"):
        decode(content, SHAPE, name="a.dng")


@needs_rawpy
def test_a_large_file_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(raw, "_MAX_BYTES", 5000)
    with pytest.raises(ImageFileError, match=r"expected at most 5,000 of a raw file"):
        decode(dng(picture()), SHAPE, name="a.dng")


def test_a_jpeg_under_the_name_of_a_raw_file_is_read(tmp_path):
    picture().save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.nef")
    np.testing.assert_allclose(read_image(tmp_path / "a.nef", SHAPE)[16, 4], RED, atol=6)


def test_files_are_found_with_the_extra_and_counted_without(tmp_path, monkeypatch):
    for name in ("a.nef", "b.CR3", "c.dng", "d.txt"):
        (tmp_path / name).write_bytes(dng(picture()))
    with monkeypatch.context() as patch:
        patch.setattr(raw, "is_readable", lambda: True)
        found = [file.path for file in find_images(tmp_path) if isinstance(file, FoundFile)]
    assert found == ["a.nef", "b.CR3", "c.dng"]
    monkeypatch.setattr(raw, "is_readable", lambda: False)
    skipped = [file for file in find_images(tmp_path) if isinstance(file, Skipped)]
    assert [file.is_transient for file in skipped] == [True, True, True, False]
    assert skipped_in_words(count_endings(skipped))[0] == (
        "skipped: 3 files, raw (pip install -r requirements-raw.txt): 1 .cr3, 1 .dng, 1 .nef"
    )
    with pytest.raises(ImageFileError, match=r"requirements-raw\.txt"):
        read_image(tmp_path / "a.nef", SHAPE)
    assert skipped[0].reason == NO_RAW
