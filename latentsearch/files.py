"""Files of our own: written whole or not at all, recorded, and the only ones that are ever deleted.

Every folder that latentsearch writes to holds a record, `.written-by-latentsearch`, of the names that it wrote there.
Nothing else in the folder is overwritten or deleted, and nothing is deleted through a link. No other module deletes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock

from latentsearch.errors import InputError
from latentsearch.failures import check_damage, is_disk_full, no_room
from latentsearch.text import printable

RECORD = ".written-by-latentsearch"

_TOP_FOLDERS = ("data", "models", "logs", "reports")
_EVENTS = r"events\.out\.tfevents\.\d+\..+\.{pid}\.\d+(\.v2)?"
_swept: set[Path] = set()  # folders in which this process looked for leftovers


@contextlib.contextmanager
def replacing(path: Path, *, needed: int | None = None, optional: bool = False) -> Iterator[Path]:
    """Write a file whole or not at all: yields a temporary path, which becomes `path` when the block ends well.

    A crash at any moment leaves either what was at `path` before or all of the new file.

    Args:
        path: Where the file is to be. Its folder is made if need be.
        needed: Bytes that it takes, if that is known, for the message when the disk is full.
        optional: Leave `path` as it is where the block wrote nothing.

    Raises:
        InputError: if there is something at `path` that latentsearch did not write, or the disk is full.
    """
    temporary = temporary_for(path)
    try:
        with writing(path, needed=needed, written_to=temporary):
            yield temporary
            if temporary.exists() or not optional:
                publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path, *, needed: int | None = None, written_to: Path | None = None) -> Iterator[None]:
    """While the block writes `path`, say of a full disk what cannot be written, the room needed and the room left.

    Args:
        path: The file, for the message.
        needed: Bytes that it takes, if that is known.
        written_to: Where the block writes it to. Default: `path`.

    Raises:
        InputError: if the disk is full.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # each library raises its own
        if not is_disk_full(error):
            raise
        partial = written_to or path
        written = partial.stat().st_size if partial.is_file() else 0
        raise no_room(path, needed=needed, written=written) from None


def temporary_for(path: Path) -> Path:
    """Claim `path` and return a path beside it to write to first; `publish` completes it.

    The suffix is that of `path`, because Keras, NumPy and Matplotlib choose the format by it. Such files of processes
    that were killed are deleted, once for each folder and process.

    Raises:
        InputError: if there is something at `path` that latentsearch did not write.
    """
    claim(path)
    token = _Record(path.parent).token()
    if path.parent not in _swept:
        _sweep(path.parent, token)
        _swept.add(path.parent)
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    temporary = path.with_name(f".{name}.{token}-{platform.node()}-{os.getpid()}.tmp{path.suffix}")
    temporary.unlink(missing_ok=True)  # of an earlier write that failed; the token is in no other name
    return temporary


def publish(temporary: Path, path: Path) -> None:
    """Move a file from `temporary_for` to its place, once it is on disk."""
    flush(temporary)
    temporary.replace(path)


def flush(path: Path) -> None:
    """Wait until a file is on disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` to `path`, whole or not at all."""
    text = as_json(content).encode()
    with replacing(path, needed=len(text)) as temporary:
        temporary.write_bytes(text)


def as_json(content: Mapping[str, Any]) -> str:
    """Return the text of a JSON file."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def read_json(path: Path, mend: str, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a JSON object that latentsearch wrote.

    Args:
        path: The file.
        mend: The command that writes it, for the error message.
        keys: What it must hold; "a.b" stands for b in the object a.

    Raises:
        InputError: if it is missing, not a JSON object, or without one of `keys`.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is missing.\nMake it first: {mend}") from None
    except OSError as error:
        check_damage(error)
        raise InputError(f"{path} cannot be read ({error}).\nMake it again: {mend}") from None
    return parse_json(text, path, mend, keys)


def parse_json(text: bytes, path: Path, mend: str, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """Parse the bytes of a JSON object that latentsearch wrote to `path`; see `read_json`.

    Raises:
        InputError: if they are no JSON object, or one without one of `keys`.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}).\nMake it again: {mend}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, expected a JSON object.\nMake it again: {mend}")
    for key in keys:
        inner: Any = content
        for part in key.split("."):
            inner = inner.get(part) if isinstance(inner, dict) else None
        if inner is None:
            raise InputError(f"{path} has no {key}.\nMake it again: {mend}")
    return content


def file_fingerprint(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(content: bytes) -> str:
    """SHA-256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def check_free(*paths: Path) -> None:
    """Refuse paths that hold something which latentsearch did not write.

    Raises:
        InputError: naming the first such path.
    """
    for path in paths:
        if os.path.lexists(path) and (path.is_symlink() or path.name not in _Record(path.parent).names()):
            what = "is a link" if path.is_symlink() else "is there already"
            raise InputError(
                f"{path} {what}, and no record shows that latentsearch wrote it: it is left as it is.\n"
                "Move it to another place, or choose another name with --run or --dataset."
            )


def claim(path: Path) -> Path:
    """Record that latentsearch writes the file or folder `path`, and return it.

    Raises:
        InputError: if there is something at `path` that latentsearch did not write.
    """
    make_folder(path.parent)
    check_free(path)
    record = _Record(path.parent)
    if path.name not in record.names():
        record.add(path.name)
    return path


def make_folder(path: Path) -> Path:
    """Make a folder, with those above it, and return it; a record keeps which of them were made here.

    Raises:
        InputError: if a file or a broken link is in the way.
    """
    if path.is_dir():
        return path
    if os.path.lexists(path):
        raise InputError(f"{path} is no folder, but one is needed there.\nMove it to another place.")
    make_folder(path.parent)
    if _Record(path.parent).exists:
        _Record(path.parent).add(path.name)
    with writing(path):
        path.mkdir(exist_ok=True)
        if path.name not in _TOP_FOLDERS:
            _Record(path).token()
    return path


def rename_folder(before: Path, after: Path) -> Path:
    """Rename a recorded folder within its parent, and return the new path."""
    claim(after)
    before.rename(after)
    _Record(before.parent).remove(before.name)
    return after


def written(folder: Path, *, but: tuple[str, ...] = ()) -> list[Path]:
    """List what latentsearch wrote to `folder` and is still there, without the names in `but`."""
    paths = [folder / name for name in sorted(_Record(folder).names()) if name not in but]
    return [path for path in paths if os.path.lexists(path)]


def remove(*paths: Path, within: Path) -> None:
    """Delete files and folders that latentsearch wrote; leave all else, and folders that hold something else.

    Args:
        paths: The files and folders; those that are not there, or not recorded, are passed over.
        within: The folder above them below which no link is followed.
    """
    for path in paths:
        if not _passes_a_link(path, within):
            _remove(path)


def record_events(folder: Path, before: frozenset[Path]) -> None:
    """Record the event files that TensorFlow wrote in this process.

    Args:
        folder: Of the logs, searched with the folders that latentsearch made in it.
        before: Files that were there before this process wrote.
    """
    pattern = re.compile(_EVENTS.format(pid=os.getpid()))
    for path in event_files(folder) - before:
        if pattern.fullmatch(path.name) and not path.is_symlink() and path.name not in _Record(path.parent).names():
            _Record(path.parent).add(path.name)


def event_files(folder: Path) -> frozenset[Path]:
    """List the event files of TensorFlow below `folder`."""
    return frozenset(folder.rglob("events.out.tfevents.*")) if folder.is_dir() else frozenset()


@contextlib.contextmanager
def locked(path: Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock file while the block runs, so that no other process does the same.

    Args:
        path: The lock file; it stays when the lock is released.
        what: What is locked, for messages, such as "dataset 'photos'".
        wait: Wait until the lock is free, in place of refusing.

    Raises:
        InputError: if another process holds the lock and `wait` is off; it names the process.
    """
    lock = filelock.FileLock(claim(path))
    try:
        with writing(path):
            lock.acquire(timeout=0)
    except filelock.Timeout:
        holder = f"{what} is in use by {_holder(path)}"
        if not wait:
            raise InputError(f"{holder}.\nWait until that has ended, or end it, then call this again.") from None
        print(f"{holder}: waiting until that has ended.", flush=True)
        lock.acquire()
    try:
        with writing(path):
            path.write_text(f"process {os.getpid()} on {platform.node()}")
        yield
    finally:
        lock.release()


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
    for name in _TOP_FOLDERS:
        top = (root / name).resolve()
        if resolved == top or top in resolved.parents or resolved in top.parents:
            where = "lies in" if top in resolved.parents or resolved == top else "holds"
            raise InputError(
                f"{flag} {source} {where} {root / name}, which latentsearch writes to.\n"
                "Move the images to a folder of their own, or give another folder for what is written: --root FOLDER."
            )


def _holder(path: Path) -> str:
    try:
        return printable(path.read_text(encoding="utf-8")) or "another process"
    except (OSError, ValueError):
        return "another process"


def _passes_a_link(path: Path, within: Path) -> bool:
    above = [path, *path.parents]
    below = above[: above.index(within)] if within in above else above
    return any(part.is_symlink() for part in below)


def _remove(path: Path) -> None:
    record = _Record(path.parent)
    if not os.path.lexists(path) or path.is_symlink():
        return
    if path.is_dir():
        for one in written(path):
            _remove(one)
        if path.name not in record.names() or any(one.name != RECORD for one in path.iterdir()):
            return
        _Record(path).delete()
        path.rmdir()
    elif path.name in record.names():
        path.unlink()
    else:
        return
    record.remove(path.name)


def _sweep(folder: Path, token: str) -> None:
    pattern = re.compile(rf"\.[0-9a-f]{{8}}\.{token}-{re.escape(platform.node())}-(\d+)\.tmp.*", re.DOTALL)
    for path in folder.iterdir():
        found = pattern.fullmatch(path.name)
        if found and not path.is_symlink() and path.is_file() and not _is_alive(int(found[1])):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # there os.kill ends the process that it is to look for
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


class _Record:
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
        """The names that are recorded."""
        names: set[str] = set()
        for sign, name in self._lines():
            if sign == "+":
                names.add(name)
            elif sign == "-":
                names.discard(name)
        return names

    def token(self) -> str:
        """A text that is in no name but those of this folder's temporary files; written at the first call."""
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

    def delete(self) -> None:
        """Delete the record, of a folder that holds nothing else."""
        self._path.unlink(missing_ok=True)

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
        with writing(self._path, needed=len(line)):
            self._write(line, flags)

    def _write(self, line: bytes, flags: int) -> None:
        try:
            descriptor = os.open(self._path, flags, 0o666)
        except OSError as error:
            if self._path.is_symlink() or self._path.is_dir():
                raise InputError(f"{self._path} is no record of latentsearch's.\nMove it to another place.") from None
            raise error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"{self._path} is no record of latentsearch's.\nMove it to another place.")
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        finally:
            os.close(descriptor)
