"""A gallery: the codes of images with their ids, kept beside the run and ready to be asked."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from latentsearch.config import Metric
from latentsearch.datasets import ImageSet
from latentsearch.distortions import DISTORTIONS
from latentsearch.index import Index, Neighbours
from latentsearch.runs import replacing

_NUM_COPIED = 500
_SEED = 0


class Encoder(Protocol):
    """What makes codes, such as `encoding.Autoencoder`.

    Attributes:
        image_shape: `(height, width, 3)`.
        latent_dim: Numbers in a code.
        fingerprint: Two encoders that share it give the same codes.
    """

    image_shape: tuple[int, int, int]
    latent_dim: int
    fingerprint: str

    def encode(self, images: np.ndarray, ids: np.ndarray | None = None, *, progress: bool = False) -> np.ndarray:
        """Codes float32 `(num_images, latent_dim)` of images uint8 `(num_images, *image_shape)`."""


@dataclass(frozen=True)
class Gallery:
    """Codes of images that can be asked for look-alikes.

    Args:
        codes: float32 `(num_images, latent_dim)`.
        ids: int64 `(num_images,)`, distinct.
        copies: Codes of some of the images (first) and of altered copies of them (second), to tell what a distance
            means: float32 `(num_copies, 2, latent_dim)`.
        encoder: Fingerprint of the encoder that made the codes.
        origin: What images these are: the fingerprint of a dataset, or of a folder what else is to be known.
    """

    codes: np.ndarray
    ids: np.ndarray
    copies: np.ndarray
    encoder: str
    origin: Mapping[str, Any]

    _indexes: dict[Metric, Index] = field(default_factory=dict, init=False, repr=False, compare=False)

    def ask(
        self, codes: np.ndarray, k: int, *, metric: Metric = "cosine", exclude: np.ndarray | None = None
    ) -> Neighbours:
        """The `k` images whose codes are nearest to each of `codes`; see `Index.search`."""
        if metric not in self._indexes:
            self._indexes[metric] = Index(self.codes, self.ids, metric=metric)
        return self._indexes[metric].search(codes, k, exclude=exclude)

    def code_of(self, ids: np.ndarray) -> np.ndarray:
        """Codes of the images with these ids, float32 `(len(ids), latent_dim)`.

        Raises:
            KeyError: if an id is not in the gallery.
        """
        order = np.argsort(self.ids)
        rows = order[np.searchsorted(self.ids, ids, sorter=order).clip(max=len(order) - 1)]
        if not np.array_equal(self.ids[rows], ids):
            raise KeyError(f"Some of {np.asarray(ids).tolist()} are not in the gallery.")
        return self.codes[rows]

    def only(self, ids: np.ndarray) -> Gallery:
        """The part of the gallery whose ids are among `ids`."""
        rows = np.isin(self.ids, ids)
        return Gallery(self.codes[rows], self.ids[rows], self.copies, self.encoder, self.origin)

    def save(self, path: Path, **more: np.ndarray) -> None:
        """Writes the gallery to one file, whole or not at all.

        Args:
            path: The file.
            more: Other arrays to keep with it.
        """
        record = json.dumps({"encoder": self.encoder, "origin": dict(self.origin)})
        arrays = {"codes": self.codes, "ids": self.ids, "copies": self.copies, "record": np.array(record)}
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays, **more)


def load(path: Path) -> tuple[Gallery, dict[str, np.ndarray]] | None:
    """The gallery kept at `path` and the other arrays kept with it, or None if there is none that can be used."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        codes, ids, copies = (arrays.pop(name) for name in ("codes", "ids", "copies"))
        gallery = Gallery(codes, ids, copies, **json.loads(str(arrays.pop("record"))))
        fits = codes.ndim == 2 and ids.shape == codes.shape[:1] and copies.shape[1:] == (2, codes.shape[1])
        types = (codes.dtype, ids.dtype, copies.dtype) == (np.float32, np.int64, np.float32)
        sound = fits and types and np.isfinite(codes).all() and np.isfinite(copies).all()
        return (gallery, arrays) if sound and isinstance(gallery.origin, dict) else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, RecursionError, zipfile.BadZipFile):
        return None


def build(dataset: ImageSet, autoencoder: Encoder, *, progress: bool = False) -> Gallery:
    """Codes all images of `dataset`."""
    codes = autoencoder.encode(dataset.images, progress=progress)
    rows = sampled(len(codes))
    copies = altered_copies(codes[rows], dataset.images[rows], autoencoder)
    return Gallery(codes, np.arange(len(codes)), copies, autoencoder.fingerprint, {"dataset": dataset.fingerprint})


def open_or_build(
    path: Path, dataset: ImageSet, autoencoder: Encoder, *, progress: bool = False
) -> tuple[Gallery, bool]:
    """The gallery kept at `path` if it is whole and of this encoder and dataset, else a new one, kept there.

    Returns:
        The gallery, and whether it was built.
    """
    kept = load(path)
    if kept and (kept[0].encoder, kept[0].origin) == (autoencoder.fingerprint, {"dataset": dataset.fingerprint}):
        return kept[0], False
    gallery = build(dataset, autoencoder, progress=progress)
    gallery.save(path)
    return gallery, True


def sampled(num_images: int) -> np.ndarray:
    """Rows of at most 500 images, those whose altered copies show what a distance means; int64, ascending."""
    return np.sort(np.random.default_rng(_SEED).permutation(num_images)[:_NUM_COPIED])


def altered_copies(codes: np.ndarray, images: np.ndarray, autoencoder: Encoder) -> np.ndarray:
    """Codes of images beside those of altered copies of them: with noise, and seen from aside.

    Args:
        codes: `(num_images, latent_dim)`.
        images: Of these codes, uint8 `(num_images, height, width, 3)`.
        autoencoder: What made the codes.

    Returns:
        float32 `(num_copies, 2, latent_dim)`.
    """
    altered = [autoencoder.encode(distort(images, _SEED)) for distort in DISTORTIONS.values() if len(images)]
    return np.stack([np.tile(codes, (len(altered), 1)), np.concatenate([codes[:0], *altered])], axis=1)
