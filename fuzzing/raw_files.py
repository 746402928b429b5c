"""Raw files of a camera: a DNG with a picture for viewers, as Adobe's specification 1.4 has it."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

_FORMATS = {1: "B", 3: "H", 4: "I", 5: "II", 10: "ii"}  # byte, short, long, fractions without and with a sign
_ASCII = 2
_IDENTITY = [(int(row == column), 1) for row in range(3) for column in range(3)]


def dng(picture: Image.Image, *, orientation: int = 1, picture_bytes: int | None = None) -> bytes:
    """Build a DNG of 64 x 64 even pixels.

    Args:
        picture: Image for viewers.
        orientation: As EXIF counts, 1 to 8.
        picture_bytes: Its size, as the file says. Default: the true one.
    """
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=95)
    pixels, viewed = np.full((64, 64), 1000, np.uint16).tobytes(), jpeg.getvalue()
    start = 8 + len(pixels) + len(viewed) + len(viewed) % 2

    def first(second_at: int) -> bytes:
        return directory(start, {
            254: (4, [1]), 256: (4, [picture.width]), 257: (4, [picture.height]), 258: (3, [8, 8, 8]), 259: (3, [7]),
            262: (3, [6]), 271: (_ASCII, b"Maker\0"), 272: (_ASCII, b"Camera\0"), 273: (4, [8 + len(pixels)]),
            274: (3, [orientation]), 277: (3, [3]), 278: (4, [picture.height]),
            279: (4, [len(viewed) if picture_bytes is None else picture_bytes]), 330: (4, [second_at]),
            50706: (1, [1, 4, 0, 0]), 50707: (1, [1, 1, 0, 0]), 50708: (_ASCII, b"Maker Camera\0"),
            50721: (10, _IDENTITY), 50728: (5, [(1, 1)] * 3), 50778: (3, [21]),
        })  # fmt: skip

    second_at = start + len(first(0))
    second = directory(second_at, {
        254: (4, [0]), 256: (4, [64]), 257: (4, [64]), 258: (3, [16]), 259: (3, [1]), 262: (3, [32803]), 273: (4, [8]),
        277: (3, [1]), 278: (4, [64]), 279: (4, [len(pixels)]), 33421: (3, [2, 2]), 33422: (1, [0, 1, 1, 2]),
        50717: (4, [65535]),
    })  # fmt: skip
    head = b"II*\0" + struct.pack("<I", start) + pixels + viewed
    return head.ljust(start, b"\0") + first(second_at) + second


def directory(start: int, entries: Mapping[int, tuple[int, Any]]) -> bytes:
    """Build a directory of a TIFF file that begins at byte `start`: (type, values) by tag."""
    body, extra = b"", b""
    for tag, (kind, values) in sorted(entries.items()):
        if kind == _ASCII:
            content = values
        else:
            rows = [value if isinstance(value, tuple) else (value,) for value in values]
            content = b"".join(struct.pack(f"<{_FORMATS[kind]}", *row) for row in rows)
        place = content.ljust(4, b"\0")
        if len(content) > 4:
            place = struct.pack("<I", start + 6 + 12 * len(entries) + len(extra))
            extra += content + b"\0" * (len(content) % 2)
        body += struct.pack("<HHI", tag, kind, len(values)) + place
    return struct.pack("<H", len(entries)) + body + struct.pack("<I", 0) + extra
