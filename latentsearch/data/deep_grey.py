"""Grey values of 16 or 32 bits, or floats, as 8 bits; and words on those whose format does not say what is white."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

TILE = 2**19  # pixels that are converted at a time

_MAX_16_BITS, _MAX_31_BITS, _MAX_32_BITS = 2**16 - 1, 2**31 - 1, 2**32 - 1


def in_words(by_range: Mapping[str, int]) -> list[str]:
    """Describe how many images were scaled by their own range, and why.

    Args:
        by_range: Number of images by `DeepGrey.by_range`.
    """
    return [
        f"{count:,} {'images' if count > 1 else 'image'} of {kind} pixels {'have' if count > 1 else 'has'} no fixed "
        f"range: black and white were set by {'their own values, each' if count > 1 else 'its own values'}"
        for kind, count in by_range.items()
        if count
    ]


def strips(image: Image.Image) -> Iterator[Image.Image]:
    """Yield an image in strips of about `TILE` pixels."""
    rows = max(1, TILE // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


class DeepGrey:
    """A scale from grey values of 16 or 32 bits, or floats, which Pillow would clip, to 8 bits.

    White is the largest number of that many bits, or the tag MaxSampleValue; 1 for floats. Where values lie outside,
    their range decides.

    Args:
        image: Decoded image for which `is_needed`.

    Attributes:
        by_range: Kind of the pixels, if their own range decided, not the format: "float" or "32-bit" pixels, or
            "signed 16-bit" ones; else "".
        transparent: Value that is not to be seen; None if there is none.
    """

    def __init__(self, image: Image.Image) -> None:
        tags = getattr(image, "tag_v2", {})
        formats, bits = np.ravel(tags.get(339, 1)), np.ravel(tags.get(258, 16))
        self._unsigned_32 = image.mode == "I" and (formats[0], bits[0]) == (1, 32)
        # Pillow turns 0 for white into 0 for black in images of 8 bits only.
        self._white_is_zero = image.format == "TIFF" and tags.get(262) == 0
        self._table: np.ndarray | None = None  # of 16 bits
        self.by_range = ""
        # Pillow applies it to 8 bits only.
        self.transparent = image.info.get("transparency") if image.format == "PNG" else None
        if image.mode.startswith("I;16"):
            self._low, self._high = 0.0, float(_MAX_16_BITS)
            if 0 < (largest := np.ravel(tags.get(281, 0))[0]) < _MAX_16_BITS:
                self._high = float(largest)
            self._table = self._eight_bits(np.arange(_MAX_16_BITS + 1, dtype=np.float32))
            return
        low, high = self._range(image)
        signed_16 = (formats[0], bits[0]) == (2, 16)
        if image.mode == "F":
            self._low, self._high = _range_of_floats(low, high)
            self.by_range = "float" * ((self._low, self._high) != (0.0, 1.0))
        elif low < 0:
            self._low, self._high = low, high
            self.by_range = "signed 16-bit" if signed_16 else "32-bit"
        else:
            deep = _MAX_32_BITS if self._unsigned_32 else _MAX_31_BITS
            self.by_range = "32-bit" * (high <= _MAX_16_BITS and not signed_16)
            self._low = 0.0
            self._high = float(_MAX_16_BITS // 2 if signed_16 else _MAX_16_BITS if high <= _MAX_16_BITS else deep)

    @staticmethod
    def is_needed(image: Image.Image) -> bool:
        """Tell whether an image has grey values of more than 8 bits."""
        return image.mode in ("I", "F") or image.mode.startswith("I;16")

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
        for strip in strips(image):
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
