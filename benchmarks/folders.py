"""How long does the gallery of a folder take: the first time, unchanged, and after a few changes; and how much memory?

    python -m benchmarks.folders --files 60000

Writes images of data/cifar10 (again and again, each time with other pixels, beyond 60,000) as PNG files to a temporary
folder, synchronises the gallery of that folder in a process of its own each time, and writes benchmarks/folders.json.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT
from latentsearch.errors import InputError

RESULTS = ROOT / "benchmarks" / "folders.json"
_NUM_CHANGED = 100
_FILES_A_FOLDER = 1000


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    files: int = 60_000
    """Images in the folder."""

    run: str = "cifar10-deep"
    """Trained run whose encoder codes them."""

    repeats: int = 3
    """Synchronisations of the unchanged folder."""


def main(config: BenchmarkConfig) -> None:
    """Times synchronisations of a folder of as many files as `config` says."""
    if config.files < 2 * _NUM_CHANGED:
        raise InputError(f"--files {config.files}: expected at least {2 * _NUM_CHANGED}.")
    from benchmarks.timing import apart
    from latentsearch import environment

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        apart(_write, folder, 0, config.files)  # apart, so that this process stays smaller than those it measures
        rows = [apart(_sync, "first time", config.run, folder, Path(temporary) / "gallery.npz")]
        for _ in range(config.repeats):
            rows.append(apart(_sync, "unchanged", config.run, folder, Path(temporary) / "gallery.npz"))
        apart(_remove_and_move, folder)
        apart(_write, folder, config.files, config.files + _NUM_CHANGED)
        title = f"{_NUM_CHANGED} added, {_NUM_CHANGED} moved, {_NUM_CHANGED} removed"
        rows.append(apart(_sync, title, config.run, folder, Path(temporary) / "gallery.npz"))
    record = {"files": config.files, "run": config.run, "rows": rows, "environment": environment.environment()}
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    others = [old for old in before if (old["files"], old["run"]) != (config.files, config.run)]
    RESULTS.write_text(json.dumps([*others, record], indent=2) + "\n", encoding="utf-8")
    print_table(rows)


def _write(folder: Path, first: int, end: int) -> None:
    """Writes images number `first` to `end` - 1 to `folder`, a thousand a sub-folder."""
    import numpy as np
    from PIL import Image

    from latentsearch import data

    images = data.load(ROOT, "cifar10").images
    for number in range(first, end):
        path = folder / f"{number // _FILES_A_FOLDER:04}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = images[number % len(images)] + np.uint8(number // len(images))  # wraps around: other pixels
        Image.fromarray(pixels).save(path, compress_level=1)


def _remove_and_move(folder: Path) -> None:
    """Removes the first files of `folder`, and moves the next to another sub-folder."""
    paths = sorted(folder.rglob("*.png"))
    for path in paths[:_NUM_CHANGED]:
        path.unlink()
    moved = folder / "moved"
    moved.mkdir()
    for path in paths[_NUM_CHANGED : 2 * _NUM_CHANGED]:
        shutil.move(path, moved / path.name)


def _sync(title: str, run: str, folder: Path, path: Path) -> dict[str, Any]:
    """One synchronisation: its seconds, what it found, and the peak of the memory."""
    with quiet_libraries():
        from benchmarks.timing import peak_memory
        from latentsearch.gallery.sync import sync
        from latentsearch.models.encoder import Autoencoder
    from latentsearch.runs import Run

    autoencoder = Autoencoder(Run(ROOT, run).best_model)
    before = peak_memory()
    begin = time.perf_counter()
    _, changes = sync(path, folder, autoencoder)
    seconds = time.perf_counter() - begin
    return {
        "synchronisation": title,
        "seconds": round(seconds, 2),
        "files": changes.unchanged + changes.added + changes.moved,
        "what": str(changes),
        "MB before": before,  # with the network
        "MB at most": peak_memory(),
    }


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
