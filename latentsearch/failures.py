"""A full disk and a lack of memory, recognised in whatever error a library raises."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from latentsearch.errors import InputError, NoRoom

try:
    import resource  # now: when memory is short, nothing can be imported any more
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_NEAR = 0.7  # a large piece is refused before the limit is reached
_NO_ROOM = re.compile(
    r"No space left on device|[Dd]isk quota exceeded"
    r"|\d+ requested and \d+ written"  # NumPy, which does not say why
)
_NO_MEMORY = re.compile(
    r"[Cc]annot allocate memory|failed to map segment|can't start new thread|bad_alloc"
    r"|[Uu]nable to allocate|[Ff]ailed to allocate|[Oo]ut of memory"
)


def is_disk_full(error: BaseException) -> bool:
    """Tell whether an error, or one that caused it, says that the disk was full."""
    return any(
        getattr(one, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _NO_ROOM.search(_text(one))
        for one in chain(error)
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error, or one that caused it, says that there was too little memory."""
    return not is_disk_full(error) and any(
        isinstance(one, MemoryError)
        or getattr(one, "errno", None) == errno.ENOMEM
        # TensorFlow's, which is not imported for this.
        or type(one).__name__ == "ResourceExhaustedError"
        or _NO_MEMORY.search(_text(one))
        for one in chain(error)
    )


def has_used_its_memory() -> bool:
    """Tell whether this process came near to a limit of its memory: libraries may raise any error then."""
    if resource is None:
        return False
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return False
    try:
        peak = re.search(r"VmPeak:\s+(\d+)", Path("/proc/self/status").read_text())
        return peak is not None and int(peak[1]) * 1024 > _NEAR * limit
    except (OSError, MemoryError):
        return True


def check_damage(error: BaseException) -> None:
    """Raise an error again that says nothing about the file that was read: memory was short, or the disk was full."""
    if is_out_of_memory(error) or is_disk_full(error):
        raise error


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that caused it, each once, up to the first that is in our own words."""
    one: BaseException | None = error
    seen: list[BaseException] = []  # libraries raise chains that go in a circle
    while one is not None and not isinstance(one, InputError) and not any(one is other for other in seen):
        yield one
        seen.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def no_room(
    path: Path | None = None, *, error: BaseException | None = None, needed: int | None = None, written: int = 0
) -> NoRoom:
    """Return the error for a file that cannot be written because the disk is full.

    Args:
        path: The file. Default: the one that `error` names.
        error: What was raised. It may be about a temporary file of a library, on another disk.
        needed: Size of the file in bytes, if it is known.
        written: Bytes that were written, and are deleted again.
    """
    path = path or Path(getattr(error, "filename", None) or "A file of this stage")
    room = f"{needed:,} bytes" if needed is not None else f"more than {written:,} bytes"
    temporary = _temporary_folder(error, path)
    if temporary is not None:
        return NoRoom(
            f"{path} cannot be written: the disk of temporary files is full.\n"
            f"{shutil.disk_usage(temporary).free:,} bytes are left in {temporary}. Make room there, or name another "
            "folder by the environment variable TMPDIR, then call this again: what was there before is as it was."
        )
    folder = next((one for one in (path, *path.parents) if one.is_dir()), Path())
    try:
        left = shutil.disk_usage(folder).free
    except OSError:
        return NoRoom(f"{path} cannot be written: the disk is full. It takes {room}.")
    # Where there is room for it, somebody gave this user, or the files of this kind, less of it.
    why = "the disk is full" if left <= (needed or written) else "the disk, or this user's part of it, is full"
    return NoRoom(
        f"{path} cannot be written: {why}.\nIt takes {room}; {left:,} bytes are left in {folder}. "
        "Make room there, then call this again: what was there before is as it was."
    )


def _temporary_folder(error: BaseException | None, path: Path) -> Path | None:
    """The folder of temporary files, if an error names a file there that is not beside `path`."""
    folder = tempfile.tempdir  # None: nobody asked for it yet
    if error is None or folder is None:
        return None
    texts = [_text(one) for one in chain(error)]
    is_there = any(f"{folder}{os.sep}" in text and str(path.parent.absolute()) not in text for text in texts)
    return Path(folder) if is_there else None


def _text(error: BaseException) -> str:
    return str(error)[:2000]
