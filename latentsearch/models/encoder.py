"""Encoding of images and decoding of codes, without TensorFlow; gallery, queries and checks share it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from latentsearch import files, records
from latentsearch.config import ENCODER_PRECISIONS, EncoderPrecision
from latentsearch.data import read_rows, to_float
from latentsearch.errors import InputError
from latentsearch.models.litert import DENOISER, PARTS, ExportRecord, LiteRTNetwork, seal
from latentsearch.terminal import quiet_libraries

# Small enough that what the layers pass on stays in the cache of the processor.
_BATCH = 100
_MEND = "Make it again with TrainAutoencoder.py, or restore your copy of it."


class Encoder(Protocol):
    """An encoder with its decoder, such as `Autoencoder`.

    Attributes:
        image_shape: `(height, width, 3)`.
        latent_dim: Numbers in a code.
        kind_dim: How many of them, the first ones, are the kind code, the others the look code; None: a single code.
        fingerprint: Two encoders that share it give the same codes.
    """

    image_shape: tuple[int, int, int]
    latent_dim: int
    kind_dim: int | None
    fingerprint: str

    def encode(self, images: np.ndarray, ids: np.ndarray | None = None, *, progress: bool = False) -> np.ndarray:
        """Encodes images uint8 `(num_images, *image_shape)` as codes float32 `(num_images, latent_dim)`."""

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Decodes codes `(num_codes, latent_dim)` to images float32 `(num_codes, *image_shape)`."""


class Autoencoder:
    """A trained or untrained autoencoder, opened from the LiteRT files that were exported from its .keras file.

    They lie in the folder exported/ beside it. Where they are missing, damaged or made from another file, they are made
    anew, which imports TensorFlow and takes some seconds. Codes differ from those of Keras by about 1e-6. Several
    threads may share it, and take turns.

    In int8 the encoder's weights are whole numbers of 8 bits, and so is what its layers pass on, scaled for each image.
    Codes differ from those of Keras by about a hundredth then, and not at all between batches or numbers of cores.

    Args:
        path: File written by BuildingAutoencoder.py or TrainAutoencoder.py.
        cores: That it runs on. Default: all.
        precision: Arithmetic of the encoder; the decoder computes in float32.

    Attributes:
        latent_dim: Numbers in a code.
        kind_dim: How many of them, the first ones, are the kind code, where the others are the look code. Both are
            scaled to a mean square distance of 1 between two images. None: a single code.
        image_shape: `(height, width, 3)`.
        precision: As it was given.
        fingerprint: SHA-256 of the encoder's layers, weights and precision: two encoders that share it give the same
            codes.
        trained: SHA-256 of the encoder's layers and weights.

    Raises:
        InputError: if the file is damaged or holds something else; from `encode` and `decode`, if what the network
            gives is not finite.
    """

    def __init__(self, path: Path, *, cores: int | None = None, precision: EncoderPrecision = "float32") -> None:
        self._path, self.precision = path, precision
        exported = _exported(path, precision)
        networks = _opened(exported[1], cores) if exported else None
        if exported is None or networks is None:
            exported = _export(path, precision)
            networks = _opened(exported[1], cores)
        if networks is None:
            raise InputError(f"{path} does not hold an encoder of images to codes, and a decoder back.\n{_MEND}")
        record, _ = exported
        self.trained = record.fingerprint
        self.fingerprint = fingerprint(self.trained, precision)
        self._encoder, self._decoder, *denoiser = networks
        self._denoiser = denoiser[0] if denoiser else None
        self._noisy_above = math.inf if record.noisy_above is None else record.noisy_above
        height, width, channels = self._encoder.input_shape
        self.image_shape = (height, width, channels)
        [self.latent_dim] = self._encoder.output_shape
        self.kind_dim = record.kind_dim

    def encode(self, images: np.ndarray, ids: np.ndarray | None = None, *, progress: bool = False) -> np.ndarray:
        """Encodes images in batches.

        Args:
            images: uint8 `(num_images, height, width, 3)`, possibly memory-mapped.
            ids: Rows to code, in this order. Default: all.
            progress: Show a progress bar.

        Returns:
            float32 `(num_images or len(ids), latent_dim)`.
        """
        ids = np.arange(len(images)) if ids is None else ids
        codes = np.empty((len(ids), self.latent_dim), np.float32)
        with tqdm(total=len(ids), desc="encoding images", unit=" images", disable=not progress) as bar:
            for start in range(0, len(ids), _BATCH):
                rows = slice(start, start + _BATCH)
                codes[rows] = self._encoder(self._clean(to_float(read_rows(images, ids[rows]))))
                bar.update(len(codes[rows]))
        return self._finite(codes)

    def _clean(self, images: np.ndarray) -> np.ndarray:
        """Denoise the noisy ones of a batch of images: few are, and the others need not pay for it."""
        if self._denoiser is not None:
            noisy = _noise_levels(images) > self._noisy_above
            if noisy.any():
                images[noisy] = self._denoiser(images[noisy])
        return images

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Decodes codes to images float32 `(num_codes, height, width, 3)`, some a little outside [0, 1]."""
        images = np.empty((len(codes), *self.image_shape), np.float32)
        for start in range(0, len(codes), _BATCH):
            rows = slice(start, start + _BATCH)
            images[rows] = self._decoder(codes[rows])
        return self._finite(images)

    def _finite(self, values: np.ndarray) -> np.ndarray:
        if not np.isfinite(values).all():
            raise InputError(f"{self._path} gives values that are not numbers: its training went wrong.\n{_MEND}")
        return values


def fingerprint(trained: str, precision: EncoderPrecision) -> str:
    """Return the fingerprint of the codes of an encoder, given that of its layers and weights."""
    return trained if precision == "float32" else files.fingerprint(f"{trained} {precision}".encode())


def open_as_kept(path: Path, usual: EncoderPrecision, is_kept: Callable[[str], bool]) -> Autoencoder:
    """Open an autoencoder in the arithmetic that made the codes which are kept.

    Args:
        path: As of `Autoencoder`.
        usual: Arithmetic of the encoder where no codes by this autoencoder are kept.
        is_kept: Function that tells of the fingerprint of an encoder whether codes by it are kept.
    """
    records_there = (_record(path, precision) for precision in ENCODER_PRECISIONS)
    record = next((record for record in records_there if record), None)
    trained = record.fingerprint if record else Autoencoder(path, precision=usual).trained
    usual_first = sorted(ENCODER_PRECISIONS, key=lambda precision: precision != usual)
    kept = (precision for precision in usual_first if is_kept(fingerprint(trained, precision)))
    return Autoencoder(path, precision=next(kept, usual))


def _noise_levels(images: np.ndarray) -> np.ndarray:
    """Estimate the standard deviation of the noise of each image as `layers.noise_level` does, `(num_images,)`."""
    both = np.diff(np.diff(images, 2, axis=1), 2, axis=2)
    levels: np.ndarray = math.sqrt(math.pi / 2) / 6 * np.abs(both, out=both).mean(axis=(1, 2, 3))
    return levels


def _exported(path: Path, precision: EncoderPrecision) -> tuple[ExportRecord, dict[str, bytes]] | None:
    """Reads the record and the LiteRT files that were exported from `path`; None if they are missing or damaged."""
    record = _record(path, precision)
    if record is None:
        return None
    parts = PARTS if record.denoiser is None else (*PARTS, DENOISER)
    try:
        content = {part: _record_path(path, precision).with_name(f"{part}.tflite").read_bytes() for part in parts}
    except OSError:
        return None
    # LiteRT trusts its files: damaged ones would crash it.
    digests = asdict(record)
    return (record, content) if all(files.fingerprint(content[part]) == digests[part] for part in parts) else None


def _record(path: Path, precision: EncoderPrecision) -> ExportRecord | None:
    """Reads the record of what was exported from `path`; None if it is missing, damaged or of another file."""
    try:
        record = records.read(_record_path(path, precision), ExportRecord, "")
        is_current = files.file_fingerprint(path) == record.model and record.precision == precision
    except (InputError, OSError):
        return None
    return record if is_current and record.seal == seal(asdict(record)) else None


def _opened(content: dict[str, bytes], cores: int | None) -> list[LiteRTNetwork] | None:
    """Opens encoder, decoder and perhaps a denoiser; None if they are not such, or do not fit together."""
    try:
        networks = [LiteRTNetwork(network, cores=cores) for network in content.values()]
    except (ValueError, RuntimeError, TypeError):  # what LiteRT raises for files that it cannot use
        return None
    encoder, decoder, *others = networks
    fit = encoder.output_shape == decoder.input_shape and encoder.input_shape == decoder.output_shape
    fit = fit and len(encoder.input_shape) == 3 and encoder.input_shape[-1] == 3 and len(encoder.output_shape) == 1
    fit = fit and all(other.input_shape == other.output_shape == encoder.input_shape for other in others)
    return networks if fit else None


def _export(path: Path, precision: EncoderPrecision) -> tuple[ExportRecord, dict[str, bytes]]:
    with quiet_libraries():  # TensorFlow greets when it is imported, and when it is first asked for something
        from latentsearch.models.export import export

        export(path, _record_path(path, precision), precision=precision)
    exported = _exported(path, precision)
    if exported is None:
        raise InputError(f"{_record_path(path, precision).parent} was changed by another process. Try again.")
    return exported


def _record_path(path: Path, precision: EncoderPrecision) -> Path:
    name = path.stem if precision == "float32" else f"{path.stem}-{precision}"
    return path.parent / "exported" / name / "exported.json"
