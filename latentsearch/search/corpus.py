"""What is searched: the dataset of a run, or a folder of images. Codes, pictures, and where each came from."""

from __future__ import annotations

import abc
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

from latentsearch.config import Fit, Metric
from latentsearch.data import ImageSet
from latentsearch.data.images import ImageFileError, decode_larger, read_bytes, read_image
from latentsearch.errors import InputError
from latentsearch.gallery.folder import FolderGallery, gallery_path
from latentsearch.gallery.gallery import Encoder, Gallery
from latentsearch.runs import Run
from latentsearch.search.percentiles import Scale
from latentsearch.text import printable

_GREY = 128  # stands for an image that is no longer there


class Collection(abc.ABC):
    """Images that can be searched.

    Args:
        run: Whose encoder made the codes.
        autoencoder: With that encoder.
        gallery: The codes.
        fit: What becomes of images of other proportions.
        name: What to call it.
    """

    has_test_images = False  # whether `examples` are the test images of a dataset

    def __init__(self, run: Run, autoencoder: Encoder, gallery: Gallery, *, fit: Fit, name: str) -> None:
        self.run, self.autoencoder, self.gallery, self.fit, self.name = run, autoencoder, gallery, fit, name
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

    @property
    @abc.abstractmethod
    def labels(self) -> np.ndarray:
        """Class of each image of the gallery, int64 `(num_images,)`, positions in `class_names`; -1 for none."""

    @property
    @abc.abstractmethod
    def store_name(self) -> str:
        """What to call its codes in a store that holds those of many."""

    def labels_of(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """The classes of these names, as positions in `class_names`.

        Raises:
            InputError: if there is no such class.
        """
        unknown = [name for name in names if name not in self.class_names]
        if unknown and not self.class_names:
            raise InputError(f"--only {printable(unknown[0])}: {self.name} has no classes. Leave out --only.")
        if unknown:
            classes = ", ".join(printable(name) for name in self.class_names)
            raise InputError(f"--only {printable(unknown[0])}: no such class; expected one or more of {classes}.")
        return tuple(self.class_names.index(name) for name in names)

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

    has_test_images = True

    def __init__(self, run: Run, autoencoder: Encoder, gallery: Gallery, dataset: ImageSet) -> None:
        self.dataset = dataset
        super().__init__(run, autoencoder, gallery, fit=dataset.fit, name=f"dataset '{dataset.name}'")

    @property
    def examples(self) -> np.ndarray:
        return self.dataset.ids("test")

    def images(self, ids: np.ndarray) -> np.ndarray:
        return np.asarray(self.dataset.images[ids])

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.dataset.class_names

    @property
    def labels(self) -> np.ndarray:
        return np.asarray(self.dataset.labels[self.gallery.ids])

    @property
    def store_name(self) -> str:
        return self.run.name

    def class_of(self, image_id: int) -> str:
        return str(self.dataset.class_of(np.array(image_id)))

    def path_of(self, image_id: int) -> Path | None:
        paths = self.dataset.paths
        return Path(self.dataset.provenance["source"], paths[image_id]) if paths else None

    def id_of(self, path: Path) -> int | None:
        return self._id_at.get(path.resolve())

    @cached_property
    def _id_at(self) -> dict[Path, int]:
        source = Path(self.dataset.provenance.get("source", ""))
        return {source / path: image_id for image_id, path in enumerate(self.dataset.paths)}


class FolderCollection(Collection):
    """A folder of images, coded with the encoder of a trained run."""

    def __init__(self, run: Run, autoencoder: Encoder, content: FolderGallery) -> None:
        self.content = content
        self._files = dict(zip(content.gallery.ids.tolist(), content.files, strict=True))
        super().__init__(run, autoencoder, content.gallery, fit=content.fit, name=printable(content.folder))

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

    @property
    def labels(self) -> np.ndarray:
        return np.full(len(self.gallery.ids), -1, dtype=np.int64)

    @property
    def store_name(self) -> str:
        return f"{self.run.name}/{gallery_path(self.run.folder_galleries, self.content.folder).stem}"

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
