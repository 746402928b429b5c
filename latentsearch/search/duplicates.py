"""Groups of exact and near duplicates in what is searched. They are told, never deleted."""

from __future__ import annotations

import heapq
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from tqdm import tqdm

from latentsearch.config import Metric
from latentsearch.data.image_files import ImageFileError
from latentsearch.data.images import read_image
from latentsearch.data.scan import FoundFile, Skipped
from latentsearch.gallery import duplicates
from latentsearch.gallery.duplicates import Watch
from latentsearch.gallery.image_matching import SIDE
from latentsearch.search.corpus import Corpus, DatasetCorpus
from latentsearch.search.folder_corpus import FolderCorpus

Kind = Literal["first", "exact", "near", "mirrored"]

_METRIC: Metric = "cosine"
_READ = 0.7  # of the time that a folder takes, files are read


class Copy(NamedTuple):
    """An image of a group of duplicates.

    Args:
        id: In the corpus.
        kind: "first": the largest file of the group, which the others are compared with, directly or through each
            other. "exact": a file of the same content, or in a dataset the same pixels. "near": the same shot.
            "mirrored": the same shot, mirrored.
        of: Id of the image before it in the group that it was compared with: the first where they are alike; None of
            the first.
        likeness: Of these two, at most 1; 1 if exact, and of the first.
        size: Of the file in bytes; None in a dataset.
    """

    id: int
    kind: Kind
    of: int | None
    likeness: float
    size: int | None


@dataclass(frozen=True)
class Groups:
    """Duplicates in a corpus.

    Args:
        corpus: What was looked at.
        groups: The images of each, the first one first; the largest group first, then the most alike.
        num_images: How many images were compared.
        left_out: Files that could not be read any more.
    """

    corpus: Corpus
    groups: list[list[Copy]]
    num_images: int
    left_out: list[Skipped]

    @cached_property
    def num_files(self) -> int:
        """How many images are in groups."""
        return sum(map(len, self.groups))

    @cached_property
    def exact_bytes(self) -> int:
        """Bytes of the files that have the content of another one before them in their group."""
        return sum(copy.size or 0 for group in self.groups for copy in group if copy.kind == "exact")


@dataclass(frozen=True)
class _Images:
    """What is compared: rows of the gallery, images, what tells equal ones, sizes of files, and files left out."""

    rows: np.ndarray
    pixels: np.ndarray
    contents: list[bytes] | None
    sizes: list[int | None]
    left_out: list[Skipped]


def find_groups(corpus: Corpus, *, progress: bool = False, watch: Watch = lambda share: None) -> Groups:
    """Find the groups of images that show the same shot; see `gallery.duplicates`.

    Each file of a folder is decoded once, to 32 x 32 pixels: about 10 KB of memory an image, whatever the encoder
    takes. A file with several names, through links, is no duplicate of itself.

    Args:
        corpus: The images.
        progress: Show progress bars.
        watch: Is called, from time to time, with the share of the work that is done, in [0, 1].
    """
    begun = 0.0
    if isinstance(corpus, FolderCorpus):
        begun = _READ
        images = _of_folder(corpus, progress=progress, watch=watch)
    else:
        assert isinstance(corpus, DatasetCorpus)
        ids = corpus.gallery.ids
        pixels = corpus.dataset.images
        is_whole = np.array_equal(ids, np.arange(len(pixels)))
        images = _Images(np.arange(len(ids)), pixels if is_whole else pixels[ids], None, [None] * len(ids), [])
    codes = corpus.compared.codes[images.rows]
    with tqdm(total=100, desc="comparing images", bar_format="{l_bar}{bar}| {elapsed}", disable=not progress) as bar:

        def tell(share: float) -> None:
            bar.update(round(100 * share) - bar.n)
            watch(begun + (1 - begun) * share)

        found = duplicates.find(images.pixels, codes, metric=_METRIC, contents=images.contents, watch=tell)
    members = defaultdict(list)
    for row, number in enumerate(found.groups.tolist()):
        members[number].append(row)
    near = defaultdict(list)
    for (one, other), *link in zip(
        found.pairs.tolist(), found.exact.tolist(), found.likeness.tolist(), found.mirrored.tolist(), strict=True
    ):
        near[one].append((other, link))
        near[other].append((one, link))
    ids = corpus.gallery.ids[images.rows].tolist()
    groups = [_ordered(rows, near, ids, images.sizes) for rows in members.values() if len(rows) > 1]
    groups.sort(key=lambda group: (-len(group), -sum(copy.likeness for copy in group) / len(group)))
    return Groups(corpus, groups, len(ids), images.left_out)


def _ordered(
    rows: list[int], near: dict[int, list[tuple[int, list[Any]]]], ids: list[int], sizes: list[int | None]
) -> list[Copy]:
    """The images of a group: the largest file, what is like it, then what is like one of those before."""
    first = min(rows, key=lambda row: (-(sizes[row] or 0), row))
    copies = [Copy(ids[first], "first", None, 1.0, sizes[first])]
    seen = {first}
    waiting: list[tuple[bool, bool, float, int, int, bool]] = []
    newest = first
    while len(copies) < len(rows):
        for row, (exact, likeness, mirrored) in near[newest]:
            if row not in seen:
                # A link with the first one itself says most.
                heapq.heappush(waiting, (not exact, newest != first, -likeness, row, newest, mirrored))
        while newest in seen:
            altered, _, distance, newest, before, mirrored = heapq.heappop(waiting)
        seen.add(newest)
        kind: Kind = ("mirrored" if mirrored else "near") if altered else "exact"
        copies.append(Copy(ids[newest], kind, ids[before], round(min(-distance, 1.0), 4), sizes[newest]))
    return copies


def _of_folder(corpus: FolderCorpus, *, progress: bool, watch: Watch) -> _Images:
    """Read the files of a folder, one name of each."""
    content = corpus.content
    pixels = np.empty((len(content.files), SIDE, SIDE, 3), np.uint8)

    def read(row: int) -> tuple[int, int] | Skipped:
        """Read an image; return device and number of its file, or why it is left out."""
        file = content.files[row]
        path = content.folder / file.path
        try:
            pixels[row] = read_image(path, (SIDE, SIDE, 3), fit=corpus.fit)
            status = path.stat()
        except ImageFileError as error:
            return Skipped(file.path, error.reason, error.detail)
        except OSError as error:
            return Skipped(file.path, "unreadable", error.strerror or "")
        now = FoundFile(file.path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        if now[:4] != file[:4]:  # then neither code nor digest is known to be its own
            return Skipped(file.path, "unreadable", "it changed since it was encoded")
        return status.st_dev, status.st_ino

    count, left_out = len(content.files), []
    rows_of = defaultdict(list)
    bar = tqdm(total=count, desc="reading images", unit=" images", disable=not progress)
    with bar, ThreadPoolExecutor() as readers:
        for row, result in enumerate(readers.map(read, range(count))):
            bar.update()
            watch(_READ * row / count)
            if isinstance(result, Skipped):
                left_out.append(result)
            else:
                rows_of[result].append(row)
    paths = [content.folder / file.path for file in content.files]
    rows = np.sort([_its_own_name(names, paths) for names in rows_of.values()]).astype(np.int64)
    chosen = rows.tolist()
    return _Images(
        rows,
        pixels if len(rows) == count else pixels[rows],
        [content.digests[row] for row in chosen],
        [content.files[row].size for row in chosen],
        left_out,
    )


def _its_own_name(rows: list[int], paths: list[Path]) -> int:
    """Of several names of one file the first that leads through no link, or the first."""
    if len(rows) == 1:
        return rows[0]
    return next((row for row in rows if os.path.realpath(paths[row]) == str(paths[row])), rows[0])
