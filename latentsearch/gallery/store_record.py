"""What a store was left with: digests of its codes by blocks of ids, so that only what changed is compared with it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentsearch import files, locks
from latentsearch.errors import InputError

BLOCK = 10_000
"""Ids of a block."""

Digests = dict[int, str]  # by the number of the block: id // BLOCK


def digests_of(ids: np.ndarray, labels: np.ndarray, vectors: np.ndarray) -> Digests:
    """Compute a digest for each block of ids that holds any: SHA-256 of its ids, labels and vectors, 64 bits of it.

    Args:
        ids: Ids, ascending, not negative, int64 `(num_codes,)`.
        labels: Classes, int64 `(num_codes,)`.
        vectors: float32 `(num_codes, dim)`.
    """
    blocks, starts = np.unique(ids // BLOCK, return_index=True)
    digests = {}
    for block, start, end in zip(blocks.tolist(), starts, [*starts[1:], len(ids)], strict=True):
        content = hashlib.sha256()
        for values in (ids, labels, vectors):
            content.update(np.ascontiguousarray(values[start:end]).tobytes())
        digests[block] = content.hexdigest()[:16]
    return digests


@dataclass(frozen=True)
class StoreRecord:
    """The record of one collection, a file, which only one process uses at a time.

    Args:
        folder: Folder of such files.
        where: Address of the store.
        collection: Name of the collection.
        created: What tells the collection from an earlier one of this name.
    """

    folder: Path
    where: str
    collection: str
    created: str

    @property
    def path(self) -> Path:
        """The file."""
        name = hashlib.sha256("\n".join((self.where, self.collection)).encode(errors="surrogateescape")).hexdigest()
        return self.folder / f"{name[:16]}.json"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Wait until no other process uses the record, and keep it while the block runs."""
        with locks.locked(self.path.with_suffix(".lock"), f"the record of {self.collection}", wait=True):
            yield

    def read(self) -> Digests:
        """Read what the collection was left with; nothing where that is not known."""
        try:
            content = files.read_json(self.path, "the same command")
            if (content["where"], content["collection"], content["created"]) != self._identity:
                return {}
            return {int(block): str(digest) for block, digest in content["blocks"].items()}
        except (InputError, KeyError, TypeError, ValueError, AttributeError):  # missing, or damaged
            return {}

    def write(self, blocks: Mapping[int, str]) -> None:
        """Write what the collection holds for sure."""
        where, collection, created = self._identity
        record = {"where": where, "collection": collection, "created": created}
        files.write_json(self.path, record | {"blocks": {str(block): digest for block, digest in blocks.items()}})

    @property
    def _identity(self) -> tuple[str, str, str]:
        return self.where, self.collection, self.created
