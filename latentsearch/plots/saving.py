"""Writer of figures as PNG files, with every name drawn as it is."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Set
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter, ScalarFormatter

DPI = 110

_MISSING = re.compile(r"Glyph (\d+) .*missing from")
_LIKELY = ("cjk", "noto sans", "wenquanyi", "hiragino", "pingfang", "yahei", "gothic", "arial unicode", "fallback")
_BOXES = "Last Resort"  # of Matplotlib: a box for every letter
_told: set[str] = set()


def save(figure: Figure, path: Path, *, dpi: int = DPI) -> None:
    """Write a figure as PNG; its text is never taken for a formula, and drawn in a font that has its letters.

    Letters that no font of the system has are drawn as boxes, and one line on standard error says so.

    Args:
        figure: The figure.
        path: The file.
        dpi: Pixels per inch.
    """
    _text_is_no_formula(figure)
    missing = _draw(figure, path, dpi)
    fonts = [font for font in map(font_with, sorted(missing)) if font]
    if fonts:
        families = [*matplotlib.rcParams["font.family"], *dict.fromkeys(fonts)]
        for text in figure.findobj(Text):
            text.set_fontfamily(families)
        with matplotlib.rc_context({"font.family": families}):  # for the labels of ticks that are made while drawing
            missing = _draw(figure, path, dpi)
    if missing - _told:
        _told.update(missing)
        letters = " ".join(sorted(missing)[:8])
        print(
            f"figures: no font here has {letters}, drawn as boxes; a font such as Noto Sans CJK may.", file=sys.stderr
        )


def _draw(figure: Figure, path: Path, dpi: int) -> Set[str]:
    """Write the file, and return the letters that the fonts lack. Other warnings are passed on."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        figure.savefig(path, dpi=dpi, format="png")
    missing = set()
    for warning in said:
        found = _MISSING.match(str(warning.message))
        if found:
            missing.add(chr(int(found[1])))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return missing


def _text_is_no_formula(figure: Figure) -> None:
    """Keep dollars in names; the powers of ten that Matplotlib writes at an axis stay formulas."""
    parts = list(_drawn(figure))
    for text in parts:
        if isinstance(text, Text):
            text.set_parse_math(False)
    for axis in parts:
        if isinstance(axis, Axis) and isinstance(axis.get_major_formatter(), (LogFormatter, ScalarFormatter)):
            axis.get_offset_text().set_parse_math(True)
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                tick.label1.set_parse_math(True)
                tick.label2.set_parse_math(True)


def _drawn(artist: Artist) -> Iterator[Artist]:
    """Go through an artist and all in it but axes that are off: Matplotlib would make their ticks, for nothing."""
    yield artist
    is_off = isinstance(artist, Axes) and not artist.axison
    for child in artist.get_children():
        if not (is_off and isinstance(child, Axis)):
            yield from _drawn(child)


@cache
def font_with(letter: str) -> str | None:
    """Find a font of this system that has a letter, or None; likely ones are tried first."""
    fonts = sorted(font_manager.fontManager.ttflist, key=lambda font: not any(w in font.name.lower() for w in _LIKELY))
    letters = (font for font in fonts if not font.name.startswith(_BOXES))
    return next((font.name for font in letters if ord(letter) in _letters_of(font.fname)), None)


@cache
def _letters_of(path: str) -> Set[int]:
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # gone since Matplotlib listed it, or a kind that FreeType cannot open
        return frozenset()
