"""The gallery of a folder, kept in one file: codes, and the image file behind each."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from latentsearch.config import Fit
from latentsearch.data.images import Reason
from latentsearch.data.scan import FoundFile, Skipped
from latentsearch.errors import InputError
from latentsearch.gallery import gallery
from latentsearch.gallery.gallery import Gallery
from latentsearch.models.encoder import Encoder
from latentsearch.text import printable


@dataclass(frozen=True)
class Origin:
    """What the images of a gallery are; see `Gallery.origin`.

    Args:
        folder: The folder, absolute, as hexadecimal digits: its name may hold any bytes.
        fit: What became of other proportions.
        next_id: The id of the next file that is new.
    """

    folder: str
    fit: Fit
    next_id: int


class Entry(NamedTuple):
    """An image of the gallery.

    Args:
        file: Where it is.
        id: Stays with the file for as long as its content does, wherever it is moved; is not given twice.
        digest: SHA-256 of the file, 32 bytes.
        code: float32 `(latent_dim,)`.
    """

    file: FoundFile
    id: int
    digest: bytes
    code: np.ndarray


@dataclass(frozen=True)
class FolderGallery:
    """The gallery of a folder, with the file behind each code.

    Args:
        folder: The folder, absolute.
        gallery: The codes.
        files: Of each code, `len(gallery.ids)`.
        digests: SHA-256 of each file, 32 bytes each.
        bad: Files that look like images and cannot be read.
        passed_over: What else is in the folder.
    """

    folder: Path
    gallery: Gallery
    files: list[FoundFile]
    digests: list[bytes]
    bad: dict[FoundFile, Skipped]
    passed_over: list[Skipped]

    @property
    def origin(self) -> Origin:
        """Folder, fit and next id, as they are kept."""
        return msgspec.convert(self.gallery.origin, Origin)

    @property
    def skipped(self) -> list[Skipped]:
        """All that is not in the gallery, with the reason."""
        return [*self.bad.values(), *self.passed_over]

    def is_of(self, folder: Path, autoencoder: Encoder, fit: Fit) -> bool:
        """Whether it is the gallery of this folder, coded by this encoder from images fitted like this."""
        return (self.folder, self.gallery.encoder, self.origin.fit) == (folder.resolve(), autoencoder.fingerprint, fit)

    def entries(self) -> list[Entry]:
        """The images."""
        return [
            Entry(*parts)
            for parts in zip(self.files, self.gallery.ids.tolist(), self.digests, self.gallery.codes, strict=True)
        ]


def gallery_path(galleries: Path, folder: Path) -> Path:
    """Where the gallery of `folder` is kept: one file a folder, below `galleries`."""
    absolute = folder.resolve()
    digest = hashlib.sha256(os.fsencode(absolute)).hexdigest()[:8]
    return galleries / f"{re.sub(r'[^A-Za-z0-9_-]', '_', absolute.name)[:40]}-{digest}.npz"


def open_kept(path: Path, folder: Path, autoencoder: Encoder, *, fit: Fit = "crop") -> FolderGallery:
    """The gallery of `folder` as it is kept at `path`, whatever the folder now holds.

    Raises:
        InputError: if there is none that is whole, or its codes are of another encoder or another fit.
    """
    kept = load(path)
    mend = "Synchronise it with the folder: leave out --no-sync."
    if kept is None:
        raise InputError(f"{printable(folder)} has no gallery yet ({path}).\n{mend}")
    if not kept.is_of(folder, autoencoder, fit):
        raise InputError(f"{path} holds codes of another encoder, or of images that were fitted otherwise.\n{mend}")
    return kept


@dataclass(frozen=True)
class _Listing:
    """The files of a folder in the file of its gallery; see `FolderGallery`."""

    files: list[FoundFile]
    bad: list[tuple[FoundFile, tuple[Reason, str]]]
    passed_over: list[tuple[str, Reason, str]]


def load(path: Path) -> FolderGallery | None:
    """The gallery kept at `path`, or None if there is none that is whole."""
    kept = gallery.load(path)
    if kept is None:
        return None
    encoded, arrays = kept
    try:
        listing = msgspec.convert(json.loads(arrays["listing"].tobytes()), _Listing)
        digests = arrays["digests"].tobytes()
        if not len(listing.files) == len(encoded.ids) == len(digests) // 32:
            return None
        return FolderGallery(
            Path(os.fsdecode(bytes.fromhex(msgspec.convert(encoded.origin, Origin).folder))),
            encoded,
            listing.files,
            [digests[start : start + 32] for start in range(0, len(digests), 32)],
            {file: Skipped(file.path, *reason) for file, reason in listing.bad},
            [Skipped(*row) for row in listing.passed_over],
        )
    except (AttributeError, KeyError, ValueError, RecursionError):
        return None


def save(path: Path, content: FolderGallery) -> None:
    """Writes the gallery to one file, whole or not at all."""
    # JSON escapes the halves of characters that stand for broken bytes in names.
    listing: dict[str, Any] = {
        "files": content.files,
        "bad": [[file, [skipped.reason, skipped.detail]] for file, skipped in content.bad.items()],
        "passed_over": [[skipped.path, skipped.reason, skipped.detail] for skipped in content.passed_over],
    }
    content.gallery.save(
        path,
        listing=np.frombuffer(json.dumps(listing).encode(), np.uint8),
        digests=np.frombuffer(b"".join(content.digests), np.uint8),
    )
