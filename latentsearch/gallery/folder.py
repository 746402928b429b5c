"""The gallery of a folder in one file: codes, and the image file behind each."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from latentsearch.config import Fit
from latentsearch.data.image_files import Reason
from latentsearch.data.scan import FoundFile, Skipped
from latentsearch.errors import InputError
from latentsearch.gallery import gallery
from latentsearch.gallery.gallery import Gallery
from latentsearch.models.encoder import Encoder
from latentsearch.text import printable


@dataclass(frozen=True)
class Origin:
    """The origin of the codes of a folder; see `Gallery.origin`.

    Args:
        folder: Absolute path of the folder, as hexadecimal digits: it may hold any bytes.
        fit: Treatment of other proportions.
        next_id: Id for the next new file.
    """

    folder: str
    fit: Fit
    next_id: int


class Entry(NamedTuple):
    """An image of the gallery.

    Args:
        file: The file.
        id: Id that stays with the content of the file, wherever it is moved; it is not given twice.
        digest: SHA-256 of the file, 32 bytes.
        code: Code of the image, float32 `(latent_dim,)`.
    """

    file: FoundFile
    id: int
    digest: bytes
    code: np.ndarray


@dataclass(frozen=True)
class FolderGallery:
    """The gallery of a folder, with the file behind each code.

    Args:
        folder: Absolute path of the folder.
        gallery: The codes.
        files: The file of each code, `len(gallery.ids)`.
        digests: SHA-256 of each file, 32 bytes each.
        bad: Files that look like images and cannot be read, with the reason.
        passed_over: The other files of the folder.
        by_range: Kind of the pixels, by digest, of files whose pixels were scaled by their own range.
    """

    folder: Path
    gallery: Gallery
    files: list[FoundFile]
    digests: list[bytes]
    bad: dict[FoundFile, Skipped]
    passed_over: list[Skipped]
    by_range: dict[bytes, str]

    @property
    def scaled_by_range(self) -> dict[str, int]:
        """Number of images whose pixels were scaled by their own range, by the kind of the pixels."""
        kinds = (self.by_range[digest] for digest in self.digests if digest in self.by_range)
        return dict(Counter(kinds).most_common())

    @property
    def origin(self) -> Origin:
        """The origin of the codes."""
        return msgspec.convert(self.gallery.origin, Origin)

    @property
    def skipped(self) -> list[Skipped]:
        """The files that are not in the gallery, with the reasons."""
        return [*self.bad.values(), *self.passed_over]

    def is_of(self, folder: Path, autoencoder: Encoder, fit: Fit) -> bool:
        """Tell whether its codes are of this folder, by this encoder and of images fitted in this way."""
        return (self.folder, self.gallery.encoder, self.origin.fit) == (folder.resolve(), autoencoder.fingerprint, fit)

    def entries(self) -> list[Entry]:
        """List the images."""
        return [
            Entry(*parts)
            for parts in zip(self.files, self.gallery.ids.tolist(), self.digests, self.gallery.codes, strict=True)
        ]


def gallery_path(galleries: Path, folder: Path) -> Path:
    """Return the path of the gallery of `folder`: one file per folder, below `galleries`."""
    absolute = folder.resolve()
    digest = hashlib.sha256(os.fsencode(absolute)).hexdigest()[:8]
    return galleries / f"{re.sub(r'[^A-Za-z0-9_-]', '_', absolute.name)[:40]}-{digest}.npz"


def open_kept(path: Path, folder: Path, autoencoder: Encoder, *, fit: Fit = "crop") -> FolderGallery:
    """Open the gallery of `folder` at `path` as it is, whatever the folder holds now.

    Raises:
        InputError: if there is no whole one, or its codes are of another encoder or another fit.
    """
    kept = load(path)
    mend = "Synchronise it with the folder: leave out --no-sync."
    if kept is None:
        raise InputError(f"{printable(folder)} has no gallery yet ({path}).\n{mend}")
    if not kept.is_of(folder, autoencoder, fit):
        raise InputError(
            f"{path} holds codes of another encoder or --encoder-precision, or of images fitted otherwise.\n{mend}"
        )
    return kept


@dataclass(frozen=True)
class _Listing:
    """The files of a folder in the file of its gallery; see `FolderGallery`."""

    files: list[FoundFile]
    bad: list[tuple[FoundFile, tuple[Reason, str]]]
    passed_over: list[tuple[str, Reason, str]]
    by_range: dict[str, str] = field(default_factory=dict)


def load(path: Path) -> FolderGallery | None:
    """Load the gallery at `path`; None if there is no whole one."""
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
            {bytes.fromhex(digest): kind for digest, kind in listing.by_range.items()},
        )
    except (AttributeError, KeyError, ValueError, RecursionError):
        return None


def save(path: Path, content: FolderGallery) -> None:
    """Write the gallery to one file, whole or not at all."""
    # JSON escapes the halves of characters that stand for broken bytes in names.
    listing: dict[str, Any] = {
        "files": content.files,
        "bad": [[file, [skipped.reason, skipped.detail]] for file, skipped in content.bad.items()],
        "passed_over": [[skipped.path, skipped.reason, skipped.detail] for skipped in content.passed_over],
        "by_range": {digest.hex(): kind for digest, kind in content.by_range.items()},
    }
    content.gallery.save(
        path,
        listing=np.frombuffer(json.dumps(listing).encode(), np.uint8),
        digests=np.frombuffer(b"".join(content.digests), np.uint8),
    )
