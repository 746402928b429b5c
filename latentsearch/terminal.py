"""The terminal of a script: messages that any terminal can show, and an end in words and a status, not a traceback."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType

from latentsearch import failures
from latentsearch.errors import InputError
from latentsearch.text import printable

_STOPPED, _UNREAD = 130, 141  # what shells give for Ctrl-C, and for a pipe that nobody reads


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hide the greetings that libraries write to standard error while they are imported or convert a network.

    A process that a library aborts meanwhile, for want of memory, still says so.
    """
    try:
        kept = os.dup(2)
    except OSError:  # it is closed: there is nothing to hide
        yield
        return
    tells = not faulthandler.is_enabled()
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        if tells:
            faulthandler.enable(kept, all_threads=False)
        yield
    finally:
        if tells:
            faulthandler.disable()
        os.dup2(kept, 2)
        os.close(kept)


def exit_status(script: str, work: Callable[[], int]) -> int:
    """Run the work of a script, and report what went wrong in words.

    Args:
        script: Name in messages.
        work: Function that returns the exit status.

    Returns:
        That of `work`; 2 for what cannot be used, or what the machine lacks; 130 for Ctrl-C; 141 when nobody reads the
        output any more, as with `| head`.
    """
    open_streams()
    try:
        with _stopped_at_once(script):
            status = work()
            sys.stdout.flush()
            return status
    except InputError as error:
        return _told(script, str(error))
    except KeyboardInterrupt:
        return _told(script, "stopped.", _STOPPED)
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and (lost := _lost_output()):
            return _UNREAD if isinstance(lost, BrokenPipeError) else _told(script, f"its output: {lost.strerror}")
        words = _in_words(error)
        if words is None:
            raise
        return _told(script, words)


def open_streams() -> None:
    """Make standard input, output and error usable, whatever this process was given.

    Those that are closed lead nowhere: else the next file that is opened would get their number, and what libraries
    write to it. Characters that the terminal lacks are escaped.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115 - to the end
            setattr(sys, name, nowhere)
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def stop_in_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Replace `sys.excepthook`: report Ctrl-C before the work of a script has begun without a traceback."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    _told(Path(sys.argv[0]).name, "stopped.")
    os._exit(_STOPPED)


def _told(script: str, words: str, status: int = 2) -> int:
    """Write a message to standard error, if that is possible, and return `status`."""
    try:
        print(f"{script}: {printable(words, lines=True)}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    return status


def _in_words(error: Exception) -> str | None:
    """Describe an error of the machine; None for one that is a mistake in this program."""
    if failures.is_disk_full(error):
        return str(failures.no_room(error=error))
    if failures.is_out_of_memory(error) or (not isinstance(error, OSError) and failures.has_used_its_memory()):
        return _short((str(error) or type(error).__name__).splitlines()[0][:200])
    if isinstance(error, OSError):  # a folder that may not be read or written
        return f"{error.filename or 'the operating system'}: {error.strerror or error}"
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # of a path that a user gave
        return f"{error}: a link leads to itself. Give another path, or remove the link."
    return None


def _short(what: str) -> str:
    return (
        f"there was too little memory ({what}).\nNo file is damaged by that. End other programs, or allow this one "
        "more (ulimit -v, the limit of its container), then call this again."
    )


def _lost_output() -> OSError | None:
    """Flush what was printed; throw it away and return the error if it cannot be written, else None."""
    lost = None
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is sys.stdout:
                stream.write("\n")  # without a buffer nothing is left to be flushed
            stream.flush()
        except OSError as error:
            lost = error
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return lost


@contextlib.contextmanager
def _stopped_at_once(script: str) -> Iterator[None]:
    """End the process at once on Ctrl-C during an import in the block: libraries turn the exception into other errors.

    Only whole files are written by then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = os.dup(2)

    def stop(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                # OpenBLAS sends this signal when it lacks memory.
                short = failures.has_used_its_memory()
                words = _short("a library gave up") if short else "stopped."
                with contextlib.suppress(OSError):
                    os.write(kept, f"{script}: {words}\n".encode(errors="backslashreplace"))
                os._exit(2 if short else _STOPPED)
            frame = frame.f_back
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)
        os.close(kept)
