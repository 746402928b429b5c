"""Inserts by the bulk insert of a Milvus server: executors write files where it reads, and it takes them in itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentsearch import files
from latentsearch.errors import InputError
from latentsearch.gallery.milvus_client import MilvusConnection

_ASKED_EVERY = 0.2  # seconds
_WITHOUT_PROGRESS = 600.0
_STUCK = 30.0  # without progress, of an earlier call: to begin again costs less than to wait
_FAILED = ("Failed", "Failed and cleaned")


@dataclass(frozen=True)
class BulkFolder:
    """A folder that executors write to and Milvus reads.

    Args:
        path: The folder.
        name: What Milvus calls it: the same path, or a key in its bucket.
    """

    path: Path
    name: str

    def file_of(self, collection: str, number: int) -> Path:
        """Name the file of a part."""
        return self.path / collection / _file_of(number)

    def clear(self, collection: str, number: int | None = None) -> None:
        """Delete the file of a part; without a number, the folder of a collection."""
        path = self.path / collection if number is None else self.file_of(collection, number)
        files.remove(path, within=self.path)


def insert_file(
    milvus: MilvusConnection,
    folder: BulkFolder,
    collection: str,
    number: int,
    *,
    rows: dict[str, Any],
    codes: np.ndarray,
) -> None:
    """Have Milvus take in a part of a collection from a file, which stays.

    Args:
        milvus: The server.
        folder: Where the file is written.
        collection: The collection.
        number: Number of the part.
        rows: Columns of the part, by the names of their fields.
        codes: Codes of the same rows, float32 `(num_rows, dim)`.

    Raises:
        InputError: if the server cannot do it.
    """
    import pyarrow
    from pyarrow import parquet

    path = folder.file_of(collection, number)
    files.make_folder(path.parent)
    vectors = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(codes.ravel()), codes.shape[1])
    columns = rows | {"code": vectors.cast(pyarrow.list_(pyarrow.float32()))}
    with files.replacing(path) as temporary:
        parquet.write_table(pyarrow.table(columns), temporary)
    name = f"{folder.name}/{collection}/{path.name}"
    task = milvus.bulk("do_bulk_insert", collection, "", [name])
    if not _is_in(milvus, task):
        reason = milvus.bulk("get_bulk_insert_state", task).failed_reason
        raise InputError(
            f"--store {milvus.where}: Milvus could not take in {name}: {reason}. It must read --bulk-folder, by that "
            "path or by --bulk-name; without both flags rows are sent to it."
        )


def is_taken_in(milvus: MilvusConnection, collection: str, number: int) -> bool:
    """Tell whether Milvus has taken in the file of a part; wait for it where it is at it.

    Raises:
        InputError: if the server does not answer, or makes no progress.
    """
    wanted = f"{collection}/{_file_of(number)}"
    tasks = [task for task in milvus.bulk("list_bulk_insert_tasks", 0, collection) if wanted in task.files]
    ended = [_is_in(milvus, task.task_id) for task in tasks]  # all of them: what is not over may still come in
    return any(ended)


def is_stuck(milvus: MilvusConnection, collection: str) -> bool:
    """Tell whether a bulk insert into a collection does not end, as one does whose server was killed at it.

    Waits for those that go on.
    """
    tasks = milvus.bulk("list_bulk_insert_tasks", 0, collection)
    return any(not _end_of(milvus, task.task_id, _STUCK) for task in tasks)


def _file_of(number: int) -> str:
    return f"{number:06}.parquet"


def _is_in(milvus: MilvusConnection, task: int) -> bool:
    """Wait for the end of a task, and tell whether it did what it was to do."""
    end = _end_of(milvus, task, _WITHOUT_PROGRESS)
    if not end:
        raise InputError(
            f"--store {milvus.where}: Milvus has made no progress with a bulk insert for {_WITHOUT_PROGRESS:.0f} "
            "seconds.\nThe same command goes on."
        )
    return end == "Completed"


def _end_of(milvus: MilvusConnection, task: int, seconds: float) -> str:
    """Wait for the end of a task, and name its state; empty after so many seconds without progress."""
    known, since = None, time.monotonic()
    while (state := milvus.bulk("get_bulk_insert_state", task)).state_name not in ("Completed", *_FAILED):
        if known != (found := (state.state_name, state.row_count, state.infos.get("progress_percent"))):
            known, since = found, time.monotonic()
        if time.monotonic() - since > seconds:
            return ""
        time.sleep(_ASKED_EVERY)
    return str(state.state_name)
