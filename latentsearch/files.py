"""Files of our own: written whole or not at all, recorded, and the only ones that are ever deleted.

Every folder that latentsearch writes to holds a record, `.written-by-latentsearch`, of the names that it wrote there.
Nothing else in the folder is overwritten or deleted, and nothing is deleted through a link. No other module deletes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from latentsearch.bounds import check_size
from latentsearch.environment import is_alive
from latentsearch.errors import InputError
from latentsearch.failures import check_damage, is_disk_full, no_room
from latentsearch.ownership import RECORD, TOP_FOLDERS, Record

_MOST_DIGITS = 300  # of a whole number: it is to fit into a float
_swept: set[Path] = set()  # folders in which this process looked for leftovers


@contextlib.contextmanager
def replacing(path: Path, *, needed: int | None = None, optional: bool = False) -> Iterator[Path]:
    """Write a file whole or not at all: yield a temporary path, which becomes `path` when the block ends well.

    A crash at any moment leaves either what was at `path` before or all of the new file.

    Args:
        path: The file. Its folder is made if need be.
        needed: Size of the file in bytes, if it is known, for the message when the disk is full.
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
    """Turn the error of a full disk in the block into one that names `path`, the room needed and the room left.

    Args:
        path: The file, for the message.
        needed: Size of the file in bytes, if it is known.
        written_to: The path that the block writes to. Default: `path`.

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
        raise no_room(path, error=error, needed=needed, written=written) from None


def temporary_for(path: Path) -> Path:
    """Claim `path` and return a path beside it to write to first; `publish` completes it.

    The suffix is that of `path`, because Keras, NumPy and Matplotlib choose the format by it. Such files of processes
    that were killed are deleted, once for each folder and process.

    Raises:
        InputError: if there is something at `path` that latentsearch did not write.
    """
    claim(path)
    token = Record(path.parent).token()
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


def read_json(path: Path, mend: str) -> dict[str, Any]:
    """Read a JSON object that latentsearch wrote.

    Args:
        path: The file.
        mend: The command that writes it, for the error message.

    Raises:
        InputError: if it is missing, or not a JSON object.
    """
    try:
        check_size(path)
        text = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is missing.\nMake it first: {mend}") from None
    except (OSError, ValueError) as error:
        check_damage(error)
        raise InputError(f"{path} cannot be read ({error}).\nMake it again: {mend}") from None
    return parse_json(text, path, mend)


def parse_json(text: bytes, path: Path, mend: str) -> dict[str, Any]:
    """Parse the bytes of a JSON object that latentsearch wrote to `path`; see `read_json`.

    Raises:
        InputError: if they are not a JSON object.
    """
    try:
        content = json.loads(text, parse_int=_whole_number)
        if b"\\u" in text:  # half a character, but those that stand for the bytes of a file's name
            json.dumps(content, ensure_ascii=False).encode(errors="surrogateescape")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}).\nMake it again: {mend}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, expected a JSON object.\nMake it again: {mend}")
    return content


def _whole_number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def file_fingerprint(path: Path) -> str:
    """Compute the SHA-256 of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(content: bytes) -> str:
    """Compute the SHA-256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def check_free(*paths: Path) -> None:
    """Refuse paths that hold something which latentsearch did not write.

    Raises:
        InputError: naming the first such path.
    """
    for path in paths:
        if os.path.lexists(path) and (path.is_symlink() or path.name not in Record(path.parent).names()):
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
    record = Record(path.parent)
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
        raise InputError(f"{path} is not a folder, but one is needed there.\nMove it to another place.")
    make_folder(path.parent)
    above = Record(path.parent)
    if above.exists and path.name not in above.names():
        above.add(path.name)
    with writing(path):
        path.mkdir(exist_ok=True)
        if path.name not in TOP_FOLDERS:
            Record(path).token()
    return path


def rename_folder(before: Path, after: Path) -> Path:
    """Rename a recorded folder within its parent, and return the new path."""
    claim(after)
    before.rename(after)
    Record(before.parent).remove(before.name)
    return after


def written(folder: Path, *, but: tuple[str, ...] = ()) -> list[Path]:
    """List what latentsearch wrote to `folder` and is still there, without the names in `but`."""
    paths = [folder / name for name in sorted(Record(folder).names()) if name not in but]
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


def check_removable(*paths: Path, within: Path) -> None:
    """Refuse paths that `remove` would leave because they lie below a link.

    Raises:
        InputError: naming the first such path that is there.
    """
    for path in paths:
        if os.path.lexists(path) and _passes_a_link(path, within):
            raise InputError(
                f"{path} would be replaced, but a link leads to it, and nothing is deleted through a link.\n"
                "Give the folder that holds what the link leads to by --root, or choose another name with --run."
            )


def _passes_a_link(path: Path, within: Path) -> bool:
    above = [path, *path.parents]
    below = above[: above.index(within)] if within in above else above
    return any(part.is_symlink() for part in below)


def _remove(path: Path) -> None:
    record = Record(path.parent)
    if not os.path.lexists(path) or path.is_symlink():
        return
    if path.is_dir():
        for one in written(path):
            _remove(one)
        if path.name not in record.names() or any(one.name != RECORD for one in path.iterdir()):
            return
        (path / RECORD).unlink(missing_ok=True)
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
        if found and not path.is_symlink() and path.is_file() and not is_alive(int(found[1])):
            path.unlink(missing_ok=True)
