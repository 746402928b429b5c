"""Charts of codes as Matplotlib figures: dimensions in pairs and alone, and maps. Nothing here writes a file."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from scipy.ndimage import gaussian_filter1d

matplotlib.use("Agg")

import seaborn as sns

from latentsearch.plots.colours import GREY, PALETTE, look_of
from latentsearch.plots.text_size import width_of
from latentsearch.text import shortened

_BLUE = PALETTE[0]
_END = 0.32  # of a panel, for an image at an end of an axis
_LABEL = 8  # points, of the names of dimensions and classes
_GAP = 0.06  # inches between a panel and the names of its axes
_MAX_NUMBERS = 24  # dimensions whose correlations can still be read as numbers


def pair_plot(
    codes: np.ndarray,
    class_of_image: Sequence[str],
    class_names: Sequence[str],
    number_names: Sequence[str] = (),
    ends: np.ndarray | None = None,
) -> Figure:
    """Draw every latent dimension against every other: below the diagonal a dot per image, above it their density.

    The diagonal shows the distribution of each dimension.

    Args:
        codes: `(num_images, latent_dim)`; about a thousand images can still be told apart.
        class_of_image: `num_images` names.
        class_names: Names in the order of the colours; () for one colour.
        number_names: One name per dimension. Default: number 1, number 2 and so on.
        ends: Images at the low and at the high end of each dimension, shown beside its axes, uint8
            `(latent_dim, 2, height, width, 3)`.
    """
    dims = codes.shape[1]
    number_names = number_names or _default_names(dims)
    pad = 0 if ends is None else _END + 0.06
    side = float(np.clip(12 / dims, 1.1, 3))
    names_wide = max((width_of(shortened(name), _LABEL) for name in class_names), default=0)
    # In inches: the panels, the names of their axes at the left and below, the legend.
    inner, before, beside, edge = side * (dims + pad), 0.3, 0.6 + names_wide if class_names else 0.05, 0.05
    wide, tall = before + inner + beside, before + inner + edge
    figure = Figure(figsize=(wide, tall))
    # One panel for all, each a square of side 1 in it: Matplotlib takes longer to make panels than to draw the dots.
    axes = figure.add_axes((before / wide, before / tall, inner / wide, inner / tall))
    axes.axis("off")
    starts = 1.05 * np.arange(dims)  # to the right; upwards in reverse
    gap = _GAP * (pad + starts[-1] + 1) / inner
    axes.set(xlim=(-pad, starts[-1] + 1), ylim=(-pad, starts[-1] + 1))
    low, high = np.array([axis_limits(values) for values in codes.T]).T
    places = (codes - low) / (high - low)
    below, left = np.tril_indices(dims, -1)  # row and column of each panel of dots
    across = (starts[left] + places[:, left]).ravel()
    up = (starts[dims - 1 - below] + places[:, below]).ravel()
    inside = (places >= 0) & (places <= 1)
    is_drawn = (inside[:, left] & inside[:, below]).ravel()
    of_class = np.repeat(np.asarray(class_of_image), len(left))
    groups = [(of_class == name, *look_of(number)) for number, name in enumerate(class_names)]
    for chosen, colour, marker in groups or [(np.ones(len(of_class), dtype=bool), *look_of(0))]:
        dots = chosen & is_drawn
        axes.scatter(across[dots], up[dots], s=9, marker=marker, color=colour, linewidths=0, alpha=0.6)
    for row, column in np.ndindex(dims, dims):
        x, y = 1.05 * column, 1.05 * (dims - 1 - row)
        if row == column:
            draw_ridge(axes, x + places[:, row], (x, x + 1), y + 0.04, GREY)
        elif row < column:
            counts, _, _ = np.histogram2d(places[:, row], places[:, column], bins=24, range=((0, 1), (0, 1)))
            extent = (x, x + 1, y, y + 1)
            axes.imshow(counts, extent=extent, aspect="auto", origin="lower", cmap="Greys", interpolation="nearest")
    corners = [(x, y) for x in starts for y in starts]
    squares = [[(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)] for x, y in corners]
    axes.add_collection(PolyCollection(squares, facecolor="none", edgecolor="black", linewidth=0.8, clip_on=False))
    for start, name in zip(starts, number_names, strict=False):
        axes.text(start + 0.5, -gap - pad, name, fontsize=_LABEL, ha="center", va="top")
        axes.text(-gap - pad, starts[-1] - start + 0.5, name, fontsize=_LABEL, ha="right", va="center", rotation=90)
    for start, pair in zip(starts, () if ends is None else ends, strict=False):
        for place, image in zip((0, 1 - _END), pair, strict=True):
            x, y = start + place, starts[-1] - start + place
            axes.imshow(image, extent=(x, x + _END, -pad, -pad + _END), aspect="auto")
            axes.imshow(image, extent=(-pad, -pad + _END, y, y + _END), aspect="auto")
    if class_names:
        figure.legend(handles=_class_marks(class_names), loc="center right", frameon=False, fontsize=_LABEL)
    return figure


def _default_names(dims: int) -> list[str]:
    return [f"number {dimension + 1}" for dimension in range(dims)]


def _class_marks(class_names: Sequence[str]) -> list[Line2D]:
    """Make the marks of classes in a legend: colour and marker."""
    looks = [(name, *look_of(number)) for number, name in enumerate(class_names)]
    return [
        Line2D([], [], linestyle="", marker=marker, color=colour, label=shortened(name))
        for name, colour, marker in looks
    ]


def axis_limits(values: np.ndarray) -> tuple[float, float]:
    """Find the limits of an axis of these values: without the outermost ones, and never equal."""
    low, high = np.percentile(values.astype(np.float64), [0.5, 99.5])
    margin = 0.08 * (high - low) or max(abs(low), 1.0) * 0.1
    return float(low - margin), float(high + margin)


def draw_ridge(axes: Axes, values: np.ndarray, limits: tuple[float, float], height: float, colour: str) -> None:
    """Draw a smoothed histogram, 0.9 high, at a height."""
    # In float32 there may be fewer numbers than bins between the limits.
    counts, edges = np.histogram(values.astype(np.float64), bins=60, range=limits)
    smooth = gaussian_filter1d(counts.astype(np.float64), 1.5)
    top = smooth.max() or 1
    axes.fill_between((edges[:-1] + edges[1:]) / 2, height, height + 0.9 * smooth / top, color=colour, linewidth=0)


def code_distributions(
    codes: np.ndarray, class_of_image: np.ndarray, class_names: Sequence[str], number_names: Sequence[str] = ()
) -> Figure:
    """Draw a smoothed histogram of each latent dimension: of all images, and below it a ridge per class.

    Args:
        codes: `(num_images, latent_dim)`.
        class_of_image: `num_images` names.
        class_names: Names from top to bottom; () for all images alone.
        number_names: One name per dimension. Default: number 1, number 2 and so on.
    """
    number_names = number_names or _default_names(codes.shape[1])
    num_columns = min(5, codes.shape[1])
    num_rows = -(-codes.shape[1] // num_columns)
    of_class = np.asarray(class_of_image)
    names = [name for name in class_names if (of_class == name).any()]
    size = (2.3 * num_columns + 1.2, (0.24 * (len(names) + 1) + 0.9) * num_rows)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    heights = np.arange(len(names), -1, -1)  # all images on top
    for dimension, axes in enumerate(grid):
        if dimension >= codes.shape[1]:
            axes.axis("off")
            continue
        values = codes[:, dimension]
        limits = axis_limits(values)
        draw_ridge(axes, values, limits, heights[0], GREY)
        for name, height in zip(names, heights[1:], strict=True):
            draw_ridge(axes, values[of_class == name], limits, height, _BLUE)
        axes.set_title(number_names[dimension], fontsize=9)
        axes.tick_params(labelsize=7, left=False)
        is_first = dimension % num_columns == 0
        axes.set_yticks(heights + 0.3 if is_first else [], ["all", *map(shortened, names)] if is_first else [])
        axes.set(xlim=limits, ylim=(-0.1, len(names) + 1))
    sns.despine(figure, left=True)
    return figure


def correlation_map(correlations: np.ndarray, number_names: Sequence[str] = ()) -> Figure:
    """Draw correlations of the latent dimensions as colours, with numbers if they fit.

    Args:
        correlations: `(latent_dim, latent_dim)`.
        number_names: One name per dimension. Default: number 1, number 2 and so on.
    """
    dims = len(correlations)
    names = list(number_names or _default_names(dims))
    side = float(np.clip(0.42 * dims, 3, 10))
    # In inches: the names at the left and below, the bar of colours at the right with its numbers and its name.
    before, beside, edge = 0.2 + max(width_of(name, _LABEL) for name in names), 1.15, 0.1
    wide, tall = before + side + beside, before + side + edge
    figure = Figure(figsize=(wide, tall))
    is_readable = dims <= _MAX_NUMBERS
    axes = figure.add_axes((before / wide, before / tall, side / wide, side / tall))
    bar = figure.add_axes(((before + side + 0.2) / wide, (before + 0.1 * side) / tall, 0.18 / wide, 0.8 * side / tall))
    sns.heatmap(
        correlations, ax=axes, vmin=-1, vmax=1, cmap="RdBu_r", annot=is_readable, fmt=".2f", annot_kws={"size": 7},
        square=True, cbar_ax=bar, cbar_kws={"label": "correlation"},
    )  # fmt: skip
    step = 1 if is_readable else 8
    axes.set_xticks(np.arange(dims)[::step] + 0.5, names[::step], rotation=90)
    axes.set_yticks(np.arange(dims)[::step] + 0.5, names[::step], rotation=0)
    axes.tick_params(labelsize=_LABEL)
    return figure


def class_map(points: np.ndarray, class_of_image: Sequence[str], class_names: Sequence[str]) -> Figure:
    """Draw codes on a plane, coloured by class, with the names of the classes where most of each lie.

    Args:
        points: `(num_images, 2)`.
        class_of_image: `num_images` names.
        class_names: Names in the order of the colours; () for one colour.
    """
    figure = Figure(figsize=(8, 6.5), layout="constrained")
    axes = figure.subplots()
    of_class = np.asarray(class_of_image)
    groups = [(name, points[of_class == name], *look_of(number)) for number, name in enumerate(class_names)]
    for name, group, colour, marker in groups or [("", points, *look_of(0))]:
        axes.scatter(group[:, 0], group[:, 1], s=9, marker=marker, color=colour, linewidths=0, alpha=0.7)
        if name and len(group):
            x, y = np.median(group, axis=0).tolist()
            axes.text(
                x, y, shortened(name, 20), color=colour, fontsize=9, fontweight="bold", ha="center", va="center",
                path_effects=[withStroke(linewidth=3, foreground="white")],
            )  # fmt: skip
    axes.set(xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
    if class_names:
        figure.legend(handles=_class_marks(class_names), frameon=False, loc="outside right center")
    return figure
