"""Training: the stream, the best checkpoint, repeatability, and going on after kill -9."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY

from latentsearch import datasets, training
from latentsearch.config import BuildConfig, PrepareConfig, TrainConfig
from latentsearch.encoding import Autoencoder
from latentsearch.errors import InputError
from latentsearch.runs import Run


def train(root, **changes):
    return training.train(TrainConfig(run="digits", root=root, batch_size=32, **changes))


def batches(dataset, count, **changes):
    settings = {"seed": 0, "first_epoch": 0, "flip": True} | changes
    stream = training.training_batches(dataset.images, dataset.ids("train"), 32, **settings)
    return [images.numpy() for images, _ in stream.take(count)]


def test_each_epoch_shows_each_image_once_in_another_order(small_digits):
    steps = len(small_digits.ids("train")) // 32
    shown = np.concatenate(batches(small_digits, 2 * steps, flip=False))
    first, second = shown[: steps * 32], shown[steps * 32 :]
    assert not np.array_equal(first, second)
    originals = {image.tobytes() for image in datasets.to_float(small_digits.images[small_digits.ids("train")])}
    assert len({image.tobytes() for image in first}) == steps * 32
    assert {image.tobytes() for image in first} <= originals


def test_the_stream_goes_on_where_it_stopped(small_digits):
    steps = len(small_digits.ids("train")) // 32
    whole = batches(small_digits, 3 * steps)
    np.testing.assert_array_equal(whole[steps:], batches(small_digits, 2 * steps, first_epoch=1))
    assert not np.array_equal(whole, batches(small_digits, 3 * steps, seed=1))


def test_flip_mirrors_about_half_of_the_images(small_digits):
    plain, flipped = batches(small_digits, 4, flip=False), batches(small_digits, 4)
    same = [np.array_equal(a, b) for x, y in zip(plain, flipped, strict=True) for a, b in zip(x, y, strict=True)]
    mirrored = [
        np.array_equal(a[:, ::-1], b) for x, y in zip(plain, flipped, strict=True) for a, b in zip(x, y, strict=True)
    ]
    assert all(a or b for a, b in zip(same, mirrored, strict=True))
    assert 0.3 < np.mean(mirrored) < 0.7


def test_the_best_epoch_is_kept_and_everything_is_written(built_digits, tmp_path):
    result = train(tmp_path, epochs=4)
    run = Run(tmp_path, "digits")
    assert result.finished
    assert list(result.history["epoch"]) == [1, 2, 3, 4]
    assert result.best["val_loss"] == result.history["val_loss"].min()
    images = datasets.to_float(built_digits.images[built_digits.ids("validation")])
    autoencoder = Autoencoder(run.best_model)
    error = np.square(autoencoder.model.predict(images, verbose=0) - images).mean()
    assert error == pytest.approx(result.best["val_loss"], rel=1e-4)
    pd.testing.assert_frame_equal(pd.read_csv(run.history), result.history)
    record = json.loads(run.training_record.read_text())
    assert record["finished"]
    assert record["best"]["epoch"] == result.best["epoch"]
    assert run.best_model.stat().st_size < 2 * autoencoder.model.count_params() * 4  # no optimizer state
    assert not run.backup.exists()


def test_tensorboard_has_curves_graph_codes_pictures_and_projector(built_digits, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path, epochs=2)
    logs = tmp_path / "logs" / "digits"

    def tags(folder):
        return EventAccumulator(str(logs / folder)).Reload().Tags()

    assert {"epoch_loss", "epoch_accuracy", "epoch_learning_rate"} <= set(tags("train")["tensors"])
    assert {"epoch_loss", "epoch_accuracy"} <= set(tags("validation")["tensors"])
    assert tags("codes")["graph"]
    assert {"code/0", "code/9", "originals and reconstructions"} <= set(tags("codes")["tensors"])
    num_test = len(built_digits.ids("test"))
    assert np.loadtxt(logs / "codes" / "codes.tsv").shape == (num_test, 10)
    assert len((logs / "codes" / "metadata.tsv").read_text().splitlines()) == num_test + 1
    config = (logs / "codes" / "projector_config.pbtxt").read_text()
    assert "sprite.png" in config
    assert "/" not in config


def weights(root):
    return Autoencoder(Run(root, "digits").best_model).model.get_weights()


def assert_same_training(one, other):
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    histories = [pd.read_csv(Run(root, "digits").history)[columns] for root in (one, other)]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


def make_run(root):
    """Prepares the digits and builds a run for them."""
    from latentsearch import building

    datasets.prepare(PrepareConfig(source="digits", root=root))
    building.build_run(BuildConfig(run="digits", dataset="digits", root=root))
    return root


@pytest.mark.slow
def test_one_seed_gives_equal_trainings_and_another_does_not(tmp_path):
    roots = [make_run(tmp_path / name) for name in "abc"]
    for root, seed in zip(roots, (3, 3, 4), strict=True):
        train(root, epochs=3, seed=seed)
    assert_same_training(roots[0], roots[1])
    with pytest.raises(AssertionError):
        assert_same_training(roots[0], roots[2])


@pytest.mark.slow
def test_resumed_after_kill_9_ends_as_if_never_interrupted(tmp_path, script):
    straight, killed = make_run(tmp_path / "straight"), make_run(tmp_path / "killed")
    flags = ["--run", "digits", "--epochs", "6"]
    assert script("TrainAutoencoder.py", *flags, "--root", straight).returncode == 0

    command = [sys.executable, "TrainAutoencoder.py", *flags, "--root", str(killed)]
    for epoch in (1, 4):  # killed twice, at two moments after the end of an epoch
        resume = ["--resume"] if epoch > 1 else []
        process = subprocess.Popen([*command, *resume], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        backup = Run(killed, "digits").backup
        deadline = time.monotonic() + 120
        while not any((backup / f"epoch-{done:05d}").exists() for done in range(epoch, 7)):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.05 * epoch)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(pd.read_csv(Run(killed, "digits").history)) < 6
    result = script("TrainAutoencoder.py", *flags, "--resume", "--root", killed)
    assert result.returncode == 0, result.stderr
    assert_same_training(straight, killed)


def test_ctrl_c_leaves_the_best_model_and_can_be_resumed(built_digits, tmp_path, monkeypatch):
    from latentsearch import tensorboard

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if self.model.optimizer.iterations == 2 * 4 + 1:  # in the third epoch
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tensorboard, "callbacks", lambda *arguments, **keywords: [Interrupt()])
        result = train(tmp_path, epochs=5)
    assert not result.finished
    assert len(result.history) == 2
    assert weights(tmp_path)
    assert len(train(tmp_path, epochs=5, resume=True).history) == 5


def test_a_loss_that_is_no_number_stops_with_a_hint(built_digits, tmp_path):
    with pytest.raises(InputError, match="--learning-rate"):
        train(tmp_path, epochs=30, learning_rate=1e30)


def test_refusals(built_digits, tmp_path):
    with pytest.raises(InputError, match=r"--epochs 0: expected at least 1"):
        train(tmp_path, epochs=0)
    with pytest.raises(InputError, match=r"(?s)training.json is missing.*TrainAutoencoder.py --run digits"):
        train(tmp_path, epochs=1, resume=True)
    train(tmp_path, epochs=1)
    with pytest.raises(InputError, match=r"(?s)trained before.*--resume.*--overwrite"):
        train(tmp_path, epochs=1)
    with pytest.raises(InputError, match=r"(?s)other settings \(epochs was 1, is 2"):
        train(tmp_path, epochs=2, resume=True)
    with pytest.raises(InputError, match="has finished"):
        train(tmp_path, epochs=1, resume=True)
    assert train(tmp_path, epochs=2, overwrite=True).finished


def test_a_run_is_refused_for_other_images_than_its_own(built_digits, tmp_path):
    datasets.prepare(PrepareConfig(source="digits", seed=9, root=tmp_path))
    with pytest.raises(InputError, match=r"(?s)another split.*python DataPreperation.py --source digits"):
        train(tmp_path, epochs=1)


def test_a_run_that_is_not_built_names_the_command(tmp_path):
    with pytest.raises(InputError, match=r"(?s)build.json is missing.*python BuildingAutoencoder.py --run digits"):
        train(tmp_path, epochs=1)


def test_building_over_a_trained_run_needs_overwrite(built_digits, tmp_path):
    from latentsearch import building

    train(tmp_path, epochs=1)
    config = BuildConfig(run="digits", dataset="digits", root=tmp_path)
    with pytest.raises(InputError, match="already trained"):
        building.build_run(config)
    run = Run(tmp_path, "digits")
    assert run.best_model.exists()
    building.build_run(BuildConfig(run="digits", dataset="digits", root=tmp_path, overwrite=True))
    assert not run.best_model.exists()
    assert run.initial_model.exists()
