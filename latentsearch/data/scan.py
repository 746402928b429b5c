"""Search of a folder for files that may hold images."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from latentsearch.data import heic, raw
from latentsearch.data.headers import begins_as_image
from latentsearch.data.image_files import NO_HEIC, NO_RAW, SUFFIXES, SYSTEM_FOLDER, TRANSIENT, Reason
from latentsearch.errors import InputError
from latentsearch.ownership import RECORD, Record
from latentsearch.text import printable

# Folders that systems and network storage keep beside the user's own: thumbnails, recycle bins, snapshots.
_SYSTEM_FOLDERS = frozenset(
    {"@eadir", "@recycle", "@recently-snapshot", "@tmp", "@sharebin", "#recycle", "#snapshot", "~snapshot"}
    | {"$recycle.bin", "recycler", "system volume information", "__macosx", "lost+found"}
)
_MAX_RECORD = 10_000_000  # bytes
_INNER_SUFFIX = re.compile(rf"({'|'.join(map(re.escape, SUFFIXES))})[^/]", re.IGNORECASE)


# Phones and web sites put JPEG files under names of the formats that they took or sent them in.
_OTHER_IMAGES = frozenset((".heic", ".heif", ".hif", ".jxl", ".jp2"))


class FoundFile(NamedTuple):
    """A file that may hold an image. Two that are equal are taken to be of equal content.

    Args:
        path: Path relative to the folder that was searched.
        size: Size in bytes.
        mtime_ns: Time of the last change of the content, nanoseconds since 1970; programs may set it.
        ctime_ns: Time of the last change of any kind, which no program can set: a file put in its place has a later
            one.
        inode: Number in the file system, which goes with the file when it is renamed.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0


@dataclass(frozen=True)
class Skipped:
    """A file or folder that was passed over.

    Args:
        path: Path relative to the folder that was searched.
        reason: Short reason, to count by.
        detail: Further words on the file.
    """

    path: str
    reason: Reason
    detail: str = ""

    @property
    def ending(self) -> str:
        """End of the name, such as ".jpg", in lower case; of a folder of the system its whole name."""
        if self.reason == SYSTEM_FOLDER:
            return Path(self.path).name
        return Path(self.path).suffix.lower()

    @property
    def is_transient(self) -> bool:
        """Whether it says nothing of the content, so that the next attempt may succeed."""
        return self.reason in TRANSIENT


def find_images(folder: Path) -> Iterator[FoundFile | Skipped]:
    """Find the files below `folder` that may hold images; what else is there comes as `Skipped`.

    Those are the files whose names end as those of images do, or have no suffix, and those that begin as an image does
    and have an image's suffix inside their name (`photo.jpg~`, `photo.jpg.1`), or that of a format that is not read
    without an extra (`.heic`, `.nef`). Folders are searched in the order of their names. Links are followed, but no
    folder is entered twice. Names that start with a dot are hidden and left out; folders of the system (`@eaDir`,
    `$RECYCLE.BIN`), and what latentsearch wrote below the folder, come as skipped.

    Args:
        folder: Folder to search. If latentsearch wrote it, as a folder of copies, its files are searched as any other.

    Raises:
        InputError: if it is not a folder, or may not be read.
    """
    try:
        status = folder.stat()
        os.scandir(folder).close()
    except OSError as error:
        raise InputError(f"{printable(folder)}: expected a folder of images ({error.strerror}).") from None
    entered = {(status.st_dev, status.st_ino)}
    place = folder.resolve()
    is_ours = any(part.name in _written(part.parent) for part in (place, *place.parents))
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(folder / below) as entries:
                names = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            yield Skipped(below, "unreadable", error.strerror or "")
            continue
        folders = []
        ours = set() if is_ours else _written(folder / below)
        for entry in names:
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.name in ours:
                yield Skipped(path, "written by latentsearch")
                continue
            try:
                status = entry.stat()
            except OSError as error:
                reason: Reason = "missing" if error.errno in (errno.ENOENT, errno.ELOOP) else "unreadable"
                yield Skipped(path, reason, error.strerror or "")
                continue
            if stat.S_ISDIR(status.st_mode):
                if entry.name.casefold() in _SYSTEM_FOLDERS:
                    yield Skipped(path, SYSTEM_FOLDER)
                elif (status.st_dev, status.st_ino) not in entered:
                    entered.add((status.st_dev, status.st_ino))
                    folders.append(path)
            elif not stat.S_ISREG(status.st_mode):
                yield Skipped(path, "not a file")
            elif (why_not := _why_not(folder / path, entry.name)) is not None:
                yield Skipped(path, why_not)
            else:
                yield FoundFile(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        waiting += reversed(folders)


def _written(folder: Path) -> set[str]:
    """What latentsearch wrote in a folder: its figures would become images of what is searched."""
    with contextlib.suppress(OSError):
        if (folder / RECORD).stat().st_size <= _MAX_RECORD:
            return Record(folder).names()
    return set()


def _why_not(path: Path, name: str) -> Reason | None:
    """Decide why a file is left out; None if it may be an image."""
    if Path(name).suffix.lower() in ("", *SUFFIXES):
        return None
    if Path(name).suffix.lower() in raw.SUFFIXES:
        return None if raw.is_readable() else NO_RAW
    if not _INNER_SUFFIX.search(name) and Path(name).suffix.lower() not in _OTHER_IMAGES:
        return "another type of file"
    try:
        with open(path, "rb") as file:
            start = file.read(heic.HEAD_BYTES)
    except OSError:  # who reads it will say why it cannot be
        return None
    if heic.brand(start) == "HEIF" and not heic.is_readable():
        return NO_HEIC
    return None if begins_as_image(start) else "another type of file"


def inode_of(path: Path) -> tuple[int, int] | None:
    """Return device and number of a file, which do not depend on its name; None if it is not there."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
