"""What is asked about: image files, test images, or a few images drawn at random."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentsearch.config import RetrieveConfig
from latentsearch.errors import InputError
from latentsearch.search.corpus import Collection
from latentsearch.text import printable

NOT_IN_COLLECTION = -1
_NUM_RANDOM = 20


@dataclass(frozen=True)
class Queries:
    """Images that are asked about.

    Args:
        names: What to call them.
        images: uint8 `(num_queries, height, width, 3)`.
        ids: int64 `(num_queries,)`, ids in the collection; -1 for others.
    """

    names: list[str]
    images: np.ndarray
    ids: np.ndarray


def find_queries(config: RetrieveConfig, collection: Collection) -> tuple[Queries, list[str]]:
    """The images that the flags name, or 20 drawn at random.

    Returns:
        The queries that can be answered, and one line for each that cannot.

    Raises:
        InputError: if test images are named but a folder is searched.
    """
    problems: list[str] = []
    found: list[tuple[str, np.ndarray, int]] = []
    for path in _paths(config.query):
        try:
            if "://" in path:
                raise InputError(f"{printable(path)}: a URL is not fetched; download the image and give its path.")
            image = collection.read(Path(path))
            image_id = collection.id_of(Path(path))
        except InputError as error:
            problems.append(str(error))
            continue
        found.append((path, image, NOT_IN_COLLECTION if image_id is None else image_id))
    if config.query_index and not collection.has_test_images:
        raise InputError(
            "--query-index names test images of the dataset: leave out --gallery, or give files by --query."
        )
    examples = collection.examples
    positions = config.query_index
    if not config.query and not positions:
        chosen = np.random.default_rng(config.seed).permutation(len(examples))[:_NUM_RANDOM]
        positions = tuple(int(position) for position in chosen)
    for position in positions:
        if not 0 <= position < len(examples):
            problems.append(f"--query-index {position}: expected 0 to {len(examples) - 1}, the test images.")
            continue
        image_id = int(examples[position])
        path = collection.path_of(image_id)
        name = f"test {position}" if path is None else str(path)
        found.append((name, collection.images(np.array([image_id]))[0], image_id))
    shape = (len(found), *collection.autoencoder.image_shape)
    images = np.array([image for _, image, _ in found], dtype=np.uint8).reshape(shape)
    ids = np.array([image_id for _, _, image_id in found], dtype=np.int64)
    return Queries([name for name, _, _ in found], images, ids), problems


def _paths(named: tuple[str, ...]) -> Iterator[str]:
    """The paths that --query names; those on standard input in the place of -."""
    for path in named:
        if path == "-":
            yield from (line.rstrip("\n") for line in sys.stdin if line.strip())
        else:
            yield path
