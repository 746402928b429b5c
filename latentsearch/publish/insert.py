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
from latentsearch.publish import bulk, storage
from latentsearch.publish.contents import Contents

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_WRITTEN = 2000  # rows at a time, fewer where codes are long: a message has a greatest size
_NUMBERS = 2_000_000  # of codes in a message


def insert(
    session: SparkSession,
    where: str,
    contents: Contents,
    marks: Path,
    codes: PublishedCodes,
    *,
    kind_dim: int | None,
    folder: bulk.BulkFolder | None = None,
) -> int:
    """Insert all images into a collection, and return their number.

    Args:
        session: The session with Spark.
        where: Address of Milvus.
        contents: The images.
        marks: Folder for a mark for each part that is in.
        codes: The collection.
        kind_dim: Numbers of the kind code; None: a single code.
        folder: Folder for the server's bulk insert; None: rows are sent.
    """
    task = _Task(where, contents, files.make_folder(marks), codes, kind_dim, folder)
    numbers = session.sparkContext.parallelize(range(contents.num_parts), contents.num_parts)
    count = int(numbers.mapPartitions(task).sum())
    if folder:
        folder.clear(codes.collection)
    return count


def was_begun_in_bulk(marks: Path) -> bool:
    """Tell whether a part, by its marks, was given to the server's bulk insert and may not be in."""
    begun = [path for path in marks.glob("*.begun") if not path.with_suffix(".json").exists()]
    return any("bulk" in files.read_json(path, "").get("tried", []) for path in begun)


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
    folder: bulk.BulkFolder | None = None

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
        begun = self.marks / f"{number:06}.begun"
        tried = set(files.read_json(begun, "").get("tried", ["rows"])) if begun.exists() else set()
        collection, vectors = self.codes.collection, vectors_of(table, self.codes, self.kind_dim)
        columns = table.drop_columns(["code"]).to_pydict()
        columns["path"] = [text_of(path) for path in columns["path"]]
        columns["digest"] = [digest.hex() for digest in columns["digest"]]
        columns["label"] = [label or "" for label in columns["label"]]
        with closing(MilvusConnection(self.where)) as milvus:
            if not ("bulk" in tried and bulk.is_taken_in(milvus, collection, number)):
                way = "rows" if self.folder is None or "rows" in tried else "bulk"
                files.write_json(begun, {"tried": sorted({*tried, way})})
                if way == "bulk" and self.folder:
                    bulk.insert_file(milvus, self.folder, collection, number, rows=columns, codes=vectors)
                else:
                    # Some rows of a part that was begun may be in: upserts have no image twice. But they delete each
                    # image first, there or not: of 10 million a server was busy for half an hour, and lost images.
                    self._send(milvus, columns, vectors, "upsert" if tried else "insert")
        if self.folder:
            self.folder.clear(collection, number)
        return len(table)

    def _send(self, milvus: MilvusConnection, columns: dict[str, list[Any]], vectors: np.ndarray, method: str) -> None:
        size = min(_WRITTEN, max(1, _NUMBERS // vectors.shape[1]))
        rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
        for start in range(0, len(rows), size):
            codes = vectors[start : start + size].tolist()
            sent = [row | {"code": code} for row, code in zip(rows[start : start + size], codes, strict=True)]
            milvus.call(method, self.codes.collection, sent)
