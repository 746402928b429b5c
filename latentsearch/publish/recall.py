"""Recall of an index of Milvus beside a comparison of all codes, which the executors make."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from latentsearch.errors import InputError
from latentsearch.gallery.index import Index, distances_between
from latentsearch.gallery.manifest import PublishedCodes
from latentsearch.gallery.milvus_client import MilvusConnection
from latentsearch.gallery.published import nearest
from latentsearch.publish.contents import Contents
from latentsearch.publish.insert import read_part, vectors_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

K = 10
NUM_QUERIES = 1000
_LEAST_EFFORT = {"ivf_flat": 8, "ivf_sq8": 8, "hnsw": 32, "diskann": 32}
_MOST_EFFORT = {"hnsw": 4096, "diskann": 4096}
_TO_ANSWER = 1800  # seconds: of 10 million codes that were just loaded, a server did not within half a minute
_ROUNDING = 1e-6  # of float32: neighbours as far as the last but for this are as good


def built_with(kind: str, num_codes: int) -> dict[str, int]:
    """Return the parameters that an index of so many codes is built with."""
    if kind.startswith("ivf"):
        return {"nlist": int(np.clip(4 * np.sqrt(num_codes), 16, 65_536))}
    return {"M": 32, "efConstruction": 200} if kind == "hnsw" else {}


@dataclass(frozen=True)
class Measured:
    """Distances of the exact neighbours of queries.

    Args:
        queries: Vectors of the queries, images of the collection, `(num_queries, dim)`.
        ids: Their ids, `(num_queries,)`.
        last: Distance of the tenth nearest other image, or of the last where there are fewer, `(num_queries,)`.
        k: Neighbours counted, 10 or fewer.
    """

    queries: np.ndarray
    ids: np.ndarray
    last: np.ndarray
    k: int


def compare_all(
    session: SparkSession, contents: Contents, codes: PublishedCodes, kind_dim: int | None, sample: list[int]
) -> Measured:
    """Find the exact neighbours of images among all, on the executors.

    Args:
        session: The session with Spark.
        contents: All images.
        codes: The collection.
        kind_dim: Numbers of the kind code; None: a single code.
        sample: Ids of the images that are queries, at most 1,000.
    """
    k = min(K, contents.num_codes - 1)
    numbers = session.sparkContext.parallelize(range(contents.num_parts), contents.num_parts)
    pick = functools.partial(_picked, contents, codes, kind_dim, frozenset(sample))
    found = sorted((pair for part in numbers.map(pick).collect() for pair in part), key=lambda pair: pair[0])
    ids = np.array([number for number, _ in found], np.int64)
    queries = np.stack([vector for _, vector in found])
    nearest_of = functools.partial(_nearest, contents, codes, kind_dim, Measured(queries, ids, np.empty(0), k))
    last = numbers.map(nearest_of).treeReduce(functools.partial(_merged, k))
    return Measured(queries, ids, last[:, -1] if k else np.zeros(len(ids), np.float32), k)


def with_recall(milvus: MilvusConnection, codes: PublishedCodes, measured: Measured, *, least: float) -> PublishedCodes:
    """Return the collection with the least effort of a search that has the recall that is asked, and that recall.

    Raises:
        InputError: if no effort has it.
    """
    effort = _LEAST_EFFORT.get(codes.index, 0)
    most = _MOST_EFFORT.get(codes.index, codes.built.get("nlist", 0))
    while True:
        tried = dataclasses.replace(codes, effort=effort, num_queries=len(measured.ids))
        recall = _recall(milvus, tried, measured) if measured.k else 1.0
        if recall >= least:
            return dataclasses.replace(tried, recall=round(recall, 4))
        if effort >= most:
            raise InputError(
                f"--min-recall {least:g}: the index {codes.index} finds {recall:.1%} of the {measured.k} nearest of "
                f"{len(measured.ids):,} queries at most, so it is not published; what was published before is as it "
                "was.\nGive --index flat, another index, or a lower --min-recall."
            )
        effort = min(2 * effort, most)


def _recall(milvus: MilvusConnection, codes: PublishedCodes, measured: Measured) -> float:
    limit = codes.num_candidates(measured.k + 1)  # as a search has it, with the image itself
    count = 0
    for row, hits in enumerate(nearest(milvus, codes, measured.queries, limit, timeout=_TO_ANSWER)):
        others = [hit["entity"]["code"] for hit in hits if hit["id"] != measured.ids[row]]
        if others:
            vectors = np.array(others, np.float32)
            query = np.repeat(measured.queries[row][None], len(others), axis=0)
            far = np.sort(distances_between(query, vectors, metric=codes.metric))[: measured.k]
            count += int((far <= measured.last[row] + _ROUNDING).sum())
    return count / (measured.k * len(measured.ids))


def _picked(
    contents: Contents, codes: PublishedCodes, kind_dim: int | None, sample: frozenset[int], number: int
) -> list[tuple[int, np.ndarray]]:
    table = read_part(contents, number, ["id", "code"])
    if table is None or not len(table):
        return []
    ids = table.column("id").to_numpy()
    rows = np.flatnonzero(np.isin(ids, list(sample)))
    return list(zip(ids[rows].tolist(), vectors_of(table, codes, kind_dim)[rows], strict=True))


def _nearest(
    contents: Contents, codes: PublishedCodes, kind_dim: int | None, asked: Measured, number: int
) -> np.ndarray:
    """Find the distances of the nearest in one part, float32 `(num_queries, k)`, ascending; infinite beyond all."""
    distances = np.full((len(asked.ids), asked.k), np.inf, np.float32)
    table = read_part(contents, number, ["id", "code"])
    if table is None or not len(table):
        return distances
    index = Index(vectors_of(table, codes, kind_dim), table.column("id").to_numpy(), metric=codes.metric)
    found = index.search(asked.queries, min(asked.k + 1, len(table)))
    others = np.where(found.ids == asked.ids[:, None], np.inf, found.distances)
    others = np.sort(others, axis=1)[:, : asked.k]
    distances[:, : others.shape[1]] = others
    return distances


def _merged(k: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.sort(np.concatenate([one, other], axis=1), axis=1)[:, :k]
