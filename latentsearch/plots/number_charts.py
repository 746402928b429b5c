"""Charts of the numbers of a code with the images at their ends. Nothing here shows a window or writes a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from latentsearch.plots.code_charts import axis_limits, draw_ridge
from latentsearch.plots.colours import GREY
from latentsearch.text import shortened

_THUMB = 0.62  # inches a thumbnail
_SIDE = 0.95  # of a thumbnail, where gaps are between them
_TALL = 1.42  # of a row, in thumbnails
_BETWEEN = 4  # thumbnails, for the distribution


def number_ends(
    codes: np.ndarray,
    names: Sequence[str],
    ends: Sequence[tuple[np.ndarray, np.ndarray]],
    captions: Sequence[tuple[str, str]],
) -> Figure:
    """Draw each number of a code as a row: the images at its low end, its distribution, those at its high end.

    Args:
        codes: `(num_images, latent_dim)`.
        names: One name per number.
        ends: Images at the low and at the high end of each number, the outermost first, uint8
            `(num_shown, height, width, 3)`.
        captions: Words below them, or "".
    """
    most = max((len(images) for pair in ends for images in pair), default=0)
    across, down = 2 * most + _BETWEEN + 2.2, _TALL * len(names)
    figure = Figure(figsize=(_THUMB * across, _THUMB * down))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    left = 2  # of the images, beside the names
    middle, right = left + most + 0.3, left + most + _BETWEEN
    width = _BETWEEN - 0.6
    for row, (name, values, pair, words) in enumerate(zip(names, codes.T, ends, captions, strict=True)):
        bottom = -_TALL * row - 1
        axes.text(left - 0.15, bottom + 0.5, shortened(name), fontsize=9, ha="right", va="center")
        for images, start, caption in zip(pair, (left, right), words, strict=True):
            shown = images if start == left else images[::-1]  # the outermost at the border
            for place, image in enumerate(shown, start):
                axes.imshow(image, extent=(place, place + _SIDE, bottom, bottom + _SIDE), aspect="auto")
            axes.text(start, bottom - 0.06, shortened(caption, 40), fontsize=7, ha="left", va="top")
        limits = axis_limits(values)
        places = middle + (values - limits[0]) / (limits[1] - limits[0]) * width
        draw_ridge(axes, places, (middle, middle + width), bottom, GREY)
        axes.plot([middle, middle + width], [bottom, bottom], color="black", linewidth=0.8)
    axes.set(xlim=(0, across), ylim=(-down, 0.1))
    return figure
