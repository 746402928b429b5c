"""Reader of image files as the network takes them, with a reason for each that cannot be read."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from latentsearch.config import Fit
from latentsearch.data import headers, memory
from latentsearch.data.memory import DECODING, MAX_DECODE_BYTES
from latentsearch.data.resizing import upright
from latentsearch.errors import InputError
from latentsearch.text import printable

Reason = Literal[
    "missing", "unreadable", "too little memory", "empty", "another type of file", "not an image", "damaged",
    "too large", "not a file", "a folder of the system", "written by latentsearch",
]  # fmt: skip

# What says nothing of the content of a file, so that it is to be read again.
TRANSIENT: frozenset[Reason] = frozenset(("missing", "unreadable", "too little memory"))

MAX_BYTES = 500_000_000
MAX_PIXELS = 100_000_000
# A JPEG is decoded at a fraction of its size, scan by scan. A phone makes 200 million pixels of one scan, a progressive
# JPEG has about ten.
MAX_JPEG_PIXELS = 1_000_000_000
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp", ".png", ".apng", ".webp", ".gif", ".bmp",
    ".dib", ".tif", ".tiff",
)  # fmt: skip

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF")
_READ_AT_ONCE = 4_000_000  # bytes; larger files are read while they are decoded
# Pillow's bound is one of pixels; ours is one of memory.
Image.MAX_IMAGE_PIXELS = None
# Of metadata that is damaged or cut short, while the pixels can be read.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")


class ImageFileError(InputError):
    """An error for an image file that cannot be used.

    Args:
        path: The file.
        reason: Short reason, to count by.
        detail: Further words on the file.
    """

    def __init__(self, path: str | Path, reason: Reason, detail: str = "") -> None:
        self.path, self.reason, self.detail = str(path), reason, detail
        super().__init__(f"{printable(path)}: {_SENTENCES[reason]}{f' ({detail})' if detail else ''}.")


_SENTENCES: dict[Reason, str] = {
    "missing": "there is no such file",
    "unreadable": "it could not be read",
    "too little memory": "there is too little memory to decode it now",
    "empty": "the file is empty",
    "another type of file": f"its name is not that of an image, expected one of {' '.join(SUFFIXES)}",
    "not an image": "not an image that can be read, expected JPEG, PNG, WebP, GIF, BMP or TIFF",
    "damaged": "the image is damaged",
    "too large": f"too large: to decode it takes too long, or more memory than {MAX_DECODE_BYTES // 1_000_000} MB",
    "not a file": "neither a file nor a folder",
    "a folder of the system": "a folder of the system, not of yours",
    "written by latentsearch": "latentsearch wrote it",
}


def read_image(path: str | Path, image_shape: tuple[int, int, int], *, fit: Fit = "crop") -> np.ndarray:
    """Read an image file as the network takes it: upright, over white, of the network's size.

    Grey values of more than 8 bits are scaled as the format says, or by their range where they do not fit that.

    Args:
        path: A JPEG, PNG, WebP, GIF (its first frame), BMP or TIFF file.
        image_shape: `(height, width, 3)` of the result.
        fit: Treatment of other proportions: "crop" keeps the centre, "pad" adds white, "stretch" distorts.

    Returns:
        uint8 of `image_shape`.

    Raises:
        ImageFileError: if there is no such file, or it is not an image that can be read.
    """
    with opened(path) as content:
        return decode(content, image_shape, fit=fit, name=path)


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[io.BytesIO | io.BufferedReader]:
    """Open an image file for `decode`. Only a small one is held in memory.

    Raises:
        ImageFileError: if there is no such file, it may not be read, is too large, or changes in the meantime.
    """
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise ImageFileError(path, "not a file")  # to open a pipe could wait for ever
        if status.st_size > MAX_BYTES:
            raise ImageFileError(path, "too large", f"{status.st_size:,} bytes, expected at most {MAX_BYTES:,}")
        file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed below)
    except FileNotFoundError:
        raise ImageFileError(path, "missing") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise ImageFileError(path, "unreadable", _in_words(error)) from None
    with file:
        if status.st_size <= _READ_AT_ONCE:
            try:
                content = file.readall()
            except OSError as error:
                raise ImageFileError(path, "unreadable", _in_words(error)) from None
            yield io.BytesIO(content)
            return
        before, stream = _state(file), _Stream(file)
        try:
            yield io.BufferedReader(stream, 2**16)
        except (ImageFileError, OSError):
            if stream.error is None and _state(file) == before:
                raise
        if stream.error is not None:
            raise ImageFileError(path, "unreadable", _in_words(stream.error))
        if _state(file) != before:
            raise ImageFileError(path, "unreadable", "it changed while it was read")


class _Stream(io.RawIOBase):
    """A file that keeps its error, and has no descriptor: libtiff would map it, and die if it is cut short meanwhile.

    Args:
        file: The open file.

    Attributes:
        error: Error of the last attempt to read it that failed.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Any) -> int | None:
        try:
            return self._file.readinto(buffer)
        except OSError as error:
            self.error = error
            raise


def decode(
    content: bytes | BinaryIO, image_shape: tuple[int, int, int], *, fit: Fit = "crop", name: str | Path = "image"
) -> np.ndarray:
    """Decode the content of an image file as `read_image` does.

    It takes 300 MB of memory at most, which all threads of this process share; later ones wait.

    Args:
        content: The bytes, or a stream of them.
        image_shape: `(height, width, 3)` of the result.
        fit: See `read_image`.
        name: Name of the file in an error.

    Raises:
        ImageFileError: if they are not an image that can be read.
    """
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        return _decoded(stream, image_shape, fit, name)
    except ImageFileError as error:
        if error.reason not in ("damaged", "not an image"):
            raise
        first = error
    # Libraries call it damage when they lack memory, and when metadata are odd that nobody needs. So once more, alone.
    with DECODING.hold(DECODING.total):
        if not memory.is_there():
            raise ImageFileError(name, "too little memory")
        pixels = headers.without_metadata(stream)
        try:
            return _decoded(pixels or stream, image_shape, fit, name, alone=True)
        except ImageFileError as second:
            if second.reason in TRANSIENT:
                raise
        if pixels and headers.is_jpeg(pixels):
            with contextlib.suppress(ImageFileError):
                one, other = (_decoded(file, image_shape, fit, name, alone=True) for file in headers.ended(pixels))
                if np.array_equal(one, other):  # nothing is missing that would be seen
                    return one
    raise first


def decode_larger(
    content: bytes | BinaryIO,
    image_shape: tuple[int, int, int],
    side: int,
    *,
    fit: Fit = "crop",
    name: str | Path = "image",
) -> np.ndarray:
    """Decode an image file for a viewer: at a whole multiple of the network's size, if it has the pixels for it.

    Args:
        content: The bytes, or a stream of them.
        image_shape: `(height, width, 3)` that the network takes.
        side: Largest useful length of the longer side in pixels.
        fit: See `read_image`.
        name: Name of the file in an error.

    Raises:
        ImageFileError: if they are not an image that can be read.
    """
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    height, width, channels = image_shape
    multiple = 1
    with contextlib.suppress(ImageFileError), identify(stream, name) as file:
        multiple = max(1, min(-(-side // max(height, width)), file.height // height, file.width // width))
    return decode(stream, (multiple * height, multiple * width, channels), fit=fit, name=name)


def identify(stream: BinaryIO, name: str | Path) -> Image.Image:
    """Open an image without decoding its pixels.

    Raises:
        ImageFileError: if it is not an image that can be read.
    """
    stream.seek(0)
    if not stream.read(1):
        raise ImageFileError(name, "empty")
    stream.seek(0)
    try:
        return Image.open(stream, formats=_FORMATS)
    except UnidentifiedImageError:
        raise ImageFileError(name, "not an image") from None
    except MemoryError:
        raise ImageFileError(name, "too little memory") from None
    except Exception as error:  # Pillow's readers raise whatever a damaged file makes them stumble over
        raise ImageFileError(name, "damaged", _first_line(error)) from None


def _decoded(
    stream: BinaryIO, image_shape: tuple[int, int, int], fit: Fit, name: str | Path, *, alone: bool = False
) -> np.ndarray:
    """See `decode`.

    Args:
        alone: Whether the memory is held already.
    """
    file = identify(stream, name)
    need = memory.needed(file, stream, image_shape)
    limit = MAX_JPEG_PIXELS if need.is_jpeg else MAX_PIXELS
    if need.pixels > limit or need.size > MAX_DECODE_BYTES:
        raise ImageFileError(name, "too large", need.told)
    with contextlib.nullcontext() if alone else DECODING.hold(need.size):
        try:
            file.load()
            return np.asarray(upright(file, image_shape, fit))
        except MemoryError:
            problem = ImageFileError(name, "too little memory")
        except Exception as error:
            problem = ImageFileError(name, "damaged", _first_line(error))
        finally:
            del file  # its memory is free before it counts as free
    raise problem  # not above: the error that is handled there keeps the file


def _state(file: io.FileIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _in_words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
