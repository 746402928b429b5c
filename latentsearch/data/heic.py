"""HEIC and AVIF: telling them apart by their first bytes, and the optional reader of HEIC."""

from __future__ import annotations

import functools
import importlib.util
from typing import Literal

HEAD_BYTES = 64  # of a file, that its brands are looked for in

# Brands of ISO/IEC 23008-12 (HEIF), annex B and section 10, and of the AVIF specification, section 6.
_AVIF = frozenset((b"avif", b"avis"))
_HEIF = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))


def brand(start: bytes) -> Literal["AVIF", "HEIF", ""]:
    """Tell whether these first 64 bytes begin an AVIF or a HEIC file, by Pillow's names of these formats."""
    if start[4:8] != b"ftyp":
        return ""
    size = min(int.from_bytes(start[:4]), len(start))
    brands = {start[8:12], *(start[at : at + 4] for at in range(16, size, 4))}
    return "AVIF" if brands & _AVIF else "HEIF" if brands & _HEIF else ""


@functools.cache
def is_readable() -> bool:
    """Tell whether the reader of HEIC, pillow-heif, is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


@functools.cache
def register() -> None:
    """Make Pillow read HEIC files."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
