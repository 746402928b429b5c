"""Data that the tests make: small datasets, and copies of CIFAR-10 with random images."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from tests.processes import REPOSITORY, forks, in_process, killed_at, script, training_fork

__all__ = ["REPOSITORY", "forks", "in_process", "killed_at", "script", "training_fork"]

hypothesis.settings.register_profile("seeded", derandomize=True)
hypothesis.settings.load_profile("seeded")  # the same examples each time

# It waits for the disk, for seconds where that is busy. It is good for power cuts, which no test makes.
os.fsync = lambda descriptor: None

IMAGES_PER_BATCH = 20
SMALL_LAYERS = {
    "_DEEP_BLOCKS": ((64, True),),
    "_DEEP_UNITS": 64,
    "_COMPACT_FILTERS": (16,),
    "_COMPACT_UNITS": (64,),
    "_DECODER_UNITS": (64,),
}
READ_DIGITS = digits.read  # tests put the part of them in its place


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts modules with many slow tests first: begun last, one of them would keep one of two processes busy alone."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_collection_finish() -> None:
    """Takes from all tests what Keras spends without need, where it is imported."""
    if "keras" not in sys.modules:
        return
    import tensorflow as tf
    from keras.src.saving import saving_lib

    # As trainings do, the first of a process for good: else Keras compiles what it predicts by XLA, for seconds.
    tf.config.experimental.enable_op_determinism()
    # Keras means to keep this, but looks for it under another name: it builds a layer for each one that it saves.
    saving_lib.get_attr_skipset = functools.cache(saving_lib.get_attr_skipset)


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
def compact_root(part_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That root, with an untrained run "digits" of the architecture compact, to be copied."""
    from latentsearch.models.build import build_run

    root = shutil.copytree(part_root, tmp_path_factory.mktemp("small") / "root")
    build_run(BuildConfig(architecture="compact", run="digits", dataset="digits", root=root))
    return root


@pytest.fixture(scope="session")
def small_root(compact_root: Path) -> Path:
    """What `built_digits` copies; a module may put another root in its place."""
    return compact_root


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
    with small_networks():
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


@contextlib.contextmanager
def called_once(*named: tuple[object, str]) -> Iterator[None]:
    """Lets functions, each of a module and of a name, compute once and give the same each time."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in named:
            patch.setattr(module, name, once(getattr(module, name)))
        yield


def once(function: Callable) -> Callable:
    """What calls a function once, and gives its result each time."""
    results = []

    def wrapped(*arguments: object, **keywords: object) -> object:
        if not results:
            results.append(function(*arguments, **keywords))
        return results[0]

    return wrapped


@contextlib.contextmanager
def small_networks() -> Iterator[None]:
    """Makes networks that are built small: two of the seven convolutions of deep, and fewer and narrower layers.

    TensorFlow takes time for each layer, whatever its size, and each weight is written several times an epoch: most of
    the time of a short training.
    """
    from latentsearch.models import architectures

    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL_LAYERS.items():
            patch.setattr(architectures, name, value)
        yield


@pytest.fixture(scope="module")
def small_towers(compact_root: Path) -> Iterator[None]:
    """Networks that a module builds are small: see `small_networks`. That of `compact_root` was built before."""
    with small_networks():
        yield


@pytest.fixture(scope="module")
def coarse_figures() -> Iterator[None]:
    """Figures are written with half as many pixels to the inch: most of the time of a report goes into them."""
    from matplotlib.figure import Figure

    written = Figure.savefig

    def coarse(self: Figure, *arguments: Any, dpi: float, **keywords: Any) -> None:
        written(self, *arguments, dpi=dpi / 2, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", coarse)
        yield


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
