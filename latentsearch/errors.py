"""The errors that a user can mend."""

from __future__ import annotations


class InputError(Exception):
    """An error for input that latentsearch cannot use.

    The message says what came, what was expected, and the command or flag that mends it.
    The scripts print it without a traceback and exit with status 2.
    """


class NoRoom(InputError):
    """A file cannot be written, as the disk is full."""
