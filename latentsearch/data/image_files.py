"""Opening of image files, and the reasons for which one cannot be used."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from latentsearch.data.memory import MAX_DECODE_BYTES
from latentsearch.errors import InputError
from latentsearch.text import printable

Reason = Literal[
    "missing", "unreadable", "too little memory", "HEIC (pip install -r requirements-heic.txt)",
    "raw (pip install -r requirements-raw.txt)",
    "empty", "another type of file", "not an image", "damaged",
    "too large", "not a file", "a folder of the system", "written by latentsearch",
]  # fmt: skip

NO_HEIC: Reason = "HEIC (pip install -r requirements-heic.txt)"
NO_RAW: Reason = "raw (pip install -r requirements-raw.txt)"
SYSTEM_FOLDER: Reason = "a folder of the system"
NO_READER = frozenset((NO_HEIC, NO_RAW))
# What says nothing of the content of a file, so that it is to be read again.
TRANSIENT: frozenset[Reason] = frozenset(("missing", "unreadable", "too little memory", *NO_READER))

MAX_BYTES = 500_000_000
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp", ".png", ".apng", ".webp", ".gif", ".bmp",
    ".dib", ".tif", ".tiff", ".avif",
)  # fmt: skip

_READ_AT_ONCE = 4_000_000  # bytes; larger files are read while they are decoded


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
    NO_HEIC: "a HEIC file; to read those: pip install -r requirements-heic.txt",
    NO_RAW: "a raw file of a camera; to read those: pip install -r requirements-raw.txt",
    "empty": "the file is empty",
    "another type of file": f"its name is not that of an image, expected one of {' '.join(SUFFIXES)}",
    "not an image": "not an image that can be read, expected JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC",
    "damaged": "the image is damaged",
    "too large": f"too large: to decode it takes too long, or more memory than {MAX_DECODE_BYTES // 1_000_000} MB",
    "not a file": "neither a file nor a folder",
    "a folder of the system": "a folder of the system, not of yours",
    "written by latentsearch": "latentsearch wrote it",
}


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


def _state(file: io.FileIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _in_words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
