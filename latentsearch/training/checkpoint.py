"""The checkpoint of a training: all that it needs to go on after an interruption."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from latentsearch import files
from latentsearch.bounds import check_size
from latentsearch.errors import InputError
from latentsearch.failures import check_damage
from latentsearch.training.history import EpochRow

_NEIGHBOURS = "neighbours.npy"


@dataclass(frozen=True)
class CheckpointState:
    """Where an interrupted training stood.

    Args:
        model: Its compiled model file.
        rows: Rows of its finished epochs.
        neighbours: Of the training images, as `neighbourhoods.nearest` found them last.
    """

    model: Path
    rows: list[EpochRow]
    neighbours: np.ndarray | None = None


class TrainingCheckpoint:
    """A folder with all that a training needs to go on; it appears whole when an epoch is finished.

    Args:
        folder: Holds epoch-00001, epoch-00002, ...: the last one only, but for the moment of the change.
        training: Name of the training. What another one left in the folder, which this one replaces, is not read.

    Attributes:
        neighbours: Kept with each epoch from when they are set on; see `CheckpointState`.
    """

    def __init__(self, folder: Path, training: str | None = None) -> None:
        self.folder = folder
        self.training = training
        self.neighbours: np.ndarray | None = None

    def latest(self) -> CheckpointState | None:
        """Reads the state after the last finished epoch; None before the first.

        Raises:
            InputError: if it cannot be read.
        """
        for epoch in reversed(self._epochs()):
            try:
                check_size(epoch / "rows.json")
                content = json.loads((epoch / "rows.json").read_text())
                # An older latentsearch wrote the rows alone.
                training, rows = (None, content) if isinstance(content, list) else _parts(content)
                numbers = [[row["val_loss"], *row.values()] for row in rows]
                if not numbers or not all(type(value) in (int, float) for row in numbers for value in row):
                    raise ValueError("expected rows of numbers")
                near = epoch / _NEIGHBOURS
                neighbours = np.load(near, allow_pickle=False) if near.exists() else None
            except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
                check_damage(error)
                raise InputError(f"{epoch} cannot be read ({error}): train again with --overwrite.") from None
            if training == self.training:
                return CheckpointState(epoch / "trainee.keras", rows, neighbours)
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

    def callback(self, rows: list[EpochRow]) -> keras.callbacks.Callback:
        """Return a callback that writes at the end of each epoch.

        Put it behind all others: an epoch is finished when this is.

        Args:
            rows: Rows of the finished epochs; other callbacks add to it.
        """
        backup = self

        class WriteCheckpoint(keras.callbacks.Callback):
            def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
                backup.write(self.model, rows)

        return WriteCheckpoint()

    def _epochs(self) -> list[Path]:
        folders = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(folder for folder in folders if re.fullmatch(r"epoch-\d+", folder.name))


def _parts(content: dict[str, Any]) -> tuple[str | None, list[EpochRow]]:
    return content["training"], content["rows"]
