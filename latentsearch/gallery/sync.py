"""Synchronisation of a gallery with its folder: only new files are encoded, and the old gallery stays until the end."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from latentsearch.config import Fit
from latentsearch.data.image_files import ImageFileError
from latentsearch.data.images import read_image
from latentsearch.data.scan import FoundFile, Skipped, find_images
from latentsearch.errors import InputError
from latentsearch.gallery import folder as folder_gallery
from latentsearch.gallery import gallery
from latentsearch.gallery.encode_files import FileEncoder, encode_files
from latentsearch.gallery.folder import Entry, FolderGallery, Origin
from latentsearch.gallery.gallery import Gallery
from latentsearch.locks import locked
from latentsearch.models.encoder import Encoder
from latentsearch.text import printable

_MOST_PIXELS = 64_000_000  # bytes of decoded images that are kept to be examined; others are decoded again


@dataclass(frozen=True)
class Changes:
    """Numbers of files by their change since the synchronisation before."""

    unchanged: int = 0
    added: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    skipped: int = 0
    is_anew: bool = False  # the gallery before was of another encoder, precision or fit

    def __str__(self) -> str:
        counts = {name: count for name, count in asdict(self).items() if name != "is_anew"}
        why = "; all encoded anew, as the gallery before was made by another run, --encoder-precision or --fit"
        return ", ".join(f"{count:,} {name}" for name, count in counts.items()) + why * self.is_anew


def sync(
    path: Path,
    folder: Path,
    autoencoder: Encoder,
    *,
    fit: Fit = "crop",
    verify: bool = False,
    progress: bool = False,
    encode: FileEncoder = encode_files,
) -> tuple[FolderGallery, Changes]:
    """Bring the gallery of `folder` at `path` up to date, and return it.

    A file whose size, times of change and inode are those of before is taken to be unchanged; others are read, and
    those whose content is known from before keep their code. Only verdicts on content are remembered: a file that could
    not be read this time keeps its code, and is tried again the next time. Meanwhile, and after an interruption, the
    gallery at `path` is that of before. One synchronisation of a gallery runs at a time; a second one waits.

    Args:
        path: The file of the gallery.
        folder: Folder of images, nested or not.
        autoencoder: The encoder; codes of another one are made anew.
        fit: Treatment of other proportions.
        verify: Read every file and compare its content, whatever its size and times.
        progress: Show a progress bar.
        encode: Function that encodes the new files.

    Raises:
        InputError: if it is not a folder, or holds no image that can be read.
    """
    with locked(path.with_suffix(".lock"), f"the gallery of {printable(folder)}", wait=True):
        kept = folder_gallery.load(path)
        is_anew = kept is not None and not kept.is_of(folder, autoencoder, fit)
        if is_anew:
            kept = None
        before = kept.entries() if kept else []
        known_bad = {file: why for file, why in kept.bad.items() if not why.is_transient} if kept else {}
        next_id = kept.origin.next_id if kept else 0

        found = list(find_images(folder))
        files = [file for file in found if isinstance(file, FoundFile)]
        at = {} if verify else {entry.file: entry for entry in before}
        same = [at[file] for file in files if file in at]
        bad = {file: known_bad[file] for file in files if file in known_bad and not verify}
        code_of = {entry.digest: entry.code for entry in before}
        new: list[tuple[FoundFile, bytes, np.ndarray]] = []
        by_range = dict(kept.by_range) if kept else {}
        pixels: dict[bytes, np.ndarray] = {}
        to_read = [file for file in files if file not in at and file not in bad]
        for file, encoded in encode(to_read, folder, autoencoder, fit=fit, code_of=code_of, progress=progress):
            if isinstance(encoded, Skipped):
                bad[file] = encoded
            else:
                new.append((file, encoded.digest, encoded.code))
                if encoded.by_range:
                    by_range[encoded.digest] = encoded.by_range
                if encoded.pixels is not None and len(pixels) * encoded.pixels.nbytes < _MOST_PIXELS:
                    pixels[encoded.digest] = encoded.pixels
        passed_over = [file for file in found if isinstance(file, Skipped)]
        unread = _unread(before, [*bad.values(), *(file for file in passed_over if not _is_gone(folder, file))])
        bad |= {file: _with_code_kept(why) for file, why in bad.items() if why.is_transient and file.path in unread}
        present = {file.path for file in files} | unread.keys()
        entries, counts, next_id = _numbered(before, same + list(unread.values()), new, present, next_id)
        changes = Changes(**counts, skipped=len(bad) + len(passed_over), is_anew=is_anew)
        if not entries:
            raise InputError(_nothing(folder, [*bad.values(), *passed_over]))
        if kept and not new and not changes.removed and (bad, passed_over) == (kept.bad, kept.passed_over):
            return kept, changes
        origin = Origin(os.fsencode(folder.resolve()).hex(), fit, next_id)
        earlier = kept.gallery if kept else None
        result = _assembled(
            folder,
            entries,
            autoencoder,
            earlier,
            pixels=pixels,
            origin=origin,
            bad=bad,
            passed_over=passed_over,
            by_range=by_range,
        )
        folder_gallery.save(path, result)
        return result, changes


def _unread(before: list[Entry], skipped: list[Skipped]) -> dict[str, Entry]:
    """Select the known images whose files, or a folder above them, could not be read this time, by path."""
    paths = {file.path for file in skipped if file.is_transient}
    return {
        entry.file.path: entry
        for entry in before
        if entry.file.path in paths or any(str(parent) in paths for parent in PurePosixPath(entry.file.path).parents)
    }


def _is_gone(folder: Path, skipped: Skipped) -> bool:
    """Tell whether a path is a link to what is no more: its folder is there, so no disk is away that may come back."""
    path = folder / skipped.path
    return skipped.reason == "missing" and path.is_symlink() and (path.parent / path.readlink()).parent.is_dir()


def _with_code_kept(skipped: Skipped) -> Skipped:
    return dataclasses.replace(skipped, detail=f"{skipped.detail}; the code of before is kept".lstrip("; "))


def _numbered(
    before: list[Entry],
    same: list[Entry],
    new: list[tuple[FoundFile, bytes, np.ndarray]],
    present: set[str],
    next_id: int,
) -> tuple[list[Entry], dict[str, int], int]:
    """Return all images in the order of their ids, the numbers of changes, and the next free id."""
    at_path = {entry.file.path: entry for entry in before}
    vanished = defaultdict(list)
    for entry in before:
        if entry.file.path not in present:
            vanished[entry.digest].append(entry)
    entries, counts = list(same), Counter(unchanged=len(same), added=0, changed=0, moved=0)
    for file, digest, code in new:
        old = at_path.get(file.path)
        if old and old.digest == digest:  # touched, or written anew with the same content
            counts["unchanged"] += 1
            number = old.id
        elif vanished[digest]:
            counts["moved"] += 1
            number = vanished[digest].pop().id
        else:
            counts["changed" if old else "added"] += 1
            number, next_id = next_id, next_id + 1
        entries.append(Entry(file, number, digest, code))
    counts["removed"] = len(before) - counts["unchanged"] - counts["changed"] - counts["moved"]
    return sorted(entries, key=lambda entry: entry.id), dict(counts), next_id


def _assembled(
    folder: Path,
    entries: list[Entry],
    autoencoder: Encoder,
    before: Gallery | None,
    *,
    pixels: dict[bytes, np.ndarray],
    origin: Origin,
    bad: dict[FoundFile, Skipped],
    passed_over: list[Skipped],
    by_range: dict[bytes, str],
) -> FolderGallery:
    codes = np.stack([entry.code for entry in entries])
    rows, images = [], []
    for row in gallery.sampled(len(entries)):
        image = pixels.get(entries[row].digest)
        try:
            if image is None:
                image = read_image(folder / entries[row].file.path, autoencoder.image_shape, fit=origin.fit)
            images.append(image)
            rows.append(row)
        except ImageFileError:  # gone in the meantime: the next synchronisation will see
            continue
    shape = (len(images), *autoencoder.image_shape)
    if before and not rows:  # none can be read now
        copies, errors = before.copies, before.errors
    else:
        copies, errors = gallery.examined(codes[rows], np.array(images, np.uint8).reshape(shape), autoencoder)
    ids = np.array([entry.id for entry in entries], dtype=np.int64)
    content = Gallery(codes, ids, copies, errors, autoencoder.fingerprint, asdict(origin))
    files, digests = [entry.file for entry in entries], [entry.digest for entry in entries]
    by_range = {digest: kind for digest, kind in by_range.items() if digest in set(digests)}
    return FolderGallery(folder.resolve(), content, files, digests, bad, passed_over, by_range)


def _nothing(folder: Path, skipped: list[Skipped]) -> str:
    reasons = Counter(file.reason for file in skipped)
    what = ", ".join(f"{count:,} x {reason}" for reason, count in reasons.items()) or "it is empty"
    expected = "expected JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC"
    return f"{printable(folder)} holds no image that can be read ({what}): {expected}."
