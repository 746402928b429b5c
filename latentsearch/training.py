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

from latentsearch import datasets, objectives, plots, runs, tensorboard
from latentsearch.augmentation import augment
from latentsearch.callbacks import MEASURES, Backup, BestModel, EpochRows
from latentsearch.config import RECIPES, Recipe, TrainConfig
from latentsearch.datasets import ImageSet
from latentsearch.encoding import Autoencoder, load_model
from latentsearch.errors import InputError
from latentsearch.runs import Run

_SCRIPT = "TrainAutoencoder.py"
_VALIDATION_BATCH = 500


@dataclass(frozen=True)
class Settings:
    """All that decides how a training goes.

    Args:
        epochs: Passes over the training images.
        batch_size: Images a step.
        learning_rate: Adam's, or its peak.
        schedule: "constant" or "cosine".
        shift: Pixels that a training image is moved by at most.
        flip: Whether training images are mirrored.
        seed: Of order and augmentation.
        initial_model: SHA-256 of the file of the initial weights.
        dataset: Fingerprint of the images.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str
    shift: int
    flip: bool
    seed: int
    initial_model: str
    dataset: str


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
        InputError: if the run is not built, was built for other images, holds a training already, or cannot go on
            with these settings; or if the loss is no longer a number.
        KeyboardInterrupt: if it was stopped before an epoch was finished.
    """
    run = Run(config.root, config.run)
    mend = run.command("BuildingAutoencoder.py")
    build_record = runs.read_json(run.build_record, mend, ("config.architecture",))
    dataset = datasets.load_for(run)
    initial = load_model(run.require(run.initial_model, "BuildingAutoencoder.py"))
    settings = _settings(config, run, dataset, RECIPES[build_record["config"]["architecture"]])
    backup = Backup(run.backup)
    record = runs.read_json(run.training_record, mend, ("settings",)) if run.training_record.exists() else None
    if record and config.resume:
        settings = _resumed(config, run, settings, record["settings"])
        if record.get("finished"):
            return TrainingResult(read_history(run), finished=True)
    elif record and not config.overwrite:
        raise InputError(
            f"run '{run.name}' holds a training.\n"
            f"To go on with it: {run.command(_SCRIPT, '--resume')}\n"
            f"To begin anew from the initial weights: {run.command(_SCRIPT, '--overwrite')}\n"
            "To keep it, give the new one another name with --run, here and in BuildingAutoencoder.py."
        )
    else:
        runs.remove(run.training_record, run.backup, run.best_model, run.history, run.gallery, run.logs)
    keras.utils.set_random_seed(settings.seed)
    tf.config.experimental.enable_op_determinism()

    fit_ids = dataset.ids("train")
    steps = len(fit_ids) // settings.batch_size
    state = backup.latest()
    rows = state.rows if state else []
    trainee = load_model(state.model, compiled=True) if state else compiled(initial, settings, steps)
    # What is kept for use shares the layers but is not compiled, so that no optimizer state is stored with it.
    autoencoder = keras.Model(trainee.inputs, trainee.outputs, name=trainee.name)
    runs.write_json(run.training_record, {"settings": asdict(settings), "finished": False})
    epoch_rows = EpochRows(run.history, rows)
    finished = True
    try:
        trainee.fit(
            training_batches(dataset.images, fit_ids, settings, first_epoch=len(rows)),
            validation_data=validation_batches(dataset.images, dataset.ids("validation")),
            initial_epoch=len(rows),
            epochs=settings.epochs,
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
        state = backup.latest()
        if state is None:
            raise
        epoch_rows.rows = state.rows
    result = TrainingResult(pd.DataFrame(epoch_rows.rows), finished)
    tensorboard.write_projector(run.logs, dataset, Autoencoder(run.best_model))
    _write_curves(run, result.history)
    record = {"settings": asdict(settings), "finished": finished, "epochs_done": len(result.history)}
    record |= {"best": result.best.to_dict(), "environment": runs.environment()}
    runs.write_json(run.training_record, record)
    if finished:
        runs.remove(run.backup)
    return result


def read_history(run: Run) -> pd.DataFrame:
    """One row an epoch of the training of a run; see `TrainingResult`.

    Raises:
        InputError: if history.csv is missing or damaged.
    """
    path = run.require(run.history, _SCRIPT)
    try:
        history = pd.read_csv(path)
        return history[["epoch", *MEASURES, "learning_rate", "seconds"]]
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{path} cannot be read ({error}). Restore your copy of it, or train again.") from None


def compiled(initial: keras.Model, settings: Settings, steps: int) -> keras.Model:
    """A model that shares the layers of `initial`, ready to be trained for `settings.epochs` of `steps` batches."""
    trainee = keras.Model(initial.inputs, initial.outputs, name=initial.name)
    rate: float | keras.optimizers.schedules.LearningRateSchedule = settings.learning_rate
    if settings.schedule == "cosine":
        warm_up = max(steps // 2, 1)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(steps * settings.epochs - warm_up, 1), warmup_target=settings.learning_rate, warmup_steps=warm_up
        )
    trainee.compile(keras.optimizers.Adam(rate), loss=objectives.RECONSTRUCTION_LOSS, metrics=[objectives.accuracy])
    return trainee


def training_batches(
    images: np.ndarray, ids: np.ndarray, settings: Settings, *, first_epoch: int = 0
) -> tf.data.Dataset:
    """Endless batches (image, image) in a new order each epoch, from `first_epoch` on.

    Order and augmentation depend on seed, epoch and step alone, so a resumed training sees what an
    uninterrupted one sees. What does not fill a last batch is left out of that epoch.

    Args:
        images: uint8 `(num_images, height, width, 3)`, memory-mapped: only the rows of a batch are read.
        ids: Rows to use, at least as many as a batch has.
        settings: Of the training.
        first_epoch: 0 for a new training.
    """
    steps, seed = len(ids) // settings.batch_size, settings.seed

    @functools.lru_cache(maxsize=1)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng([seed, epoch]).permutation(ids)

    def load(number: np.int64) -> np.ndarray:
        epoch, step = divmod(int(number), steps)
        # In the order of the file: fewer jumps on disk.
        rows = np.sort(order(epoch)[step * settings.batch_size : (step + 1) * settings.batch_size])
        rng = np.random.default_rng([seed, epoch, step])
        return datasets.to_float(augment(images[rows], shift=settings.shift, flip=settings.flip, rng=rng))

    shape = (settings.batch_size, *images.shape[1:])
    return _pairs(tf.data.Dataset.counter(first_epoch * steps), load, shape)


def validation_batches(images: np.ndarray, ids: np.ndarray) -> tf.data.Dataset:
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


def _settings(config: TrainConfig, run: Run, dataset: ImageSet, recipe: Recipe) -> Settings:
    """The flags, completed by the recipe of the architecture."""

    def chosen(name: str) -> Any:
        return getattr(recipe, name) if getattr(config, name) is None else getattr(config, name)

    for flag, value in (("--epochs", config.epochs), ("--batch-size", chosen("batch_size"))):
        if value < 1:
            raise InputError(f"{flag} {value}: expected at least 1.")
    if not 0 < chosen("learning_rate") < np.inf:
        raise InputError(f"--learning-rate {config.learning_rate}: expected more than 0.")
    if not 0 <= chosen("shift") < min(dataset.image_shape[:2]):
        raise InputError(f"--shift {config.shift}: expected 0 to {min(dataset.image_shape[:2]) - 1} pixels.")
    return Settings(
        epochs=config.epochs,
        batch_size=min(chosen("batch_size"), len(dataset.ids("train"))),
        learning_rate=chosen("learning_rate"),
        schedule=recipe.schedule,
        shift=chosen("shift"),
        flip=chosen("flip"),
        seed=config.seed,
        initial_model=runs.file_fingerprint(run.initial_model),
        dataset=dataset.fingerprint,
    )


def _resumed(config: TrainConfig, run: Run, settings: Settings, before: dict[str, Any]) -> Settings:
    """The settings that a training was begun with, unless a flag or what it was made from contradicts them."""
    given = {field.name for field in dataclasses.fields(config) if getattr(config, field.name) != field.default}
    for name, value in asdict(settings).items():
        if name not in before:
            raise InputError(f"{run.training_record} has no {name}: train again with --overwrite.")
        if before[name] != value and (name in given or name in ("initial_model", "dataset")):
            raise InputError(
                f"run '{run.name}' cannot go on with another {name}: it was {before[name]}, is {value}.\n"
                f"To go on as it began: {run.command(_SCRIPT, '--resume')}\n"
                f"To begin anew: {run.command(_SCRIPT, '--overwrite')}"
            )
    return Settings(**{name: before[name] for name in asdict(settings)})


def _write_curves(run: Run, history: pd.DataFrame) -> None:
    for measure in ("loss", "accuracy"):
        with runs.replacing(run.reports / f"training_{measure}.png") as temporary:
            plots.curves(history, measure).savefig(temporary, dpi=110)
