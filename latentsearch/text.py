"""Escapes for text from files and records, by its destination; templates escape it for HTML."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

# What begins a formula in a spreadsheet, in wide characters too. Tabs and line breaks are escaped before.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def printable(text: str | Path, *, lines: bool = False) -> str:
    """Escape text for a terminal: one line, without controls that move its cursor, whatever the text holds.

    Args:
        text: May hold bytes that are no characters, as names of files do.
        lines: Leave line breaks as they are.
    """
    # Names of files keep bytes that are no characters as halves of surrogate pairs.
    whole = str(text).encode("utf-8", "surrogateescape" if _is_decodable(str(text)) else "backslashreplace")
    characters = whole.decode("utf-8", "backslashreplace")
    return "".join(
        char if char.isprintable() or (lines and char == "\n") else char.encode("unicode_escape").decode()
        for char in characters
    )


def shortened(text: str, most: int = 40) -> str:
    """Cut the middle out of a text for a figure, which has room for `most` characters: names differ at their ends."""
    return text if len(text) <= most else f"{text[: most - most // 3 - 1]}\u2026{text[-(most // 3) :]}"


def percentage(value: float) -> str:
    """Write a percentage, with more digits near 100; cut, not rounded, so that 100 means all."""
    digits = 0 if value >= 100 else 2 if value >= 99 else 1 if value >= 90 else 0
    return f"{math.floor(value * 10**digits) / 10**digits:.{digits}f} %"


def csv_cell(value: object) -> object:
    """Escape a value for a CSV file: text that a spreadsheet would take for a formula gets a leading '.

    Args:
        value: Text; anything else stays as it is.
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file: text escaped, floats with six digits, None and NaN as nothing.

    Args:
        path: The file.
        columns: Their names.
        rows: A value a column.
    """
    with open(path, "w", encoding="utf-8", newline="") as file:
        _write_rows(file, columns, rows)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return the content of the CSV file that `write_csv` writes."""
    file = io.StringIO(newline="")
    _write_rows(file, columns, rows)
    return file.getvalue()


def _write_rows(file: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([csv_cell(name) for name in columns])
    writer.writerows([_number(csv_cell(value)) for value in row] for row in rows)


def _number(value: object) -> object:
    if not isinstance(value, float):
        return value
    return "" if value != value else f"{value:.6g}"  # noqa: PLR0124 - NaN is the one that differs from itself


def _is_decodable(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a half of a pair that stands for no byte
        return False
    return True
