"""Training from the initial weights to the best, resumed after an interruption."""

from __future__ import annotations

import contextlib
import functools
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from latentsearch import data, environment, files, locks, records
from latentsearch.config import TrainConfig
from latentsearch.errors import InputError
from latentsearch.gallery import novelty
from latentsearch.gallery.trained_run import usual_precision
from latentsearch.models import distribution, own_loss
from latentsearch.models.encoder import Autoencoder
from latentsearch.models.export import compress, load_model
from latentsearch.plots import charts
from latentsearch.recipes import RECIPES
from latentsearch.records import BuildRecord
from latentsearch.runs import Run
from latentsearch.training import denoising, neighbourhoods, rotation, settings, tensorboard
from latentsearch.training.callbacks import BestModel, Bookkeeping, EndOfPart, EpochRows, Validation
from latentsearch.training.checkpoint import CheckpointState, TrainingCheckpoint
from latentsearch.training.dataloader import training_batches, training_ids
from latentsearch.training.history import EpochRow, TrainingResult, hidden, read_history, shown
from latentsearch.training.hosts import Hosts, connect, told
from latentsearch.training.model import compiled, create_state, measure_names, normalise_together
from latentsearch.training.progress import EpochLine
from latentsearch.training.settings import TrainingRecord
from latentsearch.training.validation import Validator

_SCRIPT = "TrainAutoencoder.py"
_END = "all is written"


def train(
    config: TrainConfig, *, watch: Sequence[keras.callbacks.Callback] = (), trial: bool = False
) -> TrainingResult:
    """Trains a built run and keeps the weights of the epoch with the smallest validation loss, or the last.

    Args:
        config: The flags.
        watch: Callbacks that see the measures of an epoch before it is backed up, and may end the training.
        trial: Leave out what is not measured of a trial of a search: the denoiser, and codes of the test images for
            TensorBoard's Embedding Projector.

    Raises:
        InputError: if the run is not built, was built for other images, holds a training already, or cannot go on
            with these settings; or if the loss is no longer a number.
        KeyboardInterrupt: if it was stopped before an epoch was finished.
    """
    run = Run(config.root, config.run)
    run.require(run.build_record, "BuildingAutoencoder.py")
    built = records.read_build(run)
    hosts = connect()
    with locks.locked(run.lock, f"run '{run.name}'") if hosts.writes else contextlib.nullcontext():
        return _train(run, config, built, hosts, watch=watch, trial=trial)


def _train(
    run: Run,
    config: TrainConfig,
    built: BuildRecord,
    hosts: Hosts,
    *,
    watch: Sequence[keras.callbacks.Callback],
    trial: bool,
) -> TrainingResult:
    dataset = data.load_for(run)
    # Kept for use: it is given the weights of its copy in training at the end of each epoch, and is not compiled, so
    # that no optimizer state is stored with it.
    autoencoder = load_model(_initial_model(run, built))
    chosen = settings.choose(
        config,
        run,
        dataset,
        built.recipe or RECIPES[built.config.architecture],
        searched=built.recipe is not None,
    )
    record = _record_of(run, config)
    before = record if _goes_on(run, config, record) else None
    if before is not None:
        now, chosen = chosen, settings.resumed(config, run, dataset, chosen, before.settings)
        if before.finished:
            return TrainingResult(
                read_history(run),
                finished=True,
                keep=chosen.keep,
                is_new=False,
                hidden=hidden(dataset),
                differences=tuple(settings.differences(now, chosen)),
            )
        settings.check_loss(run, chosen)
    else:
        _check_new(run, record, config, chosen)
    keras.utils.set_random_seed(chosen.seed)
    tf.config.experimental.enable_op_determinism()

    fit_ids = training_ids(dataset.ids("train"), chosen)
    backup = TrainingCheckpoint(run.backup, record.training if record else None)
    state = backup.latest() if before else None
    rows = state.rows if state else []
    _refuse_older(run, rows)
    learner = _learner(autoencoder, chosen, state, len(fit_ids), hosts)
    hosts.agree(f"{len(rows)} {files.fingerprint(repr(chosen).encode())}")
    learn = functools.partial(_learn, learner, autoencoder, dataset.images, fit_ids, chosen, hosts=hosts, state=state)
    if not hosts.writes:
        learn(backup=backup, callbacks=[])
        hosts.agree(_END)
        return TrainingResult(read_history(run), finished=True, keep=chosen.keep)
    events, replaced = run.own_events(), []
    if state is None:
        files.check_free(*run.learnt)
        replaced = [run.exported, run.gallery, run.folder_galleries, run.maps, *events]
        backup = TrainingCheckpoint(run.backup, secrets.token_hex(8))
    files.write_json(run.training_record, {"settings": asdict(chosen), "finished": False, "training": backup.training})
    not_shown = hidden(dataset)
    if not trial:
        print(*settings.advice(dataset, chosen, len(fit_ids) // chosen.batch_size), sep="\n")
    epoch_rows = EpochRows(run.history, rows, loss=chosen.loss)
    finished = True
    callbacks = [
        Validation(autoencoder, Validator(dataset, chosen), measure_names(chosen)),
        EpochLine(chosen.epochs, hidden=not_shown),
        epoch_rows,
        BestModel(autoencoder, run.best_model, min((row["val_loss"] for row in rows), default=None), keep=chosen.keep),
        *tensorboard.callbacks(run.logs, autoencoder, dataset, chosen, every=config.pictures_every, trial=trial),
        *watch,
        backup.callback(epoch_rows.rows),  # an epoch is finished when its backup is
        Bookkeeping(run, replaced, events),
    ]
    try:
        with files.writing(tensorboard.events_path(run.logs)):  # all else that is written says so itself
            learn(backup=backup, callbacks=callbacks)
    except KeyboardInterrupt:
        finished = False
        state = backup.latest()
        if state is None:
            raise
        epoch_rows.rows = state.rows
    finished &= _complete(run, dataset, fit_ids, chosen, denoise=finished and not trial)
    result = TrainingResult(pd.DataFrame(epoch_rows.rows), finished, chosen.keep, hidden=not_shown)
    _write_products(run, dataset, result, trial=trial)
    _write_record(run, chosen, result, backup)
    hosts.agree(_END)
    return result


def _write_record(run: Run, chosen: settings.Settings, result: TrainingResult, backup: TrainingCheckpoint) -> None:
    """Writes the record of a training, and deletes the checkpoint of a finished one."""
    made: dict[str, Any] = {"settings": asdict(chosen), "finished": result.finished, "training": backup.training}
    made["epochs_done"] = len(result.history)
    # An older latentsearch, which may have begun it, did not measure all that this one does.
    made |= {"best": result.best.dropna().to_dict(), "environment": environment.environment()}
    files.write_json(run.training_record, made)
    if result.finished:
        files.remove(run.backup, within=run.root)


def _initial_model(run: Run, built: BuildRecord) -> Path:
    """Loads the untrained network of a run.

    Raises:
        InputError: if it is not the one that the record of the run is of: the build was killed while it replaced them.
    """
    path = run.require(run.initial_model, "BuildingAutoencoder.py")
    if built.initial_model not in (None, files.file_fingerprint(path)):
        raise InputError(
            f"{path} is not the network that {run.build_record} describes.\n"
            f"Build it again: {run.command('BuildingAutoencoder.py', '--overwrite')}"
        )
    return path


def _learner(
    autoencoder: keras.Model, chosen: settings.Settings, state: CheckpointState | None, num_images: int, hosts: Hosts
) -> keras.Model:
    """Opens the training model of a checkpoint, or builds a new one."""
    hosts.check_shares(chosen.batch_size)
    if chosen.loss is not None:
        own_loss.load(chosen.loss, autoencoder.input_shape[1:])
    steps = num_images // chosen.batch_size
    with distribution.scope(chosen.devices, chosen.batch_size):
        learner = load_model(state.model, compiled=True) if state else compiled(autoencoder, chosen, steps)
    normalise_together(learner, chosen.devices * hosts.number > 1)
    return learner


def _learn(
    learner: keras.Model,
    autoencoder: keras.Model,
    images: np.ndarray,
    ids: np.ndarray,
    chosen: settings.Settings,
    *,
    hosts: Hosts,
    state: CheckpointState | None,
    backup: TrainingCheckpoint,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Trains in parts, between which neighbours of the training images are found anew where the settings ask for it."""
    done = len(state.rows) if state else 0
    for begin, end in neighbourhoods.periods(chosen, len(ids)):
        if end <= done:
            continue
        if begin < done:
            backup.neighbours = state.neighbours if state else None
        else:
            backup.neighbours = neighbourhoods.find(learner, autoencoder, images, ids, settings=chosen, epoch=begin)
        now, part = max(begin, done), EndOfPart(end)
        batches = hosts.shared(training_batches(images, ids, chosen, first_epoch=now, neighbours=backup.neighbours))
        if chosen.devices == 1:
            create_state(learner, batches)
        hosts.prepare(learner)
        with told():
            learner.fit(
                batches,
                initial_epoch=now,
                epochs=chosen.epochs,
                steps_per_epoch=len(ids) // chosen.batch_size,
                shuffle=False,  # the stream does that
                verbose=0,
                callbacks=[*hosts.callbacks(learner), *callbacks, part],
            )
        if part.stopped:
            return


def _complete(run: Run, dataset: data.ImageSet, ids: np.ndarray, chosen: settings.Settings, *, denoise: bool) -> bool:
    """Rotates the codes, trains the denoiser, and compresses the file. Returns False if interrupted."""
    turned = rotation.turn_run(run, dataset, ids) if chosen.look else None
    finished = True
    try:
        if denoise:
            denoising.denoise_run(run, dataset, ids, chosen, turned)
    except KeyboardInterrupt:
        finished = False
    compress(run.best_model)
    return finished


def _record_of(run: Run, config: TrainConfig) -> TrainingRecord | None:
    """Read the record of a training; None where there is none, or a damaged one that is to be replaced."""
    if not run.training_record.exists():
        return None
    try:
        return records.read(run.training_record, TrainingRecord, run.command(_SCRIPT, "--overwrite"))
    except InputError:
        if config.overwrite and not config.resume:
            return None
        raise


def _goes_on(run: Run, config: TrainConfig, record: TrainingRecord | None) -> bool:
    """Tells whether there is a training to go on with: by --resume, or a finished one with the same settings."""
    if record is None:
        return False
    return config.resume or (record.finished and run.best_model.exists() and not config.overwrite)


def _refuse_older(run: Run, rows: list[EpochRow]) -> None:
    if rows and "val_mse" not in rows[0]:
        raise InputError(
            f"run '{run.name}' was begun by an older latentsearch, which measured less: it cannot go on.\n"
            f"To begin anew: {run.command(_SCRIPT, '--overwrite')}"
        )


def _check_new(run: Run, record: TrainingRecord | None, config: TrainConfig, chosen: settings.Settings) -> None:
    settings.refuse_ignored(config, chosen)
    if (record is not None or run.best_model.exists()) and not config.overwrite:
        raise InputError(
            f"run '{run.name}' holds a training.\n"
            f"To go on with it: {run.command(_SCRIPT, '--resume')}\n"
            f"To begin anew from the initial weights: {run.command(_SCRIPT, '--overwrite')}\n"
            "To keep it, give the new one another name with --run, here and in BuildingAutoencoder.py."
        )


def _write_products(run: Run, dataset: data.ImageSet, result: TrainingResult, *, trial: bool) -> None:
    best, history = Autoencoder(run.best_model), result.history
    if not trial:
        tensorboard.write_projector(run.logs, dataset, best)
    novelty.save(run, novelty.measure(dataset, best))
    for name, measure in charts.curves_of(shown(history, dataset)).items():
        with files.replacing(run.reports / f"training_{name}.png") as temporary:
            charts.curves(history, measure).savefig(temporary, dpi=110)
    if not trial:
        with contextlib.suppress(InputError):  # who searches a folder is told why
            Autoencoder(run.best_model, precision=usual_precision(run))  # else the first search exports it
