"""A collection in Milvus that is made to hold the codes of a gallery, and no others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from latentsearch.gallery.milvus_client import MilvusConnection
from latentsearch.gallery.store_record import BLOCK, Digests, StoreRecord, digests_of

STRONG = {"consistency_level": "Strong"}  # else rows that were just deleted are found still
MOST = 16_384  # rows that Milvus gives at a time
_WRITTEN, _READ = 2000, 10_000  # rows at a time, fewer where codes are long: a message has a greatest size
_NUMBERS = 2_000_000  # of codes in a message

Counts = tuple[int, int, int, int]  # codes that were there already, that came, that changed, and that went


@dataclass(frozen=True)
class Mirror:
    """A collection, and the codes that it is to hold.

    Args:
        milvus: The connection.
        collection: Name of the collection.
        ids: Ids of the images, ascending, int64 `(num_images,)`.
        labels: Their classes, int64 `(num_images,)`.
        vectors: Their codes as they are compared, float32 `(num_images, latent_dim)`.
        record: What the collection was left with; None if that is not kept.
    """

    milvus: MilvusConnection
    collection: str
    ids: np.ndarray
    labels: np.ndarray
    vectors: np.ndarray
    record: StoreRecord | None

    def bring_up_to_date(self, *, verify: bool) -> tuple[Counts, int]:
        """Compare codes where they may have changed, and delete and send what differs.

        Args:
            verify: Compare every code, whatever the record says.

        Returns:
            Counts of the changes; and that of the codes in the end.
        """
        now = digests_of(self.ids, self.labels, self.vectors)
        with self.record.held() if self.record else contextlib.nullcontext():
            known = self.record.read() if self.record and not verify and self._count() else {}
            counts = self._update(now, known)
            count = self._count()
            if known and count != len(self.ids):  # others changed it: what was known of it is not so
                counts = _sum(counts, self._update(now, {}))
                count = self._count()
            if self.record and count == len(self.ids):
                self.record.write(now)
        return counts, count

    def _update(self, now: Digests, known: Digests) -> Counts:
        """Bring the blocks of ids up to date that are not known to be as they are now."""
        same = {block: digest for block, digest in now.items() if known.get(block) == digest}
        changing = (known.keys() | now.keys()) - same.keys()
        if self.record and (changing or not known):
            self.record.write(same | dict.fromkeys(changing, ""))  # what follows may be interrupted
        rows = np.flatnonzero(~np.isin(self.ids // BLOCK, list(same)))
        kept, num_there = self._compare(rows)
        others: list[int] = []
        if known:
            others = self._others(_in_blocks(self.milvus, self.collection, (one for one in known if one not in same)))
        elif self._count() != num_there:
            others = self._others(windows(self.milvus, self.collection))
        for start in range(0, len(others), _READ):
            self.milvus.call("delete", self.collection, ids=others[start : start + _READ])
        self._send(rows[~kept])
        self.milvus.load(self.collection)  # a server that was restarted meanwhile has it no more
        num_changed = num_there - int(kept.sum())
        num_sent = int((~kept).sum())
        return len(self.ids) - num_sent, num_sent - num_changed, num_changed, len(others)

    def _compare(self, rows: np.ndarray) -> tuple[np.ndarray, int]:
        """Compare these rows with the collection.

        Returns:
            Which of them are there unchanged, bool `(len(rows),)`; and the number of those that are there at all.
        """
        ids = self.ids[rows]
        kept, num_there = np.zeros(len(rows), dtype=bool), 0
        size = min(_READ, max(1, _NUMBERS // self.vectors.shape[1]))
        for start in range(0, len(ids) if self._count() else 0, size):
            batch = ids[start : start + size].tolist()
            fields = ["id", "label", "code"]
            found = self.milvus.call("get", self.collection, ids=batch, output_fields=fields, **STRONG)
            places = np.searchsorted(ids, np.array([item["id"] for item in found], np.int64))
            codes = np.array([item["code"] for item in found], np.float32).reshape(-1, self.vectors.shape[1])
            labels = np.array([item["label"] for item in found], dtype=np.int64)
            same = (codes == self.vectors[rows[places]]).all(axis=1)
            kept[places] = same & (labels == self.labels[rows[places]])
            num_there += len(found)
        return kept, num_there

    def _others(self, found: Iterable[list[dict[str, Any]]]) -> list[int]:
        """List the ids among those found that are not in the gallery."""
        ids = np.fromiter((item["id"] for items in found for item in items), np.int64)
        others: list[int] = ids[~np.isin(ids, self.ids)].tolist()
        return others

    def _send(self, rows: np.ndarray) -> None:
        size = min(_WRITTEN, max(1, _NUMBERS // self.vectors.shape[1]))
        with tqdm(total=len(rows), desc="storing codes", unit=" codes", disable=len(rows) <= size) as bar:
            for start in range(0, len(rows), size):
                batch = rows[start : start + size]
                columns = (values[batch].tolist() for values in (self.ids, self.labels, self.vectors))
                data = [dict(zip(("id", "label", "code"), values)) for values in zip(*columns)]
                # Not insert, which keeps what had the same id beside it.
                self.milvus.call("upsert", self.collection, data)
                bar.update(len(batch))

    def _count(self) -> int:
        return count_of(self.milvus, self.collection)


def _sum(first: Counts, second: Counts) -> Counts:
    """Add up the changes of two passes over the same codes."""
    added, changed, removed = (one + other for one, other in zip(first[1:], second[1:], strict=True))
    return sum(first[:3]) - added - changed, added, changed, removed


def count_of(milvus: MilvusConnection, collection: str) -> int:
    """Count the rows of a collection."""
    [found] = milvus.call("query", collection, filter="", output_fields=["count(*)"], **STRONG)
    return int(found["count(*)"])


def windows(milvus: MilvusConnection, collection: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a collection with their ids, in parts: Milvus gives at most 16,384 rows, in no order."""
    start = 0
    while milvus.call("query", collection, filter=f"id >= {start}", limit=1, output_fields=["id"], **STRONG):
        yield _between(milvus, collection, start, start + MOST)
        start += MOST


def _in_blocks(milvus: MilvusConnection, collection: str, blocks: Iterable[int]) -> Iterator[list[dict[str, Any]]]:
    return (_between(milvus, collection, block * BLOCK, (block + 1) * BLOCK) for block in blocks)


def _between(milvus: MilvusConnection, collection: str, low: int, high: int) -> list[dict[str, Any]]:
    window = f"id >= {low} and id < {high}"
    return list(milvus.call("query", collection, filter=window, limit=MOST, output_fields=["id"], **STRONG))
