"""How long does the installation take, and how large is it?

    python -m benchmarks.set_up

Makes a new virtual environment in a temporary folder and installs requirements.txt into it, as `make demo` does, then
what the page needs; gives seconds (downloads or a cache included, whichever this machine has), megabytes, the ten
largest packages, and the time that imports take in a new process. Writes benchmarks/set_up.json.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from latentsearch.cli import print_table, run_script
from latentsearch.config import ROOT

_IMPORTS = ("latentsearch", "latentsearch.search.open", "latentsearch.search.output", "latentsearch.training.train")


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    repeats: int = 3
    """Imports of each module that are timed, in new processes, after one that is not."""


def main(config: BenchmarkConfig) -> None:
    """Installs, weighs and imports."""
    from benchmarks import timing
    from benchmarks.first_answer import process

    steps = []
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        commands = {"virtual environment": (sys.executable, "-m", "venv", folder)}
        for name in ("requirements.txt", "requirements-page.txt"):
            install = (str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", name)
            commands[name] = install
        for name, command in commands.items():
            begin, before = time.perf_counter(), _megabytes(Path(folder))
            subprocess.run(command, cwd=ROOT, check=True)
            seconds = time.perf_counter() - begin
            steps.append({"step": name, "seconds": round(seconds, 1), "MB": _megabytes(Path(folder)) - before})
        [packages] = Path(folder).glob("lib/python*/site-packages")
        sizes = {path.name: _megabytes(path) for path in packages.iterdir() if path.is_dir()}
    largest = [{"package": name, "MB": sizes[name]} for name in sorted(sizes, key=sizes.get, reverse=True)[:10]]
    seconds = timing.in_turn({name: process("-c", f"import {name}") for name in _IMPORTS}, repeats=config.repeats)
    imports = [{"import": name, **timing.spread(times)} for name, times in seconds.items()]
    path = timing.save("set_up", steps=steps, largest=largest, imports=imports)
    for rows in (steps, largest, imports):
        print_table(rows)
    print(f"Written: {path}")


def _megabytes(folder: Path) -> int:
    """Of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_symlink()) // 1_000_000


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
