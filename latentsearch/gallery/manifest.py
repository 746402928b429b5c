"""The manifest of codes that were published to Milvus, and the names and fields of their collections.

A publication is a catalogue, which its name leads to as an alias, and one collection of codes for each metric and share
of the look. The catalogue holds the manifest, and a sample of codes that distances are judged by. A new publication
makes all of these anew and then moves the alias: a search sees the old ones or the new ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.parse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from latentsearch.config import Fit, Metric
from latentsearch.errors import InputError
from latentsearch.gallery import two_codes
from latentsearch.gallery.milvus_client import MilvusConnection

IndexKind = Literal["flat", "ivf_flat", "ivf_sq8", "hnsw", "diskann"]
# Milvus defines a cosine for no zero vector: of vectors of unit length the inner product is the same.
METRIC_TYPES: dict[Metric, str] = {"cosine": "IP", "euclidean": "L2"}
OWNER, MANIFEST = "latentsearch_owner", "latentsearch_manifest"  # properties of collections
COMMAND = "python -m latentsearch.publish"

_SPARE = 8  # results more than are wanted: Milvus rounds distances
_TEXT = ("VARCHAR", {"max_length": 65_535})
# What widens the search of each index.
_EFFORT: dict[IndexKind, str] = {"ivf_flat": "nprobe", "ivf_sq8": "nprobe", "hnsw": "ef", "diskann": "search_list"}


@dataclass(frozen=True)
class PublishedCodes:
    """A collection of codes for one metric and one share of the look.

    Args:
        collection: Name of the collection.
        metric: Metric of its index.
        look: Share of the look code; 0 where there is a single code.
        index: Kind of its index.
        built: Parameters that the index was built with.
        effort: How much of the index is searched: nprobe, ef or search_list; 0: all of it.
        recall: recall@10 beside a comparison of all codes.
        num_queries: Number of queries that it was measured with.
    """

    collection: str
    metric: Metric
    look: float
    index: IndexKind
    built: dict[str, int]
    effort: int = 0
    recall: float = 1.0
    num_queries: int = 0

    def params(self, limit: int) -> dict[str, int]:
        """Return the search parameters of Milvus for `limit` results."""
        if self.index == "flat":
            return {}
        least = 1 if self.index.startswith("ivf") else limit
        return {_EFFORT[self.index]: max(self.effort, least)}

    def num_candidates(self, k: int) -> int:
        """Return how many results of the index hold the `k` nearest by the codes as they are kept, at its best."""
        return (9 * k if self.index == "ivf_sq8" else k + k // 8) + _SPARE


@dataclass(frozen=True)
class Manifest:
    """The content of a publication.

    Args:
        publication: Its name.
        owner: Token of the folder that it is published from.
        key: Fingerprint of images, codes and settings.
        run: Run of the encoder.
        encoder: Fingerprint of the encoder.
        fit: Treatment of images of other proportions.
        latent_dim: Numbers of a code.
        kind_dim: How many of them are the kind code; None: a single code.
        num_codes: Number of images.
        classes: Names of the classes, if images have labels.
        codes: The collections of codes.
    """

    publication: str
    owner: str
    key: str
    run: str
    encoder: str
    fit: Fit
    latent_dim: int
    kind_dim: int | None
    num_codes: int
    classes: tuple[str, ...]
    codes: tuple[PublishedCodes, ...]

    def as_property(self) -> str:
        """Return the manifest as the property of the catalogue."""
        return json.dumps(asdict(self))

    def with_look(self, metric: Metric, look: float | None) -> PublishedCodes:
        """Find the codes for a metric and a share of the look; None: the default, or the only one.

        Raises:
            InputError: if there are none, naming those that there are.
        """
        wanted = 0.0 if self.kind_dim is None else two_codes.chosen_look(look, self.kind_dim)
        if look is not None:
            two_codes.chosen_look(look, self.kind_dim)
        there = [one for one in self.codes if one.metric == metric]
        if found := [one for one in there if one.look == wanted] or there[: look is None and len(there) == 1]:
            return found[0]
        shares = ", ".join(f"{one.metric}, look {one.look:g}" for one in self.codes)
        asked = metric if self.kind_dim is None else f"{metric}, look {wanted:g}"
        raise InputError(
            f"--collection {self.publication} was not published for {asked}; it is for: {shares}.\nPublish it again "
            f"with --metric and --look: {COMMAND} --help."
        )


def code_fields(dim: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the fields of a collection of codes; see `MilvusConnection.create`."""
    fields = {"id": ("INT64", {}), "code": ("FLOAT_VECTOR", {"dim": dim}), "path": _TEXT, "label": _TEXT}
    return fields | {"size": ("INT64", {}), "mtime_ns": ("INT64", {}), "digest": ("VARCHAR", {"max_length": 64})}


def catalogue_fields(latent_dim: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the fields of a catalogue: images and their codes, and corrupted copies (second) of images (first)."""
    return {"id": ("INT64", {}), "image": ("INT64", {}), "code": ("FLOAT_VECTOR", {"dim": 2 * latent_dim})}


def id_of(path: bytes) -> int:
    """Return the id of an image: 63 bits of the SHA-256 of its absolute path."""
    return int.from_bytes(hashlib.sha256(path).digest()[:8]) >> 1


def text_of(path: bytes) -> str:
    """Return a path as Milvus can keep it: as it is, or as a file:// address where it is no UTF-8."""
    try:
        return path.decode()
    except UnicodeDecodeError:
        return "file://" + urllib.parse.quote_from_bytes(path)


def path_of(text: str) -> Path:
    """Return the path that `text_of` made a text of."""
    if text.startswith("file://"):
        return Path(os.fsdecode(urllib.parse.unquote_to_bytes(text.removeprefix("file://"))))
    return Path(text)


def read_manifest(milvus: MilvusConnection, name: str) -> tuple[str, Manifest] | None:
    """Read the manifest of a publication, with the name of its catalogue; None if there is no such collection.

    Raises:
        InputError: if the collection of this name is of something else.
    """
    if not milvus.call("has_collection", name):
        return None
    described = milvus.call("describe_collection", name)
    try:
        manifest = msgspec.json.decode(described.get("properties", {})[MANIFEST], type=Manifest)
    except (KeyError, msgspec.MsgspecError):
        raise InputError(
            f"--store {milvus.where}: the collection {name} is none that {COMMAND} made.\nGive another --collection."
        ) from None
    return described["collection_name"], manifest
