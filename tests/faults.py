"""Runs stages on a disk that is full, or kills them, at any of their changes of the disk; see faults.c."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.conftest import REPOSITORY

Kind = Literal["none", "full", "kill"]
MODES: dict[Kind, int] = {"none": 1, "full": 1, "kill": 2}

_SERVER = """
import json, os, sys, traceback
IMPORTS
for line in sys.stdin:
    program, output = json.loads(line)
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
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

_STAGE = """
import ctypes, json, os, pathlib, runpy, sys
from latentsearch.data import digits
from tests.conftest import a_part_of_the_digits

class InThisProcess:  # in the place of a worker process, which would not be armed
    def __init__(self, *arguments, **keywords): pass
    def __enter__(self): return self
    def __exit__(self, *arguments): pass
    def call(self, function, *arguments, seconds=None): return function(*arguments)

digits.read = a_part_of_the_digits
if "latentsearch.tuning.tune" in sys.modules:
    sys.modules["latentsearch.tuning.tune"].Worker = InThisProcess
sys.argv = ARGUMENTS
faults = ctypes.CDLL(None)
faults.faults_refused.restype = ctypes.c_char_p
faults.faults_arm(MODE, PLACE, ROOT.encode())
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    faults.faults_disarm()
    sys.stdout.flush()
    sys.stderr.flush()
    result = {"status": end.code, "count": faults.faults_count(), "refused": faults.faults_refused().decode()}
    pathlib.Path(RESULT).write_text(json.dumps(result))
    os._exit(0)
"""


@dataclass(frozen=True)
class End:
    """How a stage ended.

    Args:
        status: Its exit status; None if it was killed.
        count: Changes of the disk; of a full one, those that take room.
        refused: The first path that could not be written, or "".
        output: What it printed.
    """

    status: int | None
    count: int
    refused: str
    output: str


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
        environment = os.environ | {"LD_PRELOAD": str(library), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-c", _SERVER.replace("IMPORTS", imports)]
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, arguments: tuple[str, ...], root: Path, kind: Kind = "none", place: int = -1) -> End:
        """Run a script in `root`, whose disk is full, or which is killed, from its change number `place` on."""
        result, output = self._folder / "result.json", self._folder / "output.txt"
        result.unlink(missing_ok=True)
        values = {
            "ARGUMENTS": [str(REPOSITORY / arguments[0]), *arguments[1:], "--root", str(root)],
            "MODE": MODES[kind],
            "PLACE": place,
            "ROOT": str(root),
            "RESULT": str(result),
        }
        program = _STAGE
        for name, value in values.items():
            program = program.replace(name, repr(value))
        print(json.dumps([program, str(output)]), file=self._process.stdin, flush=True)
        status = int(self._process.stdout.readline())
        text = output.read_text(errors="replace")
        if status < 0:
            return End(None, -1, "", text)
        assert status == 0, text
        found = json.loads(result.read_text())
        return End(found["status"], found["count"], found["refused"], text)

    def close(self) -> None:
        """End that process."""
        self._process.communicate(timeout=60)
