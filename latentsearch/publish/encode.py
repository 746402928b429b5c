"""Encoding of listed images on the executors: those that no whole Parquet file has a code of."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsearch import files
from latentsearch.config import Fit
from latentsearch.data.image_files import TRANSIENT
from latentsearch.data.scan import FoundFile, Skipped
from latentsearch.errors import InputError
from latentsearch.gallery.encode_files import encode_files
from latentsearch.models.encoder import Encoder
from latentsearch.publish import storage
from latentsearch.publish.storage import FILE, Workspace, batches, slices_of
from latentsearch.text import printable

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession

_PART = 5000  # images of a task: an executor opens the encoder once for each
_RESULT = ("digest", "code", "reason", "detail")


def known(session: SparkSession, workspace: Workspace, encoder: str) -> DataFrame:
    """Open what is known of files: a code, or the reason that their content has none; a row a file."""
    from pyspark.sql import functions

    frame = storage.read(session, workspace.parts(encoder), *workspace.all_contents(encoder))
    lasting = functions.col("reason").isNull() | ~functions.col("reason").isin(*TRANSIENT)
    return frame.filter(lasting).select(*FILE, *_RESULT).dropDuplicates(list(FILE))


def with_results(session: SparkSession, workspace: Workspace, encoder: str) -> DataFrame:
    """Open the listing with what is known of each file; digest and reason are empty where nothing is."""
    listing = storage.read(session, workspace.listing).dropDuplicates(["path"])
    return listing.drop(*_RESULT).join(known(session, workspace, encoder), list(FILE), "left")


def encode(
    session: SparkSession,
    workspace: Workspace,
    encoder: str,
    *,
    source: Path,
    fit: Fit,
    fingerprint: str,
    open_encoder: Callable[[], Encoder],
) -> int:
    """Encode the listed files of which nothing is known, to Parquet files of at most 5,000 images each.

    Args:
        session: The session with Spark.
        workspace: The folder of the publication, with the listing.
        encoder: Name of the folder of the codes.
        source: What the listing is of.
        fit: Treatment of other proportions.
        fingerprint: Fingerprint of the encoder.
        open_encoder: Function that opens the encoder on an executor.

    Returns:
        Number of files that were encoded, or cannot be.

    Raises:
        InputError: if the executors cannot do it.
    """
    to_do = with_results(session, workspace, encoder).filter("digest is null and reason is null").select("id", *FILE)
    count = int(to_do.count())
    if count:
        parts = files.make_folder(workspace.parts(encoder))
        folder = source.resolve() if source.is_dir() else None
        task = _Task(parts, folder, fit, fingerprint, open_encoder, secrets.token_hex(8))
        # By id, so that a task that is tried again has the same files.
        spread = to_do.repartition(slices_of(count, _PART), "id")
        spread.mapInArrow(task, "count long").groupBy().sum("count").collect()
    return count


@dataclass(frozen=True)
class _Task:
    """The work of an executor; see `encode`. The token is that of the job: files that failed are tried by the next."""

    parts: Path
    folder: Path | None
    fit: Fit
    fingerprint: str
    open_encoder: Callable[[], Encoder]
    token: str

    def __call__(self, frames: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow

        encoder: Encoder | None = None
        count = 0
        for batch in batches((row for frame in frames for row in frame.to_pylist()), _PART):
            batch.sort(key=lambda row: bytes(row["path"]))
            listing = [[os.fsdecode(row["path"]), *(row[name] for name in FILE[1:])] for row in batch]
            path = self.parts / f"{hashlib.sha256(json.dumps([self.token, listing]).encode()).hexdigest()[:32]}.parquet"
            if not path.exists():  # it does when its executor died after that
                encoder = encoder or self._opened()
                storage.write_rows(path, self._encoded(encoder, [FoundFile(*row) for row in listing], batch))
            count += len(batch)
        yield pyarrow.RecordBatch.from_pydict({"count": [count]})

    def _opened(self) -> Encoder:
        if self.folder is not None and not self.folder.is_dir():  # else every image would be a missing one
            raise InputError(f"{platform.node()} does not see {printable(self.folder)}: it must be on shared storage.")
        encoder = self.open_encoder()
        if encoder.fingerprint != self.fingerprint:
            raise InputError(f"{platform.node()} has another encoder than the one that codes are asked of.")
        return encoder

    def _encoded(self, encoder: Encoder, found: list[FoundFile], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        results = encode_files(found, Path(), encoder, fit=self.fit, code_of={}, progress=False)
        encoded = []
        for row, (_, result) in zip(rows, results, strict=True):
            if isinstance(result, Skipped):
                encoded.append(row | {"reason": result.reason, "detail": printable(result.detail)})
            else:
                encoded.append(row | {"digest": result[0], "code": result[1]})
        return encoded
