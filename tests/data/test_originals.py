"""Image files as a viewer shows them: upright, in their own proportions, with their sizes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from latentsearch.data.image_files import ImageFileError
from latentsearch.data.originals import Measures, decode_whole, measure


def stream(size, file_format, **options):
    file = io.BytesIO()
    picture = Image.new("RGB", size, "red")
    picture.paste("blue", (0, 0, size[0] // 2, size[1]))  # its left half
    picture.save(file, file_format, **options)
    return file


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_a_file_is_measured_by_its_content(file_format):
    file = stream((40, 20), file_format)
    found = measure(file, "a.jpg")
    assert found == Measures(40, 20, len(file.getvalue()), f"image/{file_format.lower()}")


def test_heic_is_measured_where_it_can_be_read():
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    file = stream((40, 20), "HEIF")
    assert measure(file, "a.heic") == Measures(40, 20, len(file.getvalue()), "image/heif")


@pytest.mark.parametrize(("orientation", "size"), [(1, (40, 20)), (3, (40, 20)), (6, (20, 40)), (8, (20, 40))])
def test_sizes_and_pixels_are_those_of_the_upright_image(orientation, size):
    file = stream((40, 20), "PNG", **turned(orientation))
    found = measure(file, "a.png")
    assert (found.width, found.height) == size
    picture = decode_whole(file, 1000, "a.png")
    assert picture.shape == (size[1], size[0], 3)
    blue = {1: picture[:, :10], 3: picture[:, -10:], 6: picture[:10], 8: picture[-10:]}[orientation]
    assert (blue == (0, 0, 255)).all()


def test_a_large_image_is_made_smaller_in_its_own_proportions_and_a_small_one_stays():
    assert decode_whole(stream((4000, 1000), "JPEG"), 1600, "a.jpg").shape == (400, 1600, 3)
    assert decode_whole(stream((4000, 1), "PNG"), 100, "a.png").shape == (1, 100, 3)
    small = decode_whole(stream((4, 2), "PNG"), 1600, "a.png")
    np.testing.assert_array_equal(small[:, :, 2], [[255, 255, 0, 0]] * 2)


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"text", "not an image")])
def test_what_is_no_image_is_refused_by_its_name(content, words):
    for read in (lambda file: measure(file, "a\n.png"), lambda file: decode_whole(file, 100, "a\n.png")):
        with pytest.raises(ImageFileError, match=rf"a\\n.png: .*{words}"):
            read(io.BytesIO(content))
