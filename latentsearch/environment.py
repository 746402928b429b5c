"""The environment: package versions, commit, processor and cores."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CODE = Path(__file__).resolve().parent.parent
"""Folder that holds the package."""

_RECORDED_PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "faiss-cpu", "ai-edge-litert")


def environment() -> dict[str, Any]:
    """Return what shaped an artefact beside its settings: time, package versions, commit and processor."""
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _RECORDED_PACKAGES},
        "commit": _commit(),
        "machine": f"{_processor()}, {num_cores()} cores",
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # under another name, such as tensorflow-cpu
        return None


def num_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _commit() -> str | None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(CODE), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def end_with_parent() -> None:
    """Wait for the end of the process that started this one by `multiprocessing`, even by kill -9; then end this one.

    Nobody would read its results.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def is_alive(process: int) -> bool:
    """Tell whether a process of this machine, by its number, has not ended."""
    if os.name == "nt":  # there os.kill ends the process that it is to look for
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def has_bfloat16() -> bool:
    """Tell whether this processor multiplies bfloat16 itself; False where that is not known."""
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(_cpuinfo("flags").split() + _cpuinfo("Features").split()))


def processor_features() -> str:
    """Describe which instructions this processor knows, as far as it tells."""
    features = _cpuinfo("flags") or _cpuinfo("Features") or platform.processor()
    return f"{platform.system()} {platform.machine()} {features}"


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(name: str) -> str:
    """Look up a property of the first processor in Linux's list; empty if it is not there."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(name):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return ""
