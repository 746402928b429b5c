"""Runs stages on a disk that is full, or kills them, at any of their changes of the disk; see faults.c."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from latentsearch.tuning.worker import outcome_of, value_of
from tests.conftest import REPOSITORY

Kind = Literal["none", "full", "full once", "kill", "copy"]
MODES: dict[Kind, int] = {"none": 1, "full": 1, "kill": 2, "full once": 3, "copy": 4}
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")

_SERVER = """
import json, os, signal, sys, time, traceback
IMPORTS
for line in sys.stdin:
    program, output, seconds = json.loads(line)
    child = os.fork()
    if not child:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        try:
            exec(program, {})
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)  # one that has ended stays until it is waited for
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

_STAGE = """
import ctypes, json, os, pathlib, runpy, sys, tempfile
from latentsearch.data import digits
from tests.conftest import a_part_of_the_digits
from tests.faults import InThisProcess, measured_once, small_space

digits.read = a_part_of_the_digits
tempfile.tempdir = TEMPORARY
os.environ["TMPDIR"] = TEMPORARY
if "latentsearch.tuning.tune" in sys.modules:
    tune = sys.modules["latentsearch.tuning.tune"]
    tune.Worker, tune.Space = InThisProcess, small_space
sys.argv = ARGUMENTS
faults = ctypes.CDLL(None)
faults.faults_refused.restype = faults.faults_told.restype = ctypes.c_char_p
if sys.argv[0].endswith("SanityChecks.py"):
    measured_once(pathlib.Path(MEASURED), faults.faults_count)
faults.faults_arm(MODE, PLACE, DISK.encode(), COPIES.encode())
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    faults.faults_disarm()
    sys.stdout.flush()
    sys.stderr.flush()
    result = {"status": end.code, "count": faults.faults_count(), "refused": faults.faults_refused().decode()}
    result["changes"] = faults.faults_told().decode().splitlines()
    pathlib.Path(RESULT).write_text(json.dumps(result))
    os._exit(0)
"""


class InThisProcess:
    """In the place of a worker process, which would not be armed."""

    def __init__(self, *arguments: object, **keywords: object) -> None:
        pass

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *arguments: object) -> None:
        pass

    def call(self, function: Callable[..., Any], *arguments: object, seconds: float | None = None) -> Any:
        """What `worker.Worker.call` does."""
        return value_of(*outcome_of(function, arguments))


def small_space(**settings: Any) -> Any:
    """The space of networks that a search tries, all but one of them left out: the smallest, which trains fast."""
    from latentsearch.tuning.space import Space

    return Space(**settings, filters=(8,), depth=(1,), dense_units=(16,))


def measured_once(kept: Path, count: Callable[[], int]) -> None:
    """Let SanityChecks.py measure a run once, and take that from a file the next time: it takes most of its time.

    Args:
        kept: The file.
        count: Changes of the disk so far; measuring must make none, or they would not be tried.
    """
    from latentsearch.evaluation import evaluate

    original = evaluate.evaluate

    def measured(trained: Any, *arguments: Any, **keywords: Any) -> Any:
        if kept.exists():
            return dataclasses.replace(pickle.loads(kept.read_bytes()), dataset=trained.dataset)
        before = count()
        found = original(trained, *arguments, **keywords)
        assert count() == before
        kept.write_bytes(pickle.dumps(dataclasses.replace(found, dataset=None)))
        return found

    evaluate.evaluate = measured


@dataclass(frozen=True)
class End:
    """How a stage ended.

    Args:
        status: Its exit status; None if it was killed.
        count: Changes of the disk; of a full one, those that take room.
        refused: The first path that could not be written, or "".
        output: What it printed.
        changes: Each of the changes that were counted: what was called, and the path.
    """

    status: int | None
    count: int
    refused: str
    output: str
    changes: tuple[str, ...] = ()


def compiled(folder: Path) -> Path | None:
    """The layer as a library, or None where there is no C compiler, or no Linux."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    library, source = folder / "faults.so", Path(__file__).with_name("faults.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


class Stages:
    """Runs stages in forks of one process that has imported what they need.

    Args:
        folder: For what it writes itself.
        library: See `compiled`.
        imports: Statements.
    """

    def __init__(self, folder: Path, library: Path, imports: str) -> None:
        self._folder = folder
        environment = os.environ | {"LD_PRELOAD": str(library), "TF_CPP_MIN_LOG_LEVEL": "3"} | _ONE_THREAD
        command = [sys.executable, "-c", _SERVER.replace("IMPORTS", imports)]
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self,
        arguments: tuple[str, ...],
        root: Path,
        kind: Kind = "none",
        place: int = -1,
        *,
        seconds: float | None = None,
        copies: Path | None = None,
        disk: Path | None = None,
    ) -> End:
        """Run a script.

        Args:
            arguments: Its name and its flags.
            root: Its --root.
            kind: Its disk is full from its change number `place` on, or at that one alone; or it is killed there; or
                `root` is copied before each change.
            place: Of the changes that count: of a full disk, those that take room.
            seconds: It is killed after that time.
            copies: Folder of the copies, named by the number of the change.
            disk: Folder that is watched. Default: `root`; or that of temporary files, `root.parent / "temporary"`.
        """
        result, output = self._folder / "result.json", self._folder / "output.txt"
        result.unlink(missing_ok=True)
        (root.parent / "temporary").mkdir(exist_ok=True)
        values = {
            "ARGUMENTS": [str(REPOSITORY / arguments[0]), *arguments[1:], "--root", str(root)],
            "MODE": MODES[kind],
            "PLACE": place,
            "DISK": str(disk or root),
            "TEMPORARY": str(root.parent / "temporary"),
            "RESULT": str(result),
            "COPIES": str(copies or ""),
            "MEASURED": str(self._folder / "measured.pickle"),
        }
        program = _STAGE
        for name, value in values.items():
            program = program.replace(name, repr(value))
        print(json.dumps([program, str(output), seconds]), file=self._process.stdin, flush=True)
        status = int(self._process.stdout.readline())
        text = output.read_text(errors="replace")
        if status < 0:
            return End(None, -1, "", text)
        assert status == 0, text
        found = json.loads(result.read_text())
        return End(found["status"], found["count"], found["refused"], text, tuple(found["changes"]))

    def close(self) -> None:
        """End that process."""
        self._process.communicate(timeout=60)
