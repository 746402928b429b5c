"""A Spark cluster of two workers on this machine, for tests marked `engines`."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

MASTER = "local-cluster[2,1,1024]"
# Java would spend more time on making its programs fast than these tests run.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
MISSING = [name for name in ("pyspark", "pyarrow") if importlib.util.find_spec(name) is None]
MISSING += [] if shutil.which("java") else ["java"]
needs_spark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}: make test-engines installs it")


def executors(of: int | None = None) -> list[int]:
    """Ids of the processes that are executors of this process, or of another one."""
    return [process for process in _processes() if (of or os.getpid()) in _ancestors(process) and _is_executor(process)]


def executor_with_open(path: Path) -> int | None:
    """The executor in whose processes a file is open, None if there is none."""
    for process in _processes():
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) == str(path) for link in Path(f"/proc/{process}/fd").iterdir()):
                return next(filter(_is_executor, _ancestors(process)), None)
    return None


def _processes() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal()]


def _ancestors(process: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        while process > 1:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
            found.append(process)
    return found


def _is_executor(process: int) -> bool:
    with contextlib.suppress(OSError):
        return b"CoarseGrainedExecutorBackend" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def wait_for(condition: Callable[[], object], seconds: float = 120) -> object:
    """What the condition gives, once that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.1)
    raise TimeoutError(f"not within {seconds} seconds")
