"""Parquet files of images on shared storage: each whole or not at all, all of one schema."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsearch import files, spark
from latentsearch.errors import InputError
from latentsearch.failures import check_damage

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession

# A file is told by path, size, times and inode; digest and code are of those that were encoded, reason and detail of
# those that cannot be. A path may be no text, an inode is wrapped to a number with a sign.
SCHEMA = (
    "id long, path binary, size long, mtime_ns long, ctime_ns long, inode long, label string, digest binary, "
    "code array<float>, reason string, detail string"
)
FILE = ("path", "size", "mtime_ns", "ctime_ns", "inode")
_KINDS = {"long": "int64", "binary": "binary", "string": "string"}
_PARQUET = "[!.]*.parquet"


class Workspace:
    """The folder of a publication.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.lock = self.folder / "publication.lock"
        self.record = self.folder / "publication.json"
        self.log = self.folder / "spark.log"
        self.listing = self.folder / "listing"
        self._parts, self._contents, self._inserted = (self.folder / name for name in ("parts", "contents", "inserted"))

    def read_record(self) -> dict[str, str]:
        """Read the record of the publication; it is empty before the first.

        Raises:
            InputError: if it is damaged.
        """
        found = files.read_json(self.record, f"delete {self.record}") if self.record.exists() else {}
        return {name: str(value) for name, value in found.items()}

    def parts(self, encoder: str) -> Path:
        """Folder of new codes by an encoder."""
        return self._parts / encoder

    def contents(self, name: str) -> Path:
        """Folder of all images of a publication."""
        return self._contents / name

    def inserted(self, collection: str) -> Path:
        """Folder of the marks of those parts that are in a collection."""
        return self._inserted / collection

    def all_contents(self, encoder: str = "") -> list[Path]:
        """List the folders of contents, of all encoders or of one."""
        return sorted(path for path in self._contents.glob(f"{encoder}*") if path.is_dir())

    def clear_listing(self) -> None:
        """Delete the listing."""
        files.remove(self.listing, within=self.folder)

    def keep_only(self, contents: str) -> None:
        """Delete all that a publication left which is whole in Milvus now, but its contents."""
        others = [path for path in self.all_contents() if path.name != contents]
        files.remove(self.listing, self._parts, self._inserted, *others, within=self.folder)


def arrow_schema() -> pyarrow.Schema:
    """Return `SCHEMA` as pyarrow has it."""
    import pyarrow

    columns = [column.split(" ", 1) for column in SCHEMA.split(", ")]
    kinds = {name: getattr(pyarrow, kind)() for name, kind in _KINDS.items()}
    kinds |= {"array<float>": pyarrow.list_(pyarrow.float32())}
    return pyarrow.schema([(name, kinds[kind]) for name, kind in columns])


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows to one file; columns that they lack are empty."""
    import pyarrow

    write_table(path, pyarrow.Table.from_pylist(rows, schema=arrow_schema()))


def write_table(path: Path, table: pyarrow.Table) -> None:
    """Write a table of `SCHEMA` to one file, whole or not at all."""
    from pyarrow import parquet

    with files.replacing(path) as temporary:
        # Statistics have no checksum, and Spark would pass over rows by them.
        parquet.write_table(table, temporary, write_page_checksum=True, write_statistics=False)


def read_table(path: Path, columns: list[str] | None = None) -> pyarrow.Table:
    """Read a file with its checksums.

    Raises:
        InputError: if it is damaged.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path, page_checksum_verification=True)
        if file.schema_arrow.equals(arrow_schema()):
            return file.read(columns)
    except (OSError, pyarrow.ArrowException) as error:
        check_damage(error)
    raise InputError(f"{path} is damaged.\nRun the same command again: it is made again then.")


def read(session: SparkSession, *folders: Path) -> DataFrame:
    """Open the files in folders as one frame of `SCHEMA`; it is empty where there is none."""
    paths = [f"file://{escaped(str(folder.absolute()))}" for folder in folders if any(folder.glob(_PARQUET))]
    if not paths:
        return session.createDataFrame([], SCHEMA)
    return session.read.schema(SCHEMA).parquet(*paths)


def remove_damaged(session: SparkSession, *folders: Path) -> int:
    """Read all files in folders on the executors, delete those that are damaged, and return their number."""
    paths = [path for folder in folders for path in folder.glob(_PARQUET)]
    if not paths:
        return 0
    slices = min(len(paths), 4 * session.sparkContext.defaultParallelism)
    rows = session.sparkContext.parallelize([str(path) for path in paths], slices)
    return int(rows.map(functools.partial(_removed)).sum())


def run_job(session: SparkSession, job: Any) -> Any:
    """Run a function that has Spark work, and turn what it raises into words.

    Raises:
        InputError: if Spark does not complete the job.
    """
    try:
        return job()
    except InputError:
        raise
    except Exception as error:  # whatever Java raises
        master = session.conf.get("spark.master", "") if not spark.has_ended(session) else ""
        raise InputError(
            f"--spark {master}: {spark.in_short(error)}\nWhat is whole is kept: the same command goes on from there."
        ) from None


def slices_of(num_rows: int, size: int) -> int:
    """Return into how many parts of about `size` rows a number of rows is divided, at least one."""
    return max(1, -(-num_rows // size))


def batches(rows: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of at most `size` rows."""
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _removed(name: str) -> int:
    path = Path(name)
    try:
        read_table(path)
    except InputError:
        files.remove(path, within=path.parent)
        return 1
    return 0


def escaped(path: str) -> str:
    """Escape what Hadoop would take for a pattern."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", path)
