"""A subprocess that runs jobs, and can be restarted."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from latentsearch import environment, files
from latentsearch.errors import InputError, NoRoom
from latentsearch.failures import is_disk_full, no_room

_LONGEST = 2_000_000  # seconds, which is all that the system can wait for at a time


class WorkFailed(Exception):
    """An error for a job without a result. The message is one line that says why."""


class _Child(NamedTuple):
    """A process that was started, and the connection with it."""

    process: SpawnProcess
    connection: Connection[Any, Any]


class Worker:
    """A subprocess that calls functions; it is started when it is needed, and again after it died.

    Args:
        prepare: Function that is called when the process has started, such as for slow imports: its time does not
            count for the first call.
        log: File for standard output and error of the process, and tracebacks.
        calls: Number of calls after which a new process is started, which frees the memory that libraries keep.
            Default: never.
    """

    def __init__(self, prepare: Callable[[], None], log: Path, calls: int | None = None) -> None:
        self._prepare = prepare
        self._log = log
        self._calls = calls
        self._calls_done = 0
        self._child: _Child | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def call(self, function: Callable[..., Any], *arguments: Any, seconds: float | None = None) -> Any:
        """Call `function(*arguments)` in the process, and return the result; all travel as pickles.

        Args:
            function: A function of a module.
            *arguments: Arguments of the function.
            seconds: Longest time; the process is killed when it takes longer.

        Raises:
            WorkFailed: if the function raised an exception, took longer, or its process died.
            NoRoom: if the disk was full: the next piece of work would fare no better.
        """
        if self._calls_done == self._calls:
            self.close()
        child = self._child or self._start()
        self._calls_done += 1
        try:
            child.connection.send((function, arguments))
        except OSError:
            raise self._death(child) from None
        return value_of(*self._receive(child, seconds))

    def close(self) -> None:
        """Kill the process, whatever it does."""
        if self._child is not None:
            self._child.process.kill()
            self._child.process.join()
            self._child.connection.close()
            self._child = None

    def _start(self) -> _Child:
        self._calls_done = 0
        files.claim(self._log)
        # Not a fork of this process: TensorFlow's threads do not survive one.
        context = multiprocessing.get_context("spawn")
        connection, other_end = context.Pipe()
        process = context.Process(target=_serve, args=(self._prepare, self._log, other_end), daemon=True)
        process.start()
        child = self._child = _Child(process, connection)
        other_end.close()  # so that the end of the process is the end of the connection
        succeeded, result = self._receive(child, None)
        if not succeeded:
            self.close()
            raise WorkFailed(result)
        return child

    def _receive(self, child: _Child, seconds: float | None) -> tuple[bool, Any]:
        try:
            if not child.connection.poll(None if seconds is None else min(seconds, _LONGEST)):
                self.close()
                raise WorkFailed(f"took more than {seconds:g} seconds: its process was killed")
            succeeded, result = child.connection.recv()
            return succeeded, result
        except (EOFError, OSError):
            raise self._death(child) from None

    def _death(self, child: _Child) -> WorkFailed:
        child.process.join()
        status = child.process.exitcode or 0  # known once it is joined
        self.close()
        if status >= 0:
            return WorkFailed(f"its process ended with exit status {status}; see {self._log.name}")
        why = ", as Linux does when memory runs out" if -status == signal.SIGKILL else f"; see {self._log.name}"
        return WorkFailed(f"its process was ended by signal {-status}{why}")


def _serve(prepare: Callable[[], None], log: Path, connection: Connection) -> None:
    """Call the functions that are sent, until the connection ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both processes: the other decides
    threading.Thread(target=environment.end_with_parent, daemon=True).start()
    for stream in (1, 2):
        os.dup2(_opened(log), stream)
    connection.send(outcome_of(prepare, ()))
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        connection.send(outcome_of(function, arguments))


def _opened(log: Path) -> int:
    try:
        return os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    except OSError:  # a full disk: the search will say so, of what it cannot do without
        return os.open(os.devnull, os.O_WRONLY)


def outcome_of(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    """Call a function; return whether it came to a result, and that, or why not: a line, or what a full disk raised."""
    try:
        return True, function(*arguments)
    except NoRoom as error:
        return False, error
    except InputError as error:
        return False, " ".join(str(error).split())
    except Exception as error:  # whatever a library raises is the end of this piece of work only
        if is_disk_full(error):
            return False, no_room(error=error)
        traceback.print_exc()
        return False, " ".join(f"{type(error).__name__}: {error}".split())[:300]


def value_of(succeeded: bool, result: Any) -> Any:
    """Return the result of a piece of work, or raise what `outcome_of` says of it."""
    if isinstance(result, NoRoom):
        raise result
    if not succeeded:
        raise WorkFailed(result)
    return result
