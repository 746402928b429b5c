"""Flags of RetrieveSimilar.py, and a check that the page shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from latentsearch.config import ROOT, EncoderPrecision
from latentsearch.errors import InputError


@dataclass(frozen=True)
class RetrieveConfig:
    """Flags of RetrieveSimilar.py."""

    run: str | None = None
    """Name of the run that encodes. Default: your run "mine" if it is trained, else a shipped one."""

    gallery: Path | None = None
    """A folder of images to search, nested or not. Default: the dataset of the run."""

    sync: bool = True
    """--no-sync searches the codes of before, without a look at that folder; of a --store it only counts codes."""

    verify: bool = False
    """Compare all files of that folder by content, not by sizes and times, and all codes in a --store."""

    spark: str | None = None
    """Encode what is new in that folder on Apache Spark, at this address, such as spark://host:7077, or
    local-cluster[2,1,1024] for two processes of this machine. It needs requirements-spark.txt and Java. All machines
    must share the folder, --root, the code and its environment at the same paths."""

    query: tuple[str, ...] = ()
    """Image files as queries: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, and HEIC or raw files with their requirements.
    - reads paths from standard input, a line each or ended by zeros, as find -print0 writes them."""

    query_index: tuple[int, ...] = ()
    """Numbers of test images as queries, from 0."""

    duplicates: bool = False
    """In place of queries: group the exact and near duplicates in the gallery. Nothing is ever deleted. Exact are files
    of the same content (in a dataset: the same pixels); near are images of one shot, resized, recompressed, cropped by
    up to a tenth, recoloured, mirrored or with text over it."""

    k: int | None = None
    """Neighbours of each query. Default: 10, or all images where there are fewer."""

    metric: Literal["cosine", "euclidean", "manhattan", "all"] = "cosine"
    """Metric that compares codes; all: the three side by side."""

    encoder_precision: EncoderPrecision | None = None
    """Arithmetic of the encoder; int8 is about three times as fast, and its codes differ a little. Default: in
    folders int8, or that of the codes which are there; float32 in prepared datasets, and of networks other than
    kind-look, compact and deep. All is encoded anew when it changes."""

    look: float | None = None
    """Share of the look beside the kind, of runs with both codes: 0 same kind, 1 same look. Default: 0.2."""

    only: tuple[str, ...] = ()
    """Restrict results to these classes, where images have classes, such as cat dog. Default: all."""

    store: str | None = None
    """Milvus to search in, brought up to date with the codes first: FILE.db (Milvus Lite keeps it), or the address of a
    server, such as http://127.0.0.1:19530. Needs requirements-milvus.txt. Default: none, this process searches."""

    collection: str | None = None
    """Search in what was published under this name to that server (python -m latentsearch.publish), with no gallery."""

    min_score: float = 0.0
    """Least percentage of random pairs that are farther apart than query and neighbour, such as 99.5. A query without
    such a neighbour has the result "no match"."""

    weak: bool = True
    """--no-weak leaves out hits whose likeness is weak."""

    explain: bool = False
    """Draw why the nearest neighbours are near: in which numbers both codes are alike, in which they differ."""

    json: bool = False
    """Write the results as JSON to standard output alone."""

    copy_to: Path | None = None
    """Folder to copy the neighbours to, each time into a new folder in it. It may not be in what is searched."""

    figure: bool = True
    """--no-figure leaves out the figure of the neighbours or duplicates, and is faster."""

    json_figure: bool = False
    """Draw the neighbours beside --json too. By itself, it leaves them out: a script reads no pictures."""

    seed: int = 0
    """Seed of the choice of 20 queries where none is named."""

    root: Path = ROOT
    """Folder that holds data/, models/, logs/ and reports/. Default: $LATENTSEARCH_ROOT, or the current folder."""


def check_collection(config: Any, not_beside: Sequence[str]) -> None:
    """Refuse a collection without a server, and flags of a gallery beside one.

    Args:
        config: Flags, with defaults, among them store and collection.
        not_beside: Names of those that a collection takes not.

    Raises:
        InputError: naming the first of them.
    """
    if config.collection is None:
        return
    if config.store is None:
        raise InputError(f"--collection {config.collection}: name the server that it is in by --store.")
    for name in not_beside:
        if getattr(config, name) != getattr(type(config)(), name):
            flag = "--no-sync" if name == "sync" else f"--{name.replace('_', '-')}"
            raise InputError(f"--collection answers from what was published, with no gallery: leave out {flag}.")
