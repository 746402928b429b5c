"""Encoding of the image files of a folder on a Spark cluster; a job that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from latentsearch import files, spark
from latentsearch.config import Fit
from latentsearch.data.image_files import TRANSIENT
from latentsearch.data.scan import FoundFile, Skipped
from latentsearch.errors import InputError
from latentsearch.failures import check_damage
from latentsearch.gallery import encode_files
from latentsearch.gallery.encode_files import Encoded, EncodedFile
from latentsearch.models.encoder import Encoder
from latentsearch.runs import Run
from latentsearch.text import printable

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

_PART = 5000  # files of a task: an executor opens the encoder once for each


class SparkEncoder:
    """An encoder of files on a cluster: each executor calls `encode_files.encode_files` for parts of the files.

    An executor writes each encoded part to a Parquet file, whole or not at all. So a part that is tried again is in
    one file in the end, and the next job uses the parts of one that ended early.

    Args:
        master: Address of the cluster.
        run: Run of the encoder.
        parts: Folder of these files, to be deleted when the codes are in a gallery.
        open_encoder: Function that opens the encoder on an executor.
    """

    def __init__(self, master: str, run: Run, parts: Path, *, open_encoder: Callable[[], Encoder]) -> None:
        self._master, self._run, self._parts, self._open_encoder = master, run, parts.absolute(), open_encoder

    def __call__(
        self,
        files: list[FoundFile],
        folder: Path,
        autoencoder: Encoder,
        *,
        fit: Fit,
        code_of: dict[bytes, np.ndarray],
        progress: bool,
    ) -> Iterator[tuple[FoundFile, Encoded]]:
        """See `encode_files.encode_files`.

        Raises:
            InputError: if Spark cannot be started, or does not complete the job.
        """
        # Codes of another encoder are in another folder.
        parts = self._parts / f"{autoencoder.fingerprint[:16]}-{fit}"
        done = _read(parts, code_of)
        to_do = [file for file in files if file not in done or _is_transient(done[file])]
        if to_do:
            work = _Work(folder.resolve(), parts, fit, autoencoder.fingerprint, self._open_encoder)
            with spark.session(self._master, self._run.models / "spark.log") as session:
                self._run_job(session, work, to_do, frozenset(code_of), progress=progress)
            done |= _read(parts, code_of)
            if missing := len(set(to_do) - set(done)):
                raise InputError(
                    f"--spark {self._master}: the executors encoded {missing} images whose codes are not in {parts}: "
                    "--root must be on storage that all machines share."
                )
        for file in files:
            result = done[file]
            # Files of equal content get one code, whatever executors made of them.
            yield (
                file,
                result
                if isinstance(result, Skipped)
                else result._replace(code=code_of.setdefault(result.digest, result.code)),
            )

    def _run_job(
        self, session: SparkSession, work: _Work, files: list[FoundFile], known: frozenset[bytes], *, progress: bool
    ) -> None:
        listings = [json.dumps(files[start : start + _PART]).encode() for start in range(0, len(files), _PART)]
        # The token is that of the job: files that could not be read are tried again by the next.
        job_token = secrets.token_bytes(8)
        rows = [(f"{hashlib.sha256(job_token + listing).hexdigest()[:32]}.parquet", listing) for listing in listings]
        context = session.sparkContext
        broadcast = context.broadcast(known)

        def encode_parts(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            return work.encode_parts(frames, broadcast.value)

        frame = session.createDataFrame(context.parallelize(rows, len(rows)), "part string, listing binary")
        bar = tqdm(total=len(files), desc="encoding images", unit=" images", disable=not progress)
        with bar, ThreadPoolExecutor(1) as beside:
            job = beside.submit(frame.mapInPandas(encode_parts, "part string").collect)
            while not job.done():
                bar.update(min(_PART * sum((work.parts / name).exists() for name, _ in rows), len(files)) - bar.n)
                time.sleep(0.5)
        finished = sum((work.parts / name).exists() for name, _ in rows)
        if error := job.exception():
            raise InputError(
                f"--spark {self._master}: {spark.in_short(error)}\n{finished} of {len(rows)} parts are encoded and "
                f"kept: the same command goes on from there. See {self._run.models / 'spark.log'}."
            ) from None


@dataclass(frozen=True)
class _Work:
    """The work of an executor.

    Args:
        folder: Folder of the images.
        parts: Folder for the codes.
        fit: Treatment of other proportions.
        fingerprint: Fingerprint of the encoder.
        open_encoder: Function that opens the encoder.
    """

    folder: Path
    parts: Path
    fit: Fit
    fingerprint: str
    open_encoder: Callable[[], Encoder]

    def encode_parts(self, frames: Iterator[pd.DataFrame], known: frozenset[bytes]) -> Iterator[pd.DataFrame]:
        """Encode parts, and yield their names.

        Args:
            frames: Names of parts, and their files as JSON.
            known: Digests of contents that need no code.
        """
        import pandas as pd  # not before: queries do without

        for frame in frames:
            for name, listing in zip(frame["part"], frame["listing"], strict=True):
                if not (self.parts / name).exists():  # it does when its executor died after that
                    self._encode([FoundFile(*row) for row in json.loads(listing)], self.parts / name, known)
                yield pd.DataFrame({"part": [name]})

    def _encode(self, files: list[FoundFile], path: Path, known: frozenset[bytes]) -> None:
        if not self.folder.is_dir():  # else every image would be a missing one
            raise InputError(f"{platform.node()} does not see {printable(self.folder)}: it must be on shared storage.")
        encoder = self.open_encoder()
        if encoder.fingerprint != self.fingerprint:
            raise InputError(f"{platform.node()} has another encoder than the one that codes are asked of.")
        no_code = np.empty(0, np.float32)
        results = encode_files.encode_files(
            files, self.folder, encoder, fit=self.fit, code_of=dict.fromkeys(known, no_code), progress=False
        )
        _write(path, list(results))


def _is_transient(result: Encoded) -> bool:
    return isinstance(result, Skipped) and result.is_transient


def _write(path: Path, results: list[tuple[FoundFile, Encoded]]) -> None:
    import pyarrow
    from pyarrow import parquet

    rows: list[dict[str, Any]] = []
    for file, result in results:
        row = file._asdict() | {"path": os.fsencode(file.path)}
        if isinstance(result, Skipped):
            row |= {"reason": result.reason, "detail": printable(result.detail)}
        else:
            row |= result._asdict()
        rows.append(row)
    columns = {"path": "binary", "size": "int64", "mtime_ns": "int64", "ctime_ns": "int64", "inode": "uint64"}
    columns |= {"digest": "binary"}
    schema = [(name, getattr(pyarrow, kind)()) for name, kind in columns.items()]
    schema += [
        ("code", pyarrow.list_(pyarrow.float32())),
        *((name, pyarrow.string()) for name in ("reason", "detail", "by_range")),
    ]
    with files.replacing(path) as temporary:
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(schema)), temporary)


def _read(parts: Path, code_of: dict[bytes, np.ndarray]) -> dict[FoundFile, Encoded]:
    """Read finished parts: of files that could not be read this time, the reason, unless another part has more.

    Parts that cannot be read, or lack a code that was known elsewhere, are deleted.
    """
    if not parts.is_dir():
        return {}
    import pyarrow
    from pyarrow import parquet

    found: dict[FoundFile, Encoded] = {}
    for path in sorted(parts.glob("[!.]*.parquet")):
        try:
            rows = parquet.read_table(path).to_pylist()
        except (OSError, pyarrow.ArrowException) as error:
            check_damage(error)
            files.remove(path, within=parts)
            continue
        for row in rows:
            file = FoundFile(os.fsdecode(row["path"]), *(row.get(name, 0) for name in FoundFile._fields[1:]))
            if row["reason"] in TRANSIENT:
                found.setdefault(file, Skipped(file.path, row["reason"], row["detail"]))
            elif row["reason"]:
                found[file] = Skipped(file.path, row["reason"], row["detail"])
            elif row["code"]:
                found[file] = EncodedFile(row["digest"], np.array(row["code"], np.float32), row.get("by_range") or "")
            elif row["digest"] in code_of:
                found[file] = EncodedFile(row["digest"], code_of[row["digest"]])
            else:
                files.remove(path, within=parts)
    return found
