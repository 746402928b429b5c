"""Encoding of the image files of a folder, in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from tqdm import tqdm

from latentsearch.config import Fit
from latentsearch.data.image_files import ImageFileError, opened
from latentsearch.data.images import Decoded, decode_file
from latentsearch.data.scan import FoundFile, Skipped
from latentsearch.models.encoder import Encoder

_CHUNK = 1000  # images in memory at a time


class EncodedFile(NamedTuple):
    """The code of a file.

    Args:
        digest: SHA-256 of the file, 32 bytes.
        code: Code of its image, float32 `(latent_dim,)`.
        by_range: Kind of its pixels, if they were scaled by their own range; "" if not, or not known here.
        pixels: Its image as the encoder takes it, uint8 `(height, width, 3)`; None if it was not decoded here.
    """

    digest: bytes
    code: np.ndarray
    by_range: str = ""
    pixels: np.ndarray | None = None


Encoded = EncodedFile | Skipped


class FileEncoder(Protocol):
    """A function that encodes files: `encode_files`, or an `encode_spark.SparkEncoder`."""

    def __call__(
        self,
        files: list[FoundFile],
        folder: Path,
        autoencoder: Encoder,
        *,
        fit: Fit,
        code_of: dict[bytes, np.ndarray],
        progress: bool,
    ) -> Iterator[tuple[FoundFile, Encoded]]:
        """See `encode_files`."""


def encode_files(
    files: list[FoundFile],
    folder: Path,
    autoencoder: Encoder,
    *,
    fit: Fit,
    code_of: dict[bytes, np.ndarray],
    progress: bool,
) -> Iterator[tuple[FoundFile, Encoded]]:
    """Encode image files: yield each with its digest and code, or the reason that it has none.

    Args:
        files: Files below `folder`.
        folder: The folder.
        autoencoder: The encoder.
        fit: Treatment of other proportions.
        code_of: Codes by digest: files of these contents are not encoded again. New codes are added.
        progress: Show a progress bar.
    """

    def read(file: FoundFile) -> tuple[bytes, Decoded | None] | Skipped:
        try:
            with opened(folder / file.path) as content:
                digest = hashlib.file_digest(content, "sha256").digest()
                if digest in code_of:
                    return digest, None
                return digest, decode_file(content, autoencoder.image_shape, fit=fit, name=file.path)
        except ImageFileError as error:
            return Skipped(file.path, error.reason, error.detail)

    bar = tqdm(total=len(files), desc="encoding images", unit=" images", disable=not progress or not files)
    with bar, ThreadPoolExecutor() as readers:
        for start in range(0, len(files), _CHUNK):
            chunk = files[start : start + _CHUNK]
            results = list(readers.map(read, chunk))
            images = {r[0]: r[1].pixels for r in results if not isinstance(r, Skipped) and r[1] is not None}
            if images:
                codes = autoencoder.encode(np.stack(list(images.values())))
                code_of |= dict(zip(images, codes, strict=True))
            for file, result in zip(chunk, results, strict=True):
                if isinstance(result, Skipped):
                    yield file, result
                else:
                    digest, image = result
                    by_range, pixels = (image.by_range, image.pixels) if image else ("", None)
                    yield file, EncodedFile(digest, code_of[digest], by_range, pixels)
            bar.update(len(chunk))
