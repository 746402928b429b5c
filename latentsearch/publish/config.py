"""Flags of a publication."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from latentsearch.config import ROOT, EncoderPrecision


@dataclass(frozen=True)
class PublishConfig:
    """Flags of python -m latentsearch.publish."""

    gallery: Path
    """The images, on storage that all machines share: a folder, nested or not; a text file of paths, a line each; or
    Parquet (a .parquet file or a folder of them) with a column path, and one label for classes if you like."""

    store: str
    """Address of a Milvus server, such as http://host:19530, or https:// for TLS. What it asks of its clients is read
    from LATENTSEARCH_MILVUS_TOKEN, or _USER and _PASSWORD, _CA, _CERTIFICATE and _KEY, here and on the executors."""

    collection: str
    """Name to publish under, which RetrieveSimilar.py --collection takes."""

    spark: str = "local[*]"
    """Address of Apache Spark, such as spark://host:7077; the default is this machine. It needs requirements-spark.txt
    and Java. All machines must share the images, --root, the code and its environment at the same paths."""

    run: str | None = None
    """Name of the run that encodes. Default: your run "mine" if it is trained, else a shipped one."""

    encoder_precision: EncoderPrecision | None = None
    """Arithmetic of the encoder, of images and of queries; int8 is about three times as fast, and its codes differ a
    little. Default: int8, or that of the codes which are there; float32 of networks other than kind-look, compact and
    deep. All is encoded anew when it changes."""

    metric: tuple[Literal["cosine", "euclidean"], ...] = ("cosine",)
    """Metrics that can be searched by; each takes a collection of its own."""

    look: tuple[float, ...] = ()
    """Shares of the look beside the kind that can be searched by, of runs with both codes; each takes a collection of
    its own. Default: 0.2."""

    index: Literal["auto", "flat", "ivf_flat", "ivf_sq8", "hnsw", "diskann"] = "auto"
    """Index of Milvus. flat compares all codes; the others are quicker and miss some neighbours. ivf_sq8 has 8 bits a
    number; what it finds is put in order by the codes as they are. auto: flat up to 1,000,000 codes, else ivf_flat."""

    bulk_folder: Path | None = None
    """Folder that all machines share and Milvus reads too: codes go there as Parquet, and Milvus takes them in by its
    bulk insert. Default: rows are sent to it."""

    bulk_name: str | None = None
    """What Milvus calls --bulk-folder, such as a key in its bucket. Default: the same path."""

    min_recall: float = 0.95
    """Least recall@10 of an index beside flat, 0 to 1: what is searched of it is widened until it has that, or the
    publication is refused."""

    root: Path = ROOT
    """Folder that holds data/, models/, logs/ and reports/. Default: $LATENTSEARCH_ROOT, or the current folder."""
