"""Search in codes that were published to Milvus together with all that a search needs; see `manifest`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from latentsearch.config import Metric
from latentsearch.errors import InputError
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.index import Neighbours, as_compared, distances_between, not_excluded
from latentsearch.gallery.manifest import COMMAND, METRIC_TYPES, Manifest, PublishedCodes, read_manifest
from latentsearch.gallery.milvus_client import MilvusConnection

# What is published changes no more, so a search need not wait until Milvus has seen all that was written until now.
_SETTLED = {"consistency_level": "Bounded"}
_STRONG = {"consistency_level": "Strong"}
_MOST = 16_384  # rows that Milvus gives at a time
_MOST_WANTED = _MOST - 8
_QUERIES = 200  # of a request
_TRIES = 3
_KEPT = 200_000  # rows, about 0.1 GB, that are kept for the next time they are asked for
_SAME = 100  # files of equal content that are looked at, to find another name of one file


@dataclass
class _Opened:
    """What the name of a publication leads to.

    Args:
        catalogue: Name of its catalogue.
        manifest: The manifest.
        metrics: Metrics of searches.
        codes: Collection of codes for each of them.
        rows: Rows of images that were looked up, by id.
    """

    catalogue: str
    manifest: Manifest
    metrics: tuple[Metric, ...]
    codes: dict[Metric, PublishedCodes]
    rows: dict[int, dict[str, Any]]


class PublishedStore:
    """A publication in Milvus, searched as a `store.Searcher`.

    Args:
        where: Address of the server.
        name: Name of the publication.
        metrics: Metrics of later searches. Default: all that it was published for.
        look: Share of the look code. Default: the default share.

    Attributes:
        manifest: What is published.
        metrics: Metrics of later searches.

    Raises:
        InputError: if there is no such publication, it was not published for these metrics and this share, or Milvus
            cannot be reached.
    """

    def __init__(
        self, where: str, name: str, metrics: tuple[Metric, ...] | None = None, *, look: float | None = None
    ) -> None:
        if lacking := [metric for metric in metrics or () if metric not in METRIC_TYPES]:
            raise InputError(
                f"Milvus has no metric {', '.join(lacking)}: with --collection give --metric cosine or euclidean."
            )
        self._milvus = MilvusConnection(where)
        self._name, self._asked_metrics, self._asked_look = name, metrics, look
        self._opened: _Opened | None = None
        self._turning = threading.Lock()
        try:
            self._open()
        except BaseException:
            self._milvus.close()
            raise

    def _open(self) -> None:
        """Turn to what the name leads to; all of it changes at once, for other threads that search meanwhile.

        Raises:
            InputError: if there is nothing, or it is of another encoder or for other metrics than before.
        """
        found = read_manifest(self._milvus, self._name)
        if found is None:
            raise InputError(
                f"--collection {self._name}: none at {self._milvus.where} is called so.\nPublish it: {COMMAND} --help."
            )
        catalogue, manifest = found
        before = self._opened
        if before and (manifest.encoder, manifest.fit) != (before.manifest.encoder, before.manifest.fit):
            raise InputError(
                f"--collection {self._name} was published by another encoder meanwhile.\nRun the same command again."
            )
        published = tuple(dict.fromkeys(one.metric for one in manifest.codes))
        metrics = before.metrics if before else self._asked_metrics or published
        codes = {metric: manifest.with_look(metric, self._asked_look) for metric in metrics}
        for collection in (catalogue, *(one.collection for one in codes.values())):
            self._milvus.load(collection)  # a server that was restarted has it no more
        self._opened = _Opened(catalogue, manifest, metrics, codes, {})

    @property
    def _now(self) -> _Opened:
        assert self._opened is not None
        return self._opened

    @property
    def manifest(self) -> Manifest:
        return self._now.manifest

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self._now.metrics

    @property
    def look(self) -> float | None:
        """Share of the look code that the codes are for; None where there is a single code."""
        return None if self.manifest.kind_dim is None else next(iter(self._now.codes.values())).look

    @property
    def place(self) -> str:
        """Name and address of the publication."""
        return f"{self._name} at {self._milvus.where}"

    def __str__(self) -> str:
        manifest = self.manifest
        how = "; ".join(f"{metric}: {one.index}, recall@10 {one.recall:.3f}" for metric, one in self._now.codes.items())
        return f"{manifest.num_codes:,} codes of run {manifest.run} in {self.place} ({how})"

    @cached_property
    def sample(self) -> Gallery:
        """The sample of images that distances are judged by, as a gallery."""
        dim = self.manifest.latent_dim
        fields = ["id", "image", "code"]
        # It was written last, just before its name led to it.
        rows = self._query(lambda: self._now.catalogue, filter="id >= 0", limit=_MOST, output_fields=fields, **_STRONG)
        rows = sorted(rows, key=lambda row: int(row["id"]))
        codes = np.array([row["code"] for row in rows], np.float32).reshape(-1, 2, dim)
        images = np.array([row["image"] for row in rows], np.int64)
        there = images >= 0
        errors = np.empty(0, np.float32)
        return Gallery(codes[there, 0], images[there], codes[~there], errors, self.manifest.encoder, {})

    def count(self, only: tuple[int, ...]) -> int:
        """Count the images of these classes, positions in the manifest; (): all images."""
        if not only:
            return self.manifest.num_codes
        [found] = self._query(self._here, filter=self._allowed(only), output_fields=["count(*)"])
        return int(found["count(*)"])

    def rows(self, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Look up path, label, size, time of change and digest of images, by id, without ids that are not there."""
        ids = list(dict.fromkeys(int(one) for one in ids))
        known, found = self._now.rows, dict[int, dict[str, Any]]()
        missing = [one for one in ids if one not in known]
        for start in range(0, len(missing), _MOST):
            rows = self._query(
                self._here,
                filter=f"id in {missing[start : start + _MOST]}",
                output_fields=["id", "path", "label", "size", "mtime_ns", "digest"],
            )
            found |= {int(row["id"]): dict(row) for row in rows}
        self._keep(found)
        both = {one: found.get(one) or known.get(one) for one in ids}
        return {one: row for one, row in both.items() if row}

    def of_content(self, digest: str) -> list[dict[str, Any]]:
        """Look up (at most 100) images by the SHA-256 of their files, as hexadecimal digits."""
        return self._query(self._here, filter=f'digest == "{digest}"', limit=_SAME, output_fields=["id", "path"])

    def search(
        self,
        codes: np.ndarray,
        k: int,
        *,
        metric: Metric,
        exclude: np.ndarray | None = None,
        only: tuple[int, ...] = (),
    ) -> Neighbours:
        """See `store.Searcher.search`; neighbours are those that the index of the publication finds.

        Raises:
            InputError: if Milvus does not respond, or gives fewer than `k`; also for k above 16,000.
        """
        queries = as_compared(np.asarray(codes, np.float32), metric=metric)
        wanted = k + (exclude is not None)
        if not 1 <= wanted <= _MOST_WANTED:
            raise InputError(f"--k {k}: from Milvus at most {_MOST_WANTED - 1:,} are asked. Ask for fewer.")
        limit = min(self._now.codes[metric].num_candidates(wanted), self.count(only), _MOST)
        ids = np.empty((len(queries), wanted), np.int64)
        distances = np.empty(ids.shape, np.float32)
        for row, hits in enumerate(self._hits(queries, limit, metric, only)):
            if len(hits) < wanted:
                raise InputError(
                    f"--collection {self._name}: its index found {len(hits)} of {wanted} images for a query.\nAsk for "
                    "fewer by --k, leave out --only, or publish it with --index flat."
                )
            found = np.array([hit["id"] for hit in hits], np.int64)
            vectors = np.array([hit["entity"].pop("code") for hit in hits], np.float32)
            far = distances_between(np.repeat(queries[row][None], len(hits), axis=0), vectors, metric=metric)
            order = np.lexsort((found, far))[:wanted]
            ids[row], distances[row] = found[order], far[order]
            self._keep({int(hit["id"]): dict(hit["entity"]) for hit in hits})
        if exclude is None:
            return Neighbours(ids, distances)
        kept = not_excluded(ids, exclude)
        return Neighbours(ids[kept].reshape(-1, k), distances[kept].reshape(-1, k))

    def close(self) -> None:
        """See `store.Searcher.close`."""
        self._milvus.close()

    def _keep(self, rows: dict[int, dict[str, Any]]) -> None:
        """Keep rows for the next time they are asked for."""
        opened = self._now
        if len(opened.rows) + len(rows) > _KEPT:
            opened.rows = {}
        opened.rows.update(rows)

    def _here(self) -> str:
        """Return the name of a collection of all images."""
        return next(iter(self._now.codes.values())).collection

    def _allowed(self, only: tuple[int, ...]) -> str:
        names = [self.manifest.classes[number] for number in sorted(only)]
        return f"label in {json.dumps(names, ensure_ascii=False)}" if only else ""

    def _hits(self, queries: np.ndarray, limit: int, metric: Metric, only: tuple[int, ...]) -> list[list[Any]]:
        """Find the nearest by the index."""
        return self._settled(
            lambda: list(nearest(self._milvus, self._now.codes[metric], queries, limit, filter=self._allowed(only)))
        )

    def _query(self, collection: Callable[[], str], **options: Any) -> list[dict[str, Any]]:
        """Look up rows in the collection of the name that `collection` gives."""
        return self._settled(lambda: list(self._milvus.call("query", collection(), **_SETTLED | options)))

    def _settled(self, ask: Callable[[], list[Any]]) -> list[Any]:
        """Ask, and again where the publication was replaced meanwhile: what is being dropped may answer in part."""
        for _ in range(_TRIES):
            asked = self._now.catalogue
            try:
                answer = ask()
            except InputError:
                if not self._was_replaced(asked):
                    raise
                continue
            if not self._was_replaced(asked):
                return answer
        raise InputError(f"--collection {self._name} is being published again and again. Run the same command again.")

    def _was_replaced(self, asked: str) -> bool:
        """Tell whether the name leads to another catalogue than the one that was asked, and turn to that.

        Raises:
            InputError: if it is of another encoder or for other metrics, or Milvus does not respond.
        """
        found = read_manifest(self._milvus, self._name)
        if found and found[0] == asked:
            return False
        with self._turning:
            if not found or found[0] != self._now.catalogue:
                self._open()
        return True


def nearest(
    milvus: MilvusConnection, codes: PublishedCodes, queries: np.ndarray, limit: int, **options: Any
) -> Iterator[list[Any]]:
    """Yield, for each query, the hits of an index with their rows: at most `limit`, fewer where it finds no more.

    Args:
        milvus: The connection.
        codes: The collection, and how it is searched.
        queries: Vectors as they are compared, `(num_queries, dim)`.
        limit: Hits of each query.
        options: Of a request of 200 queries, such as filter and timeout.
    """
    for start in range(0, len(queries), _QUERIES):
        yield from milvus.call(
            "search",
            codes.collection,
            data=queries[start : start + _QUERIES].tolist(),
            limit=limit,
            output_fields=["code", "path", "label", "size", "mtime_ns", "digest"],
            search_params={"metric_type": METRIC_TYPES[codes.metric], "params": codes.params(limit)},
            **_SETTLED | options,
        )
