"""Explanations of hits as a Matplotlib figure: what the two images share, and what keeps them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from latentsearch.plots.colours import GREY, PALETTE
from latentsearch.plots.image_grids import panel, show

# All lengths are in thumbnails.
_LARGE, _SMALL = 1.95, 0.66
_STEP = _SMALL + 0.04
_LEFTS = (0.15, 4.6, 9.35)  # of the pair, of what is alike, of what differs
_LINE = 1.6  # from the low end to the high end
_ACROSS = _LEFTS[2] + 6 * _STEP + _LINE + 0.75
_DOWN = 3.8
_MARKS: tuple[dict[str, Any], ...] = (
    {"marker": "o", "color": PALETTE[0], "markersize": 8},
    {"marker": "D", "color": PALETTE[5], "markersize": 7},
)  # of query and neighbour


@dataclass(frozen=True)
class SharedEnd:
    """Images at the end of a number that two images share.

    Args:
        caption: What the number is, and how far out the two are.
        images: uint8 `(height, width, 3)` each, at most 3.
    """

    caption: str
    images: Sequence[np.ndarray]


@dataclass(frozen=True)
class Difference:
    """A number in which two images differ, with images at both of its ends.

    Args:
        caption: What the number is, and what it adds to the distance.
        places: Places of the two between the ends, 0 to 1.
        ends: What the low end and the high end are, of at most two lines.
        low: Images at the low end, as those of `SharedEnd`.
        high: Images at the high end.
    """

    caption: str
    places: tuple[float, float]
    ends: tuple[str, str]
    low: Sequence[np.ndarray]
    high: Sequence[np.ndarray]


@dataclass(frozen=True)
class ExplainedPair:
    """A query and its neighbour.

    Args:
        title: Title of the pair.
        names: Names of the two images, of two lines.
        images: The two images, uint8 `(height, width, 3)` each.
        decoded: Images decoded from their codes, float in [0, 1], `(2, height, width, 3)`.
        alike: Ends that they share, at most 3.
        apart: Numbers in which they differ, at most 2.
    """

    title: str
    names: tuple[str, str]
    images: tuple[np.ndarray, np.ndarray]
    decoded: np.ndarray
    alike: Sequence[SharedEnd]
    apart: Sequence[Difference]


def explanations(pairs: Sequence[ExplainedPair]) -> Figure:
    """Draw explained pairs under each other."""
    if not pairs:
        figure = Figure(figsize=(4, 1))
        figure.text(0.5, 0.5, "no match, nothing to explain", ha="center")
        return figure
    figure, axes = panel(_ACROSS, _DOWN * len(pairs))
    for row, pair in enumerate(pairs):
        top = _DOWN * row
        if row:
            axes.plot([0, _ACROSS], [top, top], color="#cccccc", linewidth=0.8)
        _text(axes, _LEFTS[0], top + 0.25, pair.title, fontsize=10, fontweight="bold")
        _draw_images(axes, pair, top + 0.4)
        _draw_alike(axes, pair.alike, top + 0.4)
        _draw_apart(axes, pair.apart, top + 0.4)
    return figure


def _text(axes: Axes, left: float, bottom: float, text: str, **how: Any) -> None:
    axes.text(left, bottom, text, **{"fontsize": 9, "va": "baseline", "linespacing": 1.1, **how})


def _draw_images(axes: Axes, pair: ExplainedPair, top: float) -> None:
    """Draw both images with their marks, and below them what their codes hold."""
    for number, (image, decoded) in enumerate(zip(pair.images, pair.decoded, strict=True)):
        left = _LEFTS[0] + number * (_LARGE + 0.12)
        axes.plot(left + 0.1, top + 0.17, linestyle="", **_MARKS[number])
        _text(axes, left + 0.24, top + 0.02, pair.names[number], va="top")
        show(axes, image, left, top + 0.48 + _LARGE, _LARGE)
        corner = (left, top + 0.48)
        axes.add_patch(Rectangle(corner, _LARGE, _LARGE, fill=False, edgecolor=_MARKS[number]["color"], linewidth=2))
        show(axes, decoded, left, top + 0.55 + _LARGE + _SMALL, _SMALL)
        below = top + 0.55 + _LARGE + _SMALL / 2
        _text(axes, left + _STEP + 0.03, below, "what its\ncode holds", color=GREY, va="center")


def _draw_alike(axes: Axes, alike: Sequence[SharedEnd], top: float) -> None:
    _text(axes, _LEFTS[1], top + 0.2, "Alike in", fontweight="bold")
    if not alike:
        _text(axes, _LEFTS[1], top + 0.6, "no number has both\ntowards one end", color=GREY, va="top")
    for row, end in enumerate(alike):
        bottom = top + 0.36 + _SMALL + row * (_SMALL + 0.2)
        for column, image in enumerate(end.images):
            show(axes, image, _LEFTS[1] + column * _STEP, bottom, _SMALL)
        _text(axes, _LEFTS[1] + 3 * _STEP + 0.06, bottom - _SMALL / 2, end.caption, va="center")


def _draw_apart(axes: Axes, apart: Sequence[Difference], top: float) -> None:
    _text(axes, _LEFTS[2], top + 0.2, "Differ in", fontweight="bold")
    if not apart:
        _text(axes, _LEFTS[2], top + 0.6, "nothing: their codes are equal", color=GREY, va="top")
    start = _LEFTS[2] + 3 * _STEP + 0.15
    for row, difference in enumerate(apart):
        bottom = top + 0.7 + _SMALL + row * (_SMALL + 0.85)
        _text(axes, _LEFTS[2], bottom - _SMALL - 0.1, difference.caption)
        low = start - 0.19 - max(len(difference.low), 1) * _STEP + _STEP - _SMALL
        _text(axes, low, bottom + 0.05, difference.ends[0], color=GREY, va="top")
        _text(axes, start + _LINE + 0.19, bottom + 0.05, difference.ends[1], color=GREY, va="top")
        for column, image in enumerate(difference.low):
            show(axes, image, start - 0.15 - (len(difference.low) - column) * _STEP, bottom, _SMALL)
        for column, image in enumerate(difference.high):
            show(axes, image, start + _LINE + 0.19 + column * _STEP, bottom, _SMALL)
        middle = bottom - _SMALL / 2
        axes.plot([start, start + _LINE], [middle, middle], color=GREY, linewidth=1.2)
        for place, mark in zip(difference.places, _MARKS, strict=True):
            axes.plot(start + place * _LINE, middle, linestyle="", alpha=0.9, **mark)
