"""Resizing of images of any size and depth to RGB pixels of the network's size, in tiles, without a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageOps

from latentsearch.config import Fit
from latentsearch.data.colours import to_srgb
from latentsearch.data.headers import exif_orientation

_TILE = 2**19  # pixels
_OVERSAMPLING = 8  # pixels for each that is asked for, in each direction, before the Lanczos filter
_MAX_16_BITS, _MAX_31_BITS, _MAX_32_BITS = 2**16 - 1, 2**31 - 1, 2**32 - 1

Box = tuple[float, float, float, float]


_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, False),
    3: (Image.Transpose.ROTATE_180, False),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, False),
    5: (Image.Transpose.TRANSPOSE, True),
    6: (Image.Transpose.ROTATE_270, True),
    7: (Image.Transpose.TRANSVERSE, True),
    8: (Image.Transpose.ROTATE_90, True),
}  # how an image of this orientation is turned, and whether its sides change places


def upright(image: Image.Image, image_shape: tuple[int, int, int], fit: Fit) -> Image.Image:
    """Resize an image by a Lanczos filter, over white, in sRGB, and turn it as its metadata say.

    Args:
        image: Decoded image of any mode.
        image_shape: `(height, width, 3)` of the result.
        fit: Treatment of other proportions: "crop" keeps the centre, "pad" adds white, "stretch" distorts.
    """
    turn, is_aside = _TURNS.get(_orientation(image), (None, False))
    # The small image is turned, not the large one.
    height, width = image_shape[1::-1] if is_aside else image_shape[:2]
    box: Box = (0, 0, image.width, image.height)
    size = (width, height)
    if fit == "crop":
        box = _centre(image, size)
    elif fit == "pad":
        # An image that is much longer than it is wide keeps one pixel of its width.
        scale = min(width / image.width, height / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = to_srgb(_resized(image, size, box), image)
    small = small if turn is None else small.transpose(turn)
    return ImageOps.pad(small, (image_shape[1], image_shape[0]), color="white") if fit == "pad" else small


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height of an image once it is turned as its metadata say."""
    _, is_aside = _TURNS.get(_orientation(image), (None, False))
    return (image.height, image.width) if is_aside else (image.width, image.height)


def _orientation(image: Image.Image) -> int:
    """Return the orientation, 1 to 8 as in EXIF; 1 for any other value."""
    try:
        found = image.getexif().get(0x0112)
    except Exception:  # odd metadata are no damage
        found = exif_orientation(image.info.get("exif", b"").removeprefix(b"Exif\0\0"))
    return found if isinstance(found, int) else 1


def work_bytes(image: Image.Image, image_shape: tuple[int, int, int]) -> int:
    """Estimate the memory of `upright` beside the image: tiles in several forms, and rows resized one way."""
    rows = min(image.height, 2 * _OVERSAMPLING * image_shape[0])
    return 32 * min(image.width * image.height, _TILE) + 8 * image_shape[1] * rows


def _centre(image: Image.Image, size: tuple[int, int]) -> Box:
    """Find the largest box of these proportions, in the middle."""
    ratio = size[0] / size[1]
    width, height = min(float(image.width), image.height * ratio), min(float(image.height), image.width / ratio)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return left, top, left + width, top + height


def _resized(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    """Resize a box of an image as Pillow does: rows first, then columns."""
    left, top, right, bottom = box
    steps = (
        max(1, int((right - left) // (_OVERSAMPLING * size[0]))),
        max(1, int((bottom - top) // (_OVERSAMPLING * size[1]))),
    )
    lanczos = Image.Resampling.LANCZOS
    if steps == (1, 1) and image.width * image.height <= _TILE:  # one tile
        return _to_rgb(image, steps)(image).resize(size, lanczos, box=box)
    rows = Image.new("RGB", (size[0], -(-image.height // steps[1])))
    at = 0
    for band in _bands(image, steps):
        columns = (left / steps[0], 0, right / steps[0], band.height)
        rows.paste(band.resize((size[0], band.height), lanczos, box=columns), (0, at))
        at += band.height
    return rows.resize(size, lanczos, box=(0, top / steps[1], size[0], bottom / steps[1]))


def _bands(image: Image.Image, steps: tuple[int, int]) -> Iterator[Image.Image]:
    """Yield the image in RGB, a few rows at a time; each pixel is the mean of `steps` pixels."""
    to_rgb = _to_rgb(image, steps)
    width = max(steps[0], min(image.width, _TILE // steps[1]) // steps[0] * steps[0])
    height = max(steps[1], _TILE // width // steps[1] * steps[1])
    for top in range(0, image.height, height):
        bottom = min(top + height, image.height)
        band = Image.new("RGB", (-(-image.width // steps[0]), -(-(bottom - top) // steps[1])))
        for left in range(0, image.width, width):
            tile = image.crop((left, top, min(left + width, image.width), bottom))
            band.paste(to_rgb(tile), (left // steps[0], 0))
        yield band


def _to_rgb(image: Image.Image, steps: tuple[int, int]) -> Callable[[Image.Image], Image.Image]:
    """Return the function that reduces a part of the image and converts it to RGB, over white."""

    def reduced(part: Image.Image) -> Image.Image:
        return part if steps == (1, 1) else part.reduce(steps)

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = _Grey(image)
        if grey.transparent is not None:
            return lambda part: _over_white(reduced(grey.with_alpha(part)))
        return lambda part: reduced(grey(part)).convert("RGB")
    if image.has_transparency_data and not _is_unused_alpha(image):
        _set_transparent_colour(image)
        return lambda part: _over_white(reduced(part.convert("RGBA")))
    if image.mode in ("L", "RGB", "CMYK"):
        return lambda part: reduced(part).convert("RGB")
    return lambda part: reduced(part.convert("RGB"))


def _is_unused_alpha(image: Image.Image) -> bool:
    """Whether nothing of a BMP would be seen: the programs that write those leave the fourth byte of a pixel at 0."""
    if image.format not in ("BMP", "DIB") or image.mode != "RGBA":
        return False
    return not any(part.getchannel("A").getbbox() for part in _strips(image))


def _set_transparent_colour(image: Image.Image) -> None:
    """Bring the transparent colour of a PNG of 16 bits a channel to the 8 bits that Pillow keeps of its pixels."""
    colour = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(colour, tuple) and max(colour) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in colour)


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    rows = max(1, _TILE // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _over_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


class _Grey:
    """A scale from grey values of 16 or 32 bits, or floats, which Pillow would clip, to 8 bits.

    White is the largest number of that many bits, or the tag MaxSampleValue; 1 for floats. Where values lie outside,
    their range decides.
    """

    def __init__(self, image: Image.Image) -> None:
        tags = getattr(image, "tag_v2", {})
        formats, bits = np.ravel(tags.get(339, 1)), np.ravel(tags.get(258, 16))
        self._unsigned_32 = image.mode == "I" and (formats[0], bits[0]) == (1, 32)
        # Pillow turns 0 for white into 0 for black in images of 8 bits only.
        self._white_is_zero = image.format == "TIFF" and tags.get(262) == 0
        self._table: np.ndarray | None = None  # of 16 bits
        # Pillow applies it to 8 bits only.
        self.transparent = image.info.get("transparency") if image.format == "PNG" else None
        if image.mode.startswith("I;16"):
            self._low, self._high = 0.0, float(_MAX_16_BITS)
            if 0 < (largest := np.ravel(tags.get(281, 0))[0]) < _MAX_16_BITS:
                self._high = float(largest)
            self._table = self._eight_bits(np.arange(_MAX_16_BITS + 1, dtype=np.float32))
            return
        low, high = self._range(image)
        if image.mode == "F":
            self._low, self._high = _range_of_floats(low, high)
        elif low < 0:
            self._low, self._high = low, high
        else:
            deep = _MAX_32_BITS if self._unsigned_32 else _MAX_31_BITS
            signed_16 = (formats[0], bits[0]) == (2, 16)
            self._low = 0.0
            self._high = float(_MAX_16_BITS // 2 if signed_16 else _MAX_16_BITS if high <= _MAX_16_BITS else deep)

    def __call__(self, part: Image.Image) -> Image.Image:
        values = self._values(part)
        return Image.fromarray(
            self._eight_bits(values.astype(np.float32)) if self._table is None else self._table[values]
        )

    def with_alpha(self, part: Image.Image) -> Image.Image:
        """The same as RGBA, without what has the transparent value."""
        grey = self(part).convert("RGBA")
        grey.putalpha(Image.fromarray(np.where(self._values(part) == self.transparent, 0, 255).astype(np.uint8)))
        return grey

    def _values(self, part: Image.Image) -> np.ndarray:
        values = np.asarray(part)
        return values.view(np.uint32) if self._unsigned_32 else values

    def _eight_bits(self, values: np.ndarray) -> np.ndarray:
        scaled = (values - np.float32(self._low)) * np.float32(255 / (self._high - self._low))
        grey: np.ndarray = np.nan_to_num(scaled, posinf=255).clip(0, 255).round().astype(np.uint8)
        return 255 - grey if self._white_is_zero else grey

    def _range(self, image: Image.Image) -> tuple[float, float]:
        """Find the least and the largest of the values that are numbers."""
        low, high = np.inf, -np.inf
        for strip in _strips(image):
            values = self._values(strip)
            if image.mode == "F":
                values = values[np.isfinite(values)]
            if values.size:
                low, high = min(low, float(values.min())), max(high, float(values.max()))
        return (low, high) if low <= high else (0.0, 1.0)


def _range_of_floats(low: float, high: float) -> tuple[float, float]:
    """Decide which values are black and white.

    Args:
        low: Least value.
        high: Largest value.
    """
    if low >= -0.1 and high <= 1.1:  # a filter goes a little beyond
        return 0.0, 1.0
    if low < 0:
        return low, high if high > low else 0.0
    if high < 16:  # light, in units of white
        return 0.0, high
    bits = int(np.ceil(np.log2(high + 1)))
    return 0.0, float(2**bits - 1) if bits <= 32 else high  # counts of a sensor
