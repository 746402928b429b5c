"""Files to images: every kind that people have, upright and in colour; and what cannot be found or read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentsearch.data import deep_grey, image_files, images, resizing
from latentsearch.data.folder import count_endings, skipped_in_words
from latentsearch.data.image_files import ImageFileError
from latentsearch.data.images import read_image
from latentsearch.data.scan import FoundFile, Skipped, find_images
from latentsearch.errors import InputError
from latentsearch.ownership import RECORD, Record
from latentsearch.text import printable

SHAPE = (32, 32, 3)


def save(image, path, **options):
    image.save(path, **options)
    return path


def half_red(width=64, height=64):
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    return image


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.gif", "a.webp", "a.jpg"])
def test_formats(name, tmp_path):
    image = read_image(save(half_red(), tmp_path / name), SHAPE)
    assert image.shape == SHAPE
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image[16, 4], [255, 0, 0], atol=12)
    np.testing.assert_allclose(image[16, 28], [0, 0, 255], atol=12)


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA", "RGBA"])
def test_modes(mode, tmp_path):
    source = half_red().convert(mode)
    path = save(source, tmp_path / ("a.tiff" if mode == "CMYK" else "a.png"))
    expected = np.asarray(source.convert("RGB").resize((32, 32)))
    np.testing.assert_allclose(read_image(path, SHAPE)[:, 4], expected[:, 4], atol=12)


def test_an_image_of_the_networks_size_is_unchanged(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    np.testing.assert_array_equal(read_image(save(Image.fromarray(pixels), tmp_path / "a.png"), SHAPE), pixels)


def test_transparent_parts_are_white(tmp_path):
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert (read_image(save(image, tmp_path / "a.png"), SHAPE) == 255).all()


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize(("dtype", "white"), [(np.uint16, 65535), (np.float32, 1.0), (np.float32, 255.0)])
def test_deep_grey_images_keep_their_brightness(suffix, dtype, white, tmp_path):
    if (suffix, dtype) == ("png", np.float32):
        pytest.skip("PNG has no floats")
    ramp = np.tile(np.linspace(0, 1, 32), (32, 1))
    path = save(Image.fromarray((ramp * white).astype(dtype)), tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(read_image(path, SHAPE)[:, :, 1], ramp * 255, atol=1)


@pytest.mark.parametrize("name", ["a.ppm", "a.eps", "a.ico"])
def test_other_formats_are_refused_although_pillow_knows_them(name, tmp_path):
    with pytest.raises(ImageFileError) as caught:
        read_image(save(half_red(), tmp_path / name), SHAPE)
    assert caught.value.reason == "not an image"


def test_cropped_to_the_centre(tmp_path):
    image = Image.new("RGB", (96, 32), "white")
    image.paste("black", (32, 0, 64, 32))
    assert read_image(save(image, tmp_path / "a.png"), SHAPE).max() < 100


def test_turned_upright_by_exif(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image = read_image(save(half_red(), tmp_path / "a.png", exif=exif), SHAPE)
    np.testing.assert_allclose(image[16, 4], [0, 0, 255], atol=12)


@pytest.mark.parametrize(("fit", "expected"), [("crop", [0, 0, 0]), ("pad", [255, 0, 255]), ("stretch", [255, 0, 255])])
def test_what_becomes_of_other_proportions(fit, expected, tmp_path):
    image = Image.new("RGB", (90, 30), "white")
    image.paste("black", (30, 0, 60, 30))
    read = read_image(save(image, tmp_path / "a.png"), SHAPE, fit=fit)
    np.testing.assert_allclose(read[16, [2, 16, 29], 0], expected, atol=12)
    assert (read[0, 16] > 250).all() == (fit == "pad")


def test_a_large_jpeg_looks_the_same_as_when_decoded_in_full(tmp_path):
    ramp = np.linspace(0, 255, 2000).astype(np.uint8)
    pixels = np.stack([np.tile(ramp, (1600, 1)), np.tile(ramp[:1600, None], (1, 2000)), np.full((1600, 2000), 99)], 2)
    image = Image.fromarray(pixels.astype(np.uint8))
    read = [read_image(save(image, tmp_path / name), SHAPE).astype(int) for name in ("a.jpg", "a.bmp")]
    np.testing.assert_allclose(*read, atol=3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"text", "not an image"),
        (b"\x89PNG\r\n\x1a\n", "not an image"),
        (b"GIF89a", "not an image"),
        (b"\xff\xd8\xff", "not an image"),
    ],
)
def test_what_is_no_image_is_refused(content, reason, tmp_path):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageFileError, match=r"a.png: ") as caught:
        read_image(tmp_path / "a.png", SHAPE)
    assert caught.value.reason == reason


def test_truncated_missing_folder_and_bomb_are_refused(tmp_path, monkeypatch):
    half = save(half_red(), tmp_path / "a.png")
    half.write_bytes(half.read_bytes()[:100])
    huge = Image.new("1", (20_000, 20_000))
    for path, reason in (
        (half, "damaged"),
        (tmp_path / "b.png", "missing"),
        (tmp_path / "b\0.png", "unreadable"),
        (tmp_path, "unreadable"),
        (save(huge, tmp_path / "c.png"), "too large"),
    ):
        with pytest.raises(ImageFileError) as caught:
            read_image(path, SHAPE)
        assert caught.value.reason == reason
    os.truncate(save(half_red(), tmp_path / "e.png"), image_files.MAX_BYTES + 1)  # takes no room on disk
    with pytest.raises(ImageFileError, match="500,000,001 bytes"):
        read_image(tmp_path / "e.png", SHAPE)
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    with pytest.raises(ImageFileError, match="64 x 64 pixels"):
        read_image(save(half_red(), tmp_path / "d.png"), SHAPE)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_only_its_end_mark_is_read(progressive, tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8))
    path = save(noise, tmp_path / "a.jpg", progressive=progressive)
    whole, content = read_image(path, SHAPE), path.read_bytes()
    path.write_bytes(content[:-2])
    np.testing.assert_array_equal(read_image(path, SHAPE), whole)
    for missing in (len(content) // 50, len(content) // 3):
        path.write_bytes(content[:-missing])
        with pytest.raises(ImageFileError) as caught:
            read_image(path, SHAPE)
        assert caught.value.reason == "damaged"


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageFileError) as caught:
        read_image(tmp_path / "pipe.png", SHAPE)
    assert caught.value.reason == "not a file"


def test_a_file_larger_than_any_image_is_not_read(tmp_path):
    with open(tmp_path / "a.png", "wb") as file:
        file.truncate(10**12)  # of which the disk holds nothing
    with pytest.raises(ImageFileError, match="1,000,000,000,000 bytes") as caught:
        read_image(tmp_path / "a.png", SHAPE)
    assert caught.value.reason == "too large"


def test_floats_that_are_no_numbers_are_black(tmp_path):
    values = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1))
    values[:, :4], values[:, 28:] = np.nan, -np.inf
    image = read_image(save(Image.fromarray(values), tmp_path / "a.tiff"), SHAPE)
    assert not image[:, :4].any()
    assert not image[:, 28:].any()
    np.testing.assert_allclose(image[0, 4:28, 0], values[0, 4:28] * 255, atol=1)


@pytest.mark.parametrize("mode", ["I;16", "F", "RGBA", "L"])
def test_large_images_are_what_small_ones_are_in_less_memory(mode, tmp_path, monkeypatch):
    monkeypatch.setattr(resizing, "TILE", 5000)
    monkeypatch.setattr(deep_grey, "TILE", 5000)
    ramp = np.tile(np.linspace(0, 1, 2000), (1500, 1))
    if mode == "RGBA":
        image = Image.fromarray(np.dstack([np.zeros((1500, 2000, 3)), 255 - ramp * 255]).astype(np.uint8))
    else:
        white, dtype = {"I;16": (65535, np.uint16), "F": (1, np.float32), "L": (255, np.uint8)}[mode]
        image = Image.fromarray((ramp * white).astype(dtype))
    read = read_image(save(image, tmp_path / ("a.png" if mode != "F" else "a.tiff")), SHAPE, fit="stretch")
    np.testing.assert_allclose(read[16, :, 1], (np.arange(32) + 0.5) / 32 * 255, atol=2)


def test_a_folder_is_searched_without_end_or_repetition(tmp_path):
    for name in ("b/two.JPG", "b/c/three.png", "one.png", ".hidden/four.png", "b/notes.txt", "no-suffix"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"content")
    (tmp_path / "b" / "c" / "loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "b" / "c")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "line\nbreak \u00e9.png").write_bytes(b"content")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).write_bytes(b"content")
    found = list(find_images(tmp_path))
    files = [file for file in found if isinstance(file, FoundFile)]
    assert {os.fsencode(file.path).replace(b"again", b"b/c") for file in files} == {
        *(b"b/c/three.png", b"b/two.JPG", b"no-suffix", b"one.png", b"\xff.png", "line\nbreak \u00e9.png".encode())
    }
    assert len(files) == 6
    assert all(file.size == 7 and file.mtime_ns > 10**18 for file in files)
    assert {(skipped.path, skipped.reason) for skipped in found if isinstance(skipped, Skipped)} == {
        ("b/notes.txt", "another type of file"),
        ("nowhere.png", "missing"),
        ("self.png", "missing"),
        ("pipe.png", "not a file"),
    }
    assert found == list(find_images(tmp_path))
    for broken in (tmp_path / "gone", tmp_path / "one.png"):
        with pytest.raises(InputError, match="expected a folder"):
            list(find_images(broken))


def test_names_with_an_odd_suffix_are_looked_at_by_their_content(tmp_path):
    images = (
        "IMG_3256.HEIC",
        "i.avif",
        "x.jpg_large",
        "x.jpg.1",
        "photo.JPG~",
        "a.png!d",
        "b.jpeg-large",
        "c.jpg.bak",
        "d.jpg.part",
        "e.pjpeg",
    )
    others = ("j.heic", "x.jpg.json", "x.jpg.xmp", "f.jpg.txt", "notes.txt")
    for name in images:
        half_red().save(tmp_path / name, "JPEG")
    for name in others:
        (tmp_path / name).write_text("about an image")
    found = list(find_images(tmp_path))
    assert {file.path for file in found if isinstance(file, FoundFile)} == set(images)
    assert {(file.path, file.reason) for file in found if isinstance(file, Skipped)} == {
        (name, "another type of file") for name in others
    }


@pytest.mark.parametrize("name", ["@eaDir", "$RECYCLE.BIN", "System Volume Information", "#recycle", "__MACOSX"])
def test_folders_of_the_system_are_left_out_and_counted(name, tmp_path):
    for path in ("a/1.png", f"a/{name}/1.png/thumb.jpg", f"{name}/2.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"content")
    found = list(find_images(tmp_path))
    assert [file.path for file in found if isinstance(file, FoundFile)] == ["a/1.png"]
    assert sorted((file.path, file.reason) for file in found if isinstance(file, Skipped)) == sorted(
        [(name, "a folder of the system"), (f"a/{name}", "a folder of the system")]
    )
    assert len(list(find_images(tmp_path / name))) == 1  # where it is asked for
    skipped = [file for file in found if isinstance(file, Skipped)]
    assert skipped_in_words(count_endings(skipped)) == [f"skipped: 2 folders of the system: 2 {name}"]


def test_what_latentsearch_wrote_is_left_out_unless_it_is_asked_for(tmp_path):
    for path in ("photos/1.png", "reports/run/map.png", "reports/run/mine.png", "copies/neighbours-001/2.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"content")
    Record(tmp_path / "reports" / "run").add("map.png")
    Record(tmp_path / "copies").add("neighbours-001")
    Record(tmp_path / "copies" / "neighbours-001").add("2.png")
    (tmp_path / "photos" / RECORD).mkdir()  # no record
    found = list(find_images(tmp_path))
    assert [file.path for file in found if isinstance(file, FoundFile)] == ["photos/1.png", "reports/run/mine.png"]
    assert {(file.path, file.reason) for file in found if isinstance(file, Skipped)} == {
        ("copies/neighbours-001", "written by latentsearch"),
        ("reports/run/map.png", "written by latentsearch"),
    }
    assert [file.reason for file in find_images(tmp_path / "copies")] == ["written by latentsearch"]
    for ours, expected in (("copies/neighbours-001", ["2.png"]), ("reports/run", ["mine.png"])):
        assert [file.path for file in find_images(tmp_path / ours) if isinstance(file, FoundFile)] == expected


def test_any_name_can_be_printed():
    assert printable(os.fsdecode(b"a\xffb\nc\x1b[31m.png")) == r"a\xffb\nc\x1b[31m.png"
    assert printable("photo \u00e9\u732b.png") == "photo \u00e9\u732b.png"
