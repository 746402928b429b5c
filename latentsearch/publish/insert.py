"""Inserts of the contents of a publication into Milvus, by the executors; parts that are in are not sent again."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsearch import files
from latentsearch.gallery import two_codes
from latentsearch.gallery.index import as_compared
from latentsearch.gallery.manifest import PublishedCodes, text_of
from latentsearch.gallery.milvus_client import MilvusConnection
from latentsearch.publish import storage
from latentsearch.publish.contents import Contents

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_WRITTEN = 2000  # rows at a time, fewer where codes are long: a message has a greatest size
_NUMBERS = 2_000_000  # of codes in a message


def insert(
    session: SparkSession, where: str, contents: Contents, marks: Path, codes: PublishedCodes, *, kind_dim: int | None
) -> int:
    """Insert all images into a collection, and return their number.

    Args:
        session: The session with Spark.
        where: Address of Milvus.
        contents: The images.
        marks: Folder for a mark for each part that is in.
        codes: The collection.
        kind_dim: Numbers of the kind code; None: a single code.
    """
    task = _Task(where, contents, files.make_folder(marks), codes, kind_dim)
    numbers = session.sparkContext.parallelize(range(contents.num_parts), contents.num_parts)
    return int(numbers.mapPartitions(task).sum())


def vectors_of(table: Any, codes: PublishedCodes, kind_dim: int | None) -> np.ndarray:
    """Return the codes of a table as they are compared, float32 `(num_rows, dim)`."""
    column = table.column("code").combine_chunks()
    raw = column.flatten().to_numpy().reshape(len(column), -1)
    return as_compared(two_codes.weighted(raw, kind_dim, codes.look), metric=codes.metric)


def read_part(contents: Contents, number: int, columns: list[str]) -> Any:
    """Read the images with codes of a part; None where it has none."""
    path = contents.part(number)
    if not path.exists():
        return None
    from pyarrow import compute

    table = storage.read_table(path, [*columns, "digest"])
    return table.filter(compute.is_valid(table.column("digest")))


@dataclass(frozen=True)
class _Task:
    """The work of an executor; see `insert`."""

    where: str
    contents: Contents
    marks: Path
    codes: PublishedCodes
    kind_dim: int | None

    def __call__(self, numbers: Iterable[int]) -> Iterable[int]:
        for number in numbers:
            mark = self.marks / f"{number:06}.json"
            if not mark.exists():
                files.write_json(mark, {"images": self._inserted(number)})
            yield int(files.read_json(mark, "")["images"])

    def _inserted(self, number: int) -> int:
        table = read_part(self.contents, number, ["id", "path", "size", "mtime_ns", "label", "code"])
        if table is None or not len(table):
            return 0
        # A part that was begun before may be in, or some of it: upserts have no image twice. But they delete each image
        # first, there or not, and of 10 million deletes a server was busy for half an hour, and lost images.
        begun = self.marks / f"{number:06}.begun"
        method = "upsert" if begun.exists() else "insert"
        files.write_json(begun, {})
        vectors = vectors_of(table, self.codes, self.kind_dim)
        size = min(_WRITTEN, max(1, _NUMBERS // vectors.shape[1]))
        with closing(MilvusConnection(self.where)) as milvus:
            for start in range(0, len(table), size):
                rows = table.slice(start, size).drop_columns(["code"]).to_pylist()
                for row, vector in zip(rows, vectors[start : start + size].tolist(), strict=True):
                    row |= {"path": text_of(row["path"]), "digest": row["digest"].hex(), "code": vector}
                    row["label"] = row["label"] or ""
                milvus.call(method, self.codes.collection, rows)
        return len(table)
