"""Charts of trainings and retrieval as Matplotlib figures. Nothing here shows a window or writes a file."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

matplotlib.use("Agg")

import seaborn as sns

from latentsearch.plots.colours import GREY, PALETTE
from latentsearch.text import shortened

matplotlib.rcParams["text.parse_math"] = False  # names of classes and files may hold $

_BLUE, _ORANGE = PALETTE[0], PALETTE[5]
_MANY_EPOCHS = 10


CURVE_TITLES = {
    "loss": "mean squared error",
    "mse": "mean squared error",
    "own_loss": "your loss of reconstructions",
    "accuracy": "share of pixels whose strongest channel is right",
    "similarity": "similarity loss of codes (NT-Xent)",
    "retrieval": "retrieval among validation images",
}
_RETRIEVAL_LABELS = {
    "val_copy_recall": "corrupted copies that find their original among 10 neighbours",
    "val_precision": "P@10 (looks at labels; shown, never used)",
}


def columns_of(measure: str, history: pd.DataFrame) -> dict[str, str]:
    """Select the columns of a history that show a measure, with the words for each; empty if one is missing.

    Of retrieval, those that are there: without labels there is no P@10.
    """
    if measure == "retrieval":
        return {column: words for column, words in _RETRIEVAL_LABELS.items() if column in history}
    columns = {measure: "training", f"val_{measure}": "validation"}
    return columns if columns.keys() <= set(history) else {}


def curves_of(history: pd.DataFrame) -> dict[str, str]:
    """Select the curves of a history: measure by figure; without a similarity weight, the loss is the MSE."""
    loss = next((name for name in ("own_loss", "mse") if name in history), "loss")
    names = {"loss": loss, "accuracy": "accuracy"}
    names |= {"similarity": "similarity", "retrieval": "retrieval"}
    return {name: measure for name, measure in names.items() if columns_of(measure, history)}


def curves(history: pd.DataFrame, measure: str) -> Figure:
    """Draw the values of a measure by epoch.

    Args:
        history: One row per epoch, with columns epoch and those of `columns_of(measure)`.
        measure: A key of `CURVE_TITLES`.
    """
    columns = columns_of(measure, history)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (column, label), colour, dashes in zip(columns.items(), (_BLUE, _ORANGE), ("-", "--")):
        marker = "o" if len(history) < 2 else None  # one point makes no line
        axes.plot(history["epoch"], history[column], dashes, label=label, color=colour, marker=marker)
    # The first epoch is far off whatever the network: the scale is that of the rest, where these are most of a curve.
    values = history[list(columns)].iloc[1 if len(history) >= _MANY_EPOCHS else 0 :].to_numpy(np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.05 * (high - low or 1e-3)
    if measure == "retrieval" and "seconds" in history:
        minutes = history["seconds"].mean() / 60  # an epoch

        def as_minutes(epochs: Any) -> Any:
            return epochs * minutes

        def as_epochs(time: Any) -> Any:
            return time / minutes

        top = axes.secondary_xaxis("top", functions=(as_minutes, as_epochs))
        top.set_xlabel("minutes of training")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.set(xlabel="epoch", ylabel=CURVE_TITLES[measure], ylim=(low - margin, high + margin))
    figure.legend(frameon=False, loc="outside lower center", ncols=1 if measure == "retrieval" else 2)
    sns.despine(figure)
    return figure


def network(rows: Sequence[tuple[str, str, tuple[int, ...], int]], title: str) -> Figure:
    """Draw a network as blocks, a line for each part: height shows the count of numbers (logarithmic), colour the kind.

    Args:
        rows: (part, layer, shape, weights) of each layer, in order; see `summary.in_short`.
        title: Title of the diagram.
    """
    parts = list(dict.fromkeys(part for part, *_ in rows))
    kinds = list(dict.fromkeys(layer for _, layer, *_ in rows))
    colours = dict(zip(kinds, sns.color_palette("Set2", len(kinds)), strict=True))
    longest = max(sum(row[0] == part for row in rows) for part in parts)
    figure = Figure(figsize=(max(8, 0.95 * longest + 1.2), 1.9 * len(parts) + 0.4), layout="constrained")
    axes = figure.subplots()
    for line, part in enumerate(parts):
        middle = -1.4 * line
        axes.text(0.3, middle, part, ha="right", va="center", fontsize=10, weight="bold")
        own = [row for row in rows if row[0] == part]
        for position, (_, layer, shape, weights) in enumerate(own, start=1):
            height = np.log2(1 + np.prod(shape)) / 14
            corner = (position - 0.38, middle - height / 2)
            axes.add_patch(Rectangle(corner, 0.76, height, color=colours[layer], ec="black"))
            above, below = middle + height / 2 + 0.04, middle - height / 2 - 0.04
            words = "code" if part == "encoder" and position == len(own) else layer
            name = textwrap.fill(re.sub(r"(?<=[a-zD])(?=[A-Z][a-z])", " ", words), 12)
            axes.text(position, above, name, ha="center", va="bottom", fontsize=7, linespacing=0.9)
            axes.text(position, middle, " x ".join(map(str, shape)), ha="center", va="center", fontsize=7, rotation=90)
            axes.text(position, below, f"{weights:,}" if weights else "", ha="center", va="top", fontsize=7)
    axes.set(
        xlim=(-1, longest + 0.6), ylim=(-1.4 * len(parts) + 0.65, 0.95), title=f"{title} (weights below each layer)"
    )
    axes.axis("off")
    return figure


def bars(
    values: Mapping[str, float], label: str, line: tuple[str, float] | None = None, *, strong: str | None = None
) -> Figure:
    """Draw horizontal bars with their values, and an optional vertical line.

    Args:
        values: Length of each bar by its name.
        label: Label of the axis.
        line: Name and value of the line.
        strong: Name of the one bar that is coloured. Default: all.
    """
    figure = Figure(figsize=(7, 0.35 * len(values) + 1), layout="constrained")
    axes = figure.subplots()
    colours = [_BLUE if strong in (None, name) else "#bbbbbb" for name in values]
    drawn = axes.barh(range(len(values)), list(values.values()), color=colours)
    axes.bar_label(drawn, fmt="%.3g", padding=3, fontsize=8)
    axes.set_yticks(range(len(values)), list(map(shortened, values)))
    if line:
        axes.axvline(line[1], color=GREY, linestyle="--", linewidth=1, label=f"{shortened(line[0])}: {line[1]:.4f}")
        figure.legend(frameon=False, loc="outside upper right")
    axes.invert_yaxis()
    axes.set(xlabel=label)
    sns.despine(figure)
    return figure


def precision_curves(curves_by_name: Mapping[str, np.ndarray], chance: float) -> Figure:
    """Draw P@k against k: one line per method, each `(depth,)`, and chance."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    styles = ("-", "--", "-.", ":")
    for number, (name, values) in enumerate(curves_by_name.items()):
        own = number == 0
        axes.plot(
            np.arange(1, len(values) + 1), values, label=name, linewidth=3 if own else 1.5,
            color=PALETTE[number % len(PALETTE)], linestyle=styles[number % len(styles)], zorder=3 if own else 2,
        )  # fmt: skip
    axes.axhline(chance, label=f"chance: {chance:.3f}", color=GREY, linestyle="--", linewidth=1)
    axes.set(xscale="log", xlabel="k nearest gallery images", ylabel="share of the query's class (P@k)", ylim=(0, None))
    figure.legend(frameon=False, loc="outside right center")
    sns.despine(figure)
    return figure


def class_table(table: pd.DataFrame, label: str) -> Figure:
    """Draw a number for each class (row) and measure (column) on colours."""
    names = list(map(shortened, table.index))
    beside = 2.5 + 0.08 * max(0, max(map(len, names), default=0) - 12)  # inches, for names and legend
    figure = Figure(figsize=(1.1 * len(table.columns) + beside, 0.35 * len(table) + 1.2), layout="constrained")
    axes = figure.subplots()
    # Given the names, seaborn measures them at once, and takes those with dollars for formulas.
    sns.heatmap(
        table, ax=axes, annot=True, fmt=".2f", cmap="viridis", vmin=0, vmax=1, cbar_kws={"label": label},
        yticklabels=False,
    )  # fmt: skip
    axes.set_yticks(np.arange(len(table)) + 0.5, names)
    axes.set(ylabel="")
    return figure


def slider(points: Sequence[tuple[float, float, float]]) -> Figure:
    """Draw P@10 against the visual difference of query and neighbours, one point per share of the look code.

    Args:
        points: Share of the look code, 0 to 1; mean squared difference at 8 x 8 pixels; P@10.
    """
    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([x for _, x, _ in points], [y for _, _, y in points], "o-", color=_BLUE, linewidth=1)
    for number, (look, x, y) in enumerate(points):  # neighbours on the curve are named on different sides of it
        side, place = ("right", (-6, 5)) if number % 2 else ("left", (6, -13))
        axes.annotate(f"look {look:g}", (x, y), place, textcoords="offset points", fontsize=8, ha=side)
    axes.set(xlabel="visual difference of query and neighbours (smaller looks more alike)", ylabel="P@10")
    axes.margins(0.13)
    sns.despine(figure)
    return figure
