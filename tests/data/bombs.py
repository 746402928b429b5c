"""Image files that are small and ask for much memory or time, for tests."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image


def png(width: int, height: int, *, mode: str = "L", more: bytes = b"") -> bytes:
    """A PNG of one value. Its rows are compressed a few at a time, so that making it takes no memory."""
    depth, kind, values = {"1": (1, 0, 1), "L": (8, 0, 1), "P": (8, 3, 1), "RGB": (8, 2, 3)}[mode]
    packer, rows = zlib.compressobj(9), bytearray()
    for _ in range(height):
        rows += packer.compress(bytes(1 + -(-width * values * depth // 8)))
    rows += packer.flush()
    palette = chunk(b"PLTE", bytes((9, 99, 199)) * 256) + chunk(b"tRNS", bytes(range(256))) if mode == "P" else b""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + palette + chunk(b"IDAT", bytes(rows)) + chunk(b"IEND", b"")


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    """A chunk of a PNG, with a wrong `crc` if that is given."""
    crc = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def jpeg(width: int, height: int, *, extra_scans: int = 0, **options: object) -> bytes:
    """A JPEG of one colour; its last scan comes `extra_scans` times more."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(buffer, "JPEG", **options)
    content = buffer.getvalue()
    start = content.rfind(b"\xff\xc4", 0, content.rfind(b"\xff\xda"))  # its Huffman table
    return content[:-2] + content[start:-2] * extra_scans + content[-2:]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
