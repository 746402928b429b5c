"""Images to codes and back: the one path that training, gallery and queries share."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from latentsearch import objectives  # noqa: F401 - compiled models name its metric
from latentsearch.datasets import to_float
from latentsearch.errors import InputError

_BATCH = 1000
_MAX_UNPACKED = 50  # times the bytes of the file; weights of a network shrink by a half at most
_MEND = "Make it again with BuildingAutoencoder.py and TrainAutoencoder.py, or restore your copy of it."


def load_model(path: Path, *, compiled: bool = False) -> keras.Model:
    """A model from a .keras file, with its optimizer's state if `compiled`.

    Raises:
        InputError: if the file is damaged or holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _MAX_UNPACKED * path.stat().st_size:
            raise ValueError(f"{unpacked:,} bytes packed into {path.stat().st_size:,}")
        # Keras refuses what would run code on loading (safe_mode, on by default); a test holds it to that.
        return keras.saving.load_model(path, compile=compiled)
    except Exception as error:  # zip, JSON, HDF5 and Keras each raise their own
        raise InputError(f"{path} cannot be opened as a model ({type(error).__name__}: {error}).\n{_MEND}") from None


class Autoencoder:
    """A trained (or untrained) autoencoder, opened from a .keras file.

    Args:
        path: File written by BuildingAutoencoder.py or TrainAutoencoder.py.

    Attributes:
        latent_dim: Numbers in a code.
        image_shape: `(height, width, 3)`.
        fingerprint: SHA-256 of the encoder's layers and weights: two encoders that share it give the same codes.

    Raises:
        InputError: if the file is damaged or holds something else; from `encode` and `decode`, if what the network
            gives is not finite.
    """

    def __init__(self, path: Path) -> None:
        self.model = load_model(path)
        try:
            self._encoder = self.model.get_layer("encoder")
            self._decoder = self.model.get_layer("decoder")
        except ValueError:
            raise InputError(f"{path} holds a model without encoder and decoder.\n{_MEND}") from None
        self.image_shape: tuple[int, int, int] = tuple(self._encoder.input_shape[1:])
        self.latent_dim: int = self._encoder.output_shape[-1]
        digest = hashlib.sha256(json.dumps(self._encoder.get_config(), sort_keys=True, default=str).encode())
        for weights in self._encoder.get_weights():
            digest.update(f"{weights.dtype} {weights.shape}".encode())
            digest.update(np.ascontiguousarray(weights))
        self.fingerprint = digest.hexdigest()

    def encode(self, images: np.ndarray, ids: np.ndarray | None = None, *, progress: bool = False) -> np.ndarray:
        """Codes of images.

        Args:
            images: uint8 `(num_images, height, width, 3)`, possibly memory-mapped.
            ids: Rows to code, in this order. Default: all.
            progress: Show a progress bar.

        Returns:
            float32 `(num_images or len(ids), latent_dim)`.
        """
        ids = np.arange(len(images)) if ids is None else ids
        return self._in_batches(lambda rows: to_float(images[rows]), self._encoder, ids, progress)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Images that codes stand for, float32 `(num_codes, height, width, 3)`, some a little outside [0, 1]."""
        return self._in_batches(lambda rows: codes[rows], self._decoder, np.arange(len(codes)), progress=False)

    def _in_batches(
        self, take: Callable[[np.ndarray], np.ndarray], model: keras.Model, ids: np.ndarray, progress: bool
    ) -> np.ndarray:
        result = np.empty((len(ids), *model.output_shape[1:]), dtype=np.float32)
        starts = range(0, len(ids), _BATCH)
        for start in tqdm(starts, desc="coding images", unit=f" x {_BATCH}", disable=not progress):
            rows = slice(start, start + _BATCH)
            result[rows] = model.predict_on_batch(take(ids[rows]))
        if not np.isfinite(result).all():
            raise InputError(f"The network gives values that are not numbers: its training went wrong.\n{_MEND}")
        return result
