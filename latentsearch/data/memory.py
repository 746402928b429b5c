"""Memory for decoding images: estimates, and a budget that all threads of the process share."""

from __future__ import annotations

import contextlib
import ctypes
import io
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from latentsearch.data.headers import jpeg_layout
from latentsearch.data.resizing import work_bytes

MAX_DECODE_BYTES = 300_000_000

_GIVE_BACK_FROM = 32_000_000  # bytes
_BYTES_OF_MODE = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # of others 4: see Pillow
# Two canvases, the frame as bytes and the image, 4 bytes a pixel each, and what the decoder needs. Measured: 16.5.
_WEBP_BYTES = 17
# Of each pixel, by whether there is alpha. Measured: 11.5 and 13.9 of AVIF without subsampling, and 3 more if it is of
# 10 bits; 10 of HEIC, and 16.0 and 21.1 if it is deeper.
_AVIF_BYTES, _HEIF_BYTES, _DEEP_HEIF_BYTES = (15, 18), (11, 11), (17, 22)


class MemoryBudget:
    """A budget of memory that threads share; one that asks for more than is left waits, the first one first.

    Args:
        total: Size in bytes.
    """

    def __init__(self, total: int) -> None:
        self.total, self._left = total, total
        self._turn, self._changed = threading.Lock(), threading.Condition()

    @contextlib.contextmanager
    def hold(self, amount: int) -> Iterator[None]:
        """Hold `amount` bytes, at most `total`, while the block runs."""
        amount = min(amount, self.total)
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._left >= amount)
            self._left -= amount
        try:
            yield
        finally:
            if amount >= _GIVE_BACK_FROM:
                give_back()
            self._free(amount)

    def take(self, amount: int) -> bool:
        """Take `amount` bytes if they are left, without waiting; return whether. `free` gives them back."""
        with self._changed:
            if self._left < amount:
                return False
            self._left -= amount
            return True

    def free(self, amount: int) -> None:
        """Give back the bytes that `take` took."""
        self._free(amount)

    def _free(self, amount: int) -> None:
        with self._changed:
            self._left += amount
            self._changed.notify_all()


DECODING = MemoryBudget(MAX_DECODE_BYTES)


class Need(NamedTuple):
    """The memory and work of decoding a file.

    Args:
        size: Peak of the memory in bytes.
        pixels: Number of pixels that are gone through, once for each scan.
        is_jpeg: Whether it is a JPEG.
        told: The reason in words.
    """

    size: int
    pixels: int
    is_jpeg: bool
    told: str


def needed(file: Image.Image, stream: BinaryIO, image_shape: tuple[int, int, int]) -> Need:
    """Estimate the memory of decoding a file to an image of a shape. A JPEG is prepared to be decoded smaller.

    Args:
        file: The opened image, not yet decoded.
        stream: The stream that it was opened from.
        image_shape: `(height, width, 3)` of the result.
    """
    position = stream.tell()
    content = stream.seek(0, io.SEEK_END)
    pixels, told, scans, held = file.width * file.height, f"{file.width} x {file.height} pixels", 1, 0
    is_jpeg, in_memory = file.format in ("JPEG", "MPO"), isinstance(stream, io.BytesIO)
    if is_jpeg:
        scans, held = jpeg_layout(stream)
        side = 2 * max(image_shape[:2])
        file.draft("RGB", (side, side))  # a half, quarter or eighth of its size
    stream.seek(position)
    decoded = file.width * file.height
    size = decoded * _BYTES_OF_MODE.get(file.mode, 4) + content * in_memory + held
    if file.format == "WEBP":
        size = _WEBP_BYTES * decoded + 2 * content
    elif file.format in ("AVIF", "HEIF"):
        deep_heif = file.info.get("bit_depth", 8) > 8
        bytes_of = _AVIF_BYTES if file.format == "AVIF" else _DEEP_HEIF_BYTES if deep_heif else _HEIF_BYTES
        size = bytes_of["A" in file.mode] * decoded + 2 * content
    elif file.format == "TIFF":
        size += _tiff_buffer(file, content * (not in_memory))
    elif file.format == "GIF":
        size += decoded  # a frame on its canvas
    elif file.format in ("BMP", "DIB") and _first_decoder(file) == "bmp_rle":
        size += 2 * decoded  # the decoder's own bytes
    size += work_bytes(file, image_shape)
    told += f" in {scans} scans" * (scans > 1) + f", {file.format}, {size // 1_000_000:,} MB"
    return Need(size, pixels * scans, is_jpeg, told)


def is_there(amount: int = MAX_DECODE_BYTES) -> bool:
    """Tell whether the process could get so much memory now, as far as its limits tell."""
    try:
        np.empty(amount, np.uint8)
    except MemoryError:
        return False
    return True


def give_back() -> None:
    """Return freed memory to the system, where the C library would keep it."""
    if _malloc_trim is not None:
        _malloc_trim(0)


def _first_decoder(file: Image.Image) -> str:
    tile = getattr(file, "tile", None)  # of images that are read from a file
    return str(tile[0][0]) if tile else ""


def _tiff_buffer(file: Image.Image, content_size: int) -> int:
    """Estimate the bytes that libtiff needs beside the image: the file and its largest strip or tile."""
    tags = getattr(file, "tag_v2")  # noqa: B009 - of TIFF images alone
    buffer = 0
    if tags.get(259, 1) != 1:  # compressed
        width, rows = int(tags.get(322, file.width)), int(tags.get(323, tags.get(278, file.height)))
        bits = tags.get(258, (1,))
        a_pixel = max(4, -(-sum(bits) // 8))
        buffer = content_size + min(width, file.width + 1024) * min(rows, file.height + 1024) * a_pixel
    if tags.get(274, 1) != 1:  # turned as a whole
        buffer += file.width * file.height * _BYTES_OF_MODE.get(file.mode, 4)
    return buffer


_malloc_trim: Callable[[int], int] | None
try:
    _malloc_trim = ctypes.CDLL(None).malloc_trim
except (AttributeError, OSError, TypeError):  # not glibc
    _malloc_trim = None
