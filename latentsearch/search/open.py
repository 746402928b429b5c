"""Opens a trained run with all that checks and answers need: network, images, codes; or its network for a folder."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from latentsearch import data, files, runs
from latentsearch.config import FITS, BuildConfig, Fit, Metric, PrepareConfig, TrainConfig
from latentsearch.data import ImageSet
from latentsearch.errors import InputError
from latentsearch.gallery import folder as folder_gallery
from latentsearch.gallery import gallery, novelty
from latentsearch.gallery import sync as folder_sync
from latentsearch.gallery.encode_files import coded
from latentsearch.gallery.encode_spark import SparkCoder
from latentsearch.gallery.folder import FolderGallery
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.milvus_store import MilvusStore
from latentsearch.gallery.store import EmbeddedStore, Store
from latentsearch.models.encoder import Autoencoder
from latentsearch.recipes import Network
from latentsearch.runs import Run
from latentsearch.search.corpus import Collection, DatasetCollection, FolderCollection
from latentsearch.text import printable


@dataclass(frozen=True)
class TrainedRun:
    """A run whose best weights are loaded.

    Args:
        run: Where its files lie.
        dataset: The images that it was built for.
        autoencoder: With its best weights.
        gallery: Codes of all images of the dataset.
        gallery_was_built: Whether they were made now; False when they were kept from before.
    """

    run: Run
    dataset: ImageSet
    autoencoder: Autoencoder
    gallery: Gallery
    gallery_was_built: bool

    @property
    def gallery_origin(self) -> str:
        """One line on the codes, for the terminal."""
        how = "made now" if self.gallery_was_built else "kept from before"
        return f"gallery: {len(self.gallery.ids):,} codes, {how} ({self.run.gallery})"


def open_trained(root: Path, name: str) -> TrainedRun:
    """Opens a trained run; codes its dataset if the codes kept are missing or of another encoder or dataset.

    Raises:
        InputError: if the run is not trained, its dataset is not prepared or another one, or a file is damaged.
    """
    run, autoencoder = _open_autoencoder(root, name)
    dataset = data.load_for(run)
    return TrainedRun(
        run, dataset, autoencoder, *gallery.open_or_build(run.gallery, dataset, autoencoder, progress=True)
    )


def open_collection(
    root: Path, name: str, folder: Path | None, *, sync: bool = True, master: str | None = None
) -> tuple[Collection, list[str]]:
    """Opens what is to be searched.

    Args:
        root: Holds models/ and data/.
        name: Of the trained run.
        folder: Of images; None for the dataset of the run, which must be prepared then.
        sync: Bring the gallery of the folder up to date first.
        master: Address of a Spark cluster that codes what is new in the folder. Default: this process does.

    Returns:
        The collection, and lines to say about it.

    Raises:
        InputError: if the run is not trained, the dataset not prepared, the folder none or without images, a file
            damaged, or Spark cannot be used.
    """
    if master and (folder is None or not sync):
        raise InputError(f"--spark {master} codes images of a folder: name it by --gallery, and leave out --no-sync.")
    if folder is None:
        trained = open_trained(root, name)
        collection = DatasetCollection(trained.run, trained.autoencoder, trained.gallery, trained.dataset)
        return collection, [trained.gallery_origin]
    run, autoencoder = _open_autoencoder(root, name)
    path, fit = folder_gallery.gallery_path(run.folder_galleries, folder), _fit_of(run)
    if sync:
        parts, opening = path.with_suffix(".parts"), functools.partial(Autoencoder, run.best_model.absolute(), cores=1)
        coder = SparkCoder(master, run, parts, open_encoder=opening) if master else coded
        content, changes = folder_sync.sync(path, folder, autoencoder, fit=fit, progress=True, code=coder)
        files.remove(parts, within=root)  # what they hold is in the gallery now
        lines = [f"gallery: {len(content.files):,} images of {printable(content.folder)}: {changes} ({path})"]
    else:
        content = folder_gallery.open_kept(path, folder, autoencoder, fit=fit)
        lines = [f"gallery: {len(content.files):,} images of {printable(content.folder)}, as it was kept ({path})"]
    return FolderCollection(run, autoencoder, content), lines + _skipped(content) + _familiarity(run, content)


def open_store(where: str | None, metrics: tuple[Metric, ...]) -> Store:
    """Opens what is to answer: the Milvus at `where`, or a store in this process.

    Raises:
        InputError: if that Milvus cannot be used, or lacks one of `metrics`.
    """
    return EmbeddedStore() if where is None else MilvusStore(where, metrics)


def fill(store: Store, collection: Collection, *, sync: bool = True) -> list[str]:
    """Brings a store up to date with a collection; returns lines to say about it.

    Raises:
        InputError: if it does not answer, or without `sync` holds something else.
    """
    changes = store.sync(collection.store_name, collection.gallery, collection.labels, compare=sync)
    return [f"store: {changes} ({store.place})"] if store.place else []


def _skipped(content: FolderGallery) -> list[str]:
    """One line a file that looks like an image and cannot be read, at most ten; other files are only counted."""
    lines = [f"skipped: {printable(file.path)}: {file.reason} {file.detail}".rstrip() for file in content.bad.values()]
    return lines[:10] + [f"skipped: {len(lines) - 10:,} more"] * (len(lines) > 10)


def _familiarity(run: Run, content: FolderGallery) -> list[str]:
    """Whether the encoder knows such images, and how to train one that does."""
    try:
        usual = novelty.compare(content.gallery, novelty.load(run, content.gallery.encoder))
    except InputError as error:
        return [f"whether this encoder knows such images cannot be told: {error}"]
    lines = [f"these images are {usual}"]
    return lines if usual.verdict == "known" else lines + _how_to_train(run, content.folder)


def _how_to_train(run: Run, folder: Path) -> list[str]:
    name = f"{run.name}-own"
    build = files.read_json(run.build_record, run.command("BuildingAutoencoder.py"), ("config.architecture",))
    architecture = build["config"]["architecture"]
    try:
        network = Network(**build["config"].get("network", {}))  # an older latentsearch recorded none
    except TypeError:
        raise InputError(
            f"{run.build_record} holds no network.\nMake it again: {run.command('BuildingAutoencoder.py')}"
        ) from None
    commands = {
        "DataPreperation.py": PrepareConfig(source=str(folder), dataset=name, root=run.root),
        "BuildingAutoencoder.py": BuildConfig(
            architecture=architecture, network=network, dataset=name, run=name, root=run.root
        ),
        "TrainAutoencoder.py": TrainConfig(run=name, root=run.root),
    }
    lines = [f"    {runs.command_line(script, config)}" for script, config in commands.items()]
    return ["an encoder of their own may find better neighbours:", *lines]


def _open_autoencoder(root: Path, name: str) -> tuple[Run, Autoencoder]:
    """Opens the network of a trained run, for images of any origin: its dataset need not be there.

    Raises:
        InputError: if the run is not trained, or its file is damaged.
    """
    run = Run(root, name)
    return run, Autoencoder(run.require(run.best_model, "TrainAutoencoder.py"))


def _fit_of(run: Run) -> Fit:
    """What became of images of other proportions when the dataset of a run was prepared.

    Raises:
        InputError: if the record of the run is missing or damaged.
    """
    record = files.read_json(run.build_record, run.command("BuildingAutoencoder.py"), ("dataset",))
    fit = record["dataset"].get("fit") or "crop"  # sources of images that are all square record none
    if fit not in FITS:
        raise InputError(f"{run.build_record}: fit is {fit!r}, expected one of {', '.join(FITS)}.")
    return fit
