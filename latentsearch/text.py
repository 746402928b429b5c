"""Text for people: names of files as they can be printed."""

from __future__ import annotations

import os
from pathlib import Path


def printable(path: str | Path) -> str:
    """Return a path as one printable line: control and undecodable characters become escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
