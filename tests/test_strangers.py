"""Whatever lies in our folders that is not ours is as it was after every script, links and what they point to too."""

from __future__ import annotations

import os
import random
import shutil

import pytest

from latentsearch import files, ownership
from latentsearch.data import digits
from tests.conftest import a_part_of_the_digits, called_once
from tests.data.folders import fill
from tests.test_files import KINDS, an_outside, stranger, tree
from tests.torture import SMALLEST

COMMON = ("--run", "digits")
BUILD = ("BuildingAutoencoder.py", *COMMON, "--dataset", "digits", *SMALLEST)
STAGES = {
    "prepare": ("DataPreperation.py", "--source", "digits"),
    "build": BUILD,
    "build again": (*BUILD, "--overwrite"),
    "train": ("TrainAutoencoder.py", *COMMON, "--epochs", "2", "--batch-size", "32"),
    "train again": ("TrainAutoencoder.py", *COMMON, "--epochs", "2", "--batch-size", "32", "--overwrite"),
    "resume": ("TrainAutoencoder.py", *COMMON, "--epochs", "2", "--batch-size", "32", "--resume"),
    "check": ("SanityChecks.py", *COMMON),
    "retrieve": ("RetrieveSimilar.py", *COMMON, "--query-index", "0", "1", "--explain"),
}
FOLDERS = ("data", "models", "logs", "reports")
pytestmark = pytest.mark.usefixtures("small_towers", "coarse_figures")


@pytest.fixture(scope="module")
def finished(tiny_root, tmp_path_factory):
    """A root in which all five scripts ran, to be copied."""
    from latentsearch.config import TrainConfig
    from latentsearch.training.train import train

    root = shutil.copytree(tiny_root, tmp_path_factory.mktemp("finished") / "root")
    train(TrainConfig(run="digits", epochs=1, batch_size=32, root=root))
    return root


@pytest.fixture(scope="module")
def measured_once():
    """Lets SanityChecks measure and draw once: what it writes is the same each time."""
    from latentsearch.evaluation import evaluate, report

    with called_once((evaluate, "evaluate"), (report, "draw")):
        yield


@pytest.fixture
def run(in_process, measured_once, monkeypatch):
    """Runs a stage in a root; returns its exit status."""
    monkeypatch.setattr(digits, "read", a_part_of_the_digits)

    def start(stage, root):
        files._swept.clear()
        return in_process(*STAGES[stage], "--root", root).returncode

    return start


def places(root):
    """Our folders in a root, and those in them."""
    return [path for name in FOLDERS if (root / name).exists() for path in [root / name, *folders_in(root / name)]]


def folders_in(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_dir() and not path.is_symlink()]


def theirs(before, root, strangers):
    """What `before` lists that is a stranger's: it, and all within it."""
    names = [str(path.relative_to(root)) for path in strangers]
    return {path: what for path, what in before.items() if any(f"{path}/".startswith(f"{one}/") for one in names)}


@pytest.mark.slow
@pytest.mark.parametrize("lost", [False, True], ids=["", "records lost"])
def test_what_others_put_into_our_folders_stays(lost, finished, run, tmp_path):
    root, outside = shutil.copytree(finished, tmp_path / "root"), an_outside(tmp_path / "outside")
    if lost:
        for record in root.rglob(ownership.RECORD):
            record.unlink()
    strangers = []
    for folder in places(root):
        for kind in KINDS:
            for name in (f"mine {kind}", f".mine {kind}.npy"):
                stranger(folder / name, kind, outside)
                strangers.append(folder / name)
    assert len(strangers) > 60
    before, around = tree(root), tree(outside)
    stages = ("prepare", "resume", "retrieve", "train again", "check", "build again", "train")
    statuses = {stage: run(stage, root) for stage in stages}
    after = tree(root)
    assert theirs(after, root, strangers) == theirs(before, root, strangers)
    assert tree(outside) == around
    if lost:  # then all is a stranger's
        gone = {name for name in before if name not in after or before[name] != after[name]}
        assert not gone
        assert 2 in statuses.values()
    else:  # and they are in nobody's way
        del statuses["retrieve"], statuses["check"], statuses["resume"]
        assert set(statuses.values()) == {0}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_what_lies_where_we_write_stays(seed, finished, run, tmp_path):
    """A stranger has the names that latentsearch writes, before it wrote any."""
    rng, outside = random.Random(seed), an_outside(tmp_path / "outside")
    names = [path.relative_to(finished) for path in finished.rglob("*") if len(path.relative_to(finished).parts) > 2]
    assert len(names) > 20
    root = tmp_path / "root"
    strangers = []
    for name in rng.sample(names, 6):
        inside = any(part in strangers for part in (root / name).parents)
        if not inside and not os.path.lexists(root / name):
            stranger(root / name, rng.choice(KINDS), outside)
            strangers.append(root / name)
    before, around = tree(root), tree(outside)
    for stage in ("prepare", "build", "train", "train again", "build again", "retrieve"):
        assert run(stage, root) in (0, 2)
    assert theirs(tree(root), root, strangers) == theirs(before, root, strangers)
    assert tree(outside) == around


@pytest.mark.parametrize("stage", ["train again", "build again"])
def test_a_full_disk_leaves_the_trained_model(stage, finished, run, tmp_path, monkeypatch):
    import keras

    root = shutil.copytree(finished, tmp_path / "root")
    best = root / "models" / "digits" / "best.keras"
    before = best.read_bytes()

    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", full)
    assert run(stage, root) == 2
    assert best.read_bytes() == before


@pytest.mark.parametrize("where", ["data/photos", "data/photos/more", "data", ".", "reports/photos"])
def test_photos_in_our_folders_are_refused_and_stay(where, in_process, tmp_path):
    fill(tmp_path / where, [f"{number}.png" for number in range(12)])
    before = tree(tmp_path)
    ended = in_process("DataPreperation.py", "--root", tmp_path, "--source", tmp_path / where, "--dataset", "photos")
    assert ended.returncode == 2
    assert "which latentsearch writes to" in ended.stderr
    assert tree(tmp_path) == before


def test_a_new_run_leaves_the_notes_of_its_name(tiny_root, run, tmp_path):
    root = shutil.copytree(tiny_root, tmp_path / "root")
    shutil.rmtree(root / "models")
    for folder in ("reports/digits", "logs/digits", "models/digits"):
        stranger(root / folder / "notes.txt", "file", tmp_path)
    assert run("build", root) == 0
    assert run("build again", root) == 0
    assert [(root / folder / "notes.txt").read_text() for folder in ("reports/digits", "logs/digits")] == ["mine"] * 2
