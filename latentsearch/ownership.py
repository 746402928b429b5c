"""The record of the names that latentsearch wrote to a folder: only those are overwritten or deleted, by `files`."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import stat
from pathlib import Path

from latentsearch.errors import InputError

RECORD = ".written-by-latentsearch"
TOP_FOLDERS = ("data", "models", "logs", "reports")
_EVENTS = r"events\.out\.tfevents\.\d+\..+\.{pid}\.\d+(\.v2)?"


class Record:
    """The names that latentsearch wrote in one folder, a JSON line each: ["+", name], ["-", name] or ["token", hex].

    Lines are appended, in one write each, so that processes can record side by side and a kill loses no line that
    was written before.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / RECORD

    @property
    def exists(self) -> bool:
        """Whether there is a record."""
        return self._path.is_file() and not self._path.is_symlink()

    def names(self) -> set[str]:
        """Read the names that are recorded."""
        names: set[str] = set()
        for sign, name in self._lines():
            if sign == "+":
                names.add(name)
            elif sign == "-":
                names.discard(name)
        return names

    def token(self) -> str:
        """Return a text that only the names of this folder's temporary files hold; it is written at the first call."""
        for _ in range(2):
            for sign, token in self._lines():
                if sign == "token" and re.fullmatch("[0-9a-f]{8}", token):
                    return token
            self._append("token", secrets.token_hex(4))
        raise InputError(f"{self._path} cannot be read.\nMove it to another place.")

    def add(self, name: str) -> None:
        """Record a name."""
        self._append("+", name)

    def remove(self, name: str) -> None:
        """Record that a name is no longer latentsearch's."""
        if name in self.names():
            self._append("-", name)

    def _lines(self) -> list[tuple[str, str]]:
        if not self.exists:
            return []
        lines = []
        for line in self._path.read_bytes().splitlines():
            with contextlib.suppress(ValueError, RecursionError):  # cut short by a kill, or not ours
                found = json.loads(line)
                if isinstance(found, list) and len(found) == 2 and all(isinstance(part, str) for part in found):
                    sign, name = found
                    if name not in ("", ".", "..", RECORD) and "/" not in name and os.sep not in name:
                        lines.append((sign, name))
        return lines

    def _append(self, sign: str, name: str) -> None:
        line = f"\n{json.dumps([sign, name])}\n".encode()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        try:
            descriptor = os.open(self._path, flags, 0o666)
        except OSError as error:
            if self._path.is_symlink() or self._path.is_dir():
                raise InputError(f"{self._path} is not a record of latentsearch.\nMove it to another place.") from None
            raise error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"{self._path} is not a record of latentsearch.\nMove it to another place.")
            try:
                written = os.write(descriptor, line)
            except OSError as error:  # it does not name the file
                raise OSError(error.errno, error.strerror, str(self._path)) from None
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        finally:
            os.close(descriptor)


def owner_of(root: Path) -> str:
    """Return a text that stands for `root` wherever it is shared at this path. Copies of a whole machine have it too.

    Args:
        root: Holds models/, in whose record a token is kept.
    """
    models = root.absolute() / "models"
    return hashlib.sha256(f"{Record(models).token()} {models}".encode(errors="surrogateescape")).hexdigest()[:8]


def record_events(folder: Path, before: frozenset[Path]) -> None:
    """Record the event files that TensorFlow wrote in this process.

    Args:
        folder: Folder of the logs, searched with the folders that latentsearch made in it.
        before: The files that were there before this process wrote.
    """
    pattern = re.compile(_EVENTS.format(pid=os.getpid()))
    for path in event_files(folder) - before:
        if pattern.fullmatch(path.name) and not path.is_symlink() and path.name not in Record(path.parent).names():
            Record(path.parent).add(path.name)


def event_files(folder: Path) -> frozenset[Path]:
    """List the event files of TensorFlow below `folder`."""
    return frozenset(folder.rglob("events.out.tfevents.*")) if folder.is_dir() else frozenset()


def refuse_overlap(source: Path, root: Path, flag: str) -> None:
    """Refuse a folder of images that lies in a folder of latentsearch's, or holds one.

    Args:
        source: The folder of images.
        root: Holds data/, models/, logs/ and reports/.
        flag: The flag that named `source`, for the message.

    Raises:
        InputError: if it does, directly or through links.
    """
    resolved = source.resolve()
    for name in TOP_FOLDERS:
        top = (root / name).resolve()
        if resolved == top or top in resolved.parents or resolved in top.parents:
            where = "lies in" if top in resolved.parents or resolved == top else "holds"
            raise InputError(
                f"{flag} {source} {where} {root / name}, which latentsearch writes to.\n"
                "Move the images to a folder of their own, or give another folder for what is written: --root FOLDER."
            )
