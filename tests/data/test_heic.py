"""HEIC and AVIF: told apart by content, read within the bounds of memory, and counted where they cannot be read."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from latentsearch.data import heic, images
from latentsearch.data.folder import count_endings, skipped_in_words
from latentsearch.data.image_files import NO_HEIC, ImageFileError
from latentsearch.data.images import decode, read_image
from latentsearch.data.scan import FoundFile, Skipped, find_images
from tests.conftest import REPOSITORY
from tests.data.folders import fill, many, prepare

SHAPE = (32, 32, 3)
# The head of a photograph of an iPhone: brand heic, compatible with mif1 and heic.
HEAD = bytes.fromhex("00000018 66747970 68656963 00000000 6d696631 68656963") + bytes(40)

needs_heic = pytest.mark.skipif(not heic.is_readable(), reason="needs requirements-heic.txt")


def saved(kind, size=(96, 64), mode="RGB", orientation=1):
    if kind == "HEIF":
        heic.register()
    image = Image.new(mode, size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    # By which the writers turn the image in its container.
    options = {"exif": exif} if kind == "AVIF" else {}
    image.info["exif"] = exif.tobytes()
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


KINDS = ["AVIF", pytest.param("HEIF", marks=needs_heic)]


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_read_upright_and_over_white(kind):
    content = saved(kind)
    assert heic.brand(content) == kind
    image = decode(content, SHAPE)
    np.testing.assert_allclose(image[16, 4], [255, 0, 0], atol=12)
    np.testing.assert_allclose(image[16, 28], [0, 0, 255], atol=12)
    np.testing.assert_allclose(decode(saved(kind, orientation=3), SHAPE)[16, 4], [0, 0, 255], atol=12)
    buffer = io.BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(buffer, kind)
    assert (decode(buffer.getvalue(), SHAPE) > 250).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_file_cannot_ask_for_much_memory(kind, monkeypatch):
    monkeypatch.setattr(images, "MAX_DECODE_BYTES", 60_000_000)
    with pytest.raises(ImageFileError) as caught:
        decode(saved(kind, (3000, 2000)), SHAPE)
    assert caught.value.reason == "too large"
    monkeypatch.setattr(images, "_MAX_BYTES_OF_FORMAT", {kind: 100})
    with pytest.raises(ImageFileError, match="expected at most 100 of"):
        decode(saved(kind), SHAPE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(2000, 1500)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_decoding_takes_no_more_memory_than_was_estimated(kind, size, mode, tmp_path):
    (tmp_path / "a").write_bytes(saved(kind, size, mode))
    program = """
import io, sys
from PIL import Image
from latentsearch.data import heic, memory
heic.is_readable() and heic.register()
def peak(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))
with open(sys.argv[1], "rb") as file:
    content = io.BytesIO(file.read())
before = peak("VmRSS")
image = Image.open(content)
need = memory.needed(image, content, (32, 32, 3)).size
image.load()
print(need, peak("VmHWM") - before)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "a")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout
    need, taken = map(int, told.split())
    assert taken < need


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_told(kind):
    content = saved(kind)
    for cut in (len(content) // 3, len(content) // 2, len(content) - 20):
        with pytest.raises(ImageFileError) as caught:
            decode(content[:cut], SHAPE)
        assert caught.value.reason in ("damaged", "not an image")


def test_without_the_extra_heic_files_are_counted_and_the_rest_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(heic, "is_readable", lambda: False)
    photos = fill(tmp_path / "photos", many(30))
    for name in ("a.HEIC", "b.heic", "c.hif", "d.jpg"):
        (photos / name).write_bytes(HEAD)
    (photos / "e.heic").write_bytes(b"text")
    (photos / "f.mov").write_bytes(b"film")
    with pytest.raises(ImageFileError, match=r"pip install -r requirements-heic\.txt"):
        read_image(photos / "a.HEIC", SHAPE)
    dataset = prepare(photos)
    assert len(dataset.images) == 30
    assert dataset.provenance.skipped == {NO_HEIC: 4, "another type of file": 2}
    assert skipped_in_words(dataset.provenance.skipped_endings) == [
        "skipped: 4 files, HEIC (pip install -r requirements-heic.txt): 2 .heic, 1 .hif, 1 .jpg",
        "skipped: 2 files, another type of file: 1 .heic, 1 .mov",
    ]


@needs_heic
def test_with_the_extra_heic_files_are_found_by_their_content(tmp_path):
    (tmp_path / "a.heic").write_bytes(saved("HEIF"))
    (tmp_path / "b.heic").write_bytes(b"text")
    (tmp_path / "c.avif").write_bytes(saved("AVIF"))
    found = list(find_images(tmp_path))
    assert [one.path for one in found if isinstance(one, FoundFile)] == ["a.heic", "c.avif"]
    assert count_endings([one for one in found if isinstance(one, Skipped)]) == {"another type of file": {".heic": 1}}


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (HEAD, "HEIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x1cftypavis\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x14ftypmp42\0\0\0\0isomheic", ""),  # a brand behind the end of the list
        (b"\0\0\0\x14ftyp", ""),
        (b"", ""),
    ],
)
def test_brands(start, expected):
    assert heic.brand(start) == expected
