"""Groups of images that the map tells by colour: their classes, or the sub-folders that they lie in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from latentsearch.search.corpus import Corpus
from latentsearch.text import printable

MOST = 32  # sub-folders that colour and shape tell apart
_TOP, _OTHERS = "(not in a sub-folder)", "(other sub-folders)"


class Groups(NamedTuple):
    """Groups of images.

    Args:
        by: What they are.
        names: Their names.
        numbers: Group of each image, a position in `names`; -1 for none.
    """

    by: Literal["class", "sub-folder"]
    names: list[str]
    numbers: list[int]


def group(corpus: Corpus, ids: Sequence[int]) -> Groups:
    """Group images of a corpus by class; by sub-folder where there are no classes."""
    if corpus.class_names or corpus.folder is None:
        number = {name: position for position, name in enumerate(corpus.class_names)}
        numbers = [number.get(corpus.class_of(image_id), -1) for image_id in ids]
        return Groups("class", [printable(name) for name in corpus.class_names], numbers)
    return _by_folder([corpus.path_of(image_id) for image_id in ids])


def _by_folder(paths: Sequence[Path | None]) -> Groups:
    """Group files by the first folder in which their paths differ; no groups where all lie in one."""
    folders = [path.parent.parts if path else () for path in paths]
    depth = 0
    while folders and all(len(folder) > depth and folder[depth] == folders[0][depth] for folder in folders):
        depth += 1
    kept = [folder[depth] if len(folder) > depth else _TOP for folder in folders]
    counts = Counter(kept)
    if len(counts) < 2:
        return Groups("sub-folder", [], [-1] * len(paths))
    if len(counts) > MOST:
        largest = {name for name, _ in counts.most_common(MOST - 1)}
        kept = [name if name in largest else _OTHERS for name in kept]
    names = sorted(set(kept), key=lambda name: (name in (_TOP, _OTHERS), name.casefold(), name))
    number = {name: position for position, name in enumerate(names)}
    return Groups("sub-folder", [printable(name) for name in names], [number[name] for name in kept])
