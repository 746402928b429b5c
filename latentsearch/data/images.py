"""Image files: found in a folder, read as the network takes them, and a word for each that cannot be."""

from __future__ import annotations

import errno
import io
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from latentsearch.config import Fit
from latentsearch.errors import InputError
from latentsearch.text import printable

Reason = Literal[
    "missing", "unreadable", "empty", "another type of file", "not an image", "damaged", "too large", "not a file"
]

MAX_PIXELS = 100_000_000
MAX_BYTES = 500_000_000
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff")

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF")
_STRIP = 2**20  # pixels
# MAX_PIXELS is the bound, whatever the process makes of warnings; Pillow raises an error at about twice of it.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Of metadata that is damaged or cut short, while the pixels can be read.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")


class ImageFileError(InputError):
    """An image file that cannot be used.

    Args:
        path: The file.
        reason: In a word, to count by.
        detail: What exactly came.
    """

    def __init__(self, path: str | Path, reason: Reason, detail: str = "") -> None:
        self.path, self.reason, self.detail = str(path), reason, detail
        super().__init__(f"{printable(path)}: {_SENTENCES[reason]}{f' ({detail})' if detail else ''}.")


_SENTENCES: dict[Reason, str] = {
    "missing": "there is no such file",
    "unreadable": "it may not be read",
    "empty": "the file is empty",
    "another type of file": f"its name is not that of an image, expected one of {' '.join(SUFFIXES)}",
    "not an image": "not an image that can be read, expected JPEG, PNG, WebP, GIF, BMP or TIFF",
    "damaged": "the image is damaged",
    "too large": f"too large to be opened safely, expected at most {MAX_PIXELS:,} pixels in {MAX_BYTES:,} bytes",
    "not a file": "neither a file nor a folder",
}


class FoundFile(NamedTuple):
    """A file that may hold an image.

    Args:
        path: Relative to the folder that was searched.
        size: Bytes.
        mtime_ns: Time of its last change, nanoseconds since 1970.
    """

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Skipped:
    """A file or folder that was passed over.

    Args:
        path: Relative to the folder that was searched.
        reason: In a word, to count by.
        detail: What exactly came.
    """

    path: str
    reason: Reason
    detail: str = ""


def find_images(folder: Path) -> Iterator[FoundFile | Skipped]:
    """Files below `folder` whose names are those of images, or have no suffix; what else is there as `Skipped`.

    Folders are searched in the order of their names. Links are followed, but no folder is entered twice. Names that
    start with a dot are hidden and left out.

    Args:
        folder: Where to begin.

    Raises:
        InputError: if it is not a folder, or may not be read.
    """
    try:
        status = folder.stat()
        os.scandir(folder).close()
    except OSError as error:
        raise InputError(f"{printable(folder)}: expected a folder of images ({error.strerror}).") from None
    entered = {(status.st_dev, status.st_ino)}
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(folder / below) as entries:
                names = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            yield Skipped(below, "unreadable", error.strerror or "")
            continue
        folders = []
        for entry in names:
            path = f"{below}/{entry.name}" if below else entry.name
            try:
                status = entry.stat()
            except OSError as error:
                reason: Reason = "missing" if error.errno in (errno.ENOENT, errno.ELOOP) else "unreadable"
                yield Skipped(path, reason, error.strerror or "")
                continue
            if stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) not in entered:
                    entered.add((status.st_dev, status.st_ino))
                    folders.append(path)
            elif not stat.S_ISREG(status.st_mode):
                yield Skipped(path, "not a file")
            elif Path(entry.name).suffix.lower() not in ("", *SUFFIXES):
                yield Skipped(path, "another type of file")
            else:
                yield FoundFile(path, status.st_size, status.st_mtime_ns)
        waiting += reversed(folders)


def read_image(path: str | Path, image_shape: tuple[int, int, int], *, fit: Fit = "crop") -> np.ndarray:
    """An image file as the network takes it: upright, over white, of the network's size.

    Args:
        path: A JPEG, PNG, WebP, GIF (its first frame), BMP or TIFF file.
        image_shape: `(height, width, 3)` to return.
        fit: What becomes of other proportions: "crop" keeps the centre, "pad" adds white, "stretch" distorts.

    Returns:
        uint8 of `image_shape`.

    Raises:
        ImageFileError: if there is no such file, or it is not an image that can be read.
    """
    return decode(read_bytes(path), image_shape, fit=fit, name=path)


def read_bytes(path: str | Path) -> bytes:
    """The content of an image file.

    Raises:
        ImageFileError: if there is no such file, it may not be read, or is too large.
    """
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise ImageFileError(path, "not a file")  # to open a pipe could wait for ever
        if status.st_size > MAX_BYTES:
            raise ImageFileError(path, "too large", f"{status.st_size:,} bytes")
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise ImageFileError(path, "missing") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise ImageFileError(path, "unreadable", getattr(error, "strerror", None) or str(error)) from None


def decode(
    content: bytes, image_shape: tuple[int, int, int], *, fit: Fit = "crop", name: str | Path = "image"
) -> np.ndarray:
    """As `read_image`, of the bytes of a file.

    Args:
        content: The bytes.
        image_shape: `(height, width, 3)` to return.
        fit: See `read_image`.
        name: What to call it in an error.

    Raises:
        ImageFileError: if they are not an image that can be read.
    """
    with _opened(content, name) as file:
        try:
            return _fitted(_upright(file, image_shape), image_shape, fit)
        except (Image.DecompressionBombError, MemoryError) as error:
            raise ImageFileError(name, "too large", _first_line(error)) from None
        except Exception as error:
            raise ImageFileError(name, "damaged", _first_line(error)) from None


def decode_larger(
    content: bytes, image_shape: tuple[int, int, int], side: int, *, fit: Fit = "crop", name: str | Path = "image"
) -> np.ndarray:
    """As `decode`, to look at: a whole multiple of the network's size, if the file has the pixels for it.

    Args:
        content: The bytes.
        image_shape: `(height, width, 3)` that the network takes.
        side: Pixels that the longer side need not go beyond.
        fit: See `read_image`.
        name: What to call it in an error.

    Raises:
        ImageFileError: if they are not an image that can be read.
    """
    height, width, channels = image_shape
    with _opened(content, name) as file:
        multiple = max(1, min(-(-side // max(height, width)), file.height // height, file.width // width))
    return decode(content, (multiple * height, multiple * width, channels), fit=fit, name=name)


def _opened(content: bytes, name: str | Path) -> Image.Image:
    """The image, its pixels not yet decoded, as `decode` takes it."""
    if not content:
        raise ImageFileError(name, "empty")
    try:
        file = Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.UnidentifiedImageError:
        raise ImageFileError(name, "not an image") from None
    except Image.DecompressionBombError as error:
        raise ImageFileError(name, "too large", str(error)) from None
    except Exception as error:  # Pillow's readers raise whatever a damaged file makes them stumble over
        raise ImageFileError(name, "damaged", _first_line(error)) from None
    if file.width * file.height > MAX_PIXELS:
        raise ImageFileError(name, "too large", f"{file.width} x {file.height} pixels")
    return file


def _upright(file: Image.Image, image_shape: tuple[int, int, int]) -> Image.Image:
    """The image in RGB, turned as its EXIF says, over white."""
    side = 2 * max(image_shape[:2])
    file.draft("RGB", (side, side))  # a large JPEG is decoded at a half, quarter or eighth of its size
    ImageOps.exif_transpose(file, in_place=True)
    image = _eight_bits(_reduced(file, image_shape))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _reduced(image: Image.Image, image_shape: tuple[int, int, int]) -> Image.Image:
    """A large image at a fraction of its size, eight times what is needed or more: what follows makes copies of it."""
    factor = min(image.height // (8 * image_shape[0]), image.width // (8 * image_shape[1]))
    can_be = image.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "I", "F")
    return image.reduce(factor) if factor > 1 and can_be else image


def _fitted(image: Image.Image, image_shape: tuple[int, int, int], fit: Fit) -> np.ndarray:
    height, width, _ = image_shape
    method = Image.Resampling.LANCZOS
    if fit == "crop":
        image = ImageOps.fit(image, (width, height), method=method)
    elif fit == "pad":
        image = ImageOps.pad(image, (width, height), method=method, color="white")
    else:
        image = image.resize((width, height), method)
    return np.asarray(image)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey images of 16 bits, of whole numbers or of floats, which Pillow would clip, at 8 bits."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    # Strip by strip: as numbers a large image is several times as large.
    rows = max(1, _STRIP // image.width)
    boxes = [(0, top, image.width, min(top + rows, image.height)) for top in range(0, image.height, rows)]

    def values(box: tuple[int, int, int, int]) -> np.ndarray:
        return np.nan_to_num(np.asarray(image.crop(box), dtype=np.float32))

    # 16-bit files open as "I" or "I;16"; floats are taken for [0, 1] unless they go beyond.
    white = 65535 if image.mode != "F" else 1 if max(values(box).max() for box in boxes) <= 1 else 255
    grey = Image.new("L", image.size)
    for box in boxes:
        grey.paste(Image.fromarray((255 * (values(box) / white).clip(0, 1)).round().astype(np.uint8)), box)
    return grey


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
