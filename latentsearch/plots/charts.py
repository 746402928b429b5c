"""Arrays to Matplotlib figures. Nothing here shows a window or writes a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

matplotlib.use("Agg")

import seaborn as sns

matplotlib.rcParams["text.parse_math"] = False  # names of classes and files may hold $

_GREY = "#666666"
_PALETTE = "tab10"


CURVE_TITLES = {
    "loss": "mean squared error",
    "mse": "mean squared error",
    "accuracy": "share of pixels whose strongest channel is right",
    "similarity": "similarity loss of codes (NT-Xent)",
    "retrieval": "retrieval among validation images",
}
_RETRIEVAL_LABELS = {
    "val_copy_recall": "altered copies that find their original among 10 neighbours",
    "val_precision": "P@10 (looks at labels; shown, never used)",
}


def columns_of(measure: str, history: pd.DataFrame) -> dict[str, str]:
    """The columns of a history that show a measure, with the words for each; empty if one is missing.

    Of retrieval what is there: without labels there is no P@10.
    """
    if measure == "retrieval":
        return {column: words for column, words in _RETRIEVAL_LABELS.items() if column in history}
    columns = {measure: "training", f"val_{measure}": "validation"}
    return columns if columns.keys() <= set(history) else {}


def curves_of(history: pd.DataFrame) -> dict[str, str]:
    """The curves that a history has, as measure by name of the figure; without a similarity weight loss is MSE."""
    names = {"loss": "mse" if "mse" in history else "loss", "accuracy": "accuracy"}
    names |= {"similarity": "similarity", "retrieval": "retrieval"}
    return {name: measure for name, measure in names.items() if columns_of(measure, history)}


def curves(history: pd.DataFrame, measure: str) -> Figure:
    """Values of a measure by epoch.

    Args:
        history: One row an epoch, with columns epoch and those of `columns_of(measure)`.
        measure: A key of `CURVE_TITLES`.
    """
    columns = columns_of(measure, history)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (column, label), colour in zip(columns.items(), ("#4575b4", "#f46d43")):
        axes.plot(history["epoch"], history[column], label=label, color=colour)
    # The first epoch is far off whatever the network: the scale is that of the rest.
    values = history[list(columns)].iloc[1 if len(history) > 2 else 0 :].to_numpy(np.float64)
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
    axes.set(xlabel="epoch", ylabel=CURVE_TITLES[measure], ylim=(low - margin, high + margin))
    axes.legend(frameon=False)
    sns.despine(figure)
    return figure


def network(rows: Sequence[tuple[str, str, tuple[int, ...], int]], title: str) -> Figure:
    """A network as blocks from left to right: height tells how many numbers flow (as a logarithm), colour the kind.

    Layers that keep their input's shape are left out; their weights count for the layer before them.

    Args:
        rows: (part, layer, shape, weights) of each layer, in order; see `architectures.layer_rows`.
        title: Over the diagram.
    """
    blocks: list[tuple[str, str, tuple[int, ...], int]] = []
    for row in rows:
        if row[1] in ("BatchNormalization", "Activation", "Reshape", "Rescaling"):
            blocks[-1] = (*blocks[-1][:3], blocks[-1][3] + row[3])
        elif row[:2] != ("decoder", "InputLayer"):
            blocks.append((row[0], row[1], row[2], row[3]))
    rows = blocks
    kinds = list(dict.fromkeys(row[1] for row in rows))
    colours = dict(zip(kinds, sns.color_palette("Set2", len(kinds)), strict=True))
    figure = Figure(figsize=(max(8, 0.95 * len(rows)), 4), layout="constrained")
    axes = figure.subplots()
    for position, (part, layer, shape, weights) in enumerate(rows):
        height = np.log2(1 + np.prod(shape)) / 12
        axes.add_patch(Rectangle((position - 0.38, -height / 2), 0.76, height, color=colours[layer], ec="black"))
        name = "code" if part == "encoder" and position + 1 < len(rows) and rows[position + 1][0] != part else layer
        axes.text(position, height / 2 + 0.04, name, ha="center", va="bottom", fontsize=7)
        axes.text(position, 0, " x ".join(map(str, shape)), ha="center", va="center", fontsize=7, rotation=90)
        axes.text(position, -height / 2 - 0.04, f"{weights:,}" if weights else "", ha="center", va="top", fontsize=7)
    axes.set(xlim=(-0.7, len(rows) - 0.3), ylim=(-0.75, 0.75), title=f"{title} (weights below each layer)")
    axes.axis("off")
    return figure


def pair_plot(codes: np.ndarray, class_of_image: Sequence[str], class_names: Sequence[str]) -> Figure:
    """Every latent dimension against every other, coloured by class, with its distribution on the diagonal.

    Args:
        codes: `(num_images, latent_dim)`; about a thousand images can still be told apart.
        class_of_image: `num_images` names.
        class_names: In the order of the colours; () for one colour.
    """
    names = [f"code {dimension}" for dimension in range(codes.shape[1])]
    table = pd.DataFrame(codes, columns=names).assign(**{"class": list(class_of_image)})
    colours = {"hue": "class", "hue_order": class_names, "palette": _PALETTE} if class_names else {}
    grid = sns.pairplot(
        table,
        **colours,
        corner=True,
        height=1.3,
        diag_kind="kde",
        plot_kws={"s": 5, "linewidth": 0, "alpha": 0.7},
        diag_kws={"linewidth": 0.8, "warn_singular": False},
    )
    plt.close(grid.figure)  # seaborn registers it with pyplot, which would keep it
    figure: Figure = grid.figure
    return figure


def code_distributions(codes: np.ndarray, class_of_image: Sequence[str], class_names: Sequence[str]) -> Figure:
    """Histogram of each latent dimension with the density of each class over it.

    Args:
        codes: `(num_images, latent_dim)`.
        class_of_image: `num_images` names.
        class_names: In the order of the colours; () for the histograms alone.
    """
    num_columns = 5
    num_rows = -(-codes.shape[1] // num_columns)
    figure = Figure(figsize=(2.6 * num_columns, 2.1 * num_rows), layout="constrained")
    grid = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    of_class = np.asarray(class_of_image)
    for dimension, axes in enumerate(grid):
        if dimension >= codes.shape[1]:
            axes.axis("off")
            continue
        values = codes[:, dimension]
        axes.hist(values, bins=50, density=True, color="#dddddd")
        for name, colour in zip(class_names, sns.color_palette(_PALETTE, len(class_names)), strict=True):
            if not (of_class == name).any():
                continue
            heights, edges = np.histogram(values[of_class == name], bins=25, density=True)
            axes.plot((edges[:-1] + edges[1:]) / 2, heights, color=colour, linewidth=0.9, label=name)
        axes.set_title(f"code {dimension}", fontsize=9)
        axes.set(yticks=[])
    if class_names:
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    sns.despine(figure, left=True)
    return figure


def correlation_map(correlations: np.ndarray) -> Figure:
    """Correlations of the latent dimensions, `(latent_dim, latent_dim)`, as numbers on colours."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    sns.heatmap(
        correlations, ax=figure.subplots(), vmin=-1, vmax=1, cmap="RdBu_r", annot=True, fmt=".2f",
        annot_kws={"size": 7}, square=True, cbar_kws={"label": "correlation"},
    )  # fmt: skip
    return figure


def class_map(points: np.ndarray, class_of_image: Sequence[str], class_names: Sequence[str]) -> Figure:
    """Codes on a plane, coloured by class.

    Args:
        points: `(num_images, 2)`.
        class_of_image: `num_images` names.
        class_names: In the order of the colours; () for one colour.
    """
    figure = Figure(figsize=(8, 6.5), layout="constrained")
    axes = figure.subplots()
    colours: dict[str, Any] = {}
    if class_names:
        colours = {"hue": list(class_of_image), "hue_order": list(class_names), "palette": _PALETTE}
    sns.scatterplot(x=points[:, 0], y=points[:, 1], s=6, linewidth=0, alpha=0.7, ax=axes, **colours)
    axes.set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2")
    if class_names:
        axes.legend(frameon=False, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def bars(values: Mapping[str, float], label: str, line: tuple[str, float] | None = None) -> Figure:
    """Horizontal bars, one a name, with an optional vertical line (name, value)."""
    figure = Figure(figsize=(7, 0.35 * len(values) + 1), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(values), list(values.values()), color="#4575b4")
    if line:
        axes.axvline(line[1], color=_GREY, linestyle="--", linewidth=1, label=f"{line[0]}: {line[1]:.4f}")
        axes.legend(frameon=False, loc="lower right")
    axes.invert_yaxis()
    axes.set(xlabel=label)
    sns.despine(figure)
    return figure


def precision_curves(curves_by_name: Mapping[str, np.ndarray], chance: float) -> Figure:
    """P@k against k: one line a method, each `(depth,)`, and chance."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, values in curves_by_name.items():
        axes.plot(np.arange(1, len(values) + 1), values, label=name, linewidth=1.5)
    axes.axhline(chance, label=f"chance: {chance:.3f}", color=_GREY, linestyle="--", linewidth=1)
    axes.set(xscale="log", xlabel="k nearest gallery images", ylabel="share of the query's class (P@k)", ylim=(0, None))
    axes.legend(frameon=False)
    sns.despine(figure)
    return figure


def class_table(table: pd.DataFrame, label: str) -> Figure:
    """A number for each class (row) and measure (column), as numbers on colours."""
    figure = Figure(figsize=(1.1 * len(table.columns) + 2.5, 0.35 * len(table) + 1.2), layout="constrained")
    axes = figure.subplots()
    sns.heatmap(table, ax=axes, annot=True, fmt=".2f", cmap="viridis", vmin=0, vmax=1, cbar_kws={"label": label})
    axes.set(ylabel="")
    return figure
