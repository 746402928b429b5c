"""Training: the stream, the best checkpoint, repeatability, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest

from latentsearch import data, files
from latentsearch.config import BuildConfig, PrepareConfig, TrainConfig
from latentsearch.errors import InputError
from latentsearch.models import architectures
from latentsearch.models.export import load_model
from latentsearch.recipes import RECIPES
from latentsearch.runs import Run
from latentsearch.training import dataloader
from latentsearch.training import settings as settings_of_trainings
from latentsearch.training import train as training
from latentsearch.training.history import hidden, read_history
from latentsearch.training.model import compiled
from latentsearch.training.settings import Settings
from tests.training.trainings import assert_same_training, train, weights


def settings(**changes):
    plain = {"epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "schedule": "constant", "shift": 0, "flip": False}
    return Settings(**{**plain, "seed": 0, "initial_model": "", "dataset": "", **changes})


@pytest.fixture(scope="module")
def small_root(tiny_root):
    """What all trainings of this module begin with."""
    return tiny_root


def batches(dataset, count, first_epoch=0, **changes):
    endless = dataloader.training_batches(
        dataset.images, dataset.ids("train"), settings(**changes), first_epoch=first_epoch
    )
    return [images.numpy() for images, _ in endless.take(count)]


def test_each_epoch_shows_each_image_once_in_another_order(small_digits):
    steps = len(small_digits.ids("train")) // 32
    shown = np.concatenate(batches(small_digits, 2 * steps))
    first, second = shown[: steps * 32], shown[steps * 32 :]
    assert not np.array_equal(first, second)
    originals = {image.tobytes() for image in data.to_float(small_digits.images[small_digits.ids("train")])}
    assert len({image.tobytes() for image in first}) == steps * 32
    assert {image.tobytes() for image in first} <= originals


def test_the_stream_goes_on_where_it_stopped(small_digits):
    steps = len(small_digits.ids("train")) // 32
    augmented = {"shift": 2, "flip": True}
    whole = batches(small_digits, 3 * steps, **augmented)
    np.testing.assert_array_equal(whole[steps:], batches(small_digits, 2 * steps, first_epoch=1, **augmented))
    assert not np.array_equal(whole, batches(small_digits, 3 * steps, seed=1, **augmented))
    assert not np.array_equal(whole, batches(small_digits, 3 * steps))


def test_a_subset_is_drawn_by_the_seed_from_all_images(small_digits):
    ids = small_digits.ids("train")
    drawn = dataloader.training_ids(ids, settings(subset=40))
    assert len(drawn) == 40
    assert (np.diff(drawn) > 0).all()
    assert set(drawn) <= set(ids)
    assert drawn[-1] > ids[60]  # not the first ones
    assert not np.array_equal(drawn, dataloader.training_ids(ids, settings(subset=40, seed=1)))
    np.testing.assert_array_equal(dataloader.training_ids(ids, settings(subset=10_000)), ids)
    np.testing.assert_array_equal(dataloader.training_ids(ids, settings()), ids)


def test_a_watch_may_end_a_training_on_a_subset(built_digits, tmp_path):
    class Enough(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = logs["val_effective_rank"] > 0

    config = TrainConfig(run="digits", epochs=3, subset=20, root=tmp_path)
    result = training.train(config, watch=[Enough()], trial=True)
    assert result.finished
    assert len(result.history) == 1
    record = json.loads(Run(tmp_path, "digits").training_record.read_text())
    assert (record["settings"]["subset"], record["settings"]["batch_size"], record["epochs_done"]) == (20, 20, 1)
    assert not (tmp_path / "logs" / "digits" / "codes" / "codes.tsv").exists()
    with pytest.raises(InputError, match="--subset 0"):
        train(tmp_path, epochs=1, subset=0, overwrite=True)


def test_the_best_epoch_is_kept_and_everything_is_written(built_digits, tmp_path):
    result = train(tmp_path, epochs=4)
    run = Run(tmp_path, "digits")
    assert result.finished
    assert list(result.history["epoch"]) == [1, 2, 3, 4]
    assert result.best["val_loss"] == result.history["val_loss"].min()
    images = data.to_float(built_digits.images[built_digits.ids("validation")])
    autoencoder = load_model(run.best_model)
    error = np.square(autoencoder.predict(images, verbose=0) - images).mean()
    assert error == pytest.approx(result.best["val_loss"], rel=1e-4)
    pd.testing.assert_frame_equal(pd.read_csv(run.history), result.history)
    record = json.loads(run.training_record.read_text())
    assert record["finished"]
    assert record["best"]["epoch"] == result.best["epoch"]
    assert run.best_model.stat().st_size < autoencoder.count_params() * 4  # compressed, and no optimizer state
    assert not run.backup.exists()


def test_tensorboard_has_curves_graph_codes_pictures_and_projector(trained_digits, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logs = tmp_path / "logs" / "digits"

    def tags(folder):
        return EventAccumulator(str(logs / folder)).Reload().Tags()

    shown = {part: set(tags(part)["tensors"]) for part in ("train", "validation")}
    assert {"epoch_loss", "epoch_learning_rate"} <= shown["train"]
    assert {"epoch_loss", "epoch_mse"} <= shown["validation"]
    # The digits are grey, and these are 18.
    assert not [tag for tag in shown["train"] | shown["validation"] if re.search("accuracy|channel|recall", tag)]
    assert {"settings", "_hparams_/session_start_info"} <= {
        *tags("")["tensors"],
        *EventAccumulator(str(logs)).Reload().summary_metadata,
    }
    assert tags("codes")["graph"]
    assert {"code/number 1", "code/number 10", "images and reconstructions"} <= set(tags("codes")["tensors"])
    num_test = len(trained_digits.ids("test"))
    assert np.loadtxt(logs / "codes" / "codes.tsv").shape == (num_test, 10)
    assert len((logs / "codes" / "metadata.tsv").read_text().splitlines()) == num_test + 1
    config = (logs / "codes" / "projector_config.pbtxt").read_text()
    assert "sprite.png" in config
    assert "/" not in config


def test_what_means_nothing_for_the_images_is_not_shown(built_digits):
    assert hidden(built_digits) == {
        "accuracy", "val_accuracy", "val_copy_recall", "val_precision", "val_agreement",
    }  # fmt: skip
    pixels = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    split = np.repeat(np.arange(3), [30, 50, 20]).astype(np.uint8)
    coloured = dataclasses.replace(built_digits, images=pixels, labels=np.zeros(100, np.int64), split=split)
    assert hidden(coloured) == frozenset()


@pytest.mark.parametrize(
    ("used", "of_recipe", "expected"),
    [(6, 128, 6), (20, 128, 20), (40, 128, 20), (240, 128, 30), (2000, 128, 128), (2000, 512, 250)],
)
def test_batches_follow_the_number_of_images(used, of_recipe, expected, built_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(settings_of_trainings, "_num_used", lambda dataset, subset: used)
    recipe = dataclasses.replace(RECIPES["compact"], batch_size=of_recipe)
    for flag in (None, 5):
        config = TrainConfig(run="digits", root=tmp_path, batch_size=flag)
        chosen = settings_of_trainings.choose(config, Run(tmp_path, "digits"), built_digits, recipe)
        assert chosen.batch_size == (flag or expected)


def test_one_seed_gives_equal_trainings_and_another_does_not(small_root, trained_root, tmp_path):
    same, other = (shutil.copytree(small_root, tmp_path / name) for name in ("same", "other"))
    for root, seed in ((same, None), (other, 4)):
        train(root, epochs=2, **({} if seed is None else {"seed": seed}))
    assert_same_training(trained_root, same)
    with pytest.raises(AssertionError):
        assert_same_training(trained_root, other)


def test_a_loss_that_is_no_number_stops_with_a_hint(built_digits, tmp_path):
    with pytest.raises(InputError, match="--learning-rate"):
        train(tmp_path, epochs=30, learning_rate=1e30)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "--epochs 0: expected at least 1"),
        ({"batch_size": 0}, "--batch-size 0: expected at least 1"),
        ({"learning_rate": 0.0}, "--learning-rate 0.0: expected more than 0"),
        ({"shift": 32}, "--shift 32: expected 0 to 31"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message, built_digits, tmp_path):
    with pytest.raises(InputError, match=message):
        train(tmp_path, **changes)


def test_a_training_is_neither_lost_nor_mixed_with_another(trained_digits, tmp_path):
    before = weights(tmp_path)
    again = train(tmp_path, epochs=2)
    assert (again.is_new, again.finished, len(again.history)) == (False, True, 2)
    with pytest.raises(InputError, match=r"(?s)--epochs 1: it began with 2.*--overwrite"):
        train(tmp_path, epochs=1)
    with pytest.raises(InputError, match=r"--epochs 1: it began with 2"):
        train(tmp_path, epochs=1, resume=True)
    initial = Run(tmp_path, "digits").initial_model
    kept = initial.read_bytes()
    initial.write_bytes(b"damaged")
    with pytest.raises(InputError, match="is not the network that"):
        train(tmp_path, epochs=1, overwrite=True)
    for a, b in zip(before, weights(tmp_path), strict=True):
        np.testing.assert_array_equal(a, b)
    initial.write_bytes(kept)
    run = Run(tmp_path, "digits")
    old = run.own_events()
    assert old
    of_trial = files.claim(run.trial("000").logs / "events.out.tfevents.1.host.1.0.v2")
    of_trial.touch()
    assert train(tmp_path, epochs=1, overwrite=True).finished
    assert of_trial.exists()
    assert run.own_events() - old == run.own_events() != set()


def test_a_run_is_refused_for_other_images_than_its_own(built_digits, tmp_path):
    data.prepare(PrepareConfig(source="digits", seed=9, root=tmp_path))
    with pytest.raises(InputError, match=r"(?s)another split.*python DataPreperation.py --source digits --root"):
        train(tmp_path, epochs=1)


def test_a_run_that_is_not_built_names_the_command(tmp_path):
    with pytest.raises(InputError, match=r"(?s)no run 'digits'.*python BuildingAutoencoder.py --run digits"):
        train(tmp_path, epochs=1)


@pytest.mark.parametrize("content", ["", "epoch\n1\n", "HEADER\n", "HEADER\n1,2,3,4,5,6,fast\n", "HEADER\n\xff"])
def test_a_history_without_numbers_is_refused(content, tmp_path):
    run = Run(tmp_path, "digits")
    run.models.mkdir(parents=True)
    header = "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds"
    run.history.write_text(f"{header}\n1,2,3,4,5,6,7\n")
    assert len(read_history(run)) == 1
    run.history.write_bytes(content.replace("HEADER", header).encode("latin-1"))
    with pytest.raises(InputError, match=r"history.csv cannot be read"):
        read_history(run)


@pytest.mark.parametrize("architecture", ["huge", ["compact"]])
def test_an_unknown_architecture_is_refused(architecture, built_digits, tmp_path):
    path = Run(tmp_path, "digits").build_record
    path.write_text(json.dumps(json.loads(path.read_text()) | {"config": {"architecture": architecture}}))
    with pytest.raises(InputError, match=r"(?s)build.json: config.architecture: .*python BuildingAutoencoder.py"):
        train(tmp_path, epochs=1)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ([1], "recipe: Expected `object"),
        ({"batch_size": "many"}, "recipe.batch_size: Expected `int`, got `str`"),
        ({"batch_size": 8}, "recipe: Object missing required field `learning_rate`"),
    ],
)
def test_a_recipe_with_other_values_is_refused(recipe, message, built_digits, tmp_path):
    path = Run(tmp_path, "digits").build_record
    path.write_text(json.dumps(json.loads(path.read_text()) | {"recipe": recipe}))
    with pytest.raises(InputError, match=rf"(?s)build.json: {message}.*python BuildingAutoencoder.py"):
        train(tmp_path, epochs=1)


def test_a_build_record_without_the_name_of_a_dataset_is_refused(built_digits, tmp_path):
    run = Run(tmp_path, "digits")
    record = json.loads(run.build_record.read_text())
    record["dataset"]["name"] = 5
    run.build_record.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"(?s)dataset.name: Expected `str`, got `int`.*python BuildingAutoencoder.py"):
        data.load_for(run)


def test_building_over_a_trained_run_needs_overwrite(trained_digits, tmp_path):
    from latentsearch.models.build import build_run

    config = BuildConfig(architecture="compact", run="digits", dataset="digits", root=tmp_path)
    with pytest.raises(InputError, match="holds a training"):
        build_run(replace(config, latent_dim=4))
    run = Run(tmp_path, "digits")
    assert run.best_model.exists()
    build_run(replace(config, overwrite=True))
    assert not run.best_model.exists()
    assert run.initial_model.exists()


@pytest.mark.gpu
def test_a_gpu_learns_what_a_cpu_learns(small_digits):
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("no GPU")
    losses = []
    for device in ("CPU", "GPU"):
        keras.utils.set_random_seed(0)
        with tf.device(device):
            learner = compiled(architectures.build("compact", (32, 32, 3), 10), settings(), 4)
            batches_of = dataloader.training_batches(small_digits.images, small_digits.ids("train"), settings())
            losses.append(learner.fit(batches_of, steps_per_epoch=4, epochs=3, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=0.02)
