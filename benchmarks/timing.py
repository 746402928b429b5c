"""How benchmarks measure: contenders in turn, several times, in processes of their own where memory counts."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from latentsearch import environment, files
from latentsearch.config import ROOT

FOLDER = ROOT / "benchmarks"


def in_turn(contenders: Mapping[str, Callable[[], Any]], *, repeats: int) -> dict[str, list[float]]:
    """Seconds that each contender takes, `repeats` times, one after the other in each round; a first round, in which
    all get ready, is not counted.

    Args:
        contenders: What to call, by name.
        repeats: Rounds that count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(repeats + 1):
        for name, call in contenders.items():
            begin = time.perf_counter()
            call()
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def in_processes(measure: Callable[..., dict[str, float]], *arguments: Any, repeats: int) -> dict[str, list[float]]:
    """What a function measures, `repeats` times, each in a new process: no round gains by what another has prepared.

    Args:
        measure: Function of a module, by name; returns seconds, or what else is measured, by the name of the contender.
        *arguments: Of the function.
        repeats: Rounds.
    """
    rounds = [apart(measure, *arguments) for _ in range(repeats)]
    return {name: [one[name] for one in rounds] for name in rounds[0]}


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median, smallest and largest, to so many significant digits."""
    named = {"median": median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.{digits}g}") for name, value in named.items()}


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives in a new process, whose memory and imports are its own.

    Args:
        function: Of a module, by name; imports what it needs itself.
        *arguments: Of the function.

    Raises:
        BrokenProcessPool: if the process dies.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_memory() -> int:
    """Peak of the memory of this process in MB, and at least that of the process that started it until then.

    So a process whose children are measured must stay small: what needs much memory is done `apart`.
    """
    return in_megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def in_megabytes(maxrss: int) -> int:
    """`ru_maxrss`, which macOS gives in bytes and others in KiB, in MB of 2**20 bytes."""
    return maxrss // (2**20 if sys.platform == "darwin" else 2**10)


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The power of the size by which values grow: the slope of a straight line through their logarithms."""
    return round(float(np.polyfit(np.log(sizes), np.log(values), 1)[0]), 2)


def save(name: str, **content: Any) -> Path:
    """Writes benchmarks/<name>.json, with the environment; returns its path."""
    path = FOLDER / f"{name}.json"
    path.write_text(files.as_json(content | {"environment": environment.environment()}), encoding="utf-8")
    return path
