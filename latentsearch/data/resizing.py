"""Resizing of images of any size and depth to RGB pixels of the network's size, in tiles, without a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PIL import Image, ImageOps

from latentsearch.config import Fit
from latentsearch.data.colours import to_srgb
from latentsearch.data.deep_grey import TILE, DeepGrey, strips
from latentsearch.data.headers import exif_orientation

_OVERSAMPLING = 8  # pixels for each that is asked for, in each direction, before the Lanczos filter

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


def upright(image: Image.Image, image_shape: tuple[int, int, int], fit: Fit) -> tuple[Image.Image, str]:
    """Resize an image by a Lanczos filter, over white, in sRGB, and turn it as its metadata say.

    Args:
        image: Decoded image of any mode.
        image_shape: `(height, width, 3)` of the result.
        fit: Treatment of other proportions: "crop" keeps the centre, "pad" adds white, "stretch" distorts.

    Returns:
        The image, and what kind of pixels were scaled by their own range; see `DeepGrey.by_range`.
    """
    grey = DeepGrey(image) if DeepGrey.is_needed(image) else None
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
    small = to_srgb(_resized(image, size, box, grey), image)
    small = small if turn is None else small.transpose(turn)
    if fit == "pad":
        small = ImageOps.pad(small, (image_shape[1], image_shape[0]), color="white")
    return small, grey.by_range if grey else ""


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
    return 32 * min(image.width * image.height, TILE) + 8 * image_shape[1] * rows


def _centre(image: Image.Image, size: tuple[int, int]) -> Box:
    """Find the largest box of these proportions, in the middle."""
    ratio = size[0] / size[1]
    width, height = min(float(image.width), image.height * ratio), min(float(image.height), image.width / ratio)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return left, top, left + width, top + height


def _resized(image: Image.Image, size: tuple[int, int], box: Box, grey: DeepGrey | None) -> Image.Image:
    """Resize a box of an image as Pillow does: rows first, then columns."""
    left, top, right, bottom = box
    steps = (
        max(1, int((right - left) // (_OVERSAMPLING * size[0]))),
        max(1, int((bottom - top) // (_OVERSAMPLING * size[1]))),
    )
    lanczos = Image.Resampling.LANCZOS
    if steps == (1, 1) and image.width * image.height <= TILE:  # one tile
        return _to_rgb(image, steps, grey)(image).resize(size, lanczos, box=box)
    rows = Image.new("RGB", (size[0], -(-image.height // steps[1])))
    at = 0
    for band in _bands(image, steps, grey):
        columns = (left / steps[0], 0, right / steps[0], band.height)
        rows.paste(band.resize((size[0], band.height), lanczos, box=columns), (0, at))
        at += band.height
    return rows.resize(size, lanczos, box=(0, top / steps[1], size[0], bottom / steps[1]))


def _bands(image: Image.Image, steps: tuple[int, int], grey: DeepGrey | None) -> Iterator[Image.Image]:
    """Yield the image in RGB, a few rows at a time; each pixel is the mean of `steps` pixels."""
    to_rgb = _to_rgb(image, steps, grey)
    width = max(steps[0], min(image.width, TILE // steps[1]) // steps[0] * steps[0])
    height = max(steps[1], TILE // width // steps[1] * steps[1])
    for top in range(0, image.height, height):
        bottom = min(top + height, image.height)
        band = Image.new("RGB", (-(-image.width // steps[0]), -(-(bottom - top) // steps[1])))
        for left in range(0, image.width, width):
            tile = image.crop((left, top, min(left + width, image.width), bottom))
            band.paste(to_rgb(tile), (left // steps[0], 0))
        yield band


def _to_rgb(image: Image.Image, steps: tuple[int, int], grey: DeepGrey | None) -> Callable[[Image.Image], Image.Image]:
    """Return the function that reduces a part of the image and converts it to RGB, over white."""

    def reduced(part: Image.Image) -> Image.Image:
        return part if steps == (1, 1) else part.reduce(steps)

    if grey is not None:
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
    return not any(part.getchannel("A").getbbox() for part in strips(image))


def _set_transparent_colour(image: Image.Image) -> None:
    """Bring the transparent colour of a PNG of 16 bits a channel to the 8 bits that Pillow keeps of its pixels."""
    colour = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(colour, tuple) and max(colour) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in colour)


def _over_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
