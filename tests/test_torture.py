"""Every stage on a full disk, and killed, at its changes of the disk: words, and all that was there is whole.

A few places of each stage in `make test`; `make torture` takes every place of a full disk, and 500 kills and more.
"""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from latentsearch import data
from latentsearch.data.splits import fingerprint
from latentsearch.gallery import gallery
from tests.data.folders import fill, many
from tests.faults import Stages, compiled

LIGHT = """
import latentsearch.cli, latentsearch.data, sklearn.datasets, tyro, PIL.Image, tests.conftest
import latentsearch.search.open, latentsearch.search.output, latentsearch.search.figures
"""
HEAVY = """
import latentsearch.models.build, latentsearch.models.export, latentsearch.training.train
import latentsearch.evaluation.checks, latentsearch.evaluation.evaluate, latentsearch.evaluation.report
import latentsearch.tuning.tune, latentsearch.tuning.report, latentsearch.tuning.trial_training
"""
WITHOUT_KERAS = ("prepare", "prepare a folder", "retrieve", "retrieve in a folder")
RUN = ("--run", "digits")
TRAINING = ("--epochs", "1", "--batch-size", "64")
STAGES = {
    "prepare": ("DataPreperation.py", "--source", "digits", "--seed", "1"),
    "prepare a folder": ("DataPreperation.py", "--source", "PHOTOS", "--dataset", "photos", "--image-size", "8"),
    "build": ("BuildingAutoencoder.py", *RUN, "--dataset", "digits", "--overwrite", "--architecture", "compact"),
    "train": ("TrainAutoencoder.py", *RUN, *TRAINING, "--overwrite"),
    "check": ("SanityChecks.py", *RUN),
    "retrieve": ("RetrieveSimilar.py", *RUN, "--query-index", "0", "--explain"),
    "retrieve in a folder": ("RetrieveSimilar.py", *RUN, "--gallery", "PHOTOS", "--no-figure"),
    "tune": (
        "TuneAutoencoder.py", "--run", "tuned", "--dataset", "digits", "--trials", "1", "--epochs", "1", "--mark",
        "compact", "--overwrite",
    ),
}  # fmt: skip
QUICK = ("prepare", "prepare a folder", "build", "retrieve", "retrieve in a folder", "train")
KILLS = {"prepare": 130, "prepare a folder": 130, "build": 90, "retrieve": 60, "retrieve in a folder": 60}
KILLS |= {"train": 30, "check": 5, "tune": 5}
RESULTS = Path(os.environ.get("TORTURE_RESULTS", os.devnull))  # a line a test, for docs/robustness.md
SHARE = float(os.environ.get("TORTURE_SHARE", "1"))  # of the places, where time is short


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """Starts what runs stages, by whether they need Keras."""
    folder = tmp_path_factory.mktemp("faults")
    library = compiled(folder)
    if library is None:
        pytest.skip("no C compiler, or no Linux")

    servers = []

    @functools.cache
    def started(heavy):
        servers.append(Stages(folder, library, LIGHT + HEAVY * heavy))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def finished(small_root, stages, tmp_path_factory):
    """A root in which the scripts ran, with notes of the user's, to be copied."""
    from latentsearch.config import TrainConfig
    from latentsearch.training.train import train

    root = shutil.copytree(small_root, tmp_path_factory.mktemp("finished") / "root")
    train(TrainConfig(run="digits", epochs=1, batch_size=64, root=root))
    fill(root / "photos", many(30, "a/"))
    for name in ("retrieve in a folder", "prepare a folder"):
        end = run(stages, name, root)
        assert end.status == 0, end.output
    for folder in ("data/digits", "models/digits", "logs/digits", "reports/digits"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "notes.txt").write_text("mine")
    return root


def run(stages, name, root, *fault):
    arguments = tuple(word.replace("PHOTOS", str(root / "photos")) for word in STAGES[name])
    if name == "retrieve":  # the gallery too
        (root / "models" / "digits" / "gallery.npz").unlink(missing_ok=True)
    if name == "retrieve in a folder":
        fill(root / "photos", many(3, "new/"))
    return stages(name not in WITHOUT_KERAS).run(arguments, root, *fault)


def assert_whole(root):
    """What was there is still there and whole: the old or the new of each file, and all that is not ours."""
    for name in ("digits", "photos"):
        dataset = data.load(root, name)
        arrays = {part: np.asarray(getattr(dataset, part)) for part in ("images", "labels", "split")}
        assert fingerprint(arrays, dataset.class_names) == dataset.fingerprint
        assert not dataset.paths or len(dataset.paths) == len(dataset.images)
    for path in root.rglob("notes.txt"):
        assert path.read_text() == "mine"
    assert len(list(root.rglob("notes.txt"))) == 4
    ours = [path for path in root.rglob("*") if path.is_file() and ".tmp" not in str(path)]
    for path in ours:
        if path.suffix == ".json" and "unfinished" not in path.parts:
            json.loads(path.read_text())
        elif path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None, path
        elif path.name == "history.csv":
            assert len(pd.read_csv(path))
        elif path.suffix == ".npz":
            assert "maps" in path.parts or gallery.load(path) is not None, path
    model = root / "models" / "digits"
    assert (model / "initial.keras").exists()
    assert len(list((root / "photos").rglob("*.png"))) >= 30


def assert_trained(root, name):
    """A stage that does not replace the network leaves it; one that does, leaves the old one or a new run."""
    best = root / "models" / "digits" / "best.keras"
    assert best.exists() or name == "build", "the trained network is gone"


def places(count, number, seed):
    """Places among `count`: all of them, or `number` drawn at random, the first and the last among them."""
    if number is None or number >= count:
        return list(range(count))
    drawn = random.Random(seed).sample(range(count), max(number - 2, 0))
    return sorted({0, count - 1, *drawn})


def copied(finished, tmp_path, number):
    return shutil.copytree(finished, tmp_path / f"root{number}", symlinks=True)


def fill_the_disk(stages, finished, name, tmp_path, number):
    count = run(stages, name, copied(finished, tmp_path, "whole"), "full").count
    files, told = Counter(), 0
    wanted = places(count, number if number else max(2, round(SHARE * count)), 0)
    for place in wanted:
        root = copied(finished, tmp_path, place)
        end = run(stages, name, root, "full", place)
        words = end.output.strip()
        assert "Traceback" not in words, (place, words)
        assert end.status == 2, (place, end)
        assert " cannot be written: the disk" in words, (place, words)
        assert "bytes are left in" in words, (place, words)
        files[Path(end.refused).name[:14]] += 1
        told += 1
        assert_whole(root)
        assert_trained(root, name)
        assert [path for path in root.rglob("*.tmp*") if path.is_file()] == [], place
        if place == wanted[-1] or place % 7 == 0:  # where there is room again, it goes on
            again = run(stages, name, root)
            assert again.status == 0, (place, again.output)
        shutil.rmtree(root)
    note(f"full disk | {name} | {count} | {told} | {len(files)}")


def kill(stages, finished, name, tmp_path, number):
    count = run(stages, name, copied(finished, tmp_path, "whole"), "kill").count
    assert count > 3
    killed = 0
    for turn, place in enumerate(drawn_places(count, number)):
        root = copied(finished, tmp_path, turn)
        end = run(stages, name, root, "kill", place)
        killed += end.status is None
        assert_whole(root)
        assert_trained(root, name)
        if turn % 10 == 0:
            again = run(stages, name, root)
            assert again.status == 0, (place, again.output)
            assert_whole(root)
            assert not leftovers(root), place
        shutil.rmtree(root)
    assert killed > 0
    note(f"kill -9 | {name} | {count} | {killed}")


def drawn_places(count, number):
    if number >= count:  # every place, then some again
        return [*range(count), *random.Random(1).choices(range(count), k=number - count)]
    return places(count, number, 1)


def leftovers(root):
    """Temporary files in the folders that the stage wrote to again."""
    return [path for path in root.rglob("*.tmp.*") if path.is_file() and path.parent == root / "models" / "digits"]


def note(line):
    with open(RESULTS, "a", encoding="utf-8") as file:
        file.write(line + "\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_full_disk_is_told_and_harms_nothing(name, stages, finished, tmp_path):
    fill_the_disk(stages, finished, name, tmp_path, 3 if name == "train" else 6)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_kill_harms_nothing(name, stages, finished, tmp_path):
    kill(stages, finished, name, tmp_path, 3 if name == "train" else 6)


@pytest.mark.torture
@pytest.mark.parametrize("name", STAGES)
def test_a_full_disk_at_every_write(name, stages, finished, tmp_path):
    fill_the_disk(stages, finished, name, tmp_path, None)


@pytest.mark.torture
@pytest.mark.parametrize("name", STAGES)
def test_500_kills(name, stages, finished, tmp_path):
    kill(stages, finished, name, tmp_path, max(2, round(SHARE * KILLS[name])))
