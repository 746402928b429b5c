"""Colours that people with any colour vision tell apart, and markers for more classes than colours."""

from __future__ import annotations

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#999999")
"""Of Okabe and Ito (2008), grey in the place of yellow, which is faint on white."""

GREY = "#666666"
"""Of what stands beside the colours: all images together, lines, words."""

SHAPES = ("o", "^", "s", "X")
"""Markers: classes of one colour differ by them."""


def look_of(number: int) -> tuple[str, str]:
    """Return colour and marker of a class, counted from 0."""
    return PALETTE[number % len(PALETTE)], SHAPES[number // len(PALETTE) % len(SHAPES)]
