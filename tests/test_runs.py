"""Files that appear whole or not at all, records, and names."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import REPOSITORY

from latentsearch import runs
from latentsearch.errors import InputError
from latentsearch.runs import Run


def test_replacing_writes_the_new_or_keeps_the_old(tmp_path):
    path = tmp_path / "folder" / "file.json"
    with runs.replacing(path) as temporary:
        temporary.write_text("one")
        assert temporary.suffix == ".json"

    def fail():
        with runs.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "one"
    assert [file.name for file in path.parent.iterdir()] == ["file.json"]


@pytest.mark.slow
def test_kill_in_the_middle_of_a_write_leaves_whole_files(tmp_path):
    path = tmp_path / "numbers.json"
    program = (
        "import sys; from pathlib import Path; from latentsearch import runs\n"
        "for number in range(10**9):\n"
        "    runs.write_json(Path(sys.argv[1]), {'numbers': [number] * 200_000})\n"
        "    if number == 0: print('ready', flush=True)"
    )
    rng = np.random.default_rng(0)
    last = []
    for _ in range(15):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        numbers = json.loads(path.read_text())["numbers"]
        assert len(numbers) == 200_000
        assert len(set(numbers)) == 1
        last.append(numbers[0])
    assert max(last) > 0


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a b", ".hidden", "-flag", "a\n"])
def test_names_that_could_leave_the_root_are_refused(name, tmp_path):
    with pytest.raises(InputError, match="--run"):
        Run(tmp_path, name)


def test_a_missing_file_names_the_command_that_makes_it(tmp_path):
    run = Run(tmp_path, "mine")
    with pytest.raises(InputError, match=r"(?s)no best.keras.*python TrainAutoencoder.py --run mine --root"):
        run.require(run.best_model, "TrainAutoencoder.py")


@pytest.mark.parametrize("content", ["", "{", "[1]", '"text"', "\x00", "[" * 100_000])
def test_a_damaged_record_names_the_command_that_makes_it(content, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"(?s)record.json.*python Some.py"):
        runs.read_json(path, "python Some.py")


def test_records_hold_what_was_written_and_never_nan(tmp_path):
    runs.write_json(tmp_path / "record.json", {"a": [1, 2.5, None]})
    assert runs.read_json(tmp_path / "record.json", "") == {"a": [1, 2.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        runs.write_json(tmp_path / "record.json", {"a": float("nan")})
    assert runs.read_json(tmp_path / "record.json", "") == {"a": [1, 2.5, None]}


def test_the_environment_tells_versions_and_machine():
    environment = runs.environment()
    assert environment["packages"]["numpy"] == np.__version__
    assert "cores" in environment["machine"]
