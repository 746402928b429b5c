"""Locks between processes: one preparation of a dataset, one training of a run, one synchronisation of a gallery."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock

from latentsearch.errors import InputError
from latentsearch.files import claim, writing
from latentsearch.text import printable


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
        print(f"{holder}: waiting until that has ended.", file=sys.stderr)  # JSON may go to standard output
        lock.acquire()
    try:
        with writing(path):
            path.write_text(f"process {os.getpid()} on {platform.node()}")
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    try:
        return printable(path.read_text(encoding="utf-8")) or "another process"
    except (OSError, ValueError):
        return "another process"
