"""Colours of an image that brings a profile, such as Adobe RGB or Display P3, to sRGB, as every viewer shows them."""

from __future__ import annotations

import functools
import io
import struct

from PIL import Image, ImageCms

_MODES = ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA")
_MAX_BYTES = 100_000  # of a profile that is three primaries and three curves; usual are 500 to 5,000


def to_srgb(small: Image.Image, original: Image.Image) -> Image.Image:
    """Convert an image by the profile of the one that it was made from.

    Profiles of three primaries and curves are followed, as cameras, phones and editors write them; those of printers
    and scanners, which are tables, are not. An odd profile is as good as none.

    Args:
        small: RGB.
        original: What it was made from, with the profile.

    Returns:
        The converted image, or `small` itself where there is nothing to convert.
    """
    profile = original.info.get("icc_profile")
    if original.mode not in _MODES or not isinstance(profile, bytes):
        return small
    transform = _transform(profile)
    if transform is None:
        return small
    return ImageCms.applyTransform(small, transform) or small


@functools.lru_cache(maxsize=32)
def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """From the colours of a profile to sRGB; None where that is not needed, or cannot be."""
    if not _is_of_primaries(profile):
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(source).startswith("sRGB"):
            return None
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "RGB", "RGB", renderingIntent=intent)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # odd metadata are no damage
        return None


def _is_of_primaries(profile: bytes) -> bool:
    """Whether a profile is of RGB and holds no table of colours, by which a small file could take much memory.

    See sections 7.2 and 7.3 of ICC.1:2010.
    """
    if not 132 <= len(profile) <= _MAX_BYTES or profile[16:20] != b"RGB " or profile[36:40] != b"acsp":
        return False
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > 100 or 132 + 12 * count > len(profile):
        return False
    tags = {profile[at : at + 4] for at in range(132, 132 + 12 * count, 12)}
    return {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"} <= tags and not any(
        tag.startswith((b"A2B", b"B2A", b"D2B", b"B2D")) for tag in tags
    )
