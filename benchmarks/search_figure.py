"""Times of searches as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from benchmarks.search_contenders import OURS

_PANELS = (("p50_ms", "one query, median, ms"), ("batch_s", "10,000 queries at once, s"))
_MARKERS = {"cosine": "o", "euclidean": "s", "manhattan": "^"}
_COLOURS = {"ours": "tab:red", "exact": "tab:blue", "approximate": "tab:gray"}


def drawn(rows: list[dict[str, Any]], order: Sequence[str]) -> Figure:
    """A row of panels a size: a marker a metric, a line of them a contender.

    Args:
        rows: `search.summary`.
        order: Names of the contenders from top to bottom.
    """
    sizes = sorted({row["size"] for row in rows})
    names = [name for name in order if any(row["contender"] == name for row in rows)]
    figure = Figure(figsize=(12, 0.6 + (0.27 * len(names) + 0.7) * len(sizes)), layout="constrained")
    panels = figure.subplots(len(sizes), len(_PANELS), squeeze=False, sharey=True)
    for size, line in zip(sizes, panels, strict=True):
        for axes, (value, label) in zip(line, _PANELS, strict=True):
            for row in (row for row in rows if row["size"] == size):
                kind = "ours" if row["contender"] == OURS else "exact" if row["exact"] else "approximate"
                median, low, high = row[value]
                axes.errorbar(
                    median,
                    names.index(row["contender"]),
                    xerr=[[median - low], [high - median]],
                    fmt=_MARKERS[row["metric"]],
                    color=_COLOURS[kind],
                    capsize=2,
                )
            axes.set_xscale("log")
            axes.set_yticks(range(len(names)), names)
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.grid(axis="x", alpha=0.3)
            axes.set_title(f"{size:,} codes: {label}", fontsize=10)
    for metric, marker in _MARKERS.items():
        panels[0][0].plot([], [], marker, color="black", label=metric)
    for kind, colour in _COLOURS.items():
        panels[0][0].plot([], [], "-", color=colour, label=kind)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=9)
    return figure
