"""A gallery: the codes of images with their ids, kept beside the run and ready to be searched."""

from __future__ import annotations

import dataclasses
import json
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from latentsearch.bounds import load_npz
from latentsearch.config import Metric
from latentsearch.data import ImageSet, to_float
from latentsearch.data.corruptions import CORRUPTIONS
from latentsearch.failures import check_damage
from latentsearch.files import replacing
from latentsearch.gallery import two_codes
from latentsearch.gallery.index import Index, Neighbours
from latentsearch.metrics import squared_error
from latentsearch.models.encoder import Encoder

# What NumPy, zipfile and zlib raise for a damaged file: an array whose header is gone comes as bytes, without a dtype.
DAMAGE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, OverflowError, MemoryError,
    NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error, tokenize.TokenError,
)  # fmt: skip

_ARRAYS = ("codes", "ids", "copies", "errors")
_NUM_SAMPLED = 500
_SEED = 0


@dataclass(frozen=True)
class Gallery:
    """Codes of images that can be searched for look-alikes.

    Args:
        codes: Codes, float32 `(num_images, latent_dim)`.
        ids: Ids, int64 `(num_images,)`, distinct.
        copies: Codes of some of the images (first) and of corrupted copies of them (second), to interpret distances:
            float32 `(num_copies, 2, latent_dim)`.
        errors: Mean squared reconstruction errors of the same images, float32 `(num_sampled,)`.
        encoder: Fingerprint of the encoder that made the codes.
        origin: Origin of the images: the fingerprint of a dataset, or the fields of `folder.Origin`.
    """

    codes: np.ndarray
    ids: np.ndarray
    copies: np.ndarray
    errors: np.ndarray
    encoder: str
    origin: Mapping[str, Any]

    _indexes: dict[Metric, Index] = field(default_factory=dict, init=False, repr=False, compare=False)

    def ask(
        self, codes: np.ndarray, k: int, *, metric: Metric = "cosine", exclude: np.ndarray | None = None
    ) -> Neighbours:
        """Find the `k` images whose codes are nearest to each of `codes`; see `Index.search`."""
        if metric not in self._indexes:
            self._indexes[metric] = Index(self.codes, self.ids, metric=metric)
        return self._indexes[metric].search(codes, k, exclude=exclude)

    def code_of(self, ids: np.ndarray) -> np.ndarray:
        """Look up the codes of images by id, float32 `(len(ids), latent_dim)`.

        Raises:
            KeyError: if an id is not in the gallery.
        """
        order = np.argsort(self.ids)
        rows = order[np.searchsorted(self.ids, ids, sorter=order).clip(max=len(order) - 1)]
        if not np.array_equal(self.ids[rows], ids):
            raise KeyError(f"Some of {np.asarray(ids).tolist()} are not in the gallery.")
        codes: np.ndarray = self.codes[rows]
        return codes

    def only(self, ids: np.ndarray) -> Gallery:
        """Select the part of the gallery whose ids are among `ids`."""
        rows = np.isin(self.ids, ids)
        return dataclasses.replace(self, codes=self.codes[rows], ids=self.ids[rows])

    def weighted(self, kind_dim: int | None, look: float) -> Gallery:
        """Return the gallery with codes that weigh kind and look; see `two_codes.weighted`."""
        if kind_dim is None:
            return self
        codes, copies = (two_codes.weighted(array, kind_dim, look) for array in (self.codes, self.copies))
        return dataclasses.replace(self, codes=codes, copies=copies, origin={**self.origin, "look": look})

    def save(self, path: Path, **more: np.ndarray) -> None:
        """Write the gallery to one file, whole or not at all.

        Args:
            path: The file.
            more: Further arrays in the file.
        """
        record = json.dumps({"encoder": self.encoder, "origin": dict(self.origin)})
        arrays = {name: getattr(self, name) for name in _ARRAYS} | {"record": np.array(record)}
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays, **more)


@dataclass(frozen=True)
class _Record:
    """The text in the file of a gallery; see `Gallery`."""

    encoder: str
    origin: dict[str, Any]


def load(path: Path) -> tuple[Gallery, dict[str, np.ndarray]] | None:
    """Load the gallery at `path` and the other arrays in the file; None if there is no usable one."""
    try:
        arrays = load_npz(path)
        codes, ids, copies, errors = (arrays.pop(name) for name in _ARRAYS)
        record = msgspec.convert(json.loads(str(arrays.pop("record"))), _Record)
        gallery = Gallery(codes, ids, copies, errors, record.encoder, record.origin)
        return (gallery, arrays) if _is_sound(gallery) else None
    except DAMAGE as error:
        check_damage(error)
        return None


def encoder_of(path: Path) -> str | None:
    """Read the fingerprint of the encoder of the gallery at `path` without its codes; None if there is none."""
    try:
        return msgspec.convert(json.loads(str(load_npz(path, "record")["record"])), _Record).encoder
    except DAMAGE as error:
        check_damage(error)
        return None


def _is_sound(gallery: Gallery) -> bool:
    codes, ids, copies, errors = (getattr(gallery, name) for name in _ARRAYS)
    if codes.ndim != 2 or ids.shape != codes.shape[:1] or copies.shape[1:] != (2, codes.shape[1]) or errors.ndim != 1:
        return False
    if (codes.dtype, ids.dtype, copies.dtype, errors.dtype) != (np.float32, np.int64, np.float32, np.float32):
        return False
    return all(np.isfinite(array).all() for array in (codes, copies, errors))


def build(dataset: ImageSet, autoencoder: Encoder, *, progress: bool = False) -> Gallery:
    """Encode all images of `dataset`."""
    codes = autoencoder.encode(dataset.images, progress=progress)
    rows = sampled(len(codes))
    copies, errors = examined(codes[rows], dataset.images[rows], autoencoder)
    origin = {"dataset": dataset.fingerprint}
    return Gallery(codes, np.arange(len(codes)), copies, errors, autoencoder.fingerprint, origin)


def open_or_build(
    path: Path, dataset: ImageSet, autoencoder: Encoder, *, progress: bool = False
) -> tuple[Gallery, bool]:
    """Load the gallery at `path` if it is whole and of this encoder and dataset, else build and save a new one.

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
    """Draw the rows of at most 500 images to examine; int64, ascending."""
    return np.sort(np.random.default_rng(_SEED).permutation(num_images)[:_NUM_SAMPLED])


def examined(codes: np.ndarray, images: np.ndarray, autoencoder: Encoder) -> tuple[np.ndarray, np.ndarray]:
    """Encode corrupted copies of images (with noise, and at an angle), and measure their reconstruction errors.

    Args:
        codes: Codes of the images, `(num_images, latent_dim)`.
        images: uint8 `(num_images, height, width, 3)`.
        autoencoder: The encoder that made the codes.

    Returns:
        `copies` and `errors` of a gallery.
    """
    corrupted = [autoencoder.encode(corrupt(images, _SEED)) for corrupt in CORRUPTIONS.values() if len(images)]
    copies = np.stack([np.tile(codes, (len(corrupted), 1)), np.concatenate([codes[:0], *corrupted])], axis=1)
    return copies, reconstruction_errors(images, codes, autoencoder).astype(np.float32)


def reconstruction_errors(images: np.ndarray, codes: np.ndarray, autoencoder: Encoder) -> np.ndarray:
    """Compute the mean squared error of each image, float `(num_images,)`.

    Args:
        images: uint8 `(num_images, height, width, 3)`.
        codes: Codes of the images, `(num_images, latent_dim)`.
        autoencoder: The encoder that made the codes.
    """
    return squared_error(to_float(images), autoencoder.decode(codes))
