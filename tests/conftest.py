"""Data that the tests make: small datasets, and copies of CIFAR-10 with random images."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from latentsearch import datasets
from latentsearch.config import BuildConfig, PrepareConfig
from latentsearch.datasets import ImageSet, cifar10, digits
from latentsearch.datasets.source import SourceImages

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGES_PER_BATCH = 20


@pytest.fixture
def digits_root(tmp_path: Path) -> Path:
    """A root in which the digits are prepared."""
    datasets.prepare(PrepareConfig(source="digits", root=tmp_path))
    return tmp_path


@pytest.fixture
def small_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    """The first 200 digits, prepared as "digits" in `tmp_path`."""
    whole = digits.read()
    part = SourceImages(
        whole.images[:200], whole.labels[:200], whole.split[:200], whole.class_names, "digits", "a part"
    )
    monkeypatch.setattr(digits, "read", lambda: part)
    return datasets.prepare(PrepareConfig(source="digits", root=tmp_path))


@pytest.fixture
def built_digits(small_digits: ImageSet, tmp_path: Path) -> ImageSet:
    """The small digits, and an untrained run "digits" for them."""
    from latentsearch import building

    building.build_run(BuildConfig(run="digits", dataset="digits", root=tmp_path))
    return small_digits


def batch_content(number: int) -> dict[bytes, object]:
    """A CIFAR-10 batch with two random images of each class."""
    rng = np.random.default_rng(number)
    return {
        b"batch_label": b"testing",
        b"labels": [int(label) for label in rng.permutation(np.arange(IMAGES_PER_BATCH) % 10)],
        b"data": rng.integers(0, 256, (IMAGES_PER_BATCH, cifar10.IMAGE_BYTES), dtype=np.uint8),
        b"filenames": [b"image.png"] * IMAGES_PER_BATCH,
    }


@pytest.fixture
def cifar_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cifar-10-batches-py folder of tiny batches."""
    monkeypatch.setattr(cifar10, "IMAGES_PER_BATCH", IMAGES_PER_BATCH)
    folder = tmp_path / cifar10.FOLDER
    folder.mkdir()
    for number, name in enumerate(cifar10.OFFICIAL_MD5):
        (folder / name).write_bytes(pickle.dumps(batch_content(number), protocol=2))
    return folder


@pytest.fixture
def script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs one of the scripts as a process, from another working directory."""

    def run(name: str, *arguments: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(REPOSITORY / name), *map(str, arguments)]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=timeout, check=False)

    return run


KILL = """
import os, pathlib, shutil, signal, sys
import numpy as np

def kill_at(number):
    # Counts what changes the disk, and ends the process as kill -9 would, before the one of this number.
    count = 0
    def counted(operation):
        def wrapped(*arguments, **keywords):
            nonlocal count
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            return operation(*arguments, **keywords)
        return wrapped
    for holder, name in (
        (np, "save"), (np, "savez"), (os, "fsync"), (shutil, "rmtree"),
        (pathlib.Path, "replace"), (pathlib.Path, "rename"), (pathlib.Path, "unlink"), (pathlib.Path, "write_text"),
    ):
        setattr(holder, name, counted(getattr(holder, name)))
"""


@pytest.fixture
def killed_at() -> Callable[[int, str], bool]:
    """Runs a program that is killed before its n-th change of the disk; false if it came to its end before."""

    def run(number: int, program: str) -> bool:
        source = f"{KILL}\nimport latentsearch.cli\n{program.replace('KILL_HERE', f'kill_at({number})')}"
        result = subprocess.run(
            [sys.executable, "-c", source], cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
        )
        assert result.returncode in (0, -signal.SIGKILL), result.stderr
        return result.returncode != 0

    return run
