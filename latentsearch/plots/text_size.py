"""Width of text in a figure before it is drawn, and text cut to a width."""

from __future__ import annotations

from functools import cache

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font, LoadFlags

from latentsearch.plots.saving import font_with

_POINTS = 72  # an inch
_SIZE = 100  # points at which letters are measured
_BOX = 1.2  # of the size of a font: a box for a letter that no font has


def width_of(text: str, size: float) -> float:
    """Measure a line of text: its width in inches.

    Args:
        text: The line.
        size: Of the font, in points.
    """
    return sum(map(_advance, text)) * size / _POINTS


def fitted(text: str, inches: float, size: float) -> str:
    """Cut the middle out of a line of text that is wider than there is room.

    Args:
        text: The line.
        inches: The room.
        size: Of the font, in points.
    """
    if width_of(text, size) <= inches:
        return text
    head = tail = 0
    room = inches - width_of("\u2026", size)
    while head + tail < len(text):
        is_tail = tail <= head
        room -= width_of(text[-tail - 1] if is_tail else text[head], size)
        if room < 0:
            break
        head, tail = (head, tail + 1) if is_tail else (head + 1, tail)
    return f"{text[:head]}\u2026{text[len(text) - tail :]}"


@cache
def _advance(letter: str) -> float:
    """How far a letter moves on, as a share of the size of the font."""
    font = _font(None)
    if not font.get_char_index(ord(letter)):
        family = font_with(letter)
        if family is None:
            return _BOX
        font = _font(family)
    return float(font.load_char(ord(letter), LoadFlags.NO_HINTING).linearHoriAdvance) / 65536 / _SIZE


@cache
def _font(family: str | None) -> FT2Font:
    """Open a font; None for the one that figures are written in."""
    font = FT2Font(font_manager.findfont(font_manager.FontProperties(family=family and [family])))
    font.set_size(_SIZE, _POINTS)
    return font
