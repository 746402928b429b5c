"""Codes in Milvus: one collection per gallery, encoder and metric, synchronised with the gallery and searched."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from pathlib import Path

import numpy as np

from latentsearch.config import Metric
from latentsearch.errors import InputError
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.index import Neighbours, as_compared, distances_between, not_excluded
from latentsearch.gallery.milvus_client import MilvusConnection
from latentsearch.gallery.milvus_mirror import MOST, STRONG, Mirror, count_of, windows
from latentsearch.gallery.store import Changes
from latentsearch.gallery.store_record import StoreRecord

# Milvus defines a cosine for no zero vector: of vectors of unit length the inner product is the same.
_METRIC_TYPES: dict[Metric, str] = {"cosine": "IP", "euclidean": "L2"}
_RECORD = "latentsearch"  # the property of a collection that tells what it holds
_CREATED = "latentsearch_created"  # the property that tells it from any other of its name
_QUERIES = 50  # at a time: Milvus Lite takes memory for all differences between queries and codes
_SPARE = 8  # rows more than are wanted, to tell who is among the nearest


class MilvusStore:
    """Codes in Milvus, which compares all of them (index FLAT).

    An index of Milvus has one metric, so each metric has a collection, which is made when it is first needed. Its name
    holds gallery, metric and encoder, so codes of two encoders cannot meet; collections of the same gallery by
    another encoder are dropped once the new one is whole. See `store.Store` for what the methods do.

    Args:
        where: FILE.db or http://host:port; see `MilvusConnection`.
        metrics: The metrics of later searches.
        records: Folder for records of what the collections were left with. Default: none are kept, and every code is
            compared each time.

    Raises:
        InputError: if Milvus lacks one of them, or cannot be reached.
    """

    def __init__(self, where: str, metrics: tuple[Metric, ...], records: Path | None = None) -> None:
        lacking = [metric for metric in metrics if metric not in _METRIC_TYPES]
        if lacking:
            raise InputError(
                f"Milvus has no metric {', '.join(lacking)}: with --store give --metric cosine or euclidean, "
                "or leave out --store."
            )
        self._milvus = MilvusConnection(where)
        self._metrics, self._records = metrics, records
        self._collections: dict[Metric, str] = {}
        self._gallery: Gallery  # since `sync`, as the labels
        self._labels: np.ndarray

    @property
    def place(self) -> str:
        """Names of the collections, and where they are."""
        return f"{', '.join(self._collections.values())} at {self._milvus.where}"

    def sync(
        self, name: str, gallery: Gallery, labels: np.ndarray, *, compare: bool = True, verify: bool = False
    ) -> Changes:
        """See `Store.sync`. The counts are sums over the metrics."""
        self._gallery, self._labels = gallery, labels
        counts = [self._synced(name, metric, compare=compare, verify=verify) for metric in self._metrics]
        return Changes(*np.sum(counts, axis=0).tolist())

    def ids(self, *, metric: Metric) -> np.ndarray:
        """See `Store.ids`."""
        found = [row["id"] for rows in windows(self._milvus, self._collections[metric]) for row in rows]
        return np.unique(np.array(found, dtype=np.int64))

    def search(
        self,
        codes: np.ndarray,
        k: int,
        *,
        metric: Metric,
        exclude: np.ndarray | None = None,
        only: tuple[int, ...] = (),
    ) -> Neighbours:
        """See `Store.search`; an InputError is also raised for k above 16,383, the most that Milvus gives.

        Results are those of an index, ordered by distance, then id, unless more codes than Milvus gives at a time are
        as near as the last, but for its rounding: Milvus then chooses between these.
        """
        codes = np.asarray(codes, dtype=np.float32)
        queries = as_compared(codes, metric=metric)
        num_allowed = self._check(queries, k, exclude, only)
        wanted = k + (exclude is not None)
        if wanted > MOST:
            raise InputError(f"--k {k}: Milvus gives at most {MOST - 1:,}. Ask for fewer, or leave out --store.")
        allowed = f"label in {sorted(only)}" if only else ""
        ids = np.empty((len(queries), wanted), dtype=np.int64)
        distances = np.empty(ids.shape, dtype=np.float32)
        still_open, limit = np.arange(len(queries)), min(wanted + wanted // 8 + _SPARE, num_allowed, MOST)
        while len(still_open):
            found = self._found(queries[still_open], limit, metric, allowed)
            far = self._distances(codes[still_open], found, metric)
            order = np.lexsort((found, far), axis=1)[:, :wanted]
            ids[still_open], distances[still_open] = (np.take_along_axis(of, order, axis=1) for of in (found, far))
            # Milvus rounds: what it left out may be nearer than the last that it gave, but by no more than this.
            beyond = far.max(axis=1) - self._rounding(queries[still_open], metric, far.max(axis=1))
            whole = limit in (num_allowed, MOST)
            still_open = still_open[(distances[still_open, -1] >= beyond) & (not whole)]
            limit = min(8 * limit, num_allowed, MOST)
        if exclude is None:
            return Neighbours(ids, distances)
        kept = not_excluded(ids, exclude)
        return Neighbours(ids[kept].reshape(-1, k), distances[kept].reshape(-1, k))

    def _found(self, queries: np.ndarray, limit: int, metric: Metric, allowed: str) -> np.ndarray:
        """Find the ids of the `limit` codes that are nearest by Milvus, `(num_queries, limit)`."""
        hits = []
        for start in range(0, len(queries), _QUERIES):
            hits += self._milvus.call(
                "search",
                self._collections[metric],
                data=queries[start : start + _QUERIES].tolist(),
                filter=allowed,
                limit=limit,
                search_params={"metric_type": _METRIC_TYPES[metric]},
                **STRONG,
            )
        if any(len(row) != limit for row in hits):
            raise self._changed_meanwhile()
        return np.array([[hit["id"] for hit in row] for row in hits], dtype=np.int64).reshape(-1, limit)

    def _distances(self, codes: np.ndarray, ids: np.ndarray, metric: Metric) -> np.ndarray:
        """Compute the distances as an index does: Milvus rounds by other rules, and gives squares."""
        try:
            found = self._gallery.code_of(ids.ravel())
        except KeyError:
            raise self._changed_meanwhile() from None
        return distances_between(np.repeat(codes, ids.shape[1], axis=0), found, metric=metric).reshape(ids.shape)

    def _rounding(self, queries: np.ndarray, metric: Metric, far: np.ndarray) -> np.ndarray:
        """Bound the rounding errors of the distances of Milvus, in float32: float64 `(num_queries,)`."""
        share = 2 * (queries.shape[1] + 8) * 2.0**-24
        if metric == "cosine":  # products of vectors of length 1
            return np.full(len(queries), share)
        reach = np.linalg.norm(queries.astype(float), axis=1) * 2 + far  # of the square: from products, at worst
        rounding: np.ndarray = share * reach**2 / np.maximum(far, 1e-30)
        return rounding

    def close(self) -> None:
        """See `Store.close`."""
        self._milvus.close()

    def _check(self, queries: np.ndarray, k: int, exclude: np.ndarray | None, only: tuple[int, ...]) -> int:
        """Check the arguments of a search, and count the codes that results may come from."""
        dim = self._gallery.codes.shape[1]
        if queries.shape[1] != dim:
            raise ValueError(f"Expected vectors of shape (num_vectors, {dim}), received {queries.shape}.")
        if exclude is not None and np.shape(exclude) != (len(queries),):
            raise ValueError(f"Expected {len(queries)} ids to exclude, received shape {np.shape(exclude)}.")
        num_allowed = int(np.isin(self._labels, only).sum()) if only else len(self._labels)
        most = num_allowed - (exclude is not None)
        if not 1 <= k <= most:
            raise ValueError(f"k = {k}: expected 1 to {most}, the vectors that can answer.")
        return num_allowed

    def _synced(self, name: str, metric: Metric, *, compare: bool, verify: bool) -> tuple[int, int, int, int]:
        gallery = self._gallery
        collection, stale = self._opened(name, metric)
        count = count_of(self._milvus, collection)
        if compare or count == 0:
            vectors = as_compared(gallery.codes, metric=metric)
            record = self._record(collection)
            mirror = Mirror(self._milvus, collection, gallery.ids, self._labels, vectors, record)
            counts, count = mirror.bring_up_to_date(verify=verify)
        else:
            counts = count, 0, 0, 0
        if count != len(gallery.ids):
            raise InputError(
                f"--store {self._milvus.where}: {collection} holds {count:,} codes, expected {len(gallery.ids):,}.\n"
                "Run the same command again, without --no-sync."
            )
        for other in stale:
            self._milvus.call("drop_collection", other)
        self._collections[metric] = collection
        return counts

    def _record(self, collection: str) -> StoreRecord | None:
        if self._records is None:
            return None
        created = self._properties(collection).get(_CREATED)
        return StoreRecord(self._records, self._milvus.where, collection, created) if created else None

    def _opened(self, name: str, metric: Metric) -> tuple[str, list[str]]:
        """Open the collection of the gallery, made if need be, and list those of other encoders."""
        gallery, milvus = self._gallery, self._milvus
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        prefix = f"latentsearch_{re.sub(r'[^A-Za-z0-9]', '_', name)[:60]}_{digest}_{metric}_"
        record = {"gallery": name, "metric": metric, "encoder": gallery.encoder, "latent_dim": gallery.codes.shape[1]}
        encoder = hashlib.sha256(json.dumps(record).encode()).hexdigest()[:8]
        collection = prefix + encoder
        collections = milvus.call("list_collections")
        if collection not in collections:
            self._create(collection, record)
        kept = self._properties(collection).get(_RECORD)
        if kept != json.dumps(record):
            raise InputError(
                f"--store {milvus.where}: collection {collection} is of something else: it says {str(kept)[:200]!r}, "
                f"expected {json.dumps(record)!r}.\nDrop it there, or give another --store."
            )
        if not milvus.call("list_indexes", collection):  # it is made after the collection: a kill may fall between
            params = milvus.index_params()
            params.add_index("code", index_type="FLAT", metric_type=_METRIC_TYPES[metric])
            milvus.call("create_index", collection, params, sync=False)  # there is nothing yet to wait for
        milvus.load(collection)
        stale = [other for other in collections if re.fullmatch(f"{prefix}[0-9a-f]{{8}}", other)]
        return collection, [other for other in stale if other != collection]

    def _create(self, collection: str, record: dict[str, object]) -> None:
        from pymilvus import DataType

        schema = self._milvus.schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("label", DataType.INT64)
        schema.add_field("code", DataType.FLOAT_VECTOR, dim=record["latent_dim"])
        # A property, as Milvus Lite keeps no description.
        properties = {_RECORD: json.dumps(record), _CREATED: secrets.token_hex(8)}
        self._milvus.call("create_collection", collection, schema=schema, properties=properties, **STRONG)

    def _properties(self, collection: str) -> dict[str, str]:
        return dict(self._milvus.call("describe_collection", collection).get("properties", {}))

    def _changed_meanwhile(self) -> InputError:
        return InputError(
            f"--store {self._milvus.where}: another process changed the collection meanwhile.\n"
            "Run the same command again."
        )
