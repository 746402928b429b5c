"""Image files as a viewer shows them: whole, in their own proportions, with their sizes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from latentsearch.data import raw
from latentsearch.data.images import decode, identify
from latentsearch.data.resizing import upright_size

_MEDIA_TYPES = {
    "JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif",
    "BMP": "image/bmp", "DIB": "image/bmp", "TIFF": "image/tiff",
    "AVIF": "image/avif", "HEIF": "image/heif",
}  # fmt: skip
_OTHER_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class Measures:
    """Measures of an image file.

    Args:
        width: Pixels, as the image is seen upright.
        height: The same.
        size: Bytes of the file.
        media_type: Media type of its content, such as "image/png", whatever its name says.
    """

    width: int
    height: int
    size: int
    media_type: str


def measure(stream: BinaryIO, name: str) -> Measures:
    """Measure an image file without decoding its pixels.

    Args:
        stream: The file.
        name: Its name in an error.

    Raises:
        ImageFileError: if it is not an image that can be read.
    """
    viewed = raw.as_viewed(stream, name)
    with identify(viewed, name) as file:
        width, height = upright_size(file)
        media_type = _MEDIA_TYPES.get(file.format or "", _OTHER_TYPE) if viewed is stream else _OTHER_TYPE
        size = stream.seek(0, io.SEEK_END)
    return Measures(width, height, size, media_type)


def decode_whole(stream: BinaryIO, side: int, name: str) -> np.ndarray:
    """Decode an image file upright, in its own proportions, uint8 `(height, width, 3)`.

    Args:
        stream: The file.
        side: Most pixels of its longer side; a larger image is made smaller.
        name: Its name in an error.

    Raises:
        ImageFileError: if it is not an image that can be read.
    """
    measures = measure(stream, name)
    scale = min(1.0, side / max(measures.width, measures.height))
    shape = (max(1, round(measures.height * scale)), max(1, round(measures.width * scale)), 3)
    return decode(stream, shape, fit="stretch", name=name)
