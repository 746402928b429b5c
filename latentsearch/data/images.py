"""Reader of image files as the network takes them, with a reason for each that cannot be read."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from latentsearch.config import Fit
from latentsearch.data import headers, heic, memory, raw
from latentsearch.data.image_files import NO_HEIC, TRANSIENT, ImageFileError, opened
from latentsearch.data.memory import DECODING, MAX_DECODE_BYTES
from latentsearch.data.resizing import upright

MAX_PIXELS = 100_000_000
# A JPEG is decoded at a fraction of its size, scan by scan. A phone makes 200 million pixels of one scan, a progressive
# JPEG has about ten.
MAX_JPEG_PIXELS = 1_000_000_000
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF")
# Their readers hold the whole file in memory before they tell the size of the image.
_MAX_BYTES_OF_FORMAT = {"AVIF": 50_000_000, "HEIF": 50_000_000}
# Pillow's bound is one of pixels; ours is one of memory.
Image.MAX_IMAGE_PIXELS = None
# Of metadata that is damaged or cut short, while the pixels can be read.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")


def read_image(path: str | Path, image_shape: tuple[int, int, int], *, fit: Fit = "crop") -> np.ndarray:
    """Read an image file as the network takes it: upright, over white, of the network's size.

    Grey values of more than 8 bits are scaled as the format says, or by their range where they do not fit that.

    Args:
        path: A JPEG, PNG, WebP, GIF (its first frame), BMP, TIFF or AVIF file; a HEIC file where pillow-heif is; a raw
            file of a camera, by its picture for viewers, where rawpy is.
        image_shape: `(height, width, 3)` of the result.
        fit: Treatment of other proportions: "crop" keeps the centre, "pad" adds white, "stretch" distorts.

    Returns:
        uint8 of `image_shape`.

    Raises:
        ImageFileError: if there is no such file, or it is not an image that can be read.
    """
    return read_file(path, image_shape, fit=fit).pixels


def read_file(path: str | Path, image_shape: tuple[int, int, int], *, fit: Fit = "crop") -> Decoded:
    """Read an image file as `read_image` does, with what is to be said about it.

    Raises:
        ImageFileError: see `read_image`.
    """
    with opened(path) as content:
        return decode_file(content, image_shape, fit=fit, name=path)


class Decoded(NamedTuple):
    """An image as the network takes it.

    Args:
        pixels: uint8 `(height, width, 3)`.
        by_range: Kind of its pixels, if they were scaled by their own range; see `DeepGrey.by_range`.
    """

    pixels: np.ndarray
    by_range: str


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
    return decode_file(content, image_shape, fit=fit, name=name).pixels


def decode_file(
    content: bytes | BinaryIO, image_shape: tuple[int, int, int], *, fit: Fit = "crop", name: str | Path = "image"
) -> Decoded:
    """Decode the content of an image file as `decode` does, with what is to be said about it."""
    stream = raw.as_viewed(io.BytesIO(content) if isinstance(content, bytes) else content, name)
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
                if np.array_equal(one.pixels, other.pixels):  # nothing is missing that would be seen
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
    stream = raw.as_viewed(io.BytesIO(content) if isinstance(content, bytes) else content, name)
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
    head = stream.read(heic.HEAD_BYTES)
    if not head:
        raise ImageFileError(name, "empty")
    kind = heic.brand(head)
    if kind and (size := stream.seek(0, io.SEEK_END)) > _MAX_BYTES_OF_FORMAT[kind]:
        expected = _MAX_BYTES_OF_FORMAT[kind]
        raise ImageFileError(name, "too large", f"{size:,} bytes, expected at most {expected:,} of {kind}")
    if kind == "HEIF":
        if not heic.is_readable():
            raise ImageFileError(name, NO_HEIC)
        heic.register()
    stream.seek(0)
    try:
        return Image.open(stream, formats=(kind,) if kind else _FORMATS)
    except UnidentifiedImageError:
        raise ImageFileError(name, "not an image") from None
    except MemoryError:
        raise ImageFileError(name, "too little memory") from None
    except Exception as error:  # Pillow's readers raise whatever a damaged file makes them stumble over
        raise ImageFileError(name, "damaged", _first_line(error)) from None


def _decoded(
    stream: BinaryIO, image_shape: tuple[int, int, int], fit: Fit, name: str | Path, *, alone: bool = False
) -> Decoded:
    """See `decode`.

    Args:
        alone: Whether the memory is held already.
    """
    file = identify(stream, name)
    try:
        need = memory.needed(file, stream, image_shape)
    except MemoryError:
        raise ImageFileError(name, "too little memory") from None
    except Exception as error:  # of a damaged file, any field may hold anything
        raise ImageFileError(name, "damaged", _first_line(error)) from None
    limit = MAX_JPEG_PIXELS if need.is_jpeg else MAX_PIXELS
    if need.pixels > limit or need.size > MAX_DECODE_BYTES:
        raise ImageFileError(name, "too large", need.told)
    with contextlib.nullcontext() if alone else DECODING.hold(need.size):
        try:
            file.load()
            small, by_range = upright(file, image_shape, fit)
            return Decoded(np.asarray(small), by_range)
        except MemoryError:
            problem = ImageFileError(name, "too little memory")
        except Exception as error:
            problem = ImageFileError(name, "damaged", _first_line(error))
        finally:
            del file  # its memory is free before it counts as free
    raise problem  # not above: the error that is handled there keeps the file


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
