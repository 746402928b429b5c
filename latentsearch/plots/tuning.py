"""Charts of the trials of a search as Matplotlib figures. Nothing here shows a window or writes a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_BLUE, _GREY, _RED = "#4575b4", "#999999", "#d73027"
_NUM_COLUMNS = 4
_SPREAD = 30  # from this ratio of largest to smallest on, numbers are drawn on a logarithmic scale


def trade_off(table: pd.DataFrame, title: str) -> Figure:
    """Draw copy-recall against reconstruction error of all trials, and join those that no other beats in both.

    Args:
        table: One row per trial with a score: trial, status, score, val_mse, val_copy_recall, on_front, and marked:
            whether it is an architecture to compare with.
        title: Title of the figure.
    """
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    tried, marked = table[~table["marked"]], table[table["marked"]]
    front = tried[tried["on_front"]].sort_values("val_mse")
    axes.plot(front["val_mse"], front["val_copy_recall"], color=_GREY, linewidth=1, label="Pareto front", zorder=1)
    limits = {"vmin": tried["score"].min(), "vmax": tried["score"].max()}
    for status, shape in (("finished", "o"), ("stopped", "X")):
        some = tried[tried["status"] == status]
        if len(some):
            points = axes.scatter(
                some["val_mse"], some["val_copy_recall"], c=some["score"], marker=shape, s=45, cmap="viridis",
                edgecolors="white", linewidths=0.5, label=f"{status} trials", **limits,
            )  # fmt: skip
    figure.colorbar(points, ax=axes, label="score")
    names = ["trial", "val_mse", "val_copy_recall"]
    for trial, error, recall in front[names].to_numpy().tolist():
        axes.annotate(trial, (error, recall), (5, 4), textcoords="offset points", fontsize=7)
    for trial, error, recall in marked[names].to_numpy().tolist():
        axes.plot(error, recall, marker="*", markersize=13, color=_RED, linestyle="")
        axes.annotate(trial, (error, recall), (7, -3), textcoords="offset points", color=_RED)
    axes.set(xlabel="validation MSE", ylabel="copy-recall among 10 neighbours", title=title)
    axes.legend(frameon=False, fontsize=8)
    sns.despine(figure)
    return figure


def parameters(table: pd.DataFrame, names: Sequence[str]) -> Figure:
    """Draw the score against each parameter.

    Args:
        table: One row per trial with a score: score, and a column per parameter, empty where a trial had none.
        names: Names of these columns.
    """
    names = [name for name in names if table[name].notna().any()]
    num_rows = -(-len(names) // _NUM_COLUMNS)
    figure = Figure(figsize=(3 * _NUM_COLUMNS, 2.5 * num_rows), layout="constrained")
    grid = figure.subplots(num_rows, _NUM_COLUMNS, squeeze=False, sharey=True).ravel()
    for axes in grid[len(names) :]:
        axes.axis("off")
    for axes, name in zip(grid, names):
        used = table[table[name].notna()]
        _against(axes, used[name], used["score"])
        axes.set(xlabel=name.replace("_", " "))
    for axes in grid[::_NUM_COLUMNS]:
        axes.set_ylabel("score")
    sns.despine(figure)
    return figure


def tracking(columns: Mapping[str, np.ndarray], precision: np.ndarray, correlations: Mapping[str, float]) -> Figure:
    """Draw P@10, which needs labels, against numbers that do not, to compare their orders.

    Args:
        columns: Numbers without labels, `(num_trials,)`, by name.
        precision: P@10, `(num_trials,)`.
        correlations: Rank correlation with P@10 by name; positive where the number chooses as P@10 would.
    """
    num_rows = -(-len(columns) // _NUM_COLUMNS)
    figure = Figure(figsize=(3 * _NUM_COLUMNS, 2.8 * num_rows), layout="constrained")
    grid = figure.subplots(num_rows, _NUM_COLUMNS, squeeze=False, sharey=True).ravel()
    for axes in grid[len(columns) :]:
        axes.axis("off")
    for axes, (name, values) in zip(grid, columns.items()):
        _against(axes, pd.Series(values), pd.Series(precision))
        axes.set(xlabel=name)
        axes.set_title(f"rank correlation {correlations[name]:.2f}", fontsize=9)
    for axes in grid[::_NUM_COLUMNS]:
        axes.set_ylabel("P@10 of validation images")
    sns.despine(figure)
    return figure


def _against(axes: Axes, values: pd.Series, height: pd.Series) -> None:
    """Draw dots; numbers on a scale that suits them, a few names or whole numbers next to each other."""
    distinct = sorted(values.unique(), key=lambda value: (isinstance(value, str), value))
    if len(distinct) <= 6 and all(isinstance(value, str) or float(value).is_integer() for value in distinct):
        places = np.array([distinct.index(value) for value in values], dtype=float)
        # Moved apart a little, always alike.
        places += np.linspace(-0.12, 0.12, len(places)) if len(places) > 1 else 0
        axes.set_xticks(range(len(distinct)), [_word(value) for value in distinct])
        axes.set_xlim(-0.5, len(distinct) - 0.5)
    else:
        places = values.to_numpy(dtype=float)
        positive = places[places > 0]
        if places.min() >= 0 and places.max() > _SPREAD * positive.min():
            # Zero has no logarithm: below the smallest of the others the scale is linear.
            axes.set_xscale("log") if len(positive) == len(places) else axes.set_xscale(
                "symlog", linthresh=positive.min()
            )
    axes.scatter(places, height, s=18, color=_BLUE, alpha=0.8, linewidths=0)


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
