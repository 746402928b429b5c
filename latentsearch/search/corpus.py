"""The corpus of a search, with codes, pictures and paths; and that of the dataset of a run."""

from __future__ import annotations

import abc
import copy
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from latentsearch.config import METRICS, Fit, Metric
from latentsearch.data import ImageSet
from latentsearch.data.image_files import opened
from latentsearch.data.images import decode_larger, read_image
from latentsearch.data.scan import inode_of
from latentsearch.errors import InputError
from latentsearch.gallery import two_codes
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.store import Searcher
from latentsearch.models.encoder import Encoder
from latentsearch.runs import Run
from latentsearch.search.percentiles import Scale
from latentsearch.text import printable

GREY = 128  # stands for an image that is no longer there


class Corpus(abc.ABC):
    """Images that can be searched.

    Args:
        run: The run of the encoder.
        autoencoder: The encoder that made the codes.
        gallery: The codes.
        fit: Treatment of images of other proportions.
        name: Name of the corpus.
        look: Share of the look code in a distance, 0 to 1, where the encoder makes two codes. Default: the default.

    Attributes:
        compared: The gallery with the codes that are compared: `gallery` itself where there is a single code.
    """

    folder: Path | None = None  # of the files, where there are any
    searcher: Searcher | None = None  # of codes that are not all in the gallery
    metrics: tuple[Metric, ...] = METRICS  # that codes can be compared by

    def __init__(
        self, run: Run, autoencoder: Encoder, gallery: Gallery, *, fit: Fit, name: str, look: float | None = None
    ) -> None:
        self.run, self.autoencoder, self.gallery, self.fit, self.name = run, autoencoder, gallery, fit, name
        self._set_look(two_codes.chosen_look(look, autoencoder.kind_dim))

    def _set_look(self, look: float) -> None:
        self.look = look
        self.compared = self.gallery.weighted(self.autoencoder.kind_dim, look)
        self._scales: dict[Metric, Scale] = {}

    def with_look(self, look: float) -> Self:
        """Return the same images, compared with another share of the look code.

        Raises:
            InputError: if `look` is not between 0 and 1, there is a single code, or the codes are kept for another
                share.
        """
        (other := copy.copy(self))._set_look(two_codes.chosen_look(look, self.autoencoder.kind_dim))
        return other

    @property
    def looks_vary(self) -> bool:
        """Whether the images can be compared with any share of the look code."""
        return self.autoencoder.kind_dim is not None and self.searcher is None

    @property
    def weights(self) -> np.ndarray:
        """Factor of each number of a code before codes are compared, float32 `(latent_dim,)`."""
        return two_codes.weights(self.autoencoder.latent_dim, self.autoencoder.kind_dim, self.look)

    def weigh(self, codes: np.ndarray) -> np.ndarray:
        """Weigh codes of the encoder as they are compared here, `(num_codes, latent_dim)` or less."""
        return two_codes.weighted(codes, self.autoencoder.kind_dim, self.look)

    @property
    def num_images(self) -> int:
        """Number of images."""
        return len(self.gallery.ids)

    def holds(self, image_id: int) -> bool:
        """Tell whether there is an image of this id."""
        return image_id in self._known_ids

    @cached_property
    def _known_ids(self) -> frozenset[int]:
        return frozenset(self.gallery.ids.tolist())

    def look_up(self, ids: Sequence[int]) -> None:
        """Make paths and classes of many images ready at once, where each would be asked for elsewhere."""
        return  # all is at hand

    @property
    @abc.abstractmethod
    def examples(self) -> np.ndarray:
        """Ids of the images to draw queries from where none is named, int64."""

    @abc.abstractmethod
    def images(self, ids: np.ndarray) -> np.ndarray:
        """Read images as the encoder takes them, uint8 `(num_ids, height, width, 3)`."""

    def is_there(self, image_id: int) -> bool:
        """Tell whether an image can still be shown: whether its file is there."""
        path = self.path_of(image_id)
        return path is not None and path.is_file()

    def picture(self, image_id: int, side: int) -> np.ndarray:
        """Read an image for a viewer, uint8, of up to about `side` pixels where its file has as many."""
        picture: np.ndarray = self.images(np.array([image_id]))[0]
        return picture

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of all classes; () where there are no labels."""
        return ()

    @property
    def labels(self) -> np.ndarray:
        """Class of each image of the gallery, int64 `(num_images,)`, positions in `class_names`; -1 for none."""
        return np.full(len(self.gallery.ids), -1, dtype=np.int64)

    @property
    @abc.abstractmethod
    def store_name(self) -> str:
        """Name of its codes in a store that holds those of many."""

    def _stored(self, name: str) -> str:
        return name if self.autoencoder.kind_dim is None else f"{name}/look {self.look:g}"

    def labels_of(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Look up classes by name, as positions in `class_names`.

        Raises:
            InputError: if there is no such class.
        """
        # An accent may be a part of its letter, or follow it: as it is typed, and as macOS writes it.
        numbers = {unicodedata.normalize("NFC", name): number for number, name in enumerate(self.class_names)}
        unknown = [name for name in names if unicodedata.normalize("NFC", name) not in numbers]
        if unknown and not self.class_names:
            raise InputError(f"--only {printable(unknown[0])}: {self.name} has no classes. Leave out --only.")
        if unknown:
            classes = ", ".join(printable(name) for name in self.class_names)
            raise InputError(f"--only {printable(unknown[0])}: no such class; expected one or more of {classes}.")
        return tuple(numbers[unicodedata.normalize("NFC", name)] for name in names)

    def answering(self, labels: tuple[int, ...], ids: np.ndarray) -> tuple[int, bool]:
        """Count the images of these classes ((): all images), and tell whether some of `ids` are among them."""
        images = self.gallery.ids[np.isin(self.labels, labels)] if labels else self.gallery.ids
        # Sets, as NumPy's functions for them load its masked arrays, a tenth of the time of a first answer.
        return len(images), bool(len(ids)) and not set(images.tolist()).isdisjoint(ids.tolist())

    def code_of(self, image_id: int) -> np.ndarray:
        """Look up the code of an image, float32 `(latent_dim,)`."""
        return np.asarray(self.gallery.code_of(np.array([image_id]))[0])

    def class_of(self, image_id: int) -> str:
        """Look up the class name of an image; "" where there is none."""
        return ""

    @abc.abstractmethod
    def path_of(self, image_id: int) -> Path | None:
        """Look up the file of an image; None where there is none."""

    @abc.abstractmethod
    def id_of(self, path: Path) -> int | None:
        """Find the image of a file, named by any path or link; None if it is not in the corpus."""

    def same_file(self, image_id: int) -> frozenset[int]:
        """List the images that share the file of an image, itself included: a file may have several names."""
        return frozenset((image_id,))

    def name_of(self, image_id: int) -> str:
        """Name an image by its file, or its number."""
        path = self.path_of(image_id)
        return f"image {image_id}" if path is None else str(path)

    def scale(self, metric: Metric) -> Scale:
        """Return the percentiles of distances in this corpus."""
        if metric not in self._scales:
            self._scales[metric] = Scale(self.compared, metric=metric, num_images=self.num_images)
        return self._scales[metric]

    def read(self, path: Path) -> np.ndarray:
        """Read an image file as the encoder takes it; see `images.read_image`."""
        return read_image(path, self.autoencoder.image_shape, fit=self.fit)

    def read_larger(self, path: Path, side: int) -> np.ndarray:
        """Read an image file as the encoder takes it, but of up to about `side` pixels; see `images.decode_larger`."""
        with opened(path) as content:
            return decode_larger(content, self.autoencoder.image_shape, side, fit=self.fit)


class DatasetCorpus(Corpus):
    """The dataset of a trained run."""

    def __init__(
        self, run: Run, autoencoder: Encoder, gallery: Gallery, dataset: ImageSet, *, look: float | None = None
    ) -> None:
        self.dataset = dataset
        if dataset.provenance.source is not None:
            self.folder = Path(dataset.provenance.source)
        super().__init__(run, autoencoder, gallery, fit=dataset.fit, name=f"dataset '{dataset.name}'", look=look)

    @property
    def examples(self) -> np.ndarray:
        return self.dataset.ids("test")

    def images(self, ids: np.ndarray) -> np.ndarray:
        return np.asarray(self.dataset.images[ids])

    def is_there(self, image_id: int) -> bool:
        return True  # its pixels are those of the dataset

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.dataset.class_names

    @property
    def labels(self) -> np.ndarray:
        return np.asarray(self.dataset.labels[self.gallery.ids])

    @property
    def store_name(self) -> str:
        return self._stored(self.run.name)

    def class_of(self, image_id: int) -> str:
        return str(self.dataset.class_of(np.array(image_id)))

    def path_of(self, image_id: int) -> Path | None:
        paths, source = self.dataset.paths, self.dataset.provenance.source
        return Path(source, paths[image_id]) if paths and source is not None else None

    def id_of(self, path: Path) -> int | None:
        if not self.dataset.paths:
            return None
        found = self._id_at.get(path.resolve())
        return self._id_of_inode.get(inode_of(path)) if found is None else found

    @cached_property
    def _id_at(self) -> dict[Path, int]:
        source = Path(self.dataset.provenance.source or "")
        return {source / path: image_id for image_id, path in enumerate(self.dataset.paths)}

    @cached_property
    def _id_of_inode(self) -> dict[tuple[int, int] | None, int]:
        """Images by device and inode, for files that are named through a link."""
        found = {inode_of(path): image_id for path, image_id in self._id_at.items()}
        found.pop(None, None)  # files that are gone
        return found
