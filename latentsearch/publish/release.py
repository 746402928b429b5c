"""The release of a publication: new collections in Milvus, filled and measured, before its name leads to them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from latentsearch import files
from latentsearch.config import Fit
from latentsearch.errors import InputError
from latentsearch.gallery import two_codes
from latentsearch.gallery.manifest import (
    MANIFEST,
    METRIC_TYPES,
    OWNER,
    Manifest,
    PublishedCodes,
    catalogue_fields,
    code_fields,
    read_manifest,
)
from latentsearch.gallery.milvus_client import MilvusConnection
from latentsearch.models.encoder import Encoder
from latentsearch.publish import bulk, insert, recall, sample
from latentsearch.publish.config import PublishConfig
from latentsearch.publish.contents import Contents
from latentsearch.publish.storage import Workspace
from latentsearch.runs import Run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MOST_FLAT = 1_000_000  # codes that are all compared unless --index says otherwise
_WRITTEN = 1000
_TO_FLUSH = 600  # seconds
_TO_SETTLE, _ASKED_EVERY = 300.0, 5.0  # seconds
_TO_COUNT = 1800  # seconds: a server that still puts millions of codes in order answers no sooner
_STRONG = {"consistency_level": "Strong"}


class Release:
    """The contents of a publication on their way into Milvus.

    Args:
        config: The flags.
        run: Run of the encoder.
        autoencoder: The encoder.
        fit: Treatment of other proportions.
        contents: The images.
        session: The session with Spark.
    """

    def __init__(
        self,
        config: PublishConfig,
        run: Run,
        autoencoder: Encoder,
        fit: Fit,
        contents: Contents,
        *,
        session: SparkSession,
    ) -> None:
        self._config, self._run, self._autoencoder, self._fit = config, run, autoencoder, fit
        self._contents, self._session = contents, session

    def send(self, workspace: Workspace, owner: str, looks: tuple[float, ...], say: Callable[[str], None]) -> Manifest:
        """Send the contents to Milvus, lead the name to them, and drop what it led to before.

        Args:
            workspace: Folder of the publication.
            owner: Its token.
            looks: Shares of the look code; 0 where there is a single code.
            say: What takes a line to say.

        Raises:
            InputError: if Milvus does not respond, an index has not the recall that is asked, or codes are missing.
        """
        config, contents = self._config, self._contents
        plan = self._plan(owner, looks)
        with closing(MilvusConnection(config.store)) as milvus:
            found = read_manifest(milvus, config.collection)
            if found and found[1].key == plan.key and _is_whole(milvus, found[1]):
                say(f"published: as before, {plan.num_codes:,} codes as {config.collection} at {config.store}")
                _drop_others(milvus, found[1])
                return found[1]
            drawn = sample.draw(self._session, contents)
            codes = []
            for one in plan.codes:
                measured = self._filled(milvus, workspace, plan, one, drawn.ids[: recall.NUM_QUERIES].tolist())
                say(f"index: {_in_words(measured, plan.kind_dim)}")
                codes.append(measured)
            manifest = dataclasses.replace(plan, codes=tuple(codes), classes=sample.classes(self._session, contents))
            copies = sample.corrupted_copies(drawn, self._autoencoder, self._fit)
            _write_catalogue(milvus, manifest, drawn, copies)
            _lead_to(milvus, _catalogue(manifest), config.collection)
            _drop_others(milvus, manifest)
        say(f"published: {manifest.num_codes:,} codes as {config.collection} at {config.store}")
        return manifest

    def _plan(self, owner: str, looks: tuple[float, ...]) -> Manifest:
        config, contents, autoencoder = self._config, self._contents, self._autoencoder
        kind = config.index
        if kind == "auto":
            kind = "flat" if contents.num_codes <= _MOST_FLAT else "ivf_flat"
        built = recall.built_with(kind, contents.num_codes)
        wanted = [(metric, look) for metric in config.metric for look in looks]
        settings = [owner, contents.name, wanted, kind, built, config.min_recall]
        key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
        return Manifest(
            publication=config.collection,
            owner=owner,
            key=key,
            run=self._run.name,
            encoder=autoencoder.fingerprint,
            fit=self._fit,
            latent_dim=autoencoder.latent_dim,
            kind_dim=autoencoder.kind_dim,
            num_codes=contents.num_codes,
            classes=(),
            codes=tuple(
                PublishedCodes(f"latentsearch_{config.collection}_{key}_{number}", metric, look, kind, built)
                for number, (metric, look) in enumerate(wanted)
            ),
        )

    def _filled(
        self, milvus: MilvusConnection, workspace: Workspace, plan: Manifest, codes: PublishedCodes, queries: list[int]
    ) -> PublishedCodes:
        """Make a collection whole, build its index, and measure that."""
        collection, contents = codes.collection, self._contents
        marks = workspace.inserted(collection)
        is_there = milvus.call("has_collection", collection)
        if is_there and not _is_of(milvus, collection, plan):
            raise InputError(
                f"--store {milvus.where}: the collection {collection} is of something else. Drop it there."
            )
        if is_there and insert.was_begun_in_bulk(marks) and bulk.is_stuck(milvus, collection):
            milvus.call("drop_collection", collection)
            is_there = False
        if not is_there:
            files.remove(marks, within=workspace.folder)
            dim = two_codes.weighted(np.zeros(plan.latent_dim, np.float32), plan.kind_dim, codes.look).shape[-1]
            milvus.create(collection, code_fields(dim), {OWNER: plan.owner})
        folder = _bulk_folder(self._config)
        sent = insert.insert(
            self._session, self._config.store, contents, marks, codes, kind_dim=plan.kind_dim, folder=folder
        )
        milvus.call("flush", collection, timeout=_TO_FLUSH)
        milvus.build_index(collection, codes.index.upper(), METRIC_TYPES[codes.metric], codes.built)
        there = _count_settled(milvus, collection, sent)
        if not sent == there == contents.num_codes:
            milvus.call("drop_collection", collection)
            files.remove(marks, within=workspace.folder)
            raise InputError(
                f"--store {milvus.where}: {collection} held {there:,} codes, expected {contents.num_codes:,}; it is "
                "dropped, and what was published before is as it was.\nRun the same command again."
            )
        exact = recall.compare_all(self._session, contents, codes, plan.kind_dim, queries)
        return recall.with_recall(milvus, codes, exact, least=self._config.min_recall)


def _bulk_folder(config: PublishConfig) -> bulk.BulkFolder | None:
    if config.bulk_folder is None:
        return None
    path = config.bulk_folder.absolute()
    return bulk.BulkFolder(path, config.bulk_name or str(path))


def _write_catalogue(milvus: MilvusConnection, manifest: Manifest, drawn: sample.Sample, copies: np.ndarray) -> None:
    catalogue, dim = _catalogue(manifest), manifest.latent_dim
    if milvus.call("has_collection", catalogue) and _is_of(milvus, catalogue, manifest):  # of a call that was killed
        milvus.call("drop_collection", catalogue)
    milvus.create(catalogue, catalogue_fields(dim), {OWNER: manifest.owner, MANIFEST: manifest.as_property()})
    vectors = np.concatenate([np.pad(drawn.codes, ((0, 0), (0, dim))), copies.reshape(len(copies), 2 * dim)])
    images = [*drawn.ids.tolist(), *[-1] * len(copies)]
    rows = [
        {"id": number, "image": image, "code": vector}
        for number, (image, vector) in enumerate(zip(images, vectors.tolist(), strict=True))
    ]
    for start in range(0, len(rows), _WRITTEN):
        milvus.call("upsert", catalogue, rows[start : start + _WRITTEN])
    milvus.build_index(catalogue, "FLAT", "L2", {})


def _lead_to(milvus: MilvusConnection, catalogue: str, name: str) -> None:
    """Move the alias to a catalogue in one step, or make it."""
    try:
        milvus.call("alter_alias", catalogue, name)  # also one whose collection was dropped by hand, which is kept
    except InputError:
        milvus.call("create_alias", catalogue, name)


def _drop_others(milvus: MilvusConnection, manifest: Manifest) -> None:
    """Drop the other collections that bear the token of this publication: its name leads to none of them any more."""
    kept = {_catalogue(manifest), *(one.collection for one in manifest.codes)}
    for name in milvus.call("list_collections"):
        ours = name.startswith(f"latentsearch_{manifest.publication}_") and name not in kept
        if ours and _is_of(milvus, name, manifest):
            milvus.call("drop_collection", name)


def _is_of(milvus: MilvusConnection, collection: str, manifest: Manifest) -> bool:
    """Tell whether a collection bears the token of a publication."""
    properties = milvus.call("describe_collection", collection).get("properties", {})
    return bool(properties.get(OWNER) == manifest.owner)


def _is_whole(milvus: MilvusConnection, manifest: Manifest) -> bool:
    return all(
        milvus.call("has_collection", one.collection) and _count(milvus, one.collection) == manifest.num_codes
        for one in manifest.codes
    )


def _catalogue(manifest: Manifest) -> str:
    return f"latentsearch_{manifest.publication}_{manifest.key}"


def _count(milvus: MilvusConnection, collection: str) -> int:
    milvus.load(collection)  # a server that was restarted has it no more
    [found] = milvus.call("query", collection, filter="", output_fields=["count(*)"], timeout=_TO_COUNT, **_STRONG)
    return int(found["count(*)"])


def _count_settled(milvus: MilvusConnection, collection: str, expected: int) -> int:
    """Count codes until they are as many as expected, as many as before for five minutes, or half an hour is over.

    While a server puts millions of codes in order, segments that it moves are not counted now and then.
    """
    there = _count(milvus, collection)
    began = changed = time.monotonic()
    while there != expected and time.monotonic() < min(changed + _TO_SETTLE, began + _TO_COUNT):
        time.sleep(_ASKED_EVERY)
        before, there = there, _count(milvus, collection)
        if there != before:
            changed = time.monotonic()
    return there


def _in_words(codes: PublishedCodes, kind_dim: int | None) -> str:
    look = "" if kind_dim is None else f", look {codes.look:g}"
    how = ", ".join(f"{name} {value:,}" for name, value in (codes.built | codes.params(0)).items())
    how = f" ({how})" if how else ""
    return f"{codes.metric}{look}: {codes.index}{how}, recall@10 {codes.recall:.4f} of {codes.num_queries:,} queries"
