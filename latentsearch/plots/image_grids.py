"""Grids of images as Matplotlib figures. Nothing here shows a window or writes a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Rectangle

from latentsearch.plots.colours import PALETTE
from latentsearch.plots.text_size import fitted, width_of

matplotlib.rcParams["text.parse_math"] = False  # names of classes and files may hold $

_RIGHT, _WRONG = "#0072B2", "#D55E00"  # of Okabe and Ito, which colour-blind people tell apart
FRAMES: dict[int, dict[str, Any]] = {
    1: {"edgecolor": _RIGHT, "linewidth": 3.2, "linestyle": "solid"},
    0: {"edgecolor": _WRONG, "linewidth": 1.4, "linestyle": (0, (3, 2))},
    -1: {"edgecolor": "black", "linewidth": 0.8, "linestyle": "solid"},
}
"""Of a neighbour of the query's class (1), of another (0), not known (-1): by colour, thickness and dashes."""

FRAMES_IN_WORDS = "Thick blue frame: same class; thin dashed orange: another"
THUMB = 0.85  # inches a thumbnail
_SIDE = 0.92  # of a thumbnail, where gaps are between them
_BORDER = 2  # pixels of a frame
_TITLE, _NOTE = 6, 7  # points, of the words above an image and below a figure
_CELL = 48  # pixels of a panel of `pairs`


def panel(across: float, down: float) -> tuple[Figure, Axes]:
    """Make a figure with one panel, measured in thumbnails: to lay out one for each image takes many times longer."""
    figure = Figure(figsize=(THUMB * across, THUMB * down))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, across), ylim=(down, 0))
    axes.axis("off")
    return figure, axes


def show(axes: Axes, image: np.ndarray, left: float, bottom: float, side: float) -> None:
    """Draw a square image at its place in a panel."""
    axes.imshow(image, extent=(left, left + side, bottom, bottom - side), aspect="auto")


def image_rows(rows: Mapping[str, np.ndarray], captions: Sequence[str] = ()) -> Figure:
    """Draw rows of images under each other, each row with its name.

    Args:
        rows: Images `(num_images, height, width, 3)` by the name of the row; uint8, or float in [0, 1].
        captions: One caption below each column.
    """
    num_columns = max(len(images) for images in rows.values())
    left = 0.24 + 0.085 * max(map(len, rows))  # for the names
    figure, axes = panel(left + num_columns, 1.1 * len(rows) + 0.15)
    for row, (name, images) in enumerate(rows.items()):
        bottom = 1.1 * row + 1
        axes.text(left - 0.14, bottom - _SIDE / 2, name, fontsize=9, ha="right", va="center")
        for column, image in enumerate(images):
            show(axes, image, left + column, bottom, _SIDE)
    for column, caption in enumerate(captions[:num_columns]):
        axes.text(left + column + _SIDE / 2, bottom + 0.05, caption, fontsize=7, ha="center", va="top")
    return figure


def image_pairs(pairs: np.ndarray, captions: Sequence[str]) -> Figure:
    """Draw pairs of images, each side by side under its caption.

    Args:
        pairs: uint8 `(num_pairs, 2, height, width, 3)`.
        captions: One caption per pair.
    """
    columns, wide, tall = 5, 2.35, 1.53
    figure, axes = panel(columns * wide, -(-len(pairs) // columns) * tall)
    for number, (both, caption) in enumerate(zip(pairs, captions, strict=True)):
        row, column = divmod(number, columns)
        middle, bottom = (column + 0.5) * wide, (row + 1) * tall - 0.04
        show(axes, both[0], middle - 1.1, bottom, 1.07)
        show(axes, both[1], middle + 0.03, bottom, 1.07)
        axes.text(middle, bottom - 1.09, caption, fontsize=7, ha="center", va="bottom")
    return figure


def neighbour_rows(
    queries: np.ndarray,
    query_titles: Sequence[str],
    neighbours: np.ndarray,
    titles: Sequence[Sequence[str]],
    same_class: np.ndarray,
    *,
    note: str = "",
) -> Figure:
    """Draw each query at the left, its neighbours to the right, closest first.

    Args:
        queries: uint8 `(num_queries, height, width, 3)`.
        query_titles: One title per query, of one or more lines; those that are too wide lose their middle.
        neighbours: uint8 `(num_queries, k, height, width, 3)`.
        titles: One title per neighbour, likewise: `num_queries` lists of `k`.
        same_class: int `(num_queries, k)`: frames as `FRAMES` has them.
        note: Line below the figure, such as how many were left out.
    """
    num_queries, k = neighbours.shape[:2]
    most_lines = max((title.count("\n") + 1 for row in (query_titles, *titles) for title in row), default=0)
    # Of a thumbnail's side; a gap between query and results.
    tall, wide, gap = 1.08 + 0.12 * max(most_lines, 2), 1.12, 0.3
    across, down = max(wide * (k + 1) + gap, 4 / THUMB), tall * num_queries
    sentences = list(filter(None, [FRAMES_IN_WORDS if (same_class >= 0).any() else "", note]))
    words = ". ".join(sentences)
    if width_of(words, _NOTE) > (across - 0.12) * THUMB:
        words = "\n".join(sentences)
    below = (0.25 + 0.15 * len(words.splitlines()) if words else 0.06) if num_queries else 0.9
    figure, axes = panel(across, down + below)
    for row in range(num_queries):
        top = tall * row + tall - 1 - 0.02
        for column in range(k + 1):
            left = wide * column + (gap if column else 0) + (wide - 1) / 2
            image = neighbours[row, column - 1] if column else queries[row]
            kind = int(same_class[row, column - 1]) if column else -1
            title = titles[row][column - 1] if column else query_titles[row]
            if column and not title and (image == 255).all():
                continue  # no neighbour
            show(axes, image, left, top + 1, 1)
            axes.add_patch(Rectangle((left, top), 1, 1, fill=False, **FRAMES[kind]))
            shown = "\n".join(fitted(line, (wide - 0.04) * THUMB, _TITLE) for line in title.split("\n"))
            axes.text(left + 0.5, top - 0.04, shown, fontsize=_TITLE, ha="center", va="bottom", linespacing=1.0)
    axes.text(0.06, down + below - 0.1, words, fontsize=_NOTE, va="bottom")
    return figure


def neighbour_blocks(
    queries: np.ndarray,
    neighbours: Mapping[str, np.ndarray],
    same_class: Mapping[str, np.ndarray],
    query_titles: Sequence[str] = (),
) -> Figure:
    """Draw each query at the left, then for each method its neighbours, closest first.

    Args:
        queries: uint8 `(num_queries, height, width, 3)`.
        neighbours: Images `(num_queries, k, height, width, 3)` by method.
        same_class: int `(num_queries, k)` by method: frames as `FRAMES` has them.
        query_titles: One title per query, at its left.
    """
    width = queries.shape[2]
    blocks = [("query", tiles(queries[:, None], np.full((len(queries), 1), -1)))]
    is_known = False
    for name, images in neighbours.items():
        known = (same_class[name] >= 0).all()
        is_known = is_known or bool(known)
        title = f"{name}\n{same_class[name].mean():.0%} of the class" if known else name
        blocks.append((title, tiles(images, same_class[name])))
    num_columns = [block.shape[1] / (width + 2 * _BORDER + 2) for _, block in blocks]
    size = (0.42 * sum(num_columns) + 2.2, 0.42 * len(queries) + 1.1)
    figure = Figure(figsize=size, layout="compressed")
    grid = figure.subplots(1, len(blocks), gridspec_kw={"width_ratios": num_columns})
    for axes, (title, block) in zip(grid, blocks, strict=True):
        axes.imshow(block)
        axes.axis("off")
        axes.set_title(title, fontsize=8)
    step = blocks[0][1].shape[0] / max(len(queries), 1)
    for row, name in enumerate(query_titles):
        grid[0].text(-0.2 * step, (row + 0.5) * step, name, ha="right", va="center", fontsize=8)
    if is_known:
        figure.supxlabel(FRAMES_IN_WORDS, fontsize=8)
    return figure


def tiles(images: np.ndarray, same_class: np.ndarray) -> np.ndarray:
    """Join framed images, with white between them, to one picture, uint8 `(tall, wide, 3)`.

    Args:
        images: uint8 `(num_rows, num_columns, height, width, 3)`.
        same_class: `(num_rows, num_columns)`: frames as `FRAMES` has them.
    """
    margin = (_BORDER + 1,) * 2
    framed = np.pad(images, ((0, 0), (0, 0), margin, margin, (0, 0)), constant_values=255)
    inner, colours = framed[:, :, 1:-1, 1:-1], np.zeros((*same_class.shape, 3))
    for key, frame in FRAMES.items():
        colours[same_class.astype(int) == key] = np.array(to_rgb(frame["edgecolor"])) * 255
    for side in (np.s_[:, :, :_BORDER], np.s_[:, :, -_BORDER:], np.s_[:, :, :, :_BORDER], np.s_[:, :, :, -_BORDER:]):
        inner[side] = colours[:, :, None, None, :]
    # Wrong ones: a line of half the thickness, with gaps.
    height, width = inner.shape[2:4]
    gaps = np.ones((height, width), dtype=bool)
    gaps[1 : height - 1, 1 : width - 1] = False
    edge = np.zeros_like(gaps)
    edge[:_BORDER] = edge[-_BORDER:] = edge[:, :_BORDER] = edge[:, -_BORDER:] = True
    gaps |= edge & ((np.add.outer(np.arange(height), np.arange(width)) // 4) % 2 == 1)
    wrong = same_class.astype(int) == 0
    inner[wrong] = np.where(gaps[None, :, :, None], np.uint8(255), inner[wrong])
    rows, columns, tall, wide, _ = framed.shape
    return framed.swapaxes(1, 2).reshape(rows * tall, columns * wide, 3)


def pairs(codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Draw every latent dimension against every other as one small picture, a dot per image, coloured by class.

    `code_charts.pair_plot` shows more, and takes a hundred times longer.

    Args:
        codes: `(num_images, latent_dim)`.
        labels: int `(num_images,)`; -1 (not known) takes the first colour.

    Returns:
        uint8 `(side, side, 3)`; the panel in row i and column j has dimension i upwards and j to the right.
    """
    low, high = np.percentile(codes, [0.5, 99.5], axis=0)
    inside = ((codes - low) / np.maximum(high - low, 1e-9)).clip(0, 1)
    places = 2 + np.rint(inside * (_CELL - 6)).astype(int)  # (num_images, latent_dim), within a panel's frame
    palette = np.array([to_rgb(colour) for colour in PALETTE]) * 255
    starts = _CELL * np.arange(codes.shape[1])
    picture = np.full((_CELL * codes.shape[1],) * 2 + (3,), 255, dtype=np.uint8)
    across = np.broadcast_to((starts + places)[:, None, :], (*places.shape, codes.shape[1]))
    down = np.broadcast_to((starts + _CELL - 2 - places)[:, :, None], across.shape)
    for move in np.ndindex(2, 2):  # a dot of four pixels
        picture[down - move[0], across + move[1]] = palette[labels.clip(0) % len(PALETTE)][:, None, None, :]
    picture[starts], picture[:, starts] = 200, 200
    return picture


def side_by_side(columns: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw pictures in columns with a title each, and in rows with a name each.

    Args:
        columns: Pictures `(height, width, 3)` by row, by title of the column; the same rows in each.
    """
    first = next(iter(columns.values()))
    rows, ratios = list(first), [picture.shape[0] / picture.shape[1] for picture in first.values()]
    figure = Figure(figsize=(4.2 * len(columns) + 0.5, 4.2 * sum(ratios) + 0.6), layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False, gridspec_kw={"height_ratios": ratios})
    for column, (title, pictures) in enumerate(columns.items()):
        for row, name in enumerate(rows):
            axes = grid[row, column]
            axes.imshow(pictures[name])
            axes.set(xticks=[], yticks=[], ylabel="" if column else name)
            axes.set_title("" if row else title, fontsize=9)
    return figure


def thumbnail_map(points: np.ndarray, images: np.ndarray) -> Figure:
    """Draw the images at their codes on a plane, moved onto a grid; a cell shows one image.

    Args:
        points: `(num_images, 2)`.
        images: uint8 `(num_images, height, width, 3)`.
    """
    cells = 32
    low, high = points.min(axis=0), points.max(axis=0)
    step = np.maximum(high - low, 1e-9) / (cells - 1)
    centres, first = np.unique(np.rint((points - low) / step), axis=0, return_index=True)
    figure = Figure(figsize=(9, 9), layout="constrained")
    axes = figure.subplots()
    zoom = 9 * 72 / cells / images.shape[1] * 0.9
    for centre, row in zip(centres, first, strict=True):
        axes.add_artist(AnnotationBbox(OffsetImage(images[row], zoom=zoom), low + centre * step, frameon=False))
    margin = np.where(high > low, (high - low) * 0.03, 1)  # one image has no extent
    axes.set(
        xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]),
        xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2",
    )  # fmt: skip
    return figure
