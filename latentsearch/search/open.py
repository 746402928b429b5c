"""Opening of the corpus, the images of a run or of a folder, and of the store that is searched."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from latentsearch import files, ownership, records, runs
from latentsearch.cli import paragraph
from latentsearch.config import BuildConfig, EncoderPrecision, Metric, PrepareConfig, TrainConfig
from latentsearch.data import FEW_IMAGES, scaled_in_words
from latentsearch.data import folder as image_folder
from latentsearch.data.image_files import NO_READER
from latentsearch.data.scan import Skipped
from latentsearch.errors import InputError
from latentsearch.gallery import folder as folder_gallery
from latentsearch.gallery import gallery, novelty
from latentsearch.gallery import sync as folder_sync
from latentsearch.gallery.encode_files import encode_files
from latentsearch.gallery.encode_spark import SparkEncoder
from latentsearch.gallery.folder import FolderGallery
from latentsearch.gallery.milvus_store import MilvusStore
from latentsearch.gallery.published import PublishedStore
from latentsearch.gallery.store import EmbeddedStore, Searcher, Store
from latentsearch.gallery.trained_run import fit_of, kept_in_words, open_for_files, open_trained
from latentsearch.metrics import enough_queries
from latentsearch.models.encoder import Autoencoder
from latentsearch.runs import Run
from latentsearch.search.config import RetrieveConfig
from latentsearch.search.corpus import Corpus, DatasetCorpus
from latentsearch.search.folder_corpus import FolderCorpus
from latentsearch.search.published import PublishedCorpus
from latentsearch.text import printable, shortened


def open_corpus(
    root: Path,
    name: str,
    folder: Path | None,
    *,
    sync: bool = True,
    verify: bool = False,
    master: str | None = None,
    look: float | None = None,
    precision: EncoderPrecision | None = None,
) -> tuple[Corpus, list[str]]:
    """Open the corpus of a search.

    Args:
        root: Folder that holds models/ and data/.
        name: Name of the trained run.
        folder: Folder of images; None for the dataset of the run, which must be prepared then.
        sync: Bring the gallery of the folder up to date first.
        verify: Compare the contents of all its files for that.
        master: Address of a Spark cluster that encodes what is new in the folder. Default: this process does.
        look: Share of the look code in a distance, 0 to 1, where the run has two codes.
        precision: Arithmetic of the encoder. Default: float32 for a dataset; for a folder that of its gallery, else the
            usual one of the run.

    Returns:
        The corpus, and lines to say about it.

    Raises:
        InputError: if the run is not trained, the dataset not prepared, the folder not one or without images, a
            file damaged, or Spark cannot be used.
    """
    if master and (folder is None or not sync):
        raise InputError(f"--spark {master} encodes images of a folder: name it by --gallery, and leave out --no-sync.")
    if verify and (folder is None or not sync):
        raise InputError("--verify compares the files of a folder: name it by --gallery, and leave out --no-sync.")
    if folder is None:
        trained = open_trained(root, name, precision=precision or "float32")
        dataset = DatasetCorpus(trained.run, trained.autoencoder, trained.gallery, trained.dataset, look=look)
        return dataset, [*_failed_checks(trained.run, trained.autoencoder.trained), trained.gallery_origin]
    run = Run(root, name)
    path = folder_gallery.gallery_path(run.folder_galleries, folder)
    before = gallery.encoder_of(path)
    autoencoder = open_for_files(run, precision, lambda encoder: encoder == before)
    fit = fit_of(run)
    if sync:
        parts = path.with_suffix(".parts")
        opening = functools.partial(Autoencoder, run.best_model.absolute(), cores=1, precision=autoencoder.precision)
        encode = SparkEncoder(master, run, parts, open_encoder=opening) if master else encode_files
        content, changes = folder_sync.sync(
            path, folder, autoencoder, fit=fit, verify=verify, progress=True, encode=encode
        )
        files.remove(parts, within=root)  # what they hold is in the gallery now
        lines = [f"gallery: {_images(len(content.files))} of {printable(content.folder)}: {changes} ({path})"]
    else:
        content = folder_gallery.open_kept(path, folder, autoencoder, fit=fit)
        lines = [f"gallery: {_images(len(content.files))} of {printable(content.folder)}, as it was kept ({path})"]
    corpus = FolderCorpus(run, autoencoder, content, look=look)
    lines = [*_failed_checks(run, autoencoder.trained), *lines, *kept_in_words(run, autoencoder, precision)]
    lines += [*_skipped(content), *scaled_in_words(content.scaled_by_range)]
    return corpus, lines + _novelty(run, autoencoder.trained, content)


def open_named(config: RetrieveConfig, store: Searcher) -> tuple[Corpus, list[str]]:
    """Open the corpus that the flags of RetrieveSimilar.py name; see `open_corpus`. The first line names the run."""
    if isinstance(store, PublishedStore):
        return open_published(config.root, config.run, store)
    name = runs.choose(config.root, config.run, for_folder=config.gallery is not None)
    corpus, lines = open_corpus(
        config.root,
        name,
        config.gallery,
        sync=config.sync,
        verify=config.verify and not (config.store and config.gallery is None and config.sync),
        master=config.spark,
        look=config.look,
        precision=config.encoder_precision,
    )
    named = runs.in_words(name, config.run, for_folder=config.gallery is not None)
    return corpus, [named, *lines]


def open_published(root: Path, name: str | None, store: PublishedStore) -> tuple[Corpus, list[str]]:
    """Open what was published as a corpus.

    Args:
        root: Folder that holds models/.
        name: Name of the trained run. Default: the run that published it.
        store: What was published.

    Returns:
        The corpus, and a line that names the run.

    Raises:
        InputError: if the run is not trained, or its encoder is another.
    """
    run = Run(root, name or store.manifest.run)
    autoencoder = open_for_files(run, None, lambda encoder: encoder == store.manifest.encoder)
    return PublishedCorpus(run, autoencoder, store), [f"run: {run.name}"]


def _failed_checks(run: Run, trained: str) -> list[str]:
    """Return a line on what SanityChecks.py found amiss with the network of a run, where it did."""
    try:
        record = json.loads((run.reports / "metrics.json").read_text(encoding="utf-8"))
        failed = [str(check["name"]) for check in record["checks"] if check["status"] == "FAIL"]
        if record["encoder"] != trained or not failed:
            return []
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [paragraph(f"SanityChecks.py of it: FAIL: {', '.join(failed)} ({run.reports / 'report.html'})")]


def open_store(config: RetrieveConfig, metrics: tuple[Metric, ...]) -> Store | PublishedStore:
    """Open the store that is searched: a Milvus, what was published to one, or one in this process.

    Raises:
        InputError: if that Milvus cannot be used, lacks one of `metrics`, or has no such publication.
    """
    if config.store is None:
        return EmbeddedStore()
    if config.collection is None:
        return MilvusStore(config.store, metrics, config.root / "models" / ".stores")
    return PublishedStore(config.store, config.collection, metrics, look=config.look)


def fill(store: Store | PublishedStore, corpus: Corpus, *, sync: bool = True, verify: bool = False) -> list[str]:
    """Bring a store up to date with a corpus, unless it was published, and return lines to say about it.

    Raises:
        InputError: if it does not respond, or without `sync` holds something else.
    """
    if isinstance(store, PublishedStore):
        return [f"store: {store}"]
    if isinstance(store, EmbeddedStore):
        store.sync(corpus.store_name, corpus.compared, corpus.labels)
        return []
    # A server may hold the codes of others, whose runs and folders have the same names.
    name = f"{corpus.store_name} of {ownership.owner_of(corpus.run.root)}"
    changes = store.sync(name, corpus.compared, corpus.labels, compare=sync, verify=verify)
    return [f"store: {changes} ({store.place})"]


def _skipped(content: FolderGallery) -> list[str]:
    """Return a line per file or folder that cannot be read, at most ten, and the counts of what else is left out."""
    named, counted = [*content.bad.values()], list[Skipped]()
    for one in content.passed_over:
        (named if one.is_transient and one.reason not in NO_READER else counted).append(one)
    lines = [f"skipped: {shortened(printable(file.path), 200)}: {file.reason} {file.detail}".rstrip() for file in named]
    told = lines[:10] + [f"skipped: {len(lines) - 10:,} more"] * (len(lines) > 10)
    return told + image_folder.skipped_in_words(image_folder.count_endings(counted))


def _novelty(run: Run, trained: str, content: FolderGallery) -> list[str]:
    """Return lines on whether the encoder knows such images, and how to train one that does.

    A share of a few images says nothing, and few are too few to train an encoder with.
    """
    count = len(content.files)
    if not enough_queries(count):
        return [f"{_images(count)}: too few to tell whether this encoder knows such images"]
    try:
        usual = novelty.compare(content.gallery, novelty.load(run, trained))
    except InputError as error:
        return [f"whether this encoder knows such images cannot be told: {error}"]
    lines = [paragraph(f"these images are {usual}")]
    if usual.verdict == "known":
        return lines
    if count < FEW_IMAGES:
        return [*lines, f"{_images(count)} are too few to train an encoder of their own; our advice: {FEW_IMAGES:,}"]
    return lines + _how_to_train(run, content.folder)


def _images(count: int) -> str:
    return f"{count:,} image{'s' * (count != 1)}"


def _how_to_train(run: Run, folder: Path) -> list[str]:
    name = f"{run.name}-own"
    built = records.read_build(run).config
    commands = {
        "DataPreperation.py": PrepareConfig(source=str(folder), dataset=name, root=run.root),
        "BuildingAutoencoder.py": BuildConfig(
            architecture=built.architecture, network=built.network, dataset=name, run=name, root=run.root
        ),
        "TrainAutoencoder.py": TrainConfig(run=name, root=run.root),
    }
    lines = [f"    {runs.command_line(script, config)}" for script, config in commands.items()]
    return ["an encoder of their own may find better neighbours:", *lines]
