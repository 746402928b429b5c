"""How a script starts and ends: flags from a dataclass, errors in words, an exit status."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import sys
import textwrap
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO, TypeVar

import tyro

import latentsearch
from latentsearch import help as help_text
from latentsearch.errors import InputError
from latentsearch.help import WIDTH

Config = TypeVar("Config")

_BETWEEN = "  "
_NARROW = 6  # columns are not folded to less


def print_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows under the names of their columns, text to the left, numbers to the right, 80 columns wide at most.

    The widest columns of text are folded where the table would be wider.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [columns, *([_cell(row.get(name, "")) for name in columns] for row in rows)]
    numeric = [all(_is_number(line[column]) for line in cells[1:]) for column in range(len(columns))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    room = WIDTH - len(_BETWEEN) * (len(widths) - 1)
    while sum(widths) > room:
        widest = max((width, column) for column, width in enumerate(widths) if not numeric[column] or width > _NARROW)
        widths[widest[1]] = max(widest[0] - 1, _NARROW)
        if widths[widest[1]] == widest[0]:
            break  # too many columns: nothing to fold
    print("")
    for line in cells:
        folded = [_fold(cell, width) for cell, width in zip(line, widths, strict=True)]
        for parts in itertools.zip_longest(*folded, fillvalue=""):
            aligned = [
                part.rjust(width) if right else part.ljust(width)
                for part, width, right in zip(parts, widths, numeric, strict=True)
            ]
            print(_BETWEEN.join(aligned).rstrip())
    print("")


def _fold(cell: str, width: int) -> list[str]:
    return textwrap.wrap(cell, width, break_on_hyphens=False) if len(cell) > width else [cell]


def _is_number(cell: str) -> bool:
    return not cell or cell[0].isdigit() or (cell[0] in "-+" and cell[1:2].isdigit())


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
    """Parse the command line into `config_type`, call `main` with it, and exit.

    Args:
        main: What to do.
        config_type: A dataclass of flags.
        description: For --help.
        name: What the script calls itself. Default: its file.

    Exit status: what `main` returns (0 for None), 2 for input that cannot be used, 130 for Ctrl-C, 141 when nobody
    reads the output any more, as with `| head`.
    """
    # TensorFlow's C++ side tells of CPU kernels and absent GPUs; what goes wrong reaches Python as an exception.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    script = name or Path(sys.argv[0]).name
    try:
        status = _answer(script, main, config_type, description)
        sys.stdout.flush()
    except InputError as error:
        print(f"{script}: {error}", file=sys.stderr)
        status = 2
    except OSError as error:  # a full disk, a folder that may not be read or written
        if isinstance(error, BrokenPipeError) and _silence_closed_output():
            status = 141
        else:
            print(f"{script}: {error.filename or 'the operating system'}: {error.strerror or error}", file=sys.stderr)
            status = 2
    except KeyboardInterrupt:
        print(f"{script}: stopped.", file=sys.stderr)
        status = 130
    sys.exit(status)


def _answer(script: str, main: Callable[[Config], int | None], config_type: type[Config], description: str) -> int:
    words = sys.argv[1:]
    if {"--help", "-h", "--help-all"} & set(words):
        print(help_text.text(script, description, config_type, whole="--help-all" in words))
        return 0
    if "--version" in words:
        print(f"latentsearch {latentsearch.__version__}")
        return 0
    config = tyro.cli(config_type, args=_spelt_out(words, config_type), prog=script, add_help=False)
    if not 0 <= getattr(config, "seed", 0) < 2**32:
        raise InputError(f"--seed {getattr(config, 'seed', 0)}: expected 0 to {2**32 - 1}.")
    return main(config) or 0


def _spelt_out(words: Sequence[str], config_type: type[Config]) -> list[str]:
    """Give --flip and --no-flip the value that tyro wants where None is possible too; --flip False stays as it is."""
    values = {}
    for name, hint in typing.get_type_hints(config_type).items():
        if hint is not bool and help_text.is_switch(hint):
            flag = "--" + name.replace("_", "-")
            values |= {flag: [flag, "True"], flag.replace("--", "--no-", 1): [flag, "False"]}
    following = [*words, ""][1:]
    return [
        part
        for word, after in zip(words, following, strict=True)
        for part in ([word] if after in ("True", "False") else values.get(word, [word]))
    ]


def _silence_closed_output() -> bool:
    """Whether standard output or error is a pipe that nobody reads; what is left in it is thrown away then."""
    closed = [stream for stream in (sys.stdout, sys.stderr) if _is_closed(stream)]
    for stream in closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(closed)


def _is_closed(stream: TextIO) -> bool:
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return bool(poll.poll(0))
    except (AttributeError, OSError, ValueError):  # no poll on this system, or no file
        try:
            stream.flush()
        except BrokenPipeError:
            return True
        return False
