"""Photographs in the raw formats of cameras: the picture for viewers that the camera put into the file."""

from __future__ import annotations

import functools
import importlib.util
import io
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from latentsearch.data.image_files import NO_RAW, ImageFileError
from latentsearch.data.memory import DECODING

SUFFIXES = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw")

# Most of them begin as TIFF files do.
_STARTS = (b"II*\0", b"MM\0*", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILM")
_HEAD_BYTES = 16
_MAX_BYTES = 150_000_000  # LibRaw holds the file and its picture at a time
_TURNS = {3: Image.Transpose.ROTATE_180, 5: Image.Transpose.ROTATE_90, 6: Image.Transpose.ROTATE_270}  # of LibRaw


@functools.cache
def is_readable() -> bool:
    """Tell whether the reader of raw files, rawpy, is installed."""
    return importlib.util.find_spec("rawpy") is not None


def is_raw(name: str | Path, start: bytes) -> bool:
    """Tell whether a file is a raw one, by its name and its first 16 bytes."""
    return Path(name).suffix.lower() in SUFFIXES and (start.startswith(_STARTS) or start[4:12] == b"ftypcrx ")


def as_viewed(stream: BinaryIO, name: str | Path) -> BinaryIO:
    """Return the picture in a raw file, as a JPEG or BMP file; any other file as it is.

    Args:
        stream: The file.
        name: Its name.

    Raises:
        ImageFileError: if rawpy is not installed, or the file holds no picture that can be read.
    """
    stream.seek(0)
    if not is_raw(name, stream.read(_HEAD_BYTES)):
        return stream
    if not is_readable():
        raise ImageFileError(name, NO_RAW)
    size = stream.seek(0, io.SEEK_END)
    if size > _MAX_BYTES:
        raise ImageFileError(name, "too large", f"{size:,} bytes, expected at most {_MAX_BYTES:,} of a raw file")
    stream.seek(0)
    with DECODING.hold(2 * size):
        return _picture(stream, name)


def _picture(stream: BinaryIO, name: str | Path) -> io.BytesIO:
    import rawpy

    try:
        with rawpy.imread(stream) as file:
            content = file.extract_thumb().data
            if isinstance(content, bytes):  # a JPEG, to which LibRaw adds its orientation
                return io.BytesIO(content)
            image = Image.fromarray(content)
            turn = _TURNS.get(file.sizes.flip)
    except (rawpy.NotSupportedError, rawpy.LibRawError) as error:
        words = (
            error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        )
        raise ImageFileError(name, "damaged", f"no picture for viewers: {words}") from None
    bitmap = io.BytesIO()
    (image if turn is None else image.transpose(turn)).save(bitmap, "BMP")
    return bitmap
