"""How benchmarks measure: contenders in turn, several times, in processes of their own where memory counts."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from latentsearch import machine, runs
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


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median, smallest and largest, to so many significant digits."""
    named = {"median": median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.{digits}g}") for name, value in named.items()}


def alone(function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """What a function gives in a new process, its seconds there, and by how much it let the memory grow.

    Args:
        function: Of a module, by name; imports what it needs itself, so that this is measured too.
        *arguments: Of the function.

    Returns:
        result, seconds, and "MB at most" of the whole process.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (function, arguments))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The power of the size by which values grow: the slope of a straight line through their logarithms."""
    return round(float(np.polyfit(np.log(sizes), np.log(values), 1)[0]), 2)


def save(name: str, **content: Any) -> Path:
    """Writes benchmarks/<name>.json, with the environment; returns its path."""
    path = FOLDER / f"{name}.json"
    runs.write_json(path, content | {"environment": machine.environment()})
    return path


def _measured(function: Callable[..., Any], arguments: tuple[Any, ...]) -> dict[str, Any]:
    begin = time.perf_counter()
    result = function(*arguments)
    seconds = time.perf_counter() - begin
    return {
        "result": result,
        "seconds": seconds,
        "MB at most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
