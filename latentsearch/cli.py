"""How a script starts and ends: flags from a dataclass, errors in words, an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from latentsearch import terminal
from latentsearch.errors import InputError
from latentsearch.terminal import quiet_libraries
from latentsearch.text import printable

__all__ = ["print_table", "quiet_libraries", "run_script"]

sys.excepthook = terminal.stop_in_words  # Ctrl-C while the script imports what it needs

Config = TypeVar("Config")


def print_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Prints rows under the names of their columns."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [columns, *([_cell(row.get(name, "")) for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(map(str.rjust, line, widths)) for line in cells)
    print("", *lines, "", sep="\n")


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


def run_script(
    main: Callable[[Config], int | None], config_type: type[Config], description: str, name: str | None = None
) -> None:
    """Parses the command line into `config_type`, calls `main` with it, and exits.

    Args:
        main: What to do.
        config_type: A dataclass of flags.
        description: For --help.
        name: What the script calls itself. Default: its file.

    Exit status: see `terminal.exit_status`.
    """
    # TensorFlow's C++ side tells of CPU kernels and absent GPUs; what goes wrong reaches Python as an exception.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    script = name or Path(sys.argv[0]).name
    sys.exit(terminal.exit_status(script, lambda: _answer(script, main, config_type, description)))


def _answer(script: str, main: Callable[[Config], int | None], config_type: type[Config], description: str) -> int:
    import tyro  # what takes time to import comes when Ctrl-C ends in words

    config = tyro.cli(config_type, prog=script, description=description, config=(tyro.conf.FlagCreatePairsOff,))
    if not 0 <= getattr(config, "seed", 0) < 2**32:
        raise InputError(f"--seed {getattr(config, 'seed', 0)}: expected 0 to {2**32 - 1}.")
    return main(config) or 0
