"""Data that the tests make: small datasets, and copies of CIFAR-10 with random images."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.gallery.milvus_server import MilvusServer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from latentsearch import data
from latentsearch.config import BuildConfig, PrepareConfig
from latentsearch.data import ImageSet, cifar10, digits
from latentsearch.data.source import SourceImages
from latentsearch.recipes import Network
from latentsearch.runs import Run

hypothesis.settings.register_profile("seeded", derandomize=True)
hypothesis.settings.load_profile("seeded")  # the same examples each time

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGES_PER_BATCH = 20
READ_DIGITS = digits.read  # tests put the part of them in its place


@pytest.fixture(scope="session")
def prepared_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root in which the digits are prepared, to be copied."""
    root = tmp_path_factory.mktemp("prepared")
    data.prepare(PrepareConfig(source="digits", root=root))
    return root


@pytest.fixture
def digits_root(prepared_digits: Path, tmp_path: Path) -> Path:
    """A root in which the digits are prepared."""
    return shutil.copytree(prepared_digits, tmp_path, dirs_exist_ok=True)


def a_part_of_the_digits() -> SourceImages:
    """The first 200 digits as a source."""
    whole = READ_DIGITS()
    return SourceImages(
        whole.images[:200], whole.labels[:200], whole.split[:200], whole.class_names, "digits", "a part"
    )


@pytest.fixture(scope="session")
def part_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the first 200 digits, to be copied."""
    root = tmp_path_factory.mktemp("part")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "read", a_part_of_the_digits)
        data.prepare(PrepareConfig(source="digits", root=root))
    return root


@pytest.fixture(scope="session")
def small_root(part_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That root, with an untrained run "digits", to be copied."""
    from latentsearch.models.build import build_run

    root = shutil.copytree(part_root, tmp_path_factory.mktemp("small") / "root")
    build_run(BuildConfig(architecture="compact", run="digits", dataset="digits", root=root))
    return root


@pytest.fixture
def small_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    """The first 200 digits, prepared as "digits" in `tmp_path`."""
    monkeypatch.setattr(digits, "read", a_part_of_the_digits)
    return data.prepare(PrepareConfig(source="digits", root=tmp_path))


@pytest.fixture
def built_digits(small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSet:
    """The small digits, and an untrained run "digits" for them."""
    monkeypatch.setattr(digits, "read", a_part_of_the_digits)
    shutil.copytree(small_root, tmp_path, dirs_exist_ok=True)
    return data.load(tmp_path, "digits")


@pytest.fixture(scope="session")
def exported_root(small_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That root, the networks of its run exported, to be copied."""
    from latentsearch.models.encoder import Autoencoder

    root = shutil.copytree(small_root, tmp_path_factory.mktemp("exported") / "root")
    Autoencoder(Run(root, "digits").initial_model)
    return root


@pytest.fixture
def exported_digits(exported_root: Path, tmp_path: Path) -> ImageSet:
    """The small digits, and an untrained run "digits" for them, exported."""
    shutil.copytree(exported_root, tmp_path, dirs_exist_ok=True)
    return data.load(tmp_path, "digits")


@pytest.fixture(scope="session")
def tiny_root(part_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the first 200 digits and an untrained run "digits" of as small a network as there is: it trains fast.

    A module whose trainings all begin with it puts it in the place of `small_root`.
    """
    from latentsearch.models.build import build_run

    root = shutil.copytree(part_root, tmp_path_factory.mktemp("tiny") / "root")
    network = Network(filters=8, depth=1, dense_units=16)
    build_run(BuildConfig(architecture="custom", network=network, run="digits", dataset="digits", root=root))
    return root


@pytest.fixture(scope="session")
def trained_root(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That root, its run trained for two epochs, to be copied."""
    from tests.training.trainings import train

    root = shutil.copytree(tiny_root, tmp_path_factory.mktemp("trained") / "root")
    train(root, epochs=2)
    return root


@pytest.fixture
def trained_digits(trained_root: Path, tmp_path: Path) -> ImageSet:
    """The small digits, and a run "digits" that was trained on them for two epochs."""
    shutil.copytree(trained_root, tmp_path, dirs_exist_ok=True)
    return data.load(tmp_path, "digits")


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


@pytest.fixture
def in_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs one of the scripts as `script` does, but in this process, which has TensorFlow loaded already."""

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(REPOSITORY / name), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(command[0], run_name="__main__")
        return subprocess.CompletedProcess(command, ended.value.code, *capsys.readouterr())

    return run


def once(function: Callable) -> Callable:
    """What calls a function once, and gives its result each time."""
    results = []

    def wrapped(*arguments: object, **keywords: object) -> object:
        if not results:
            results.append(function(*arguments, **keywords))
        return results[0]

    return wrapped


FORKS = """
import json, os, sys, traceback
IMPORTS
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(2, 1)
        try:
            exec(json.loads(line), {})
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextlib.contextmanager
def forking() -> Iterator[Callable[[str], Callable[[str], int]]]:
    """See `forks`."""
    started = []

    def start(imports: str) -> Callable[[str], int]:
        command = [sys.executable, "-c", FORKS.replace("IMPORTS", imports)]
        parent = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(parent)

        def run(program: str) -> int:
            print(json.dumps(program), file=parent.stdin, flush=True)
            return int(parent.stdout.readline())

        return run

    yield start
    for parent in started:
        parent.communicate(timeout=60)


@pytest.fixture
def forks() -> Iterator[Callable[[str], Callable[[str], int]]]:
    """Starts a process that imports, once; returns what runs a program in a fork of it and gives its exit status."""
    with forking() as start:
        yield start


@pytest.fixture(scope="module")
def training_fork() -> Iterator[Callable[[str], int]]:
    """Runs a program in a fork of a process that has imported the training, and gives its exit status."""
    with forking() as start:
        yield start("import keras, latentsearch.training.train")


@pytest.fixture(scope="module")
def small_towers() -> Iterator[None]:
    """Leaves two of the seven convolutions of deep, and of the kind tower of kind-look, in the tests of a module.

    TensorFlow takes time for each layer, whatever its size: most of the time of a short training.
    """
    from latentsearch.models import architectures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(architectures, "_DEEP_BLOCKS", ((64, True),))
        yield


KILL = """
import os, pathlib, signal, sys
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
        (np, "save"), (np, "savez"), (os, "fsync"),
        (pathlib.Path, "replace"), (pathlib.Path, "rename"), (pathlib.Path, "unlink"), (pathlib.Path, "write_text"),
        (pathlib.Path, "rmdir"), (os, "write"),
    ):
        setattr(holder, name, counted(getattr(holder, name)))
"""


@pytest.fixture
def killed_at(forks: Callable[[str], Callable[[str], int]]) -> Callable[[int, str], bool]:
    """Runs a program that is killed before its n-th change of the disk; false if it came to its end before."""
    run = forks("import numpy, latentsearch.data, sklearn.datasets")

    def killed(number: int, program: str) -> bool:
        status = run(f"{KILL}\n{program.replace('KILL_HERE', f'kill_at({number})')}")
        assert status in (0, -signal.SIGKILL)
        return status != 0

    return killed


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """A real Milvus server for all tests of this process; see `empty_server`."""
    from tests.gallery.milvus_server import running

    with running(tmp_path_factory.mktemp("milvus")) as server:
        yield server


@pytest.fixture
def empty_server(milvus_server: MilvusServer) -> MilvusServer:
    """That server without collections; started again where a test that failed left it dead."""
    if not milvus_server.is_alive:
        milvus_server.start()
    milvus_server.drop_all()
    return milvus_server


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """The corpus, its map, and the application of a page of thirty images; see `pages.make_page`."""
    from tests.page.pages import make_images, make_page

    root = tmp_path_factory.mktemp("page")
    make_images(root / "photos")
    return make_page(root, root / "photos")


@pytest.fixture
def client(page: tuple) -> TestClient:
    """Asks that page."""
    from starlette.testclient import TestClient

    return TestClient(page[2], base_url="http://127.0.0.1:8765")
