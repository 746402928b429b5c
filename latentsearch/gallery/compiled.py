"""Functions in C, compiled for this processor when they are first needed, and kept beside the bytecode of Python."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from latentsearch import files
from latentsearch.environment import CODE, processor_features
from latentsearch.errors import InputError

SOURCE = Path(__file__).with_name("nearest.c")
_OPTIONS = ("-O3", "-std=gnu11", "-shared", "-fPIC", "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math")
_FOR_THIS_PROCESSOR = (("-march=native",), ("-mcpu=native",), ())  # the first that the compiler knows
_SECONDS = 60.0  # for compiling, and for trying
_one_at_a_time = threading.Lock()


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the functions of nearest.c, or None where they cannot be had.

    They are compiled by $CC, or by cc, once for each processor; a process of its own tries them first. None: there is
    no compiler, it does not know vectors, the folder cannot be written to, or the trial fails.
    """
    try:
        path = _kept_as()
        with _one_at_a_time:
            if not path.exists():
                _compile(path)
        return declared(path)
    except (OSError, subprocess.SubprocessError, ValueError, InputError):
        return None


def declared(path: Path) -> ctypes.CDLL:
    """Open a library, with the types of its functions.

    Raises:
        OSError: if it cannot be opened.
    """
    functions = ctypes.CDLL(str(path))
    array, number = ctypes.c_void_p, ctypes.c_int64
    functions.latentsearch_build.argtypes = [array, array, array, array, array, number, number, number]
    functions.latentsearch_search.argtypes = [
        *(array, array, array, array, number, number, ctypes.c_int),
        *(array, number, number, array, array),
    ]
    functions.latentsearch_build.restype = functions.latentsearch_search.restype = None
    return functions


def _kept_as() -> Path:
    """Name the file of the library: another source, other options or another processor have another."""
    made_of = (SOURCE.read_bytes(), repr(_OPTIONS).encode(), processor_features().encode())
    digest = hashlib.sha256(b"\0".join(made_of)).hexdigest()[:16]
    return Path(importlib.util.cache_from_source(str(SOURCE))).with_name(f"{SOURCE.stem}-{digest}.so")


def _compile(path: Path) -> None:
    """Compile the library, try it, and only then put it where it is looked for.

    Raises:
        OSError: if there is no compiler, or the folder cannot be written to.
        InputError: if the disk is full, or something else is there.
        subprocess.SubprocessError: if it cannot be compiled, or the trial fails.
    """
    compiler = shlex.split(os.environ.get("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        raise FileNotFoundError(f"No C compiler {compiler[0]}.")
    with files.replacing(path) as made:
        for number, options in enumerate(_FOR_THIS_PROCESSOR):
            try:
                _run([*compiler, *_OPTIONS, *options, str(SOURCE), "-o", str(made), "-lm"])
                break
            except subprocess.CalledProcessError:
                if number + 1 == len(_FOR_THIS_PROCESSOR):
                    raise
        # An instruction that this processor does not know ends that process, not this one.
        _run([sys.executable, "-m", "latentsearch.gallery.native_tree", str(made)])


def _run(command: list[str]) -> None:
    subprocess.run(command, cwd=CODE, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_SECONDS)
