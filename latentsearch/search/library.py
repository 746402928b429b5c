"""The library: open a run, encode images, search a dataset or a folder. See `latentsearch.open_run`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from latentsearch import config, runs
from latentsearch.config import METRICS, EncoderPrecision, Fit, Metric
from latentsearch.data.images import decode, read_image
from latentsearch.errors import InputError
from latentsearch.gallery.trained_run import fit_of
from latentsearch.models.encoder import Autoencoder
from latentsearch.runs import Run
from latentsearch.search.corpus import Corpus
from latentsearch.search.open import open_corpus
from latentsearch.search.queries import NOT_IN_CORPUS, Queries
from latentsearch.search.results import search

if TYPE_CHECKING:
    import pandas as pd

Images = str | Path | np.ndarray | Sequence[Any]


def open_run(
    name: str | None = None, *, root: str | Path | None = None, encoder_precision: EncoderPrecision | None = None
) -> OpenRun:
    """Open a trained run.

    Args:
        name: Name of the run. Default: your run "mine" if it is trained, else a shipped one.
        root: Folder that holds models/ and data/. Default: $LATENTSEARCH_ROOT, or the current folder.
        encoder_precision: Arithmetic of the encoder: "float32", or "int8", which encodes about three times as many
            images a second and gives codes that differ a little. Default: "float32" in `encode` and in the dataset of
            the run; in folders "int8", or that of the codes which are there, and "float32" of networks other than
            kind-look, compact and deep.

    Raises:
        InputError: if there is no such trained run, naming those that there are.

    Examples:
        >>> import latentsearch
        >>> run = latentsearch.open_run("digits", root=root)
        >>> run
        <run 'digits': images of 32 x 32 pixels, codes of 10 numbers>
    """
    folder = config.default_root() if root is None else Path(root).expanduser()
    return OpenRun(Run(folder.absolute(), runs.choose(folder, name)), encoder_precision)


class OpenRun:
    """A trained run, to encode images and to search.

    Args:
        run: Paths of the files.
        precision: Arithmetic of the encoder; see `open_run`.

    Attributes:
        name: Name of the run.
    """

    def __init__(self, run: Run, precision: EncoderPrecision | None = None) -> None:
        self._run, self._precision = run, precision
        self._model = run.require(run.best_model, "TrainAutoencoder.py")
        self.name = run.name

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, 3)` that images are brought to."""
        return self._encoder.image_shape

    @property
    def latent_dim(self) -> int:
        """Numbers in a code."""
        return self._encoder.latent_dim

    def __repr__(self) -> str:
        height, width, _ = self.image_shape
        return f"<run '{self.name}': images of {height} x {width} pixels, codes of {self.latent_dim} numbers>"

    def encode(self, images: Images) -> np.ndarray:
        """Encode images, in float32 unless `open_run` was given another arithmetic.

        Args:
            images: A path, an array, or a sequence of both. An array is one image, grey `(height, width)` or
                `(height, width, 1, 3 or 4)`, or several of one size, `(num_images, height, width, 1, 3 or 4)`: uint8,
                or floats in [0, 1]. Any size.

        Returns:
            float32 `(num_images, latent_dim)`.

        Raises:
            InputError: if a file cannot be read, or an array is not an image.

        Examples:
            >>> run.encode(np.zeros((2, 480, 640, 3), np.uint8)).shape
            (2, 10)
            >>> run.encode(np.full((8, 8), 255.0))
            Traceback (most recent call last):
            latentsearch.errors.InputError: image 0: floats from 255 to 255, expected 0 to 1.
        """
        return self._encoder.encode(np.stack([image for _, image in self._read(images, self.image_shape)]))

    def search(
        self,
        images: Images,
        *,
        k: int | None = None,
        folder: str | Path | None = None,
        metric: Metric = "cosine",
        only: Sequence[str] = (),
        min_score: float = 0,
    ) -> pd.DataFrame:
        """Find the images that look most like each of some images.

        Args:
            images: As in `encode`. A file of what is searched is never its own neighbour.
            k: Neighbours of each image. Default: 10, or as many as there are.
            folder: Folder of images to search, nested or not; what is new in it is encoded first. Default: the dataset
                of the run.
            metric: Metric that compares codes.
            only: Names of the classes that results are restricted to. Default: all.
            min_score: Leave out neighbours with a smaller score.

        Returns:
            One row per neighbour, closest first: query, rank (from 1), id, class, path, distance, score (percentage of
            random pairs of images that are farther apart), copy_score (percentage of corrupted copies that are
            farther from their original) and likeness ("same picture", "very like", "alike" or "weak").

        Raises:
            InputError: if a file cannot be read, the dataset is not prepared, or the folder holds no images.

        Examples:
            >>> found = run.search(images[:2], k=3)
            >>> found["rank"].tolist()
            [1, 2, 3, 1, 2, 3]
            >>> list(found)
            ['query', 'rank', 'id', 'class', 'path', 'distance', 'score', 'copy_score', 'likeness']
        """
        import pandas as pd

        if metric not in METRICS:
            raise InputError(f"metric {metric!r}: expected one of {', '.join(METRICS)}.")
        corpus = self._dataset if folder is None else self._folder(Path(folder).expanduser())
        named = list(self._read(images, corpus.autoencoder.image_shape))
        ids = [corpus.id_of(name) if isinstance(name, Path) else None for name, _ in named]
        queries = Queries(
            [str(name) for name, _ in named],
            np.stack([image for _, image in named]),
            np.array([NOT_IN_CORPUS if image_id is None else image_id for image_id in ids], np.int64),
        )
        found = search(queries, corpus, k=k, metrics=(metric,), min_score=min_score, only=tuple(only))
        rows = [
            {
                "query": queries.names[number],
                "rank": hit.rank,
                "id": hit.id,
                "class": corpus.class_of(hit.id),
                "path": str(corpus.path_of(hit.id) or ""),
                "distance": hit.distance,
                "score": hit.score,
                "copy_score": hit.copy_score,
                "likeness": hit.likeness,
            }
            for number, _, hits in found
            for hit in hits
        ]
        columns = ["query", "rank", "id", "class", "path", "distance", "score", "copy_score", "likeness"]
        return pd.DataFrame(rows, columns=columns)

    def duplicates(self, folder: str | Path | None = None) -> pd.DataFrame:
        """Find groups of exact and near duplicates; nothing is deleted.

        Args:
            folder: Of images, nested or not; what is new in it is encoded first. Default: the dataset of the run.

        Returns:
            One row an image, the largest group first, and the largest file of each group first: group (from 1), path,
            id, class, kind ("first", "exact", "near" or "mirrored"), of (path of the image that it was compared with),
            likeness (at most 1) and bytes. In a dataset, images of the same pixels are exact, and bytes are missing.

        Raises:
            InputError: if the dataset is not prepared, or the folder holds no images.

        Examples:
            >>> for name in ("one.png", "same.png"):
            ...     Image.fromarray(images[0]).save(folder / name)
            >>> run.duplicates(folder)["kind"].tolist()
            ['first', 'exact']
        """
        import pandas as pd

        from latentsearch.search import duplicates, duplicates_output

        corpus = self._dataset if folder is None else self._folder(Path(folder).expanduser())
        return pd.DataFrame(
            duplicates_output.table(duplicates.find_groups(corpus)), columns=list(duplicates_output.COLUMNS)
        )

    @cached_property
    def _encoder(self) -> Autoencoder:
        # Not before it is asked for: a folder has an encoder of its own.
        return Autoencoder(self._model, precision=self._precision or "float32")

    @cached_property
    def _dataset(self) -> Corpus:
        return open_corpus(self._run.root, self.name, None, precision=self._precision)[0]

    def _folder(self, folder: Path) -> Corpus:
        return open_corpus(self._run.root, self.name, folder, precision=self._precision)[0]

    @cached_property
    def _fit(self) -> Fit:
        return fit_of(self._run)

    def _read(self, images: Images, shape: tuple[int, int, int]) -> Iterator[tuple[str | Path, np.ndarray]]:
        """Yield the name, or the path of the file, and uint8 of a shape of each image."""
        found = False
        for number, image in enumerate(_each(images)):
            found = True
            if isinstance(image, np.ndarray):
                name = f"image {number}"
                yield name, decode(_as_png(image, name), shape, fit=self._fit, name=name)
            else:
                path = Path(image).expanduser()
                yield path, read_image(path, shape, fit=self._fit)
        if not found:
            raise InputError("no images came; expected a path, an array, or a sequence of them.")


def _each(images: Images) -> Iterator[str | Path | np.ndarray]:
    if isinstance(images, (str, Path)):
        yield images
    elif isinstance(images, np.ndarray) and images.dtype != object:
        is_batch = images.ndim == 4
        yield from images if is_batch else [images]
    else:
        for image in images:
            yield from _each(image)


def _as_png(image: np.ndarray, name: str) -> bytes:
    """Write an array as an image file, so that arrays and files are read alike."""
    if image.size == 0 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[-1] not in (1, 3, 4)):
        raise InputError(f"{name}: an array {image.shape}, expected (height, width) or (height, width, 1, 3 or 4).")
    if np.issubdtype(image.dtype, np.floating):
        low, high = image.min(), image.max()
        if not (low >= 0 and high <= 1):  # also of what is not a number
            raise InputError(f"{name}: floats from {low:g} to {high:g}, expected 0 to 1.")
        image = np.rint(image * 255).astype(np.uint8)
    if image.dtype != np.uint8:
        raise InputError(f"{name}: numbers of type {image.dtype}, expected uint8, or floats from 0 to 1.")
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.squeeze(-1) if image.shape[2:] == (1,) else image)).save(
        file, "PNG", compress_level=0
    )
    return file.getvalue()
