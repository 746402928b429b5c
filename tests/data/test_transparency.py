"""What is not to be seen of an image is white, and nothing else is."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from latentsearch.data import deep_grey, resizing
from latentsearch.data.images import decode

SHAPE = (32, 32, 3)
GREY, COLOUR = 0, 2  # types of PNG


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(left, right, transparent, *, bits, kind):
    """64 x 64 pixels of two values, of which `transparent` is not to be seen. Pillow writes no such file."""
    letters = {8: "B", 16: "H"}[bits]
    pixels = b"".join(struct.pack(f">{len(value)}{letters}", *value) * 32 for value in (left, right))
    header = struct.pack(">IIBBBBB", 64, 64, bits, kind, 0, 0, 0)
    parts = (b"IHDR", header), (b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
    data = chunk(b"IDAT", zlib.compress((b"\0" + pixels) * 64)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts) + data


def bmp(alpha, *, masks):
    """64 x 64 pixels of 32 bits, red and blue, whose fourth byte is `alpha`; with `masks` that one is transparency."""
    pixels = (bytes((0, 0, 255, alpha)) * 32 + bytes((255, 0, 0, alpha)) * 32) * 64
    size = 108 if masks else 40
    header = struct.pack("<IiiHHIIiiII", size, 64, 64, 1, 32, 3 if masks else 0, len(pixels), 2835, 2835, 0, 0)
    header += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) * masks
    header = header.ljust(size, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + size + len(pixels), 0, 0, 14 + size) + header + pixels


def halves(content):
    read = decode(content, SHAPE)
    return read[16, 6].tolist(), read[16, 26].tolist()


@pytest.mark.parametrize("tile", [2**19, 500])
@pytest.mark.parametrize(("bits", "most"), [(8, 255), (16, 65535)])
def test_a_transparent_value_is_not_seen_at_any_depth(bits, most, tile, monkeypatch):
    for module in (deep_grey, resizing):
        monkeypatch.setattr(module, "TILE", tile)
    dark, light = (0,), (most // 2,)
    assert halves(png(dark, light, dark, bits=bits, kind=GREY)) == ([255] * 3, [127] * 3)
    assert halves(png(dark, light, light, bits=bits, kind=GREY)) == ([0] * 3, [255] * 3)
    red, blue = (most // 2, 0, 0), (0, 0, most)
    assert halves(png(red, blue, red, bits=bits, kind=COLOUR)) == ([255] * 3, [0, 0, 255])
    assert halves(png(red, blue, blue, bits=bits, kind=COLOUR)) == ([127, 0, 0], [255] * 3)


@pytest.mark.parametrize("tile", [2**19, 500])
@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("alpha", [0, 255])
def test_a_bitmap_of_32_bits_is_seen_though_its_fourth_byte_is_unused(alpha, masks, tile, monkeypatch):
    for module in (deep_grey, resizing):
        monkeypatch.setattr(module, "TILE", tile)
    assert halves(bmp(alpha, masks=masks)) == ([255, 0, 0], [0, 0, 255])


def test_a_bitmap_that_uses_its_transparency_keeps_it():
    content = bytearray(bmp(0, masks=True))
    for pixel in range(len(content) - 64 * 64 * 4, len(content), 64 * 4):
        content[pixel + 3 : pixel + 128 : 4] = b"\xff" * 32  # the left half is seen
    assert halves(bytes(content)) == ([255, 0, 0], [255] * 3)
    assert np.array_equal(decode(bytes(content), SHAPE)[:, 24:], np.full((32, 8, 3), 255))
