"""How long does it take to find the 10 nearest of 60,000 and of 1,000,000 codes, by us and by others?

    python -m benchmarks.search

Codes are of CIFAR-10 images and of other views of them (see benchmarks/search_codes.py; a million take about five
minutes the first time). Each measurement has a process of its own; contenders come in turn, several rounds. What
requirements-benchmark.txt names and is not installed is left out. Then the growth of our index, at 1, 2, 4 and 8 times
125,000 codes. Prints tables and writes benchmarks/search.json and .png after each round; `--contenders` and `--sizes`
measure a part anew and keep the rest.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks import timing
from benchmarks.search_contenders import CONTENDERS, OURS
from benchmarks.search_figure import drawn
from benchmarks.search_timing import measured
from latentsearch.cli import print_table, run_script
from latentsearch.config import METRICS, ROOT, Metric
from latentsearch.errors import InputError

RESULTS = ROOT / "benchmarks" / "search.json"
_GROWTH_SIZES = (125_000, 250_000, 500_000, 1_000_000)
_TIMES = ("first_s", "build_s", "p50_ms", "p99_ms", "batch_s", "batch_cpu_s")


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    sizes: tuple[int, ...] = (60_000, 1_000_000)
    """Codes in the gallery."""

    contenders: tuple[str, ...] = ()
    """Names of what to measure. Default: all."""

    metrics: tuple[Metric, ...] = METRICS
    """How codes are compared."""

    rounds: int = 5
    """Measurements of each contender; those that take minutes are measured once."""

    growth: bool = True
    """Whether to measure growth too."""

    run: str = "cifar10-compact"
    """Trained run whose encoder makes the codes; coding a million with cifar10-deep takes an hour and more."""


def main(config: BenchmarkConfig) -> None:
    """Measures what `config` names and writes all that is known."""
    unknown = [name for name in config.contenders if name not in CONTENDERS]
    if unknown:
        raise InputError(f"--contenders {unknown[0]!r}: expected some of {', '.join(map(repr, CONTENDERS))}.")
    record = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": [], "growth": []}
    absent: set[str] = set()
    for size, metric in itertools.product(config.sizes, config.metrics):
        for number, name in _turns(config, metric):
            if name not in absent:
                try:
                    row = measured(config.run, size, name, metric)
                except BrokenProcessPool:
                    print(f"{size:>9,} {metric:<9} round {number} {name}: its process crashed; left out", flush=True)
                    continue
                if row is None:
                    absent.add(name)
                    print(f"{name} is not installed (requirements-benchmark.txt): left out", flush=True)
                else:
                    _keep(record, "rows", {**row, "round": number})
                    print(f"{size:>9,} {metric:<9} round {number} {_short(row)}", flush=True)
    if config.growth:
        for number, size in itertools.product(range(config.rounds), _GROWTH_SIZES):
            _keep(record, "growth", {**measured(config.run, size, OURS, "cosine"), "round": number})
    _report(record, config.run)


def _turns(config: BenchmarkConfig, metric: Metric) -> Iterator[tuple[int, str]]:
    """Round and name of each measurement, in turn."""
    for number in range(config.rounds):
        for name, contender in CONTENDERS.items():
            wanted = name in (config.contenders or CONTENDERS) and metric in contender.metrics
            if wanted and (contender.is_quick or number == 0):
                yield number, name


def _keep(record: dict[str, Any], part: str, row: dict[str, Any]) -> None:
    """Puts a row in the place of an older one of the same question, and writes the record."""
    from latentsearch import environment, files

    key = ("run", "size", "metric", "contender", "round")
    record[part] = [old for old in record[part] if [old[k] for k in key] != [row[k] for k in key]] + [row]
    record["environment"] = environment.environment()
    RESULTS.write_text(files.as_json(record), encoding="utf-8")


def _short(row: dict[str, Any]) -> str:
    times = ", ".join(f"{name} {row[name]:.4g}" for name in _TIMES)
    return f"{row['contender']:<28} {times}, recall {row['recall']:.4f}"


def _report(record: dict[str, Any], run: str) -> None:
    """Prints the tables and draws the figure."""

    rows = summary([row for row in record["rows"] if row["run"] == run])
    order = list(CONTENDERS)
    for size, metric in itertools.product(sorted({row["size"] for row in rows}), METRICS):
        alike = [row for row in rows if (row["size"], row["metric"]) == (size, metric)]
        if alike:
            print(f"\n{size:,} codes of {run}, {metric}: medians, and lowest to highest of 10,000 queries")
            print_table([
                {
                    "contender": row["contender"],
                    "first answer s": row["first_s"][0],
                    "build s": row["build_s"][0],
                    "p50 ms": row["p50_ms"][0],
                    "p99 ms": row["p99_ms"][0],
                    "10,000 queries s": row["batch_s"][0],
                    "spread": "{1:.3g} to {2:.3g}".format(*row["batch_s"]) + ("" if row["whole"] else ", from a part"),
                    "of all cores s": row["batch_cpu_s"][0],
                    "MB more": row["memory_mb"][0],
                    "recall@10": f"{row['recall']:.4f}",
                }
                for row in sorted(alike, key=lambda row: order.index(row["contender"]))
            ])  # fmt: skip
    drawn(rows, order).savefig(RESULTS.with_suffix(".png"), dpi=110)
    growth = summary([row for row in record["growth"] if row["run"] == run])
    if growth:
        print(f"\nGrowth of {OURS}, cosine; exponents: the slope of a line through the logarithms")
        names = ("build_s", "batch_s", "p50_ms", "memory_mb")
        table = [{"codes": f"{row['size']:,}", **{name: f"{row[name][0]:.4g}" for name in names}} for row in growth]
        print_table([*table, {"codes": "exponent", **{name: f"{exponent(growth, name):.2f}" for name in names}}])


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a question: (median, lowest, highest) of each time over the rounds, and the lowest recall."""
    groups: dict[tuple[int, str, str], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["size"]):
        groups.setdefault((row["size"], row["metric"], row["contender"]), []).append(row)
    return [
        {
            "size": size,
            "metric": metric,
            "contender": name,
            "exact": group[0]["exact"],
            "whole": all(row["batch_queries"] == row["all_queries"] for row in group),
            "recall": min(row["recall"] for row in group),
        }
        | {
            value: (median(numbers), min(numbers), max(numbers))
            for value in (*_TIMES, "memory_mb")
            for numbers in [[row[value] for row in group]]
        }
        for (size, metric, name), group in groups.items()
    ]


def exponent(growth: list[dict[str, Any]], name: str) -> float:
    """b of the fit `value = a * size**b` to the medians."""
    return timing.exponent([row["size"] for row in growth], [max(row[name][0], 1e-6) for row in growth])


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
