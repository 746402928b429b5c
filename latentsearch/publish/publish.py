"""Publication of the images of a source: listed, encoded, joined, sent to Milvus, measured, and then made visible."""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from latentsearch import files, runs, spark
from latentsearch.config import Fit
from latentsearch.errors import InputError
from latentsearch.gallery import two_codes
from latentsearch.gallery.manifest import Manifest, read_manifest
from latentsearch.gallery.milvus_client import MilvusConnection
from latentsearch.gallery.trained_run import fit_of, kept_in_words, open_for_files
from latentsearch.locks import locked
from latentsearch.models.encoder import Autoencoder, Encoder
from latentsearch.publish import contents as publication
from latentsearch.publish import encode, listing, storage
from latentsearch.publish.config import PublishConfig
from latentsearch.publish.contents import Contents
from latentsearch.publish.release import Release
from latentsearch.publish.storage import Workspace
from latentsearch.runs import Run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")  # of an alias of Milvus


def publish(config: PublishConfig, say: Callable[[str], None] = print) -> Manifest:
    """Publish images to Milvus under a name; see `__main__`.

    A call after any interruption completes it. Until the end, and if it fails, the name leads to what was published
    before.

    Args:
        config: The flags.
        say: What takes a line to say.

    Raises:
        InputError: if the images, Spark or Milvus cannot be used, the name is taken by something else, or an index
            has not the recall that is asked.
    """
    _check(config)
    name = runs.choose(config.root, config.run, for_folder=True)
    run, asked = Run(config.root, name), config.encoder_precision
    autoencoder = open_for_files(run, asked, lambda encoder: _has_codes(config, encoder, fit_of(run)))
    for line in kept_in_words(run, autoencoder, asked):
        say(line)
    opening = functools.partial(Autoencoder, run.best_model.absolute(), cores=1, precision=autoencoder.precision)
    return Publication(config, run, autoencoder, opening, say).run()


def _check(config: PublishConfig) -> None:
    if not _NAME.fullmatch(config.collection):
        raise InputError(
            f"--collection {config.collection!r}: expected at most 100 letters, digits and _, no digit first."
        )
    if "://" not in config.store:
        raise InputError(
            f"--store {config.store}: the executors write to Milvus at the same time, which a file of Milvus Lite does "
            "not allow. Give the address of a server, such as http://127.0.0.1:19530."
        )
    if not 0 <= config.min_recall <= 1:
        raise InputError(f"--min-recall {config.min_recall:g}: expected 0 to 1.")
    if config.bulk_folder is None and config.bulk_name is not None:
        raise InputError(f"--bulk-name {config.bulk_name}: it names --bulk-folder for Milvus. Give that too.")
    if config.bulk_folder is not None and not config.bulk_folder.is_dir():
        raise InputError(
            f"--bulk-folder {config.bulk_folder}: there is no such folder. Name one that all machines share and Milvus "
            "reads, or leave it out: rows are sent to Milvus then."
        )


def _workspace(config: PublishConfig) -> Workspace:
    return Workspace(config.root / "data" / "published" / config.collection)


def _codes_name(encoder: str, fit: Fit) -> str:
    """Return the name of the folder of codes, given the fingerprint of their encoder."""
    return hashlib.sha256(f"{encoder} {fit}".encode()).hexdigest()[:16]


def _has_codes(config: PublishConfig, encoder: str, fit: Fit) -> bool:
    """Tell whether what is published is of the encoder with this fingerprint; before that, whether it has codes."""
    workspace, name = _workspace(config), _codes_name(encoder, fit)
    if published := workspace.read_record().get("contents"):
        return published.startswith(name)
    return workspace.parts(name).is_dir() or bool(workspace.all_contents(name))


class Publication:
    """One publication.

    Args:
        config: The flags.
        run: Run of the encoder.
        autoencoder: The encoder.
        open_encoder: Function that opens it on an executor.
        say: What takes a line to say.
    """

    def __init__(
        self,
        config: PublishConfig,
        run: Run,
        autoencoder: Encoder,
        open_encoder: Callable[[], Encoder],
        say: Callable[[str], None],
    ) -> None:
        self._config, self._run, self._autoencoder = config, run, autoencoder
        self._open_encoder, self._say = open_encoder, say
        self._workspace = _workspace(config)
        self._fit = fit_of(run)
        looks = config.look if autoencoder.kind_dim else config.look[:1]
        looks = tuple(two_codes.chosen_look(look, autoencoder.kind_dim) for look in looks)
        default = (two_codes.DEFAULT_LOOK if autoencoder.kind_dim else 0.0,)
        self._looks = tuple(dict.fromkeys(looks or default))

    def run(self) -> Manifest:
        """Publish; see `publish`."""
        workspace = self._workspace
        with locked(workspace.lock, f"the publication of {self._config.collection}"):
            with closing(MilvusConnection(self._config.store)) as milvus:
                owner, before = self._owner(), self._published(milvus)
            with spark.session(self._config.spark, workspace.log) as session:
                spark.check_shared(session, workspace.folder)
                contents = storage.run_job(session, lambda: self._contents(session, before))
                release = Release(self._config, self._run, self._autoencoder, self._fit, contents, session=session)
                manifest: Manifest = storage.run_job(
                    session, lambda: release.send(workspace, owner, self._looks, self._say)
                )
            files.write_json(workspace.record, {"owner": owner, "contents": contents.name})
            workspace.keep_only(contents.name)
        return manifest

    def _owner(self) -> str:
        """Return the token of the workspace, made at the first call, which the collections of it bear."""
        record = self._workspace.read_record()
        if "owner" not in record:
            record = {"owner": secrets.token_hex(8)}
            files.write_json(self._workspace.record, record)
        return record["owner"]

    def _published(self, milvus: MilvusConnection) -> str | None:
        """Return the name of the contents that are published now; refuse a name that another folder published."""
        found = read_manifest(milvus, self._config.collection)
        if found and found[1].owner != self._owner():
            raise InputError(
                f"--collection {self._config.collection}: it was published from another --root than "
                f"{self._config.root}, which alone may replace it.\nGive another --collection, or drop it in Milvus."
            )
        return self._workspace.read_record().get("contents")

    def _contents(self, session: SparkSession, before: str | None) -> Contents:
        """List and encode the images, and write the contents."""
        workspace, autoencoder = self._workspace, self._autoencoder
        encoder = _codes_name(autoencoder.fingerprint, self._fit)
        if damaged := storage.remove_damaged(session, workspace.parts(encoder), *workspace.all_contents()):
            self._say(f"damaged: {damaged:,} Parquet files, which are made again")
        workspace.clear_listing()
        source = self._config.gallery
        left_out = listing.write(session, source, workspace.listing)
        encoded = encode.encode(
            session,
            workspace,
            encoder,
            source=source,
            fit=self._fit,
            fingerprint=autoencoder.fingerprint,
            open_encoder=self._open_encoder,
        )
        contents = publication.write(session, workspace, encoder, before)
        changes = publication.changes(session, workspace, contents, before)
        self._say(f"images: {contents.num_codes:,}: {changes}; {encoded:,} encoded now")
        for reason, count in sorted((contents.skipped | left_out).items()):
            self._say(f"left out: {count:,} x {reason}")
        return contents
