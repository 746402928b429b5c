"""Does any damaged file end in more than a clear refusal: another exception, a crash, a hang, or gigabytes of memory?

    python -m benchmarks.fuzz --cases 20000 --seed 0
    python -m benchmarks.fuzz --only "image files"

Damages whole files (see fuzzing/damage.py) and gives them to every reader of outside data (see fuzzing/readers.py),
each reader in a process of its own with bounded time and address space. Prints a table and writes
benchmarks/fuzz.json, where the rows of other readers stay. Exits with status 1 if a case ended badly; it is named.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from fuzzing.damage import attempt
from fuzzing.readers import READERS
from latentsearch import environment, files
from latentsearch.cli import print_table, run_script
from latentsearch.config import ROOT
from latentsearch.errors import InputError

RESULTS = ROOT / "benchmarks" / "fuzz.json"
# Readers that take much longer than the others, and the share of the cases that they get.
SHARES = {
    "weights": 0.05,
    "gallery.npz": 0.05,
    "galleries of folders": 0.05,
    "arrays of a dataset": 0.25,
    "CIFAR-10 batches": 0.5,
}
_BAD = "BAD: "


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    cases: int = 20_000
    """Damaged files for each reader; those that are slow get a half to a twentieth of them."""

    only: tuple[str, ...] = ()
    """Names of the readers. Default: all."""

    seconds: float = 5.0
    """Processor time that a case may take; a case that waits may take ten times as long."""

    gigabytes: float = 4.0
    """Address space that a case may add to that of its process."""

    seed: int = 0
    """Of the damage."""


class Case(NamedTuple):
    """How a case ended: "read", a reason of refusal, or what went wrong; its processor time and its peak memory."""

    outcome: str
    seconds: float
    megabytes: float


def main(config: BenchmarkConfig) -> int:
    """Runs the cases of the readers that `config` names; returns 1 if one ended badly."""
    unknown = [name for name in config.only if name not in READERS]
    if unknown:
        raise InputError(f"--only {unknown[0]!r}: expected some of {', '.join(map(repr, READERS))}.")
    rows = json.loads(RESULTS.read_text())["readers"] if RESULTS.exists() else []
    for name in config.only or READERS:
        begin = time.perf_counter()
        row = _row(name, config)
        rows = [old for old in rows if old["reader"] != name] + [row]
        RESULTS.write_text(files.as_json({"readers": rows, "environment": environment.environment()}), encoding="utf-8")
        print(f"{name}: {row['cases']:,} cases in {time.perf_counter() - begin:.0f} s", flush=True)
    print_table([row | {"bad": len(row["bad"]), "reasons": _in_words(row["reasons"])} for row in rows])
    bad = [line for row in rows for line in row["bad"]]
    print("\n".join(bad) or "No case ended badly.")
    return int(bool(bad))


def _row(name: str, config: BenchmarkConfig) -> dict[str, Any]:
    cases = list(_run(name, max(1, round(config.cases * SHARES.get(name, 1))), config))
    outcomes = Counter(case.outcome for case in cases if not case.outcome.startswith(_BAD))
    read = outcomes.pop("read", 0)
    return {
        "reader": name,
        "seed": config.seed,
        "cases": len(cases),
        "read": read,
        "refused": outcomes.total(),
        "reasons": dict(outcomes.most_common()) if len(outcomes) > 1 else {},
        "bad": [f"{name}, case {n}: {case.outcome}" for n, case in enumerate(cases) if case.outcome.startswith(_BAD)],
        "worst seconds": round(max(case.seconds for case in cases), 3),
        "peak MB": round(max(case.megabytes for case in cases), 1),
    }


def _in_words(reasons: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {reason}" for reason, number in reasons.items())


def _run(name: str, count: int, config: BenchmarkConfig) -> Iterator[Case]:
    """All cases of a reader in order, in as many processes as it takes: one that dies takes its case with it."""
    context, number = multiprocessing.get_context("fork"), 0
    while number < count:
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(sending, name, range(number, count), config))
        process.start()
        sending.close()
        with contextlib.suppress(EOFError):
            while True:
                yield Case(*receiving.recv())
                number += 1
        process.join()
        if number < count:
            how = signal.Signals(-process.exitcode).name if process.exitcode < 0 else f"exit {process.exitcode}"
            yield Case(f"{_BAD}the process ended by {how}", config.seconds, 0.0)
            number += 1


def _work(connection: Connection, name: str, numbers: range, config: BenchmarkConfig) -> None:
    with open(os.devnull, "w") as nowhere:  # libtiff and others tell of each damage
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    with tempfile.TemporaryDirectory() as folder:
        reader = READERS[name](Path(folder))
        attempt(reader, config.seed, numbers[0])  # what is made once, such as a library that is loaded, counts for none
        used = _status("VmSize")
        bound = int(used * 2**20 + config.gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
        for number in numbers:
            # Both signals end the process: in the middle of C code no exception could be raised.
            signal.setitimer(signal.ITIMER_PROF, config.seconds)
            signal.setitimer(signal.ITIMER_REAL, 10 * config.seconds)
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            before, begin = _status("VmRSS"), time.process_time()
            try:
                outcome = attempt(reader, config.seed, number)
            except Exception as error:
                outcome = f"{_BAD}{type(error).__name__}: {error}"[:300]
            seconds = time.process_time() - begin
            connection.send((outcome, seconds, _status("VmHWM") - before))


def _status(name: str) -> float:
    """A size of this process in megabytes, as Linux tells it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
