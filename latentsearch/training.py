"""Learning: the stream of images, the settings, and going on after an interruption."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from latentsearch import datasets, objectives, runs, tensorboard
from latentsearch.callbacks import Backup, BestModel, EpochRows
from latentsearch.config import RECIPES, Recipe, TrainConfig
from latentsearch.encoding import Autoencoder
from latentsearch.errors import InputError
from latentsearch.runs import Run

_SCRIPT = "TrainAutoencoder.py"
_VALIDATION_BATCH = 500


@dataclass(frozen=True)
class TrainingResult:
    """What a training left behind.

    Args:
        history: One row an epoch: epoch (from 1), loss, accuracy, val_loss, val_accuracy, learning_rate, seconds
            (of the training steps, without validation).
        finished: False when it was interrupted.
    """

    history: pd.DataFrame
    finished: bool

    @property
    def best(self) -> pd.Series:
        """The row of the epoch whose weights were kept: the first with the smallest val_loss."""
        return self.history.loc[self.history["val_loss"].idxmin()]


def train(config: TrainConfig) -> TrainingResult:
    """Trains a built run and keeps the weights of the epoch with the smallest validation loss.

    Raises:
        InputError: if the run is not built, is trained already, was built for other images, or cannot be
            resumed with these settings; or if the loss is no longer a number.
    """
    run = Run(config.root, config.run)
    build_record = runs.read_json(run.build_record, run.command("BuildingAutoencoder.py"))
    dataset = datasets.load_for(run)
    recipe = _recipe(config, build_record)
    settings = {
        "epochs": config.epochs,
        "recipe": asdict(recipe),
        "seed": config.seed,
        "initial_model": runs.file_fingerprint(run.require(run.initial_model, "BuildingAutoencoder.py")),
        "dataset": dataset.fingerprint,
    }
    backup = Backup(run.backup)
    if config.resume:
        _refuse_other_settings(run, settings)
        state = backup.latest()
    else:
        _refuse_trained(run, config)
        runs.remove(run.backup, run.best_model, run.history, run.training_record, run.logs)
        state = None
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()

    fit_ids, validation_ids = dataset.ids("train"), dataset.ids("validation")
    batch_size = min(recipe.batch_size, len(fit_ids))
    steps = len(fit_ids) // batch_size
    rows = state.rows if state else []
    if state:
        trainee = keras.saving.load_model(state.model)
    else:
        initial = keras.saving.load_model(run.initial_model, compile=False)
        trainee = keras.Model(initial.inputs, initial.outputs, name=initial.name)
        optimizer = keras.optimizers.Adam(_learning_rate(recipe, steps, config.epochs))
        trainee.compile(optimizer, loss=objectives.RECONSTRUCTION_LOSS, metrics=[objectives.accuracy])
    # What is kept for use shares the layers but is not compiled, so that no optimizer state is stored with it.
    autoencoder = keras.Model(trainee.inputs, trainee.outputs, name=trainee.name)
    _write_record(run, settings, rows, finished=False)
    epoch_rows = EpochRows(run.history, rows)
    finished = True
    try:
        trainee.fit(
            training_batches(
                dataset.images, fit_ids, batch_size, seed=config.seed, first_epoch=len(rows), flip=recipe.flip
            ),
            validation_data=_validation_batches(dataset.images, validation_ids),
            initial_epoch=len(rows),
            epochs=config.epochs,
            steps_per_epoch=steps,
            shuffle=False,  # the stream does that
            verbose=1 if sys.stdout.isatty() else 2,
            callbacks=[
                epoch_rows,
                BestModel(autoencoder, run.best_model, min((row["val_loss"] for row in rows), default=None)),
                *tensorboard.callbacks(run.logs, autoencoder, dataset, every=config.pictures_every),
                backup.callback(epoch_rows),  # last: an epoch is finished when its backup is
            ],
        )
    except KeyboardInterrupt:
        finished = False
    if not epoch_rows.rows:
        raise InputError("Stopped before the first epoch was finished: nothing was learnt.")
    _write_record(run, settings, epoch_rows.rows, finished=finished)
    if finished:
        runs.remove(run.backup)
    tensorboard.write_projector(run.logs, dataset, Autoencoder(run.best_model))
    return TrainingResult(pd.DataFrame(epoch_rows.rows), finished)


def training_batches(
    images: np.ndarray, ids: np.ndarray, batch_size: int, *, seed: int, first_epoch: int, flip: bool
) -> tf.data.Dataset:
    """Endless batches (image, image) in a new order each epoch, from `first_epoch` on.

    Order and augmentation depend on seed, epoch and step alone, so a resumed training sees what an
    uninterrupted one sees. What does not fill a last batch is left out of that epoch.

    Args:
        images: uint8 `(num_images, height, width, 3)`, memory-mapped: only the rows of a batch are read.
        ids: Rows to use, at least `batch_size`.
        batch_size: Images a batch.
        seed: Of order and augmentation.
        first_epoch: 0 for a new training.
        flip: Mirror each image left to right with probability 1/2.
    """
    steps = len(ids) // batch_size

    @functools.lru_cache(maxsize=1)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng([seed, epoch]).permutation(ids)

    def load(number: np.int64) -> np.ndarray:
        epoch, step = divmod(int(number), steps)
        rows = np.sort(order(epoch)[step * batch_size : (step + 1) * batch_size])  # sorted: fewer jumps on disk
        batch = datasets.to_float(images[rows])
        if flip:
            mirrored = np.random.default_rng([seed, epoch, step]).random(len(batch)) < 0.5
            batch[mirrored] = batch[mirrored, :, ::-1]
        return batch

    return _pairs(tf.data.Dataset.counter(first_epoch * steps), load, (batch_size, *images.shape[1:]))


def _validation_batches(images: np.ndarray, ids: np.ndarray) -> tf.data.Dataset:
    """Batches (image, image) of the rows `ids`, once, in order."""

    def load(number: np.int64) -> np.ndarray:
        return datasets.to_float(images[ids[number * _VALIDATION_BATCH :][:_VALIDATION_BATCH]])

    return _pairs(tf.data.Dataset.range(-(-len(ids) // _VALIDATION_BATCH)), load, (None, *images.shape[1:]))


def _pairs(
    numbers: tf.data.Dataset, load: Callable[[np.int64], np.ndarray], shape: tuple[int | None, ...]
) -> tf.data.Dataset:
    """(images, images) for each batch number, prefetched: an autoencoder's target is its input."""

    def pair(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.ensure_shape(tf.numpy_function(load, [number], tf.float32), shape)
        return batch, batch

    return numbers.map(pair).prefetch(4)


def _recipe(config: TrainConfig, build_record: dict[str, Any]) -> Recipe:
    """The recipe of the architecture, with what the flags change."""
    for flag, value in (("--epochs", config.epochs), ("--batch-size", config.batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{flag} {value}: expected at least 1.")
    changes = {
        name: value for name in ("batch_size", "learning_rate", "flip") if (value := getattr(config, name)) is not None
    }
    return dataclasses.replace(RECIPES[build_record["config"]["architecture"]], **changes)


def _learning_rate(recipe: Recipe, steps: int, epochs: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The recipe's learning rate, or its schedule over `epochs` of `steps` batches."""
    if recipe.schedule == "constant":
        return recipe.learning_rate
    warm_up = steps // 2
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps * epochs - warm_up, warmup_target=recipe.learning_rate, warmup_steps=warm_up
    )


def _refuse_trained(run: Run, config: TrainConfig) -> None:
    if run.training_record.exists() and not config.overwrite:
        raise InputError(
            f"run '{run.name}' has been trained before.\n"
            f"To go on after an interruption: {run.command(_SCRIPT, '--resume')}\n"
            f"To train it again from its initial weights: {run.command(_SCRIPT, '--overwrite')}\n"
            "To keep it, give the new one another name with --run, here and in BuildingAutoencoder.py."
        )


def _refuse_other_settings(run: Run, settings: dict[str, Any]) -> None:
    record = runs.read_json(run.training_record, run.command(_SCRIPT))
    before = record["settings"]
    different = [name for name in settings if settings[name] != before.get(name)]
    if different:
        changes = "; ".join(f"{name} was {before.get(name)}, is {settings[name]}" for name in different)
        raise InputError(
            f"run '{run.name}' cannot be resumed with other settings ({changes}).\n"
            f"Give the same flags as before, or train again: {run.command(_SCRIPT, '--overwrite')}"
        )
    if record["finished"]:
        raise InputError(f"run '{run.name}' has finished: there is nothing to resume.")


def _write_record(run: Run, settings: dict[str, Any], rows: list[dict[str, float]], *, finished: bool) -> None:
    best = min(rows, key=lambda row: row["val_loss"], default=None)
    record = {"settings": settings, "finished": finished, "epochs_done": len(rows), "best": best}
    runs.write_json(run.training_record, record | {"environment": runs.environment()})
