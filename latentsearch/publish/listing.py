"""Listing of the images to publish, from a folder, a list of paths, or Parquet, as Parquet on shared storage."""

from __future__ import annotations

import functools
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsearch import files
from latentsearch.data.scan import FoundFile, find_images
from latentsearch.errors import InputError
from latentsearch.gallery.manifest import id_of
from latentsearch.publish import storage
from latentsearch.publish.storage import batches
from latentsearch.text import printable

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import SparkSession

_ROWS = 50_000  # in memory at a time
_SIGN = 2**63


def write(session: SparkSession, source: Path, folder: Path) -> dict[str, int]:
    """List the images of a source as Parquet files with the columns id, path, size, times, inode and label.

    This process reads a folder or a text file, and holds 50,000 paths at most; paths of a text file and of Parquet are
    looked up by the executors.

    Args:
        session: The session with Spark.
        source: A folder of images, a text file of paths, or Parquet with a column path, and label if there are classes.
        folder: The folder of the result.

    Returns:
        Numbers of files that were left out, by reason.

    Raises:
        InputError: if the source cannot be read, or a part of the folder cannot.
    """
    files.make_folder(folder)
    if source.suffix == ".parquet" or (source.is_dir() and any(source.glob("*.parquet"))):
        return _of_parquet(session, source, folder)
    if source.is_dir():
        return _of_folder(source.resolve(), folder)
    if not source.is_file():
        raise InputError(f"--gallery {printable(source)}: there is no such folder, list of paths, or Parquet file.")
    named = files.make_folder(folder.with_name("named"))
    try:
        with open(source, "rb") as lines:
            paths = (os.path.abspath(line.rstrip(b"\r\n")) for line in lines if line.strip())  # noqa: PTH100 (bytes)
            _write_parts(({"path": path} for path in paths), named)
        return _looked_up(session, storage.read(session, named).select("path", "label"), folder)
    finally:
        files.remove(named, within=folder.parent)


def _of_folder(source: Path, folder: Path) -> dict[str, int]:
    left_out: Counter[str] = Counter()

    def rows() -> Iterator[dict[str, Any]]:
        for file in find_images(source):
            if isinstance(file, FoundFile):
                path = os.fsencode(source / file.path)
                inode = file.inode - 2 * _SIGN if file.inode >= _SIGN else file.inode
                yield {**file._asdict(), "path": path, "inode": inode, "id": id_of(path)}
            elif file.reason == "unreadable":  # what is in it would count as removed
                raise InputError(
                    f"{printable(source / file.path)} cannot be read ({file.detail}): nothing is published, as its "
                    "images would be taken for removed ones.\nMake it readable, or move it elsewhere."
                )
            else:
                left_out[file.reason] += 1

    _write_parts(rows(), folder)
    return dict(left_out)


def _write_parts(rows: Iterable[dict[str, Any]], folder: Path) -> None:
    for number, batch in enumerate(batches(iter(rows), _ROWS)):
        storage.write_rows(folder / f"{number:06}.parquet", batch)


def _of_parquet(session: SparkSession, source: Path, folder: Path) -> dict[str, int]:
    from pyspark.sql import functions

    frame = session.read.parquet(f"file://{storage.escaped(str(source.absolute()))}")
    if "path" not in frame.columns:
        raise InputError(
            f"--gallery {printable(source)}: expected a column path, found the columns {', '.join(frame.columns)}."
        )
    label = functions.col("label").cast("string") if "label" in frame.columns else functions.lit(None).cast("string")
    return _looked_up(session, frame.select(functions.col("path").cast("binary"), label.alias("label")), folder)


def _looked_up(session: SparkSession, frame: Any, folder: Path) -> dict[str, int]:
    """Look up the files of a frame of paths and labels on the executors, which write the listing."""
    distinct = frame.dropDuplicates(["path"])
    task = functools.partial(_look_up, os.fsencode(Path.cwd()), folder)
    counts = distinct.mapInArrow(task, "reason string, count long").groupBy("reason").sum("count").collect()
    return {row[0]: row[1] for row in counts}


def _look_up(base: bytes, folder: Path, frames: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None  # in a task
    left_out: Counter[str] = Counter()

    def rows() -> Iterator[dict[str, Any]]:
        for frame in frames:
            for row in frame.to_pylist():
                path = os.path.normpath(os.path.join(base, row["path"]))  # noqa: PTH118 (bytes)
                try:
                    status = os.stat(path)  # noqa: PTH116 (bytes)
                except (OSError, ValueError):
                    left_out["missing"] += 1
                    continue
                if not stat.S_ISREG(status.st_mode):
                    left_out["not a file"] += 1
                    continue
                inode = status.st_ino - 2 * _SIGN if status.st_ino >= _SIGN else status.st_ino
                found = {"path": path, "label": row["label"], "size": status.st_size, "mtime_ns": status.st_mtime_ns}
                yield found | {"ctime_ns": status.st_ctime_ns, "inode": inode, "id": id_of(path)}

    for number, batch in enumerate(batches(rows(), _ROWS)):
        storage.write_rows(folder / f"{context.partitionId():06}-{number:06}.parquet", batch)
    columns = {"reason": pyarrow.array(list(left_out), pyarrow.string()), "count": list(left_out.values())}
    yield pyarrow.RecordBatch.from_pydict(
        columns, pyarrow.schema({"reason": pyarrow.string(), "count": pyarrow.int64()})
    )
