"""Interrupted trainings: Ctrl-C, kill -9, and going on as if nothing had happened."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import signal
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from latentsearch import files
from latentsearch.config import TrainConfig
from latentsearch.errors import InputError
from latentsearch.models.export import load_model
from latentsearch.recipes import RECIPES
from latentsearch.runs import Run
from latentsearch.training import settings, tensorboard
from latentsearch.training import train as training
from latentsearch.training.checkpoint import TrainingCheckpoint
from tests.training.trainings import Interrupt, assert_same_training, train, weights

# Where a training of four epochs is killed, in this order: before its n-th call of this operation.
MOMENTS = {
    "before the first epoch is finished": ("keras.Model.save", 0),
    "while the best weights are written": ("keras.Model.save", 2),
    "while the backup is written": ("keras.Model.save", 3),
    "before the backup is complete": ("pathlib.Path.rename", 2),
    "before the old backup is deleted": ("latentsearch.files.remove", 10),
    "after the last epoch": ("latentsearch.training.tensorboard.write_projector", 0),
}


@pytest.fixture(scope="module")
def small_root(tiny_root):
    """What all trainings of this module begin with."""
    return tiny_root


@pytest.fixture
def killed(training_fork, small_root, tmp_path):
    """Trains the small run for four epochs, in a process that is killed at the last of the moments.

    Before, it copies the root at each moment: what a kill at that moment would leave. Returns the copies by moment.
    """
    root = shutil.copytree(small_root, tmp_path / "root")
    places = {moment: str(tmp_path / moment.replace(" ", "-")) for moment in MOMENTS}
    status = training_fork(f"""
import collections, os, pathlib, shutil, signal, keras, latentsearch.training.tensorboard
from latentsearch.training import train as training
from latentsearch.config import TrainConfig
root, moments, places = pathlib.Path({str(root)!r}), {MOMENTS!r}, {places!r}
calls = collections.Counter()
def watch(path):
    holder, _, name = path.rpartition(".")
    holder, operation = eval(holder), eval(path)
    def watched(*arguments, **keywords):
        for moment, place in moments.items():
            if place == (path, calls[path]):
                if name == "save":  # half a file is there already
                    pathlib.Path(arguments[1]).write_bytes(b"half")
                shutil.copytree(root, places[moment])
                if moment == [*moments][-1]:
                    os.kill(os.getpid(), signal.SIGKILL)
        calls[path] += 1
        return operation(*arguments, **keywords)
    setattr(holder, name, watched)
for path in {{path for path, _ in moments.values()}}:
    watch(path)
training.train(TrainConfig(run="digits", batch_size=64, epochs=4, root=root))
""")
    assert status == -signal.SIGKILL
    return {moment: Path(place) for moment, place in places.items()}


@pytest.mark.slow
def test_resumed_after_kill_9_at_any_moment_ends_as_if_never_interrupted(
    killed, small_root, tmp_path, in_process, monkeypatch
):
    monkeypatch.setattr(tensorboard, "callbacks", lambda *arguments, **keywords: [])  # not compared
    flags = ["--run", "digits", "--batch-size", 64, "--epochs", 4]
    straight = shutil.copytree(small_root, tmp_path / "straight")
    assert in_process("TrainAutoencoder.py", *flags, "--root", straight).returncode == 0
    for moment, root in killed.items():
        run = Run(root, "digits")
        if run.best_model.exists():
            assert load_model(run.best_model), moment
        # What the refusal says must work as it stands.
        refused = in_process("TrainAutoencoder.py", *flags, "--root", root)
        assert refused.returncode == 2, moment
        command = next(line for line in refused.stderr.splitlines() if line.endswith("--resume"))
        name, *arguments = shlex.split(command.partition("python ")[2])
        resumed = in_process(name, *arguments)
        assert resumed.returncode == 0, (moment, resumed.stderr)
        assert_same_training(straight, root)
        assert not run.backup.exists()


def test_ctrl_c_leaves_the_best_model_and_can_be_resumed(built_digits, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(tensorboard, "callbacks", lambda *arguments, **keywords: [Interrupt(2 * 4 + 1)])
        result = train(tmp_path, epochs=5)
    assert not result.finished
    assert len(result.history) == 2
    assert weights(tmp_path)
    assert len(train(tmp_path, epochs=5, resume=True).history) == 5


def test_ctrl_c_before_the_first_epoch_is_finished_passes_on(built_digits, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(tensorboard, "callbacks", lambda *arguments, **keywords: [Interrupt(1)])
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, epochs=2)
    assert len(train(tmp_path, epochs=2, resume=True).history) == 2


def test_resume_begins_if_there_is_nothing_and_changes_nothing_if_all_is_done(built_digits, tmp_path):
    first = train(tmp_path, epochs=2, resume=True)
    before = weights(tmp_path)
    again = train(tmp_path, epochs=2, resume=True)
    pd.testing.assert_frame_equal(first.history, again.history)
    assert again.differences == ()
    assert "epochs 2 (now 100)" in train(tmp_path).differences  # flags that were left out would train otherwise
    for a, b in zip(before, weights(tmp_path), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def interrupted_root(small_root, tmp_path_factory):
    """A root whose training was interrupted in the second of three epochs, to be copied."""
    root = shutil.copytree(small_root, tmp_path_factory.mktemp("interrupted") / "root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensorboard, "callbacks", lambda *arguments, **keywords: [Interrupt(4 + 1)])
        train(root, epochs=3, learning_rate=2e-3, seed=5)
    return root


@pytest.fixture
def interrupted(interrupted_root, tmp_path):
    """A copy of it in `tmp_path`."""
    shutil.copytree(interrupted_root, tmp_path, dirs_exist_ok=True)


def test_resume_takes_the_settings_that_the_training_began_with(interrupted, tmp_path):
    training.train(TrainConfig(run="digits", root=tmp_path, resume=True))
    record = json.loads(Run(tmp_path, "digits").training_record.read_text())
    assert record["epochs_done"] == 3
    assert record["settings"] | {"learning_rate": 2e-3, "seed": 5, "batch_size": 32} == record["settings"]


def test_a_damaged_backup_is_refused_in_words(interrupted, tmp_path):
    config = TrainConfig(run="digits", root=tmp_path, resume=True)
    folder = Run(tmp_path, "digits").backup / "epoch-00001"
    rows = (folder / "rows.json").read_text()
    (folder / "rows.json").write_text("[")
    with pytest.raises(InputError, match="--overwrite"):
        training.train(config)
    (folder / "rows.json").write_text(rows)
    (folder / "trainee.keras").write_bytes(b"PK")
    with pytest.raises(InputError, match="cannot be opened as a model"):
        training.train(config)


@pytest.mark.parametrize("rows", ["[]", "{}", '[{"val_mse": 1}]', '[{"val_loss": "a"}]', "[[]]", "[" * 100_000])
def test_a_backup_without_numbers_is_refused(rows, tmp_path):
    (tmp_path / "epoch-00001").mkdir()
    (tmp_path / "epoch-00001" / "rows.json").write_text(rows)
    with pytest.raises(InputError, match="--overwrite"):
        TrainingCheckpoint(tmp_path).latest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (None, "settings: Expected `object`, got `null`"),
        ({"epochs": "many"}, "settings.epochs: Expected `int`, got `str`"),
        ({"epochs": True}, "settings.epochs: Expected `int`, got `bool`"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"batch_size": 100_000}, "its batches"),
        ({"learning_rate": float("nan")}, "--learning-rate nan"),
        ({"schedule": "steps"}, "settings.schedule: Invalid enum value 'steps'"),
        ({"view_side": [8]}, r"settings\.view_side: Expected `int \| null`, got `array`"),
        ({"shift": 32}, "--shift 32"),
        ({"seed": -1}, "its seed"),
    ],
)
def test_a_training_record_that_was_changed_is_refused(changes, message, built_digits, tmp_path):
    run, config = Run(tmp_path, "digits"), TrainConfig(run="digits", root=tmp_path)
    chosen = settings.choose(config, run, built_digits, RECIPES["compact"])
    assert settings.resumed(config, run, built_digits, chosen, chosen) == chosen
    before = changes and asdict(chosen) | changes
    run.training_record.write_text(json.dumps({"settings": before, "finished": False}))
    with pytest.raises(InputError, match=rf"(?s)training.json.*{message}.*--overwrite"):
        training.train(dataclasses.replace(config, resume=True))


def test_a_damaged_training_record_is_replaced_as_the_refusal_says(built_digits, tmp_path):
    record = Run(tmp_path, "digits").training_record
    files.write_json(record, {"settings": None})
    with pytest.raises(InputError, match=r"TrainAutoencoder\.py --run digits .*--overwrite"):
        train(tmp_path, epochs=1)
    assert train(tmp_path, epochs=1, overwrite=True).finished
    assert json.loads(record.read_text())["settings"]["epochs"] == 1


def test_half_a_file_left_by_a_kill_never_becomes_the_best_model(built_digits, tmp_path):
    best, dead = Run(tmp_path, "digits").best_model, 2**22 + 1  # a number that no process has
    temporary = files.temporary_for(best)
    left = temporary.with_name(temporary.name.replace(f"-{os.getpid()}.", f"-{dead}."))
    left.write_bytes(b"half")
    files._swept.clear()
    train(tmp_path, epochs=1)
    assert weights(tmp_path)
    assert not left.exists()


def test_a_network_of_another_build_is_not_trained(built_digits, tmp_path):
    """As a kill between the moves of the files of a build leaves it."""
    run = Run(tmp_path, "digits")
    record = json.loads(run.build_record.read_text())
    run.build_record.write_text(json.dumps(record | {"initial_model": "0" * 64}))
    with pytest.raises(InputError, match=r"(?s)is not the network.*BuildingAutoencoder\.py --run digits.*--overwrite"):
        train(tmp_path, epochs=1)
