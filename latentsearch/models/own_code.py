"""Functions of the user's, named as MODULE:FUNCTION."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from latentsearch.errors import InputError

EXAMPLE = "docs/extending.md has a complete example."


def load(flag: str, name: str, *, such_as: str) -> tuple[Callable[..., Any], Path]:
    """Import a function.

    Args:
        flag: Name of the flag, for messages.
        name: MODULE:FUNCTION; the module is looked for in the current folder, too.
        such_as: Example of a value of the flag.

    Returns:
        The function, and the file of its module.

    Raises:
        InputError: if there is no such function, or its module cannot be imported.
    """
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        raise InputError(f"{flag} {name}: expected MODULE:FUNCTION, such as {such_as}. {EXAMPLE}")
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(
            f"{flag} {name}: the module {module_name} cannot be imported from {folder}: {in_short(error)}\n{EXAMPLE}"
        ) from error
    finally:
        sys.path.remove(folder)
    function = getattr(module, function_name, None)
    if not callable(function) or module.__file__ is None:
        raise InputError(f"{flag} {name}: {module.__file__} has no function {function_name}. {EXAMPLE}")
    return function, Path(module.__file__)


def in_short(error: Exception) -> str:
    """Describe an error, and the line of the user's that it came from."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is ours
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{place}"
