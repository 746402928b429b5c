"""Queries of a search: image files, test images, or a few images drawn at random."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from latentsearch.config import expand_home
from latentsearch.data.images import read_file
from latentsearch.errors import InputError
from latentsearch.search.config import RetrieveConfig, check_collection
from latentsearch.search.corpus import Corpus
from latentsearch.text import printable

NOT_IN_CORPUS = -1
_NUM_RANDOM = 20


@dataclass(frozen=True)
class Queries:
    """Images to search for.

    Args:
        names: Names of the images.
        images: uint8 `(num_queries, height, width, 3)`.
        ids: int64 `(num_queries,)`, ids in the corpus; -1 for others.
        scaled_by_range: Number of files whose pixels were scaled by their own range, by the kind of the pixels.
    """

    names: list[str]
    images: np.ndarray
    ids: np.ndarray
    scaled_by_range: dict[str, int] = field(default_factory=dict)


_NOT_WITH_DUPLICATES = (
    "query",
    "query_index",
    "k",
    "only",
    "min_score",
    "weak",
    "explain",
    "copy_to",
    "store",
    "metric",
)
_NOT_WITH_COLLECTION = ("gallery", "sync", "verify", "spark", "query_index", "duplicates", "encoder_precision")


def check_flags(config: RetrieveConfig) -> None:
    """Refuse flags of a search beside --duplicates, which answers no query, and of a gallery beside --collection.

    Raises:
        InputError: naming the first of them.
    """
    check_collection(config, _NOT_WITH_COLLECTION)
    for name in _NOT_WITH_DUPLICATES:
        if config.duplicates and getattr(config, name) != getattr(RetrieveConfig(), name):
            flag = "--no-weak" if name == "weak" else f"--{name.replace('_', '-')}"
            raise InputError(f"--duplicates compares all images of the gallery and answers no query: leave out {flag}.")
    if config.k is not None and config.k < 1:
        raise InputError(f"--k {config.k}: expected at least 1.")
    if config.look is not None and not 0 <= config.look <= 1:
        raise InputError(f"--look {config.look:g}: expected 0 (kind alone) to 1 (look alone).")
    if config.query_index and config.gallery is not None:
        raise InputError(
            "--query-index names test images of the dataset: leave out --gallery, or give files by --query."
        )
    if config.query and not any(map(_may_be_there, config.query)):  # before minutes of encoding
        raise InputError(f"--query {printable(config.query[0])}: there is no such file.")


def _may_be_there(path: str) -> bool:
    return path == "-" or "://" in path or os.path.lexists(expand_home(path))


def find_queries(config: RetrieveConfig, corpus: Corpus) -> tuple[Queries, list[str]]:
    """Read the images that the flags name, or draw 20 at random.

    Returns:
        The queries, and one line for each that cannot be read.

    Raises:
        InputError: if test images are named but a folder is searched.
    """
    problems: list[str] = []
    found: list[tuple[str, np.ndarray, int]] = []
    by_range: Counter[str] = Counter()
    for path in _paths(config.query):
        try:
            if "://" in path:
                raise InputError(f"{printable(path)}: a URL is not fetched; download the image and give its path.")
            image = read_file(Path(path), corpus.autoencoder.image_shape, fit=corpus.fit)
            by_range.update([image.by_range] if image.by_range else [])
            image_id = corpus.id_of(Path(path))
        except InputError as error:
            problems.append(str(error))
            continue
        found.append((path, image.pixels, NOT_IN_CORPUS if image_id is None else image_id))
    examples = corpus.examples
    positions = config.query_index
    if not config.query and not positions:
        chosen = np.random.default_rng(config.seed).permutation(len(examples))[:_NUM_RANDOM]
        positions = tuple(int(position) for position in chosen)
    for position in positions:
        if not 0 <= position < len(examples):
            problems.append(f"--query-index {position}: expected 0 to {len(examples) - 1}, the test images.")
            continue
        image_id = int(examples[position])
        own = corpus.path_of(image_id)
        name = f"test {position}" if own is None else str(own)
        found.append((name, corpus.images(np.array([image_id]))[0], image_id))
    shape = (len(found), *corpus.autoencoder.image_shape)
    images = np.array([image for _, image, _ in found], dtype=np.uint8).reshape(shape)
    ids = np.array([image_id for _, _, image_id in found], dtype=np.int64)
    return Queries([name for name, _, _ in found], images, ids, dict(by_range.most_common())), problems


def _paths(named: tuple[str, ...]) -> Iterator[str]:
    """List the paths that --query names, with those on standard input in the place of -."""
    for path in named:
        if path == "-":
            # Bytes: a name may be in any encoding. Ended by zeros, as `find -print0` writes them, or by lines.
            given = sys.stdin.buffer.read()
            names = given.split(b"\0") if b"\0" in given else given.splitlines()
            if not any(map(bytes.strip, names)):
                raise InputError("--query -: no path came on standard input.")
            yield from (expand_home(os.fsdecode(name)) for name in names if name.strip())
        else:
            yield expand_home(path)
