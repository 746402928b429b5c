"""A gallery: the codes of a dataset with their ids, kept beside the run and ready to be asked."""

from __future__ import annotations

import json
import tokenize
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from latentsearch.config import Metric
from latentsearch.datasets import ImageSet
from latentsearch.encoding import Autoencoder
from latentsearch.index import Index, Neighbours
from latentsearch.runs import replacing

# What NumPy, zipfile and zlib raise for a damaged file: an array whose header is gone comes as bytes, without a dtype.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, OverflowError, MemoryError)
_DAMAGE += (NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error, tokenize.TokenError)


@dataclass(frozen=True)
class Gallery:
    """Codes of images that can be asked for look-alikes.

    Args:
        codes: float32 `(num_images, latent_dim)`.
        ids: int64 `(num_images,)`, ids of the images in their dataset.
        encoder: Fingerprint of the encoder that made the codes.
        dataset: Fingerprint of the dataset that the images are from.
    """

    codes: np.ndarray
    ids: np.ndarray
    encoder: str
    dataset: str

    _indexes: dict[Metric, Index] = field(default_factory=dict, init=False, repr=False, compare=False)

    def ask(
        self, codes: np.ndarray, k: int, *, metric: Metric = "cosine", exclude: np.ndarray | None = None
    ) -> Neighbours:
        """The `k` images whose codes are nearest to each of `codes`; see `Index.search`."""
        if metric not in self._indexes:
            self._indexes[metric] = Index(self.codes, self.ids, metric=metric)
        return self._indexes[metric].search(codes, k, exclude=exclude)

    def only(self, ids: np.ndarray) -> Gallery:
        """The part of the gallery whose ids are among `ids`."""
        rows = np.isin(self.ids, ids)
        return Gallery(self.codes[rows], self.ids[rows], self.encoder, self.dataset)

    def save(self, path: Path) -> None:
        """Writes the gallery to one file, whole or not at all."""
        origin = json.dumps({"encoder": self.encoder, "dataset": self.dataset})
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, codes=self.codes, ids=self.ids, origin=np.array(origin))


def build(dataset: ImageSet, autoencoder: Autoencoder, *, progress: bool = False) -> Gallery:
    """Codes all images of `dataset`."""
    codes = autoencoder.encode(dataset.images, progress=progress)
    return Gallery(codes, np.arange(len(codes)), autoencoder.fingerprint, dataset.fingerprint)


def open_or_build(
    path: Path, dataset: ImageSet, autoencoder: Autoencoder, *, progress: bool = False
) -> tuple[Gallery, bool]:
    """The gallery kept at `path` if it is whole and of this encoder and dataset, else a new one, kept there.

    Returns:
        The gallery, and whether it was built.
    """
    gallery = _load(path)
    if gallery and (gallery.encoder, gallery.dataset) == (autoencoder.fingerprint, dataset.fingerprint):
        return gallery, False
    gallery = build(dataset, autoencoder, progress=progress)
    gallery.save(path)
    return gallery, True


def _load(path: Path) -> Gallery | None:
    """The gallery at `path`, or None if there is none that can be used."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            codes, ids, origin = (arrays[name] for name in ("codes", "ids", "origin"))
            if codes.dtype != np.float32 or ids.dtype != np.int64 or codes.shape[:1] != ids.shape or codes.ndim != 2:
                return None
            return Gallery(codes, ids, **json.loads(str(origin))) if np.isfinite(codes).all() else None
    except _DAMAGE:
        return None
