"""Stages that meet a full disk, or are killed, at their changes of the disk; see test_torture."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from latentsearch import data
from latentsearch.data.splits import fingerprint
from latentsearch.gallery import gallery
from tests.data.folders import fill, many

LIGHT = """
import latentsearch.cli, latentsearch.data, sklearn.datasets, tyro, PIL.Image, tests.conftest
import latentsearch.search.open, latentsearch.search.output, latentsearch.search.figures
"""
HEAVY = """
import latentsearch.models.build, latentsearch.models.export, latentsearch.training.train
"""
HEAVIEST = """
import latentsearch.evaluation.checks, latentsearch.evaluation.evaluate, latentsearch.evaluation.report
import latentsearch.tuning.tune, latentsearch.tuning.report, latentsearch.tuning.trial_training
import sklearn.manifold
"""
IMPORTS = {"build": HEAVY, "train": HEAVY, "check": HEAVY + HEAVIEST, "tune": HEAVY + HEAVIEST}  # beside LIGHT
PROJECT = "project"  # folder that a stage works in
RUN = ("--run", "digits")
SMALLEST = ("--architecture", "custom", "--network.filters", "8", "--network.depth", "1", "--network.dense-units", "16")
TRAINING = ("--epochs", "1", "--batch-size", "64")
STAGES = {
    "prepare": ("DataPreperation.py", "--source", "digits", "--seed", "1"),
    "prepare a folder": ("DataPreperation.py", "--source", "PHOTOS", "--dataset", "photos", "--image-size", "8"),
    "build": ("BuildingAutoencoder.py", *RUN, "--dataset", "digits", "--overwrite", *SMALLEST),
    "train": ("TrainAutoencoder.py", *RUN, *TRAINING, "--overwrite"),
    "check": ("SanityChecks.py", *RUN),
    "retrieve": ("RetrieveSimilar.py", *RUN, "--query-index", "0", "--explain"),
    "retrieve in a folder": ("RetrieveSimilar.py", *RUN, "--gallery", "PHOTOS", "--no-figure"),
    "tune": (
        "TuneAutoencoder.py", "--run", "tuned", "--dataset", "digits", "--trials", "1", "--epochs", "1", "--mark",
        "compact", "--overwrite",
    ),
}  # fmt: skip
QUICK = ("prepare", "prepare a folder", "build", "retrieve in a folder")
FEW = 2  # places of each
MOST = 1000  # writes of a stage that are tried: all of them, or at least the first of each kind to each file
KILLS = {"prepare": 110, "prepare a folder": 110, "build": 60, "retrieve": 60, "retrieve in a folder": 60}
KILLS |= {"train": 25, "check": 25, "tune": 25}
AT_RANDOM_TIMES = dict.fromkeys(STAGES, 10) | {"train": 5, "check": 5, "tune": 5}
RESULTS = Path(os.environ.get("TORTURE_RESULTS", os.devnull))  # a line a test, for docs/robustness.md
SHARE = float(os.environ.get("TORTURE_SHARE", "1"))  # of the places, where time is short


def run(stages, name, root, *fault, **keywords):
    arguments = tuple(word.replace("PHOTOS", str(root / "photos")) for word in STAGES[name])
    if name == "retrieve":  # the gallery too
        (root / "models" / "digits" / "gallery.npz").unlink(missing_ok=True)
    if name == "retrieve in a folder":
        fill(root / "photos", many(3, "new/"))
    return stages(IMPORTS.get(name, "")).run(arguments, root, *fault, **keywords)


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


def places(changes, most, seed):
    """Which of the changes to try: all, or `most`: the first of each kind to each file, the last, others at random."""
    if len(changes) <= most:
        return list(range(len(changes)))
    rng, kinds = random.Random(seed), {}
    for place, change in enumerate(changes):
        kinds.setdefault(kind_of(change), place)
    first = sorted({*kinds.values(), len(changes) - 1})
    if len(first) > most:
        return sorted(rng.sample(first, most))
    rest = sorted(set(range(len(changes))) - set(first))
    return sorted([*first, *rng.sample(rest, most - len(first))])


def kind_of(change):
    """What was called, and the file, without what differs from run to run in the names of temporary files."""
    change = re.sub(rf" .*?/{PROJECT}/", " ", change)
    change = re.sub(r"/tuning/(\d+|compact)/", "/tuning/TRIAL/", change)
    change = re.sub(r"\.[0-9a-f]{8}-[^/]*-\d+\.tmp", ".tmp", change)
    return re.sub(r"events\.out\.tfevents\.[^/]*", "events", change)


def copied(finished, tmp_path):
    shutil.rmtree(tmp_path / PROJECT, ignore_errors=True)
    return shutil.copytree(finished, tmp_path / PROJECT, symlinks=True)


def fill_the_disk(stages, finished, name, tmp_path, most):
    changes = run(stages, name, copied(finished, tmp_path), "full").changes
    files, tried, bad = set(), Counter(), []
    wanted = places(changes, most, 0)
    for turn, place in enumerate(random.Random(0).sample(wanted, len(wanted))):  # cut short, it has tried some of all
        kind = "full" if turn % 3 else "full once"  # a third: the next write finds room again
        root = copied(finished, tmp_path)
        end = run(stages, name, root, kind, place)
        files.add(kind_of(changes[place]))
        tried[kind] += 1
        try:
            tried["written again"] += assert_told(end, kind, kind_of(changes[place]))
            assert_whole(root)
            assert_trained(root, name)
            assert [path for path in root.rglob("*.tmp*") if path.is_file()] == []
            if place == wanted[-1] or turn % 16 == 5:  # where there is room again, it goes on
                again = run(stages, name, root)
                assert again.status == 0, again.output
                assert_whole(root)
                tried["again"] += 1
        except Exception as error:
            bad.append(f"{kind} {place} {end.refused}: {type(error).__name__} {error}\n{end.output}")
            note("bad", name, bad[-1])
        note("place", name, kind, place, end.status, kind_of(changes[place]))
    note(
        "full disk", name, f"{len(changes)} writes", f"{len(set(map(kind_of, changes)))} kinds", dict(tried), len(files)
    )
    assert not bad, "\n\n".join([f"{len(bad)} of {len(wanted)}", *bad])


def assert_told(end, kind, change):
    """Returns whether the stage ended well, where libraries try again what is refused once.

    TensorFlow does so with its event files, Python with a new archive.
    """
    assert end.refused
    archive = change.startswith("create ") and change.endswith(".keras")
    if kind == "full once" and end.status == 0 and (archive or "events.out.tfevents" in end.refused):
        return True
    assert "Traceback" not in end.output
    assert end.status == 2
    assert " cannot be written: the disk" in end.output
    assert "A file of" not in end.output
    assert "bytes are left in" in end.output
    return False


def kill(stages, finished, name, tmp_path, number, at_random_times=0):
    begin = time.monotonic()
    count = run(stages, name, copied(finished, tmp_path), "kill").count
    took = time.monotonic() - begin
    assert count > 3
    rng, killed = random.Random(1), Counter()
    turns = [("kill", place, None) for place in sorted(rng.sample(range(count), min(count, number)))]
    turns += [("kill", rng.randrange(count), None) for _ in range(number - count)]
    turns += [("none", -1, rng.uniform(0, took)) for _ in range(at_random_times)]
    for turn, (kind, place, seconds) in enumerate(turns):
        root = copied(finished, tmp_path)
        end = run(stages, name, root, kind, place, seconds=seconds)
        killed["at a change" if seconds is None else "at a time"] += end.status is None
        assert_whole(root)
        assert_trained(root, name)
        if turn % 10 == 0:
            again = run(stages, name, root)
            assert again.status == 0, (place, seconds, again.output)
            assert_whole(root)
            assert not leftovers(root), place
            killed["again"] += 1
    assert killed["at a change"] > 0
    note("kill -9", name, count, killed["at a change"], killed["at a time"], killed["again"])


def look_before_each_change(stages, finished, name, tmp_path, goes_on):
    """What a kill before each change of one run leaves: `root` was copied there."""
    root, copies = copied(finished, tmp_path), tmp_path / "copies"
    copies.mkdir()
    end = run(stages, name, root, "copy", copies=copies)
    assert end.status == 0, end.output
    states = sorted(copies.iterdir())
    assert len(states) == end.count > 3
    for state in states:
        assert_whole(state)
        assert_trained(state, name)
    for state in places(end.changes, goes_on, 2):
        shutil.rmtree(root)
        states[state].rename(root)
        again = run(stages, name, root)
        assert again.status == 0, (state, again.output)
        assert_whole(root)
        assert not leftovers(root), state
    note("before each change", name, end.count, goes_on)


def leftovers(root):
    """Temporary files in the folders that the stage wrote to again."""
    return [path for path in root.rglob("*.tmp.*") if path.is_file() and path.parent == root / "models" / "digits"]


def note(*what):
    with open(RESULTS, "a", encoding="utf-8") as file:
        file.write(" | ".join(map(str, what)) + "\n")
