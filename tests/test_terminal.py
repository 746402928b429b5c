"""How a script ends, whatever its terminal, its disk and its memory: words and a status, never a traceback."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from latentsearch import failures, files
from latentsearch.errors import InputError, NoRoom
from latentsearch.failures import check_damage, is_disk_full, is_out_of_memory
from tests.conftest import REPOSITORY

SCRIPT = """
import sys
from latentsearch.cli import print_table, quiet_libraries, run_script
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    count: int = 1

def main(config: Config) -> int:
    MAIN

run_script(main, Config, "A script.", name="script.py")
"""
PRINTS = 'print_table([{"name": "\\u00e9\\u4e16\\x1b[2J"}] * config.count)\n    return 0'
STATUS = {"": 0, ">/dev/full": 2, "2>&-": 0, ">&-": 0, "<&-": 0, ">&- 2>&- <&-": 0, "2>/dev/full": 0}


def end_of(main, *arguments, redirect="", **environment):
    """Runs such a script by a shell; returns the process."""
    program = SCRIPT.replace("MAIN", main)
    command = ["bash", "-c", f'exec "$@" {redirect}', "bash", sys.executable, "-c", program, *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, env=os.environ | environment, capture_output=True, check=False, timeout=120
    )


@pytest.mark.parametrize("redirect", STATUS)
def test_a_script_ends_well_whatever_its_streams_are(redirect):
    ended = end_of(PRINTS, redirect=redirect)
    assert ended.returncode == STATUS[redirect], ended.stderr
    assert b"Traceback" not in ended.stderr
    assert b"ignored" not in ended.stderr
    if redirect == ">/dev/full":
        assert ended.stderr == b"script.py: its output: No space left on device\n"


def test_a_full_output_is_told_when_it_is_noticed_in_the_middle():
    ended = end_of(PRINTS, "--count", "100000", redirect=">/dev/full")
    assert (ended.returncode, ended.stderr) == (2, b"script.py: its output: No space left on device\n")


def test_a_pipe_that_nobody_reads_is_no_failure_of_ours():
    ended = end_of(PRINTS, "--count", "100000", redirect="| head -c 1; exit ${PIPESTATUS[0]}")
    assert ended.stderr == b""


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:strict"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_a_terminal_that_lacks_characters_gets_them_escaped(environment):
    ended = end_of(PRINTS, **environment)
    assert ended.returncode == 0, ended.stderr
    assert b"\x1b" not in ended.stdout
    assert b"\\x1b[2J" in ended.stdout
    refused = end_of('raise __import__("latentsearch.errors").errors.InputError("\\u4e16")', **environment)
    assert refused.returncode == 2


def test_what_libraries_open_never_gets_the_number_of_a_closed_stream(tmp_path):
    main = f"""path = {str(tmp_path / "ours")!r}
    with open(path, "w") as file:
        file.write("whole")
        file.flush()
        __import__("os").write(2, b"noise")
    return 0"""
    assert end_of(main, redirect="2>&-").returncode == 0
    assert (tmp_path / "ours").read_text() == "whole"


LACKS = {
    "raise MemoryError": b"too little memory",
    'raise OSError(12, "Cannot allocate memory")': b"too little memory",
    'raise ImportError("libx.so: failed to map segment from shared object")': b"too little memory",
    'raise RuntimeError("can\'t start new thread")': b"too little memory",
    "bytearray(2**62)": b"too little memory",
    'raise OSError(28, "No space left on device", "codes.npz")': b"codes.npz cannot be written",
    'raise PermissionError(13, "Permission denied", "best.keras")': b"best.keras: Permission denied",
    "raise KeyboardInterrupt": b"stopped",
}


@pytest.mark.parametrize("main", LACKS)
def test_what_the_machine_lacks_is_told_in_words(main):
    ended = end_of(main)
    assert ended.returncode == (130 if "Interrupt" in main else 2)
    assert LACKS[main] in ended.stderr
    assert b"Traceback" not in ended.stderr
    assert b"damaged" not in ended.stderr.replace(b"No file is damaged by that", b"")


def test_whatever_a_library_raises_at_a_limit_of_memory_is_told_as_that():
    main = """import mmap, resource
    used = mmap.mmap(-1, 2**28)
    resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))
    raise SystemError("error return without exception set")"""
    ended = end_of(main)
    assert (ended.returncode, b"Traceback" in ended.stderr) == (2, False)
    assert b"too little memory (error return without exception set)" in ended.stderr


def test_a_mistake_of_ours_is_not_hidden():
    ended = end_of("raise KeyError(1)")
    assert ended.returncode == 1
    assert b"Traceback" in ended.stderr


def test_an_abort_while_libraries_are_quiet_is_told():
    ended = end_of('with quiet_libraries():\n        __import__("os").abort()')
    assert ended.returncode in (-signal.SIGABRT, 128 + signal.SIGABRT)
    assert b"Aborted" in ended.stderr


def test_quiet_libraries_are_quiet_and_bring_what_was_there_back():
    ended = end_of("""import os
    with quiet_libraries():
        os.write(2, b"noise")
    os.write(2, b"words")
    return 0""")
    assert ended.stderr == b"words"


SLOW_IMPORT = """
import signal, sys, time, types
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, whatever started these tests
class Finder:  # what a library does that turns whatever is raised into something else
    def find_spec(name, path, target=None):
        if name == "slow":
            from importlib.machinery import ModuleSpec
            return ModuleSpec(name, Finder)
    def create_module(spec): return None
    def exec_module(module):
        print("importing", flush=True)
        try:
            while True: time.sleep(0.01)
        except BaseException as error:
            raise SystemError("initialisation failed") from None
sys.meta_path.insert(0, Finder)
"""


def test_ctrl_c_during_an_import_ends_in_words_even_if_the_library_hides_it():
    program = SLOW_IMPORT + SCRIPT.replace("MAIN", "with quiet_libraries():\n        import slow")
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"importing\n"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, b"script.py: stopped.\n")


@pytest.fixture
def ctrl_c():
    """Lets Ctrl-C reach what is started, even where these tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DataPreperation.py", "BuildingAutoencoder.py"])
def test_ctrl_c_in_the_first_seconds_ends_with_130_and_no_traceback(name, tmp_path, ctrl_c):
    statuses = []
    for seconds in (0.3, 0.7, 1.5):
        command = [sys.executable, str(REPOSITORY / name), "--root", str(tmp_path), "--dataset", "digits"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(process, "latentsearch")
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        assert process.returncode in (130, 0, 2), told  # it may have come to its end
        assert "Traceback" not in told
        statuses.append(process.returncode)
    assert 130 in statuses


def wait_for(process, word):
    """Waits until a process has begun with our code: Python itself is not ours."""
    for _ in range(3000):
        with open(f"/proc/{process.pid}/maps", encoding="utf-8", errors="replace") as file:
            if "_ctypes" in file.read() or process.poll() is not None:
                return
        time.sleep(0.01)


def test_errors_that_cause_each_other_are_each_looked_at_once():
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert list(failures.chain(one)) == [one, other]
    assert not is_disk_full(one)
    assert not is_out_of_memory(other)


def test_disk_and_memory_are_told_apart():
    class ResourceExhaustedError(Exception):  # of TensorFlow, for both
        pass

    full = ResourceExhaustedError("logs/events.out.tfevents.1; No space left on device")
    assert is_disk_full(full)
    assert not is_out_of_memory(full)
    assert is_out_of_memory(ResourceExhaustedError("OOM when allocating tensor"))
    assert is_disk_full(OSError("125 requested and 0 written"))
    assert not is_disk_full(ValueError("damaged"))
    assert not is_out_of_memory(ValueError("damaged"))
    wrapped = ValueError("cannot be saved")
    wrapped.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert is_disk_full(wrapped)
    check_damage(ValueError("damaged"))
    with pytest.raises(MemoryError):
        check_damage(MemoryError())


@pytest.mark.parametrize("needed", [None, 5_000])
def test_a_full_disk_names_the_file_the_room_needed_and_left(needed, tmp_path):
    path = tmp_path / "run" / "codes.npz"
    with files.replacing(path) as temporary:
        temporary.write_text("before")

    def write(temporary):
        temporary.write_bytes(bytes(1234))
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary))

    with pytest.raises(InputError) as told, files.replacing(path, needed=needed) as temporary:
        write(temporary)
    words = str(told.value)
    assert words.startswith(f"{path} cannot be written")
    assert ("It takes 5,000 bytes" if needed else "It takes more than 1,234 bytes") in words
    assert f"bytes are left in {path.parent}" in words
    assert path.read_text() == "before"
    assert not list(path.parent.glob("*.tmp*"))


def test_a_full_disk_of_temporary_files_is_not_that_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = tmp_path / "run" / "best.keras"
    with pytest.raises(NoRoom) as told, files.replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "temporary" / "tmp1"))
    words = str(told.value)
    assert words.startswith(f"{path} cannot be written: the disk of temporary files is full")
    assert f"bytes are left in {tmp_path / 'temporary'}." in words
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # the run lies in the folder of temporary files
    with pytest.raises(NoRoom) as told, files.replacing(path) as temporary:
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary))
    assert f"bytes are left in {path.parent}" in str(told.value)
    with pytest.raises(OSError, match="No space left"):  # nor is what was read damaged
        check_damage(OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "tmp2")))


def test_too_little_memory_is_not_a_damaged_dataset_network_or_gallery(built_digits, tmp_path, monkeypatch):
    import keras

    from latentsearch import data
    from latentsearch.gallery import gallery
    from latentsearch.models.export import load_model
    from latentsearch.runs import Run

    def short(*arguments, **keywords):
        raise MemoryError("Unable to allocate")

    def short_of_maps(*arguments, **keywords):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(np.lib.format, "open_memmap", short_of_maps)
    with pytest.raises(OSError, match="allocate"):
        data.load(tmp_path, "digits")
    monkeypatch.setattr(keras.saving, "load_model", short)
    with pytest.raises(MemoryError):
        load_model(Run(tmp_path, "digits").initial_model)
    monkeypatch.setattr(gallery, "load_npz", short)
    with pytest.raises(MemoryError):
        gallery.load(tmp_path / "gallery.npz")
    assert failures.is_out_of_memory(MemoryError())
