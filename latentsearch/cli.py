"""Start and end of a script: flags from a dataclass, errors in words, an exit status."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import os
import sys
import textwrap
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import latentsearch
from latentsearch import help as help_text
from latentsearch import terminal
from latentsearch.config import expand_home
from latentsearch.errors import InputError
from latentsearch.help import WIDTH
from latentsearch.terminal import quiet_libraries
from latentsearch.text import printable

__all__ = ["paragraph", "print_table", "quiet_libraries", "run_script"]

sys.excepthook = terminal.stop_in_words  # Ctrl-C while the script imports what it needs

Config = TypeVar("Config")

_BETWEEN = "  "
_NARROW = 6  # columns are not folded to less


def print_table(rows: Sequence[Mapping[str, object]], *, heading: str | None = None) -> None:
    """Print rows under the names of their columns, text to the left, numbers to the right, 80 columns wide at most.

    The widest columns of text are folded where the table would be wider.

    Args:
        rows: A cell for each column.
        heading: Name of a column whose cells, where they are not empty, are lines above their rows.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row if name != heading))
    headings = ["", *("" if heading is None else printable(str(row.get(heading, ""))) for row in rows)]
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
    for line, above in zip(cells, headings, strict=True):
        if above:
            print(above)
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
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


def run_script(
    main: Callable[[Config], int | None], config_type: type[Config], description: str, name: str | None = None
) -> None:
    """Parse the command line into `config_type`, call `main` with it, and exit.

    Args:
        main: The work of the script; it may return an exit status.
        config_type: A dataclass of flags.
        description: Text of the help.
        name: Name in messages. Default: the name of the file.

    Exit status: see `terminal.exit_status`.
    """
    # TensorFlow's C++ side tells of CPU kernels and absent GPUs; what goes wrong reaches Python as an exception.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    script = name or Path(sys.argv[0]).name
    sys.exit(terminal.exit_status(script, lambda: _answer(script, main, config_type, description)))


def _answer(script: str, main: Callable[[Config], int | None], config_type: type[Config], description: str) -> int:
    words = sys.argv[1:]
    if {"--help", "-h", "--help-all"} & set(words):
        print(help_text.text(script, description, config_type, whole="--help-all" in words))
        return 0
    if "--version" in words:
        print(f"latentsearch {latentsearch.__version__}")
        return 0
    import tyro  # what takes time to import comes when Ctrl-C ends in words

    words = [f"./{word}" if _is_file_like_a_flag(word) else word for word in words]
    try:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            config = tyro.cli(config_type, args=_spelt_out(words, config_type), prog=script, add_help=False)
    except SystemExit:
        wrong = help_text.refusal(words, config_type) or said.getvalue().strip()
        raise InputError(f"{wrong}\nAll flags: python {script} --help-all".replace("python python", "python")) from None
    config = _with_homes(config)
    seed = getattr(config, "seed", 0)
    if not 0 <= seed < 2**32:
        raise InputError(f"--seed {seed}: expected 0 to {2**32 - 1}.")
    return main(config) or 0


def _is_file_like_a_flag(word: str) -> bool:
    """Whether a word is a file whose name begins as a flag does: shells give such names for *.jpg."""
    return word.startswith("-") and not word.startswith("--") and len(word) > 1 and os.path.lexists(word)


def _spelt_out(words: Sequence[str], config_type: type[Config]) -> list[str]:
    """Give --flip and --no-flip the value that tyro wants where None is possible too; --flip False stays as it is."""
    values: dict[str, list[str]] = {}
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


def paragraph(text: str) -> str:
    """Break a text into lines of at most 80 columns, the first one farther left; paths and flags stay whole."""
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)


_PATHS_IN_WORDS = ("source", "store")  # flags that name a path or something else


def _with_homes(config: Config) -> Config:
    """Expand ~ in the flags to the home folder: shells do so only where it begins a word, not in --gallery=~/a."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if isinstance(value, Path) or (field.name in _PATHS_IN_WORDS and isinstance(value, str)):
            changes[field.name] = type(value)(expand_home(str(value)))
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]
