"""What does it take to publish 100,000 and 1,000,000 codes through Spark to Milvus, and to search there?

    python -m benchmarks.publishing --store http://127.0.0.1:19530 --sizes 100000 1000000

The files are hard links to 200 images, which are listed, joined and published as any others. Their codes are not
encoded but made by the executors, each on the way from one code of the shipped run to another near it, as so many
different images are not at hand. Everything after that is the real thing. The memory is that of the driver: its Python,
and its Java, which is not that of the executors. Writes benchmarks/publishing.json, where other sizes are kept.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT

_NUM_FILES, _IN_FOLDER = 200, 1000
_NUM_SINGLE, _NUM_TOGETHER, _NUM_COMPARED = 200, 10_000, 1000
_K = 10
_COLLECTION = "benchmark"
_PARTS = ("published", "searched")


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    store: str
    """Address of a Milvus server."""

    sizes: tuple[int, ...] = (100_000, 1_000_000)
    """Images to publish."""

    indexes: tuple[str, ...] = ("flat", "ivf_flat", "hnsw")
    """Indexes to compare."""

    run: str = "cifar10"
    """Trained run whose codes they are made from."""

    spark: str = "local-cluster[2,1,2048]"
    """Spark."""

    server_pid: int = 0
    """Process of the server, to tell its memory. Default: it is not told."""


def main(config: BenchmarkConfig) -> None:
    """Publish and search at every size."""
    with quiet_libraries():
        from benchmarks import timing
    path = timing.FOLDER / "publishing.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"published": [], "searched": []}
    published = [row for row in before["published"] if row["codes"] not in config.sizes]
    anew = {(size, index) for size in config.sizes for index in config.indexes}
    searched = [row for row in before["searched"] if (row["codes"], row["index"]) not in anew]

    def keep() -> None:
        # What is measured is written at once: the next index, or the next size, may take an hour.
        both = zip(_PARTS, (published, searched), strict=True)
        timing.save(
            "publishing", run=config.run, spark=config.spark, **{part: sorted(rows, key=_size) for part, rows in both}
        )

    for size in config.sizes:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            published.append({"codes": size, **timing.apart(_publish, config, size, Path(folder))})
            print_table(published[-1:])
            keep()
            for index in config.indexes:
                searched.append({"codes": size, "index": index, **timing.apart(_search, config, index, Path(folder))})
                print_table(searched[-1:])
                keep()
            timing.apart(_drop, config)
    print(f"Written: {path}")


def _size(row: dict[str, Any]) -> int:
    return int(row["codes"])


def _publish(config: BenchmarkConfig, size: int, folder: Path) -> dict[str, Any]:
    """Publish so many images; in a new process, so that its memory is its own."""
    from benchmarks import timing
    from latentsearch import spark
    from latentsearch.gallery.trained_run import open_autoencoder
    from latentsearch.publish.config import PublishConfig
    from latentsearch.publish.publish import Publication

    shutil.copytree(ROOT / "models" / config.run, folder / "models" / config.run)
    flags = PublishConfig(
        gallery=folder / "photos", store=config.store, collection=_COLLECTION, spark=config.spark, root=folder,
        run=config.run, index="flat",
    )  # fmt: skip
    timing.apart(_open, folder, config.run)  # exports it, if need be, which takes TensorFlow and memory
    run, autoencoder = open_autoencoder(folder, config.run)
    _make_links(folder / "photos", size)
    marks: list[tuple[str, float]] = []
    with spark.session(config.spark, folder / "spark.log") as session:
        java = session.sparkContext._gateway.proc.pid
        _make_codes(session, config, folder, autoencoder.fingerprint)
        before = [_peak(os.getpid()), _peak(java)]
        begin = time.perf_counter()
        publication = Publication(
            flags, run, autoencoder, _refuse, lambda line: marks.append((line, time.perf_counter() - begin))
        )
        publication.run()
        peaks = [_peak(os.getpid()), _peak(java)]
    at = {line.partition(":")[0]: seconds for line, seconds in marks}
    contents = [path.stat().st_size for path in (folder / "data").rglob("contents/*/*.parquet")]
    return {
        "seconds to list and join": round(at["images"], 1),
        "seconds to insert, index and measure": round(at["index"] - at["images"], 1),
        "seconds in all": round(at["published"], 1),
        "MB of Python before": before[0],
        "MB of Python at most": peaks[0],
        "MB of Java before": before[1],
        "MB of Java at most": peaks[1],
        "MB of Parquet": round(sum(contents) / 2**20, 1),
    }


def _search(config: BenchmarkConfig, kind: str, folder: Path) -> dict[str, Any]:
    """Build one index over what was published, and search it."""
    import dataclasses
    from contextlib import closing

    import numpy as np
    from pyarrow import parquet

    from latentsearch.gallery.index import Index
    from latentsearch.gallery.manifest import METRIC_TYPES, read_manifest
    from latentsearch.gallery.milvus_client import MilvusConnection
    from latentsearch.gallery.published import nearest
    from latentsearch.publish import recall
    from latentsearch.publish.insert import vectors_of
    from latentsearch.publish.recall import Measured

    [contents] = (folder / "data" / "published" / _COLLECTION / "contents").glob("*/")
    table = parquet.read_table(contents, columns=["id", "code"])
    with closing(MilvusConnection(config.store)) as milvus:
        found = read_manifest(milvus, _COLLECTION)
        assert found is not None
        manifest = found[1]
        codes = dataclasses.replace(manifest.codes[0], index=kind, built=recall.built_with(kind, len(table)))
        vectors, ids = vectors_of(table, codes, manifest.kind_dim), table.column("id").to_numpy()
        rows = np.random.default_rng(0).permutation(len(ids))[:_NUM_TOGETHER]
        few = rows[:_NUM_COMPARED]
        exact = Index(vectors, ids, metric=codes.metric).search(vectors[few], _K, exclude=ids[few])
        milvus.call("release_collection", codes.collection)
        milvus.call("drop_index", codes.collection, "code")
        begin = time.perf_counter()
        milvus.build_index(codes.collection, kind.upper(), METRIC_TYPES[codes.metric], codes.built)
        built = time.perf_counter() - begin
        measured = Measured(vectors[few], ids[few], exact.distances[:, -1], _K)
        codes = recall.with_recall(milvus, codes, measured, least=0.95)
        single = []
        for row in rows[:_NUM_SINGLE]:
            begin = time.perf_counter()
            list(nearest(milvus, codes, vectors[row : row + 1], codes.num_candidates(_K + 1)))
            single.append(1000 * (time.perf_counter() - begin))
        begin = time.perf_counter()
        for _ in nearest(milvus, codes, vectors[rows], codes.num_candidates(_K + 1)):
            pass
        together = time.perf_counter() - begin
    return {
        "seconds to build and load": float(f"{built:.3g}"),
        "recall@10": codes.recall,
        "searched": ", ".join(f"{name} {value}" for name, value in codes.params(0).items()) or "all",
        "ms a query (median)": float(f"{np.median(single):.3g}"),
        "ms a query (99 %)": float(f"{np.percentile(single, 99):.3g}"),
        "seconds for 10,000 queries": float(f"{together:.3g}"),
        "MB of the server": _status(config.server_pid, "VmRSS") if config.server_pid else None,
    }


def _drop(config: BenchmarkConfig) -> None:
    """Drop what was published."""
    from contextlib import closing

    from latentsearch.gallery.milvus_client import MilvusConnection

    with closing(MilvusConnection(config.store)) as milvus:
        milvus.call("drop_alias", _COLLECTION)
        for collection in milvus.call("list_collections"):
            if collection.startswith(f"latentsearch_{_COLLECTION}_"):
                milvus.call("drop_collection", collection)


def _make_links(folder: Path, size: int) -> None:
    """Make files of many names: hard links to 200 images."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    files = []
    for number in range(_NUM_FILES):
        path = folder / "originals" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((32, 32), Image.Resampling.BICUBIC).save(path)
        files.append(path)
    for number in range(size - _NUM_FILES):
        below = folder / f"{number // _IN_FOLDER:06}"
        if number % _IN_FOLDER == 0:
            below.mkdir()
        os.link(files[number % _NUM_FILES], below / f"{number}.png")


def _make_codes(session: Any, config: BenchmarkConfig, folder: Path, fingerprint: str) -> None:
    """Write codes of all files, made by the executors, where those that they encode lie."""
    import functools
    import hashlib

    import numpy as np

    from benchmarks.publishing import _codes_of  # by the name that executors can import it by
    from latentsearch import files, records
    from latentsearch.gallery import novelty
    from latentsearch.gallery.index import Index
    from latentsearch.publish import listing
    from latentsearch.publish.storage import Workspace
    from latentsearch.runs import Run

    run = Run(folder, config.run)
    fit = records.read_build(run).dataset.fit or "crop"
    workspace = Workspace(folder / "data" / "published" / _COLLECTION)
    encoder = hashlib.sha256(f"{fingerprint} {fit}".encode()).hexdigest()[:16]
    parts = files.make_folder(workspace.parts(encoder))
    base = novelty.load(run, fingerprint).codes.astype(np.float32)
    near = Index(base, metric="euclidean").rank(base, 11)[:, 1:]
    listing.write(session, folder / "photos", workspace.listing)
    paths = [str(path) for path in workspace.listing.glob("*.parquet")]
    task = functools.partial(_codes_of, parts, base, near)
    session.sparkContext.parallelize(paths, len(paths)).foreach(task)


def _codes_of(parts: Path, base: Any, near: Any, path: str) -> None:
    import numpy as np

    from latentsearch.publish import storage

    rng = np.random.default_rng(int(Path(path).stem))
    rows = storage.read_table(Path(path)).to_pylist()
    first = rng.integers(0, len(base), len(rows))
    second = near[first, rng.integers(0, near.shape[1], len(rows))]
    share = rng.random((len(rows), 1), dtype=np.float32)
    codes = base[first] + share * (base[second] - base[first])
    made = [row | {"digest": rng.bytes(32), "code": code} for row, code in zip(rows, codes, strict=True)]
    storage.write_rows(parts / Path(path).name, made)


def _open(folder: Path, run: str) -> None:
    from latentsearch.gallery.trained_run import open_autoencoder

    open_autoencoder(folder, run)


def _refuse() -> Any:
    raise AssertionError("Nothing is left to encode.")


def _peak(pid: int) -> int:
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    """Read a figure of a process in MB."""
    found = re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) // 1024 if found else 0


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__, name="python -m benchmarks.publishing")
