"""The five scripts on handwritten digits, in one process, so that TensorFlow is imported once.

    python -m examples.demo

Needs no network. The run and the dataset are called "demo"; called again, it trains nothing anew.
"""

from __future__ import annotations

import json
import runpy
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from latentsearch import data
from latentsearch.cli import paragraph, run_script
from latentsearch.config import ROOT
from latentsearch.environment import CODE
from latentsearch.errors import InputError
from latentsearch.runs import Run

NAME = "demo"
# No moves and no mirrors: place and side mean something in digits.
TRAINING = ("--similarity-weight", "1", "--epochs", "40", "--shift", "0", "--no-flip")
STEPS = (
    ("DataPreperation.py", "--source", "digits", "--dataset", NAME),
    ("BuildingAutoencoder.py", "--run", NAME, "--dataset", NAME, "--architecture", "compact"),
    ("TrainAutoencoder.py", "--run", NAME, *TRAINING),
    ("SanityChecks.py", "--run", NAME),
    ("RetrieveSimilar.py", "--run", NAME, "--query-index", "0", "1", "2"),
)


@dataclass(frozen=True)
class DemoConfig:
    """Flags of the demo."""

    root: Path = ROOT
    """Folder that holds data/, models/, logs/ and reports/. Default: $LATENTSEARCH_ROOT, or the current folder."""


def main(config: DemoConfig) -> int:
    """Runs the scripts in order; returns the exit status of the first that fails."""
    if (config.root / "data" / NAME / "dataset.json").exists():
        kind = data.load(config.root, NAME).provenance.kind
        if kind != "digits":
            raise InputError(
                f"the dataset '{NAME}' is not that of the demo ({kind}).\nRename it, or give another --root."
            )
    seconds = {}
    for script, *words in STEPS:
        flags = [*words, *([] if config.root == ROOT else ["--root", str(config.root)])]
        print(f"\n$ {shlex.join(['python', script, *flags])}", flush=True)
        began = time.perf_counter()
        status = _run(script, flags)
        seconds[script.removesuffix(".py")] = time.perf_counter() - began
        if status:
            return status
    print(f"\n{paragraph('seconds: ' + ', '.join(f'{name} {value:.0f}' for name, value in seconds.items()))}")
    print(*summary(Run(config.root, NAME)), sep="\n")
    return 0


def summary(run: Run) -> list[str]:
    """What was found, what to open, and what to do next, a line each."""
    numbers = json.loads((run.reports / "metrics.json").read_text(encoding="utf-8"))
    best: dict[str, dict[int, float]] = {}
    for row in numbers["scorecard"]:
        if row["method"] != run.name or row["metric"] == numbers["metric"]:
            best[row["method"]] = {k: 100 * row["overall"][f"P@{k}"]["value"] for k in (10, 100)}
    own, pca, pixels = (best[method] for method in (run.name, "10-d PCA", "raw pixels"))
    return [
        f"By ten numbers, {own[100]:.0f} in 100 of the hundred nearest images show the same digit,",
        f"and {own[10]:.0f} in 100 of the ten nearest; by a PCA's ten numbers {pca[100]:.0f} and {pca[10]:.0f},",
        f"by all pixels {pixels[100]:.0f} and {pixels[10]:.0f}.",
        f"Open {run.reports / 'report.html'}",
        "Next: python RetrieveSimilar.py --gallery FOLDER_OF_YOUR_IMAGES",
    ]


def _run(script: str, flags: list[str]) -> int:
    sys.argv = [script, *flags]
    try:
        runpy.run_path(str(CODE / script), run_name="__main__")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


if __name__ == "__main__":
    run_script(main, DemoConfig, __doc__, name="python -m examples.demo")
