"""A prepared dataset: its arrays, its metadata, and the scaling of its images for the network."""

from __future__ import annotations

import functools
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentsearch import files, records
from latentsearch.config import Fit
from latentsearch.data.source import prepare_command
from latentsearch.errors import InputError
from latentsearch.records import Provenance

SPLITS = ("train", "validation", "test")
PATHS_FILE = "paths.json"

_PIECE_BYTES = 2**24


@dataclass(frozen=True)
class _Listing:
    """The content of paths.json."""

    paths: tuple[str, ...]


@dataclass(frozen=True)
class ImageSet:
    """A prepared dataset. The id of an image is its row, in every array of the project.

    Args:
        name: Folder below data/.
        images: uint8 `(num_images, height, width, 3)`, memory-mapped.
        labels: int64 `(num_images,)`, positions in `class_names`; all -1 if there are none.
        split: uint8 `(num_images,)`, positions in `SPLITS`.
        class_names: One name per class; () for images without labels.
        fingerprint: SHA-256 of all of the above, in this order of the images.
        content: SHA-256 that does not depend on the order of the images: two copies of one data set that
            store it in different orders share it, and their images fall into the same splits.
        provenance: The source of the images, and how they were prepared.
        folder: Folder of the arrays.
        listing: The bytes of the file that names the file of each image, uint8, memory-mapped; None where there is
            none. It is open from the beginning: a preparation may replace the folder.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    class_names: tuple[str, ...]
    fingerprint: str
    content: str
    provenance: Provenance
    folder: Path
    listing: np.ndarray | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of an image, `(height, width, 3)`."""
        return self.images.shape[1:]

    @property
    def is_labelled(self) -> bool:
        """Whether the class of each image is known."""
        return bool(self.class_names)

    @property
    def fit(self) -> Fit:
        """Treatment of files of other proportions; queries must be treated alike."""
        return self.provenance.fit or "crop"

    @functools.cached_property
    def paths(self) -> tuple[str, ...]:
        """Paths of the files of the images, below the source folder; () if the images are not from files.

        Read when first asked for. Names may hold anything: print them with `text.printable`.

        Raises:
            InputError: if the table is missing or damaged.
        """
        if self.provenance.kind != "folder":
            return ()
        mend = prepare_command(self.folder.parents[2], self.name, self.provenance)
        path = self.folder / PATHS_FILE
        content = None if self.listing is None else self.listing.tobytes()
        listing = files.read_json(path, mend) if content is None else files.parse_json(content, path, mend)
        paths = records.convert(listing, _Listing, path, mend).paths
        if len(paths) != len(self.images):
            raise InputError(f"{path} does not name {len(self.images)} files.\nPrepare them again: {mend}")
        return paths

    def class_of(self, ids: np.ndarray) -> np.ndarray:
        """Look up the class names of images, str, of the shape of `ids`; "" where there are no labels."""
        names: np.ndarray = np.array([*self.class_names, ""])[self.labels[ids]]  # the label -1 takes the last
        return names

    def same_class(self, queries: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
        """Tell whether neighbours are of the class of their query: 1, 0, or -1 if there are no labels.

        Args:
            queries: Ids `(num_queries,)`.
            neighbours: Ids `(num_queries, k)`.

        Returns:
            int64 `(num_queries, k)`.
        """
        same = (self.labels[neighbours] == self.labels[queries][:, None]).astype(np.int64)
        return same if self.is_labelled else np.full_like(same, -1)

    def ids(self, *splits: str) -> np.ndarray:
        """List the ids of the images in any of the named splits, ascending, int64 `(num_images,)`."""
        return np.flatnonzero(np.isin(self.split, [SPLITS.index(name) for name in splits]))

    def gallery_ids(self) -> np.ndarray:
        """List the ids of the images that test images are compared with: all that are not test."""
        return self.ids("train", "validation")


def to_float(images: np.ndarray) -> np.ndarray:
    """Scale uint8 images for the network: float32 in [0, 1], same shape.

    Raises:
        ValueError: if `images` is not uint8.
    """
    if images.dtype != np.uint8:
        raise ValueError(f"Expected uint8 images, received {images.dtype}.")
    return images.astype(np.float32) / np.float32(255)


def read_rows(images: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Copy some images, `(len(ids), ...)`, without holding on to the memory of a mapped file.

    Its pages stay in memory once they were touched: whoever goes through all images would end with all of the file.

    Args:
        images: In memory or memory-mapped.
        ids: Rows of `images`.
    """
    rows = np.asarray(images[ids])
    base: Any = images.base if isinstance(images, np.memmap) and images.mode == "r" else None
    if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):  # not every system takes such advice
        base.madvise(mmap.MADV_DONTNEED)  # what is needed again is read again
    return rows


def is_grey(images: np.ndarray) -> bool:
    """Tell whether no image has colour."""
    return bool((images == images[..., :1]).all())


def drawn(ids: np.ndarray, most: int) -> np.ndarray:
    """Draw at most so many ids, always the same ones, in random order.

    Images may be stored class by class, so that the first ones are of a few classes.
    """
    return np.random.default_rng(0).permutation(ids)[:most]


def pieces(images: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield an array in pieces of about 16 MB, in memory, each with the row that it begins at.

    Pages of a memory-mapped file stay in memory once they were touched; a piece is read from the file instead, and
    its memory is free again after use.

    Args:
        images: `(num_images, ...)`, in memory or memory-mapped in C order.
    """
    if not len(images):
        return
    row = images[:1].nbytes
    step = max(_PIECE_BYTES // row, 1)
    for start in range(0, len(images), step):
        # A slice's offset is that of its whole.
        if isinstance(images, np.memmap) and isinstance(images.base, mmap.mmap):
            count = min(step, len(images) - start)
            numbers, offset = count * row // images.itemsize, images.offset + start * row
            try:
                flat = np.fromfile(images.filename, images.dtype, count=numbers, offset=offset)
            except FileNotFoundError:  # a preparation has replaced the file, which stays mapped
                yield start, np.array(images[start : start + step])
            else:
                yield start, flat.reshape(count, *images.shape[1:])
        else:
            yield start, images[start : start + step]
