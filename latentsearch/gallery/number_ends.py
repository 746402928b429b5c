"""The ends of the numbers of a code: the images that lie farthest out there, which show what the number means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from latentsearch.text import printable

LEAST_IMAGES = 100
"""Images from which on an end has a class."""

_LEAST_IN_CLASS = 20


class ClassOfEnd(NamedTuple):
    """The class of most images at an end of a number.

    Args:
        name: Its name; "" where no class has more than half of them.
        share: Its share, 0 to 1.
    """

    name: str = ""
    share: float = 0.0

    @property
    def in_words(self) -> str:
        """How many of the images are of the class; "" where there is none."""
        return f"{100 * self.share:.0f} % of class {printable(self.name)}" if self.name else ""


NO_CLASS = ClassOfEnd()


def outermost(values: np.ndarray, *, is_high: bool, least: int = 0) -> np.ndarray:
    """Find the images at an end of a number, the outermost first: a hundredth of all, at least 20 and `least`.

    Args:
        values: The number of each image, `(num_images,)`.
        is_high: Whether the high end is meant.
        least: Images that are wanted.

    Returns:
        Rows of `values`, int64.
    """
    signed = -values if is_high else values
    count = max(least, _LEAST_IN_CLASS, len(values) // 100)
    rows = np.argpartition(signed, count)[:count] if count < len(values) else np.arange(len(values))
    ordered: np.ndarray = rows[np.argsort(signed[rows], kind="stable")]
    return ordered


def class_of_most(classes: Sequence[str]) -> ClassOfEnd:
    """Tell which class more than half of the images at an end are of.

    Args:
        classes: Class of each of them; "" for none.
    """
    name, count = Counter(classes).most_common(1)[0]
    return ClassOfEnd(name, count / len(classes)) if name and 2 * count > len(classes) else NO_CLASS
