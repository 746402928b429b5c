"""Keras callbacks at the end of an epoch: validation, history, best weights, bookkeeping."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from latentsearch import files, ownership
from latentsearch.errors import InputError
from latentsearch.recipes import Keep
from latentsearch.runs import Run
from latentsearch.training.history import MEASURES, EpochRow
from latentsearch.training.model import copy_weights


class Validation(keras.callbacks.Callback):
    """Copies the weights to the autoencoder at the end of an epoch and measures it on validation images.

    Adds to the epoch's measures those of the validation (see `validation.Validator`) and seconds, of the training steps
    alone. Put it before all others: they look at the autoencoder, and find the weights of this epoch in it.

    Args:
        autoencoder: What is kept for use; it gets the weights of the model in training.
        measure: Measures the autoencoder; see `validation.Validator`.
        names: Names of measures by those that Keras gives them; see `model.measure_names`.
    """

    def __init__(
        self, autoencoder: keras.Model, measure: Callable[[keras.Model], dict[str, float]], names: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._autoencoder = autoencoder
        self._measure = measure
        self._names = names

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        seconds = round(time.perf_counter() - self._begin, 3)
        copy_weights(self.model, self._autoencoder)
        for name in self._names.keys() & logs.keys():
            logs[self._names[name]] = logs[name] if name == "loss" else logs.pop(name)
        logs.update(self._measure(self._autoencoder), seconds=seconds)


class EpochRows(keras.callbacks.Callback):
    """Keeps one row an epoch and writes them to a CSV file.

    Args:
        path: The CSV file.
        rows: Rows of the epochs before a resumed training; new rows are added to this list.
        loss: Name of a loss of the user's, for messages.
    """

    def __init__(self, path: Path, rows: list[EpochRow], *, loss: str | None = None) -> None:
        super().__init__()
        self._or_mend = "" if loss is None else f", or mend --loss {loss}"
        self.path = path
        self.rows = rows

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        if not np.isfinite([logs["loss"], logs["val_loss"]]).all():
            raise InputError(
                f"The loss is no longer a number in epoch {epoch + 1}: train again with --overwrite and a smaller "
                f"--learning-rate{self._or_mend}."
            )
        others = sorted(logs.keys() - {*MEASURES, "seconds"})
        measures = {name: float(logs[name]) for name in (*MEASURES, *others)}
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.rows.append({"epoch": epoch + 1, **measures, "learning_rate": rate, "seconds": logs["seconds"]})
        with files.replacing(self.path) as temporary:
            pd.DataFrame(self.rows).to_csv(temporary, index=False)


class BestModel(keras.callbacks.ModelCheckpoint):
    """Keras's ModelCheckpoint on minimum val_loss, writing whole files only, without optimizer state.

    Args:
        autoencoder: What is saved: it has the weights of the model in training from `Validation`, and is not compiled.
        path: The .keras file.
        best: Smallest val_loss so far, of a resumed training.
        keep: "best", or "last" to write each epoch, whatever its val_loss.
    """

    def __init__(self, autoencoder: keras.Model, path: Path, best: float | None, *, keep: Keep = "best") -> None:
        literal = str(files.temporary_for(path)).replace("{", "{{").replace("}", "}}")  # Keras formats the path
        super().__init__(
            literal, monitor="val_loss", mode="min", save_best_only=keep == "best", initial_value_threshold=best
        )
        self._autoencoder = autoencoder
        self._path = path

    def set_model(self, model: keras.Model) -> None:
        super().set_model(self._autoencoder)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with files.replacing(self._path, optional=True) as _:  # the path that Keras was given
            super().on_epoch_end(epoch, logs)


class EndOfPart(keras.callbacks.Callback):
    """Callback that ends a part of a training.

    Args:
        end: The epoch that it ends before.

    Attributes:
        stopped: Whether another callback has ended the training.
    """

    def __init__(self, end: int) -> None:
        super().__init__()
        self._end = end
        self.stopped = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.stopped = self.model.stop_training
        if epoch + 1 == self._end:
            self.model.stop_training = True


class Bookkeeping(keras.callbacks.Callback):
    """Record the event files of each epoch, and delete what a new training replaces once its first epoch is on disk.

    Put it last, behind the backup.

    Args:
        run: The run that is trained.
        replaced: Files and folders of the training before.
        events: Event files that were there before this training.
    """

    def __init__(self, run: Run, replaced: Sequence[Path], events: frozenset[Path]) -> None:
        super().__init__()
        self._run, self._replaced, self._events = run, replaced, events

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        ownership.record_events(self._run.logs, self._events)
        files.remove(*self._replaced, within=self._run.root)
        self._replaced = ()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        ownership.record_events(self._run.logs, self._events)
