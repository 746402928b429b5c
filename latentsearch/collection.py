"""What is searched: the dataset of a run, or a folder of images. Codes, pictures, and where each came from."""

from __future__ import annotations

import abc
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latentsearch import familiarity, folder_gallery, folder_sync, runs
from latentsearch.cli import quiet_imports
from latentsearch.config import BuildConfig, Fit, Metric, PrepareConfig, TrainConfig
from latentsearch.errors import InputError
from latentsearch.folder_gallery import FolderGallery
from latentsearch.gallery import Encoder, Gallery
from latentsearch.imagefiles import ImageFileError, decode_larger, read_bytes, read_image, shown
from latentsearch.runs import Run
from latentsearch.scores import Scale

if TYPE_CHECKING:
    from latentsearch.trained import TrainedRun

_GREY = 128  # stands for an image that is no longer there


class Collection(abc.ABC):
    """Images that can be searched.

    Args:
        run: Whose encoder made the codes.
        autoencoder: With that encoder.
        gallery: The codes.
        name: What to call it.
        fit: What becomes of images of other proportions.
    """

    def __init__(self, run: Run, autoencoder: Encoder, gallery: Gallery, name: str, fit: Fit) -> None:
        self.run, self.autoencoder, self.gallery, self.name, self.fit = run, autoencoder, gallery, name, fit
        self._scales: dict[Metric, Scale] = {}

    @property
    @abc.abstractmethod
    def examples(self) -> np.ndarray:
        """Ids of the images that are asked about when no query is named, int64."""

    @abc.abstractmethod
    def images(self, ids: np.ndarray) -> np.ndarray:
        """Images as the encoder takes them, uint8 `(num_ids, height, width, 3)`."""

    def picture(self, image_id: int, side: int) -> np.ndarray:
        """An image to look at, uint8: of up to about `side` pixels, where its file has more than the encoder takes."""
        return self.images(np.array([image_id]))[0]

    @property
    @abc.abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """All classes, none where there are no labels."""

    @abc.abstractmethod
    def class_of(self, image_id: int) -> str:
        """Name of the class of an image, empty where there is none."""

    @abc.abstractmethod
    def path_of(self, image_id: int) -> Path | None:
        """The file of an image, None where there is none."""

    @abc.abstractmethod
    def id_of(self, path: Path) -> int | None:
        """The image of a file, None if it is not in the collection."""

    def name_of(self, image_id: int) -> str:
        """What to call an image: its file, or its number."""
        path = self.path_of(image_id)
        return f"image {image_id}" if path is None else str(path)

    def scale(self, metric: Metric) -> Scale:
        """What distances mean here."""
        if metric not in self._scales:
            self._scales[metric] = Scale(self.gallery, metric=metric)
        return self._scales[metric]

    def read(self, path: Path) -> np.ndarray:
        """An image file as the encoder takes it; see `imagefiles.read_image`."""
        return read_image(path, self.autoencoder.image_shape, fit=self.fit)


class DatasetCollection(Collection):
    """The dataset of a trained run."""

    def __init__(self, trained: TrainedRun) -> None:
        self.dataset = trained.dataset
        name = f"dataset '{trained.dataset.name}'"
        super().__init__(trained.run, trained.autoencoder, trained.gallery, name, trained.fit)

    @property
    def examples(self) -> np.ndarray:
        return self.dataset.ids("test")

    def images(self, ids: np.ndarray) -> np.ndarray:
        return np.asarray(self.dataset.images[ids])

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.dataset.class_names

    def class_of(self, image_id: int) -> str:
        return self.dataset.class_names[self.dataset.labels[image_id]]

    def path_of(self, image_id: int) -> Path | None:
        return None

    def id_of(self, path: Path) -> int | None:
        return None


class FolderCollection(Collection):
    """A folder of images, coded with the encoder of a trained run."""

    def __init__(self, run: Run, autoencoder: Encoder, content: FolderGallery) -> None:
        self.content = content
        self._files = dict(zip(content.gallery.ids.tolist(), content.files, strict=True))
        super().__init__(run, autoencoder, content.gallery, shown(content.folder), content.fit)

    @property
    def examples(self) -> np.ndarray:
        return self.gallery.ids

    def images(self, ids: np.ndarray) -> np.ndarray:
        return np.stack([self._image(int(image_id), self.read) for image_id in ids])

    def picture(self, image_id: int, side: int) -> np.ndarray:
        shape = self.autoencoder.image_shape
        return self._image(image_id, lambda path: decode_larger(read_bytes(path), shape, side, fit=self.fit))

    @property
    def class_names(self) -> tuple[str, ...]:
        return ()

    def class_of(self, image_id: int) -> str:
        return ""

    def path_of(self, image_id: int) -> Path | None:
        return self.content.folder / self._files[image_id].path

    def id_of(self, path: Path) -> int | None:
        return self._id_at.get(path.resolve())

    @cached_property
    def _id_at(self) -> dict[Path, int]:
        return {self.content.folder / file.path: image_id for image_id, file in self._files.items()}

    def _image(self, image_id: int, read: Callable[[Path], np.ndarray]) -> np.ndarray:
        try:
            return read(self.content.folder / self._files[image_id].path)
        except ImageFileError:  # gone or changed since it was coded
            return np.full(self.autoencoder.image_shape, _GREY, np.uint8)


def open_collection(root: Path, name: str, folder: Path | None, *, sync: bool = True) -> tuple[Collection, list[str]]:
    """Opens what is to be searched.

    Args:
        root: Holds models/ and data/.
        name: Of the trained run.
        folder: Of images; None for the dataset of the run, which must be prepared then.
        sync: Bring the gallery of the folder up to date first.

    Returns:
        The collection, and lines to say about it.

    Raises:
        InputError: if the run is not trained, the dataset not prepared, the folder none or without images, or a file
            damaged.
    """
    with quiet_imports():  # of Keras, which answering does without
        from latentsearch.trained import fit_of, open_autoencoder, open_trained

    if folder is None:
        trained = open_trained(root, name)
        return DatasetCollection(trained), [trained.gallery_origin]
    run, autoencoder = open_autoencoder(root, name)
    path, fit = folder_gallery.gallery_path(run.folder_galleries, folder), fit_of(run)
    if sync:
        content, changes = folder_sync.sync(path, folder, autoencoder, fit=fit, progress=True)
        lines = [f"gallery: {len(content.files):,} images of {shown(content.folder)}: {changes} ({path})"]
    else:
        content = folder_gallery.open_kept(path, folder, autoencoder, fit=fit)
        lines = [f"gallery: {len(content.files):,} images of {shown(content.folder)}, as it was kept ({path})"]
    return FolderCollection(run, autoencoder, content), lines + _skipped(content) + _familiarity(run, content)


def _skipped(content: FolderGallery) -> list[str]:
    """One line a file that looks like an image and cannot be read, at most ten; other files are only counted."""
    lines = [f"skipped: {shown(file.path)}: {file.reason} {file.detail}".rstrip() for file in content.bad.values()]
    return lines[:10] + [f"skipped: {len(lines) - 10:,} more"] * (len(lines) > 10)


def _familiarity(run: Run, content: FolderGallery) -> list[str]:
    """Whether the encoder knows such images, and how to train one that does."""
    try:
        usual = familiarity.compare(content.gallery, familiarity.load(run, content.gallery.encoder))
    except InputError as error:
        return [f"whether this encoder knows such images cannot be told: {error}"]
    lines = [f"these images are {usual}"]
    return lines if usual.verdict == "known" else lines + _how_to_train(run, content.folder)


def _how_to_train(run: Run, folder: Path) -> list[str]:
    name = f"{run.name}-own"
    build = runs.read_json(run.build_record, run.command("BuildingAutoencoder.py"), ("config.architecture",))
    architecture = build["config"]["architecture"]
    commands = {
        "DataPreperation.py": PrepareConfig(source=str(folder), dataset=name, root=run.root),
        "BuildingAutoencoder.py": BuildConfig(architecture=architecture, dataset=name, run=name, root=run.root),
        "TrainAutoencoder.py": TrainConfig(run=name, root=run.root),
    }
    lines = [f"    {runs.command_line(script, config)}" for script, config in commands.items()]
    return ["an encoder of their own may find better neighbours:", *lines]
