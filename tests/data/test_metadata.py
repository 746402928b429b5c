"""Whole pixels behind odd metadata are read: EXIF, PNG chunks, JPEG segments, TIFF tags."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from latentsearch.data import headers
from latentsearch.data.image_files import ImageFileError
from latentsearch.data.images import decode, decode_file
from tests.data import bombs

SHAPE = (32, 32, 3)


def scene(width=96, height=64):
    """Each corner has a colour of its own, so that no turn looks like another."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (0, 0, width // 2, height // 2))
    image.paste("green", (width // 2, 0, width, height // 2))
    return image


def tiff_block(*entries, more=b""):
    """EXIF data of these entries: tag, type, count, and a value of four bytes; or what comes after the entries."""
    body = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4) + more


def orientation(number):
    return 0x0112, 3, 1, struct.pack("<HH", number, 0)


AFTER_TWO = struct.pack("<I", 8 + 2 + 12 * 2 + 4)
ODD = {
    "text as unit of resolution": ((0x0128, 2, 4, b"abc\0"), b""),
    "negative resolution": ((0x011A, 10, 1, AFTER_TWO), struct.pack("<ii", -72, 1)),
    "resolution over zero": ((0x011A, 5, 1, AFTER_TWO), struct.pack("<II", 72, 0)),
    "text as resolution": ((0x011A, 2, 4, b"abc\0"), b""),
    "a float as resolution": ((0x011A, 11, 1, struct.pack("<f", float("nan"))), b""),
    "a value beyond the end": ((0x010F, 2, 999, struct.pack("<I", 9999)), b""),
    "a type that there is not": ((0x010F, 99, 1, bytes(4)), b""),
    "numbers as text": ((0x9003, 4, 1, struct.pack("<I", 7)), b""),
    "a directory that is none": ((0x8769, 2, 4, b"abc\0"), b""),
    "a directory in itself": ((0x8769, 4, 1, struct.pack("<I", 8)), b""),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("turn", [1, 3, 6, 8])
@pytest.mark.parametrize("odd", ODD)
def test_one_odd_exif_tag_neither_hides_nor_turns_a_photograph(odd, turn, kind):
    entry, more = ODD[odd]
    exif = b"Exif\0\0" + tiff_block(orientation(turn), entry, more=more)
    plain = Image.Exif()
    plain[0x0112] = turn
    options = {"lossless": True} if kind == "WEBP" else {}
    read = decode(bombs.saved(scene(), kind, exif=exif, **options), SHAPE)
    np.testing.assert_array_equal(read, decode(bombs.saved(scene(), kind, exif=plain, **options), SHAPE))


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_turned_as_the_standard_says_whatever_becomes_of_proportions(turn, fit):
    exif = Image.Exif()
    exif[0x0112] = turn
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(bombs.saved(scene(), "PNG", exif=exif))))
    expected = decode(bombs.saved(expected, "PNG"), (24, 32, 3), fit=fit)
    for kind in ("PNG", "TIFF"):
        read = decode(bombs.saved(scene(), kind, exif=exif), (24, 32, 3), fit=fit)
        np.testing.assert_allclose(read.astype(int), expected, atol=6)  # by the filter's order of rows and columns


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_no_exif_at_all_hides_a_photograph(exif):
    plain = decode(bombs.saved(scene(), "JPEG"), SHAPE)
    read = decode(bombs.saved(scene(), "JPEG", exif=b"Exif\0\0" + exif), SHAPE)
    assert sorted(read.ravel()) == pytest.approx(sorted(plain.ravel()), abs=8)  # turned, at most


@given(st.integers(1, 8), st.sampled_from("<>"), st.lists(st.integers(0, 0xFFFF).filter(lambda tag: tag != 0x112)))
def test_orientation_is_found_among_other_tags(number, order, tags):
    entries = [struct.pack(f"{order}HHIHH", 0x0112, 3, 1, number, 0)]
    entries += [struct.pack(f"{order}HHII", tag, 4, 1, 9) for tag in tags]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    assert headers.exif_orientation(head + b"".join(reversed(entries))) == number
    assert headers.exif_orientation(head) == 1


BIG = bytes(range(32, 127)) * 12_000
PNG_CHUNKS = {
    "zTXt of 1.1 MB": bombs.chunk(b"zTXt", b"workflow\0\0" + zlib.compress(BIG)),
    "iTXt of 1.1 MB": bombs.chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(BIG)),
    "iCCP of 1.2 MB": bombs.chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(1_200_000))),
    **{f"short {name.decode()}": bombs.chunk(name, b"\0") for name in (b"gAMA", b"pHYs", b"cHRM", b"iCCP", b"sRGB")},
    **{f"empty {name.decode()}": bombs.chunk(name, b"") for name in (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME")},
    "wrong sum in tEXt": bombs.chunk(b"tEXt", b"Comment\0hello", crc=1),
    "wrong sum in eXIf": bombs.chunk(b"eXIf", tiff_block(orientation(6)), crc=1),
    "wrong sum in tRNS": bombs.chunk(b"tRNS", bytes(6), crc=1),
    "many texts": bombs.chunk(b"zTXt", b"a\0\0" + zlib.compress(BIG[:1_000_000])) * 80,
    "animation without frames": bombs.chunk(b"acTL", bytes(8)),
    "a short frame": bombs.chunk(b"fcTL", bytes(3)),
}


@pytest.mark.parametrize("after_pixels", [False, True])
@pytest.mark.parametrize("odd", PNG_CHUNKS)
def test_odd_chunks_of_a_png_are_not_needed(odd, after_pixels):
    plain = bombs.saved(scene(), "PNG")
    if after_pixels and odd == "wrong sum in eXIf":
        pytest.skip("Pillow does not look at sums behind the pixels: the orientation counts")
    at = len(plain) - 12 if after_pixels else 33
    read = decode(plain[:at] + PNG_CHUNKS[odd] + plain[at:], SHAPE)
    np.testing.assert_array_equal(read, decode(plain, SHAPE))


def test_orientation_and_transparency_stay_though_other_chunks_are_odd():
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("P", (40, 40))
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(1, (0, 0, 20, 20))
    plain = bombs.saved(image, "PNG", transparency=0, exif=exif)
    odd = plain[:33] + PNG_CHUNKS["zTXt of 1.1 MB"] + plain[33:]
    read = decode(odd, SHAPE)
    np.testing.assert_array_equal(read, decode(plain, SHAPE))
    assert read[4, 28].tolist() == [255, 0, 0]  # the upper left corner, turned
    assert read[28, 4].tolist() == [255, 255, 255]


def test_a_png_whose_pixels_are_damaged_is_damaged_still():
    plain = bytearray(bombs.saved(scene(), "PNG"))
    plain[plain.index(b"IDAT") + 10] ^= 255
    with pytest.raises(ImageFileError) as caught:
        decode(bytes(plain), SHAPE)
    assert caught.value.reason == "damaged"


SEGMENTS = {
    "short Adobe": b"\xff\xee\0\x07Adobe",
    "short JFIF": b"\xff\xe0\0\x09JFIF\0\1\1",
    "Photoshop cut short": b"\xff\xed\0\x1ePhotoshop 3.0\x008BIM\x03\xed\0\0\xff",
    "profile cut short": b"\xff\xe2\0\x0fICC_PROFILE\0\1",
    "two of many profiles": b"\xff\xe2\0\x12ICC_PROFILE\0\7\3ab",
    "MPF that is none": b"\xff\xe2\0\x0eMPF\0II*\0\x08\0\0\0",
    "MPF of nothing": b"\xff\xe2\0\x1aMPF\0II*\0\x08\0\0\0\x01\0\x01\xb0\x04\0\0\0\0\0",
    "XMP that is none": b"\xff\xe1\0\x22http://ns.adobe.com/xap/1.0/\0<x>",
    "empty EXIF": b"\xff\xe1\0\x08Exif\0\0",
}


@pytest.mark.parametrize("odd", SEGMENTS)
def test_odd_segments_of_a_jpeg_are_not_needed(odd):
    plain = bombs.saved(scene(), "JPEG")
    np.testing.assert_array_equal(decode(plain[:2] + SEGMENTS[odd] + plain[2:], SHAPE), decode(plain, SHAPE))


TAGS = {
    "text as unit of resolution": (296, 2, 4, b"abc\0"),
    "text as resolution": (282, 2, 4, b"abc\0"),
    "numbers as description": (270, 3, 1, b"\7\0\0\0"),
    "EXIF that is none": (0x8769, 4, 1, struct.pack("<I", 99_999_999)),
    "a profile beyond the end": (34675, 7, 9999, struct.pack("<I", 99_999)),
    "a type that there is not": (305, 77, 1, bytes(4)),
}


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("odd", TAGS)
def test_odd_tags_of_a_tiff_are_not_needed(odd, turn):
    grey = np.asarray(scene(96, 96).convert("L"))
    turned = (274, 3, 1, struct.pack("<I", turn))
    plain, odd_one = (decode(tiff(grey, 8, 1, more=more), SHAPE) for more in ([turned], [turned, TAGS[odd]]))
    np.testing.assert_array_equal(odd_one, plain)


def tiff(values, bits, sample_format, *, black=1, more=()):
    """A TIFF of one grey channel."""
    data = np.ascontiguousarray(values).tobytes()
    height, width = values.shape
    count = 10 + len(more)
    start = 8 + 2 + 12 * count + 4
    fields = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, black), (273, 4, start)]
    fields += [(277, 3, 1), (278, 4, height), (279, 4, len(data)), (339, 3, sample_format)]
    entries = [(tag, kind, 1, struct.pack("<I", value)) for tag, kind, value in fields]
    return tiff_block(*sorted([*entries, *more]), more=data)


RAMP = np.linspace(0, 255, 64).round()[None].repeat(64, 0)
DEEP = {
    "unsigned 8": (RAMP.astype("u1"), 8, 1),
    "unsigned 16": ((RAMP * 257).astype("<u2"), 16, 1),
    "unsigned 32": ((RAMP * 16843009).astype("<u4"), 32, 1),
    "16 of unsigned 32": ((RAMP * 257).astype("<u4"), 32, 1),
    "signed 16": ((RAMP * 32767 / 255).astype("<i2"), 16, 2),
    "signed 16 around 0": ((RAMP * 257 - 32768).astype("<i2"), 16, 2),
    "signed 32": ((RAMP * (2**31 - 1) / 255).astype("<i4"), 32, 2),
    "float to 1": ((RAMP / 255).astype("<f4"), 32, 3),
    "float a little beyond 1": ((RAMP / 255 * 1.04 - 0.02).astype("<f4"), 32, 3),
    "float to 255": (RAMP.astype("<f4"), 32, 3),
    "float to 4095": ((RAMP * 4095 / 255).astype("<f4"), 32, 3),
    "float to 65535": ((RAMP * 257).astype("<f4"), 32, 3),
    "float around 0": ((RAMP * 8 - 1000).astype("<f4"), 32, 3),
    "float of light": ((RAMP / 255 * 3.7).astype("<f4"), 32, 3),
}


@pytest.mark.parametrize(
    ("kind", "black"), [*((kind, 1) for kind in DEEP), *((kind, 0) for kind in ("unsigned 16", "float to 1"))]
)
def test_deep_grey_is_scaled_as_its_format_or_its_range_says(kind, black):
    read = decode(tiff(*DEEP[kind], black=black), SHAPE)[:, :, 0].astype(int)
    expected = decode(tiff(*DEEP["unsigned 8"], black=black), SHAPE)[:, :, 0]
    np.testing.assert_allclose(read, expected, atol=6 if "beyond" in kind else 1)


BY_RANGE = {
    "16 of unsigned 32": "32-bit",
    "signed 16 around 0": "signed 16-bit",
    "float to 255": "float",
    "float to 4095": "float",
    "float to 65535": "float",
    "float around 0": "float",
    "float of light": "float",
}


@pytest.mark.parametrize("kind", DEEP)
def test_what_was_scaled_by_its_own_range_is_said(kind):
    assert decode_file(tiff(*DEEP[kind]), SHAPE).by_range == BY_RANGE.get(kind, "")


def test_the_largest_value_of_a_sensor_is_white_where_the_file_tells_it():
    values = (RAMP * 4095 / 255).astype("<u2")
    read = decode(tiff(values, 16, 1, more=[(281, 3, 1, struct.pack("<I", 4095))]), SHAPE)
    np.testing.assert_allclose(read.astype(int), decode(tiff(*DEEP["unsigned 8"]), SHAPE), atol=1)


@pytest.mark.parametrize("value", [0.0, -5.0, 1e30, -1e30, np.nan, np.inf])
def test_deep_grey_of_one_value_is_an_image(value):
    assert decode(tiff(np.full((40, 40), value, "<f4"), 32, 3), SHAPE).shape == SHAPE


@pytest.mark.parametrize("size", [(3000, 20), (20, 3000), (60_000, 1), (1, 60_000), (1, 1), (5000, 3)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_narrow_pictures_keep_at_least_a_pixel(size, fit, kind):
    read = decode(bombs.saved(Image.new("RGB", size, "navy"), kind), SHAPE, fit=fit)
    assert read.shape == SHAPE
    dark = (read.sum(axis=2) < 200).sum()
    assert dark >= 32 if fit == "pad" else dark == 32 * 32
