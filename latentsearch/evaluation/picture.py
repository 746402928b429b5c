"""A figure of the report, with its words."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Args:
        name: File name without suffix.
        title: Heading.
        text: Words on what to look for: good, poor, broken.
        figure: The figure itself.
    """

    name: str
    title: str
    text: str
    figure: Figure
