"""How a script starts and ends: flags from a dataclass, errors in words, an exit status."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro

from latentsearch.config import expand_home
from latentsearch.errors import InputError

Config = TypeVar("Config")


def print_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Prints rows under the names of their columns."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [columns, *([_cell(row.get(name, "")) for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(map(str.rjust, line, widths)) for line in cells)
    print("", *lines, "", sep="\n")


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hides what libraries write to standard error while they are imported, or convert a network: greetings."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def run_script(
    main: Callable[[Config], int | None], config_type: type[Config], description: str, name: str | None = None
) -> None:
    """Parses the command line into `config_type`, calls `main` with it, and exits.

    Args:
        main: What to do.
        config_type: A dataclass of flags.
        description: For --help.
        name: What the script calls itself. Default: its file.

    Exit status: what `main` returns (0 for None), 2 for input that cannot be used, 130 for Ctrl-C.
    """
    # TensorFlow's C++ side tells of CPU kernels and absent GPUs; what goes wrong reaches Python as an exception.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    script = name or Path(sys.argv[0]).name
    config = tyro.cli(config_type, prog=script, description=description, config=(tyro.conf.FlagCreatePairsOff,))
    for stream in (sys.stdout, sys.stderr):  # names that the encoding of the terminal lacks are escaped
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        config = _with_homes(config)
        seed = getattr(config, "seed", 0)
        if not 0 <= seed < 2**32:
            raise InputError(f"--seed {seed}: expected 0 to {2**32 - 1}.")
        status = main(config) or 0
    except InputError as error:
        print(f"{script}: {error}", file=sys.stderr)
        status = 2
    except OSError as error:  # a full disk, a folder that may not be read or written
        print(f"{script}: {error.filename or 'the operating system'}: {error.strerror or error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print(f"{script}: stopped.", file=sys.stderr)
        status = 130
    sys.exit(status)


_PATHS_IN_WORDS = ("source", "store")  # flags that name a path or something else


def _with_homes(config: Config) -> Config:
    """The flags with ~ for the home folder expanded: shells do so only where it begins a word, not in --gallery=~/a."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if isinstance(value, Path) or (field.name in _PATHS_IN_WORDS and isinstance(value, str)):
            changes[field.name] = type(value)(expand_home(str(value)))
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]
