"""How do time and memory of each stage grow with the images?

    python -m benchmarks.growth --sizes 7500 60000 480000

Writes images of data/cifar10 as PNG files, by class (beyond 60,000 turned by quarters, then as negatives), and runs the
scripts on them, each as a process of its own: one epoch of `compact`, all sanity checks, and a search of the folder
from nothing, of the folder unchanged, and of the dataset. Gives seconds, CPU seconds, the peak of the memory, and the
power of the number of images by which the CPU seconds grow: over all sizes, and between the last two, where fixed costs
hide least. Writes benchmarks/growth.json and benchmarks/growth.png.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT
from latentsearch.errors import InputError


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    sizes: tuple[int, ...] = (7_500, 60_000, 480_000)
    """Images, ascending, at most 480,000."""


def main(config: BenchmarkConfig) -> None:
    """Runs all stages at every size."""
    if len(config.sizes) < 2 or sorted(set(config.sizes)) != list(config.sizes) or config.sizes[-1] > 480_000:
        raise InputError("--sizes: expected two or more numbers, ascending, of at most 480000.")
    with quiet_libraries():
        from benchmarks import timing
    rows = [row for size in config.sizes for row in _stages(size)]
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    growth = [_growth([row for row in rows if row["stage"] == stage]) for stage in stages]
    path = timing.save("growth", rows=rows, growth=growth)
    _figure(rows, stages).savefig(path.with_suffix(".png"), dpi=110)
    print_table(rows)
    print_table(growth)
    print(f"Written: {path}")


def _growth(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How the cost of a stage grows, from its rows by size."""
    from benchmarks import timing

    sizes, cpu, memory = ([row[name] for row in rows] for name in ("images", "CPU seconds", "MB at most"))
    slope = (cpu[-1] - cpu[0]) / (sizes[-1] - sizes[0])
    return {
        "stage": rows[0]["stage"],
        "exponent": timing.exponent(sizes, cpu),
        "exponent of the last step": timing.exponent(sizes[-2:], cpu[-2:]),
        "CPU s at the smallest": cpu[0],
        "CPU s at the largest": cpu[-1],
        "CPU ms an image beyond": round(1000 * slope, 3),
        "MB at the smallest": memory[0],
        "MB at the largest": memory[-1],
    }


def _stages(size: int) -> list[dict[str, Any]]:
    from benchmarks import timing

    with tempfile.TemporaryDirectory() as temporary:
        root, photos, query = Path(temporary), Path(temporary) / "photos", Path(temporary) / "query.png"
        timing.apart(_write, photos, size, query)  # apart, so that this process stays smaller than those it measures
        common = ("--root", temporary, "--run", "growth")
        scripts: dict[str, Sequence[str]] = {
            "preparation": ("DataPreperation.py", "--root", temporary, "--source", str(photos), "--dataset", "growth"),
            "building": ("BuildingAutoencoder.py", *common, "--dataset", "growth", "--architecture", "compact"),
            "training, an epoch": ("TrainAutoencoder.py", *common, "--epochs", "1"),
            "sanity checks": ("SanityChecks.py", *common),
            "search of the dataset": ("RetrieveSimilar.py", *common, "--query", str(query), "--no-figure"),
        }
        scripts["search of a new folder"] = (*scripts["search of the dataset"], "--gallery", str(photos))
        scripts["search of the folder, unchanged"] = scripts["search of a new folder"]
        rows = []
        for stage, arguments in scripts.items():
            rows.append({"stage": stage, "images": size, **_measured(arguments, root / "output.txt")})
            print(f"{size}: {stage}: {rows[-1]['seconds']} s", flush=True)
        return rows


def _measured(arguments: Sequence[str], output: Path) -> dict[str, Any]:
    """A script as a process; fails with what it wrote if that does."""
    from benchmarks.timing import in_megabytes

    begin = time.perf_counter()
    with open(output, "wb") as file:
        process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise InputError(f"{' '.join(arguments)} ended with {process.returncode}:\n{output.read_text()[-2000:]}")
    return {
        "seconds": round(time.perf_counter() - begin, 2),
        "CPU seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "MB at most": in_megabytes(usage.ru_maxrss),
    }


def _write(photos: Path, size: int, query: Path) -> None:
    """Writes `size` images of CIFAR-10, or made of them, a folder a class, and a test image to ask about."""
    import numpy as np
    from PIL import Image

    from latentsearch import data

    dataset = data.load(ROOT, "cifar10")
    Image.fromarray(np.asarray(dataset.images[dataset.ids("test")[0]])).save(query)
    for number in range(size):
        version, image_id = divmod(number, len(dataset.images))
        path = photos / str(dataset.class_of(np.array(image_id))) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.rot90(dataset.images[image_id], version % 4)
        Image.fromarray(255 - image if version >= 4 else image.copy()).save(path, compress_level=1)


def _figure(rows: Sequence[dict[str, Any]], stages: Sequence[str]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    for axes, measure in zip(figure.subplots(1, 2), ("CPU seconds", "MB at most"), strict=True):
        for stage in stages:
            of_stage = [row for row in rows if row["stage"] == stage]
            axes.plot([row["images"] for row in of_stage], [row[measure] for row in of_stage], "o-", label=stage)
        axes.set(xlabel="images", ylabel=measure, xscale="log", yscale="log")
        axes.set_xticks(
            sorted({row["images"] for row in rows}), [f"{row:,}" for row in sorted({row["images"] for row in rows})]
        )
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    axes.legend(fontsize="small", bbox_to_anchor=(1, 1), loc="upper left")
    return figure


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
