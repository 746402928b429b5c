"""The contents of a publication: a row an image, in Parquet files by the hash of its id; and what changed in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsearch import files
from latentsearch.data.image_files import TRANSIENT
from latentsearch.errors import InputError
from latentsearch.gallery.manifest import text_of
from latentsearch.gallery.sync import Changes
from latentsearch.publish import encode, storage
from latentsearch.publish.storage import FILE, Workspace, slices_of

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession

_ROWS = 50_000  # of a file


@dataclass(frozen=True)
class Contents:
    """All images of a publication.

    Args:
        name: Name of their folder, which tells encoder and content.
        folder: The folder.
        num_codes: Images with a code.
        num_parts: Files at most; those without a row are not there.
        skipped: Numbers of files that cannot be read, by reason.
    """

    name: str
    folder: Path
    num_codes: int
    num_parts: int
    skipped: dict[str, int]

    def part(self, number: int) -> Path:
        """Path of a file, from 0."""
        return self.folder / f"{number:06}.parquet"


def write(session: SparkSession, workspace: Workspace, encoder: str, before: str | None) -> Contents:
    """Join the listing with the codes, and write the rows to Parquet; files that are there already are kept.

    A file that could not be read this time keeps its code of before, if that is of the same encoder.

    Args:
        session: The session with Spark.
        workspace: The folder of the publication, with the listing, whose images are encoded.
        encoder: Name of the folder of the codes.
        before: Name of the contents that are published now; None if there are none.

    Raises:
        InputError: if there is no image, codes are not where they should be, or two paths have one id.
    """
    from pyspark.sql import functions

    rows, failed = _rows(session, workspace, encoder, before)
    text = functions.xxhash64("path", "size", "mtime_ns", "ctime_ns", "inode", "label", "digest", "reason")
    key = functions.sum(text.cast("decimal(20,0)")).alias("key")
    counts = rows.groupBy("reason").agg(functions.count("*"), key).orderBy("reason").collect()
    skipped = {row[0]: row[1] for row in counts if row[0]} | failed
    num_codes, num_rows = sum(row[1] for row in counts if not row[0]), sum(row[1] for row in counts)
    if not num_codes:
        raise InputError(
            f"--gallery holds no image that can be read ({', '.join(f'{n:,} x {why}' for why, n in skipped.items())}): "
            "nothing is published."
        )
    num_parts = slices_of(num_rows, _ROWS)
    digest = hashlib.sha256(str([num_parts, *(tuple(row) for row in counts)]).encode()).hexdigest()[:16]
    name = f"{encoder}-{digest}"
    contents = Contents(name, files.make_folder(workspace.contents(name)), num_codes, num_parts, skipped)
    spread = rows.repartition(num_parts, "id").mapInArrow(_Task(contents), "count long")
    spread.groupBy().sum("count").collect()
    return contents


def _rows(
    session: SparkSession, workspace: Workspace, encoder: str, before: str | None
) -> tuple[DataFrame, dict[str, int]]:
    """Open the rows of the contents, and count those that could not be read and have no code of before."""
    columns = [column.split(" ")[0] for column in storage.SCHEMA.split(", ")]
    rows = encode.with_results(session, workspace, encoder).select(*columns)
    known = "digest is not null or reason is not null"
    unread = rows.filter(f"not ({known})")
    tried = storage.read(session, workspace.parts(encoder)).filter("reason is not null")
    tried = tried.select(*FILE, "reason").dropDuplicates(list(FILE)).withColumnRenamed("reason", "why")
    counts = {row[0]: row[1] for row in unread.join(tried, list(FILE), "left").groupBy("why").count().collect()}
    if lost := counts.pop(None, 0):
        raise InputError(
            f"the executors encoded {lost:,} images whose codes are not in {workspace.folder}: --root must be on "
            "storage that all machines share."
        )
    if not counts or not set(counts) <= TRANSIENT or before is None or not before.startswith(encoder):
        return rows.filter(known), counts
    published = storage.read(session, workspace.contents(before)).filter("digest is not null")
    kept = published.join(unread.select("path"), "path", "left_semi").select(*columns)
    left = sum(counts.values()) - kept.count()
    return rows.filter(known).unionByName(kept), {"unreadable": left} if left else {}


def changes(session: SparkSession, workspace: Workspace, contents: Contents, before: str | None) -> Changes:
    """Count the images that were added, changed, moved and removed since the contents `before`, by joins of Spark."""
    from pyspark.sql import functions

    def images(name: str | None) -> DataFrame:
        return storage.read(session, *([workspace.contents(name)] if name else [])).filter("digest is not null")

    now, then = (images(name).select("path", functions.col("digest").alias(column)) for name, column in
                 ((contents.name, "now"), (before, "then")))  # fmt: skip
    both = now.join(then, "path", "full_outer")
    kind = functions.expr(
        "case when then is null then 'new' when now is null then 'gone' when now = then then 'same' else 'other' end"
    )
    counted = {row[0]: row[1] for row in both.groupBy(kind.alias("kind")).count().collect()}
    lone = both.filter("now is null or then is null").groupBy(functions.coalesce("now", "then").alias("digest"))
    pairs = functions.least(functions.count("now"), functions.count("then"))
    moved = lone.agg(pairs.alias("pairs")).groupBy().sum("pairs").collect()[0][0] or 0
    return Changes(
        unchanged=counted.get("same", 0),
        added=counted.get("new", 0) - moved,
        changed=counted.get("other", 0),
        moved=moved,
        removed=counted.get("gone", 0) - moved,
        skipped=sum(contents.skipped.values()),
    )


@dataclass(frozen=True)
class _Task:
    """The work of an executor: a file of the contents, of all rows of one part."""

    contents: Contents

    def __call__(self, frames: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None  # in a task
        filled = [frame for frame in frames if frame.num_rows]
        if filled:
            table = pyarrow.Table.from_batches(filled).cast(storage.arrow_schema())
            path = self.contents.part(context.partitionId())
            if not path.exists():
                _check_ids(table)
                storage.write_table(path, table)
        yield pyarrow.RecordBatch.from_pydict({"count": [sum(frame.num_rows for frame in filled)]})


def _check_ids(table: Any) -> None:
    """Refuse two paths of one id; equal ids are in one part."""
    ids = table.column("id").to_numpy()
    order = ids.argsort()
    equal = (ids[order][1:] == ids[order][:-1]).nonzero()[0]
    if len(equal):
        one, other = (text_of(table.column("path")[int(order[equal[0] + step])].as_py()) for step in (0, 1))
        raise InputError(f"the paths {one} and {other} have the same hash.\nRename one of them.")
