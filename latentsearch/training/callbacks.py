"""What happens at the end of an epoch: validation, the row of the history, the best weights, the backup."""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from latentsearch import files
from latentsearch.errors import InputError
from latentsearch.recipes import Keep
from latentsearch.runs import Run
from latentsearch.training.model import MEASURE_NAMES, copy_weights

EpochRow = dict[str, float]
MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy")
_NEIGHBOURS = "neighbours.npy"


class Validation(keras.callbacks.Callback):
    """At the end of an epoch: gives the autoencoder the weights learnt so far and measures it on validation images.

    Adds to the epoch's measures those of the validation (see `validation.Validator`) and seconds, of the training steps
    alone. Put it before all others: they look at the autoencoder, and find the weights of this epoch in it.

    Args:
        autoencoder: What is kept for use; it gets the weights of the model in training.
        measure: Measures the autoencoder; see `validation.Validator`.
    """

    def __init__(self, autoencoder: keras.Model, measure: Callable[[keras.Model], dict[str, float]]) -> None:
        super().__init__()
        self._autoencoder = autoencoder
        self._measure = measure

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        seconds = round(time.perf_counter() - self._begin, 3)
        copy_weights(self.model, self._autoencoder)
        for name in MEASURE_NAMES.keys() & logs.keys():
            logs[MEASURE_NAMES[name]] = logs.pop(name)
        logs.update(self._measure(self._autoencoder), seconds=seconds)


class EpochRows(keras.callbacks.Callback):
    """Keeps one row an epoch and writes them to a CSV file.

    Args:
        path: The CSV file.
        rows: Rows of the epochs before a resumed training; new rows are added to this list.
    """

    def __init__(self, path: Path, rows: list[EpochRow]) -> None:
        super().__init__()
        self.path = path
        self.rows = rows

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        if not np.isfinite([logs["loss"], logs["val_loss"]]).all():
            raise InputError(
                f"The loss is no longer a number in epoch {epoch + 1}: train again with --overwrite and a smaller "
                "--learning-rate."
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
        self._temporary = files.temporary_for(path)
        literal = str(self._temporary).replace("{", "{{").replace("}", "}}")  # Keras formats the path
        super().__init__(
            literal, monitor="val_loss", mode="min", save_best_only=keep == "best", initial_value_threshold=best
        )
        self._autoencoder = autoencoder
        self._path = path

    def set_model(self, model: keras.Model) -> None:
        super().set_model(self._autoencoder)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._temporary = files.temporary_for(self._path)
        super().on_epoch_end(epoch, logs)
        if self._temporary.exists():
            deflate(self._temporary)
            files.publish(self._temporary, self._path)


def deflate(path: Path) -> None:
    """Rewrites a .keras file, a zip archive that Keras leaves uncompressed: rounded weights take half the room."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class BackupState:
    """Where an interrupted training stood.

    Args:
        model: Its compiled model file.
        rows: Rows of its finished epochs.
        neighbours: Of the training images, as `neighbourhoods.nearest` found them last.
    """

    model: Path
    rows: list[EpochRow]
    neighbours: np.ndarray | None = None


class Backup:
    """All that a training needs to go on, in one folder that appears whole when an epoch is finished.

    Args:
        folder: Holds epoch-00001, epoch-00002, ...: the last one only, but for the moment of the change.
        training: Name of the training. What another one left in the folder, which this one replaces, is not read.

    Attributes:
        neighbours: Kept with each epoch from when they are set on; see `BackupState`.
    """

    def __init__(self, folder: Path, training: str | None = None) -> None:
        self.folder = folder
        self.training = training
        self.neighbours: np.ndarray | None = None

    def latest(self) -> BackupState | None:
        """The state after the last finished epoch, or None before the first.

        Raises:
            InputError: if it cannot be read.
        """
        for epoch in reversed(self._epochs()):
            try:
                content = json.loads((epoch / "rows.json").read_text())
                # An older latentsearch wrote the rows alone.
                training, rows = (None, content) if isinstance(content, list) else _parts(content)
                numbers = [[row["val_loss"], *row.values()] for row in rows]
                if not numbers or not all(type(value) in (int, float) for row in numbers for value in row):
                    raise ValueError("expected rows of numbers")
                near = epoch / _NEIGHBOURS
                neighbours = np.load(near, allow_pickle=False) if near.exists() else None
            except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
                raise InputError(f"{epoch} cannot be read ({error}): train again with --overwrite.") from None
            if training == self.training:
                return BackupState(epoch / "trainee.keras", rows, neighbours)
        return None

    def write(self, model: keras.Model, rows: list[EpochRow]) -> None:
        """Write the state after an epoch, then delete that of the epoch before, or of another training."""
        before = self._epochs()
        temporary = self.folder / ".tmp"
        files.remove(temporary, within=self.folder)
        with files.replacing(temporary / "trainee.keras") as path:
            model.save(path)
        if self.neighbours is not None:
            with files.replacing(temporary / _NEIGHBOURS) as path:
                np.save(path, self.neighbours)
        files.write_json(temporary / "rows.json", {"training": self.training, "rows": rows})
        final = self.folder / f"epoch-{len(rows):05d}"
        files.remove(final, within=self.folder)  # of another training: an epoch is written once
        files.rename_folder(temporary, final)
        files.remove(*(epoch for epoch in before if epoch != final), within=self.folder)

    def callback(self, epoch_rows: EpochRows) -> keras.callbacks.Callback:
        """Writes at the end of each epoch; put it behind all others: an epoch is finished when this is."""
        backup = self

        class WriteBackup(keras.callbacks.Callback):
            def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
                backup.write(self.model, epoch_rows.rows)

        return WriteBackup()

    def _epochs(self) -> list[Path]:
        folders = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(folder for folder in folders if re.fullmatch(r"epoch-\d+", folder.name))


def _parts(content: dict[str, Any]) -> tuple[str | None, list[EpochRow]]:
    return content["training"], content["rows"]


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
        files.record_events(self._run.logs, self._events)
        files.remove(*self._replaced, within=self._run.root)
        self._replaced = ()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        files.record_events(self._run.logs, self._events)
