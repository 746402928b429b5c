"""The history of a training, one row an epoch, and the result that holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from latentsearch.bounds import check_size
from latentsearch.data import ImageSet, is_grey, read_rows
from latentsearch.errors import InputError
from latentsearch.failures import check_damage
from latentsearch.metrics import enough_queries
from latentsearch.recipes import Keep
from latentsearch.runs import Run
from latentsearch.training.held_out import num_copied, validation_ids

EpochRow = dict[str, float]
_NUM_LOOKED_AT = 1000  # validation images
MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training.

    Args:
        history: One row an epoch: epoch (from 1), loss, accuracy, val_loss, val_accuracy, further measures (see
            `callbacks.Validation`), learning_rate, seconds (of the training steps, without validation).
        finished: False when it was interrupted.
        keep: Which epoch's weights were kept: "best", the first with the smallest val_loss, or "last".
        is_new: False when it was finished before: nothing was changed.
        hidden: Names of measures that mean nothing for these images, and are not shown.
        differences: Of a training that was finished before: what the flags of now would train otherwise, in words.
    """

    history: pd.DataFrame
    finished: bool
    keep: Keep = "best"
    is_new: bool = True
    hidden: frozenset[str] = frozenset()
    differences: tuple[str, ...] = ()

    @property
    def best(self) -> pd.Series:
        """Returns the row of the epoch whose weights were kept."""
        row = -1 if self.keep == "last" else int(np.nanargmin(self.history["val_loss"].to_numpy(np.float64)))
        return self.history.iloc[row]


def hidden(dataset: ImageSet) -> frozenset[str]:
    """Return the names of measures that mean nothing for these images, and are not shown.

    The strongest channel of a grey pixel is any; among few validation images, finding one is a matter of chance.
    """
    images = read_rows(dataset.images, validation_ids(dataset, _NUM_LOOKED_AT))
    names = set()
    if is_grey(images):
        names |= {"accuracy", "val_accuracy"}
    if not enough_queries(num_copied(dataset)):
        names |= {"val_copy_recall", "val_precision", "val_agreement"}
    return frozenset(names)


def shown(history: pd.DataFrame, dataset: ImageSet) -> pd.DataFrame:
    """Return a history without the measures that are `hidden`."""
    return history.drop(columns=list(hidden(dataset) & set(history)))


def read_history(run: Run) -> pd.DataFrame:
    """Read the history of a training, one row an epoch; see `TrainingResult`.

    Raises:
        InputError: if history.csv is missing or damaged.
    """
    path = run.require(run.history, "TrainAutoencoder.py")
    try:
        check_size(path)
        history = pd.read_csv(path)
        missing = {"epoch", *MEASURES, "learning_rate", "seconds"} - set(history)
        if missing:
            raise ValueError(f"no column {sorted(missing)[0]}")
        words = [name for name in history if not pd.api.types.is_numeric_dtype(history[name])]
        if words or history.empty:
            raise ValueError(f"no numbers in column {words[0]!r:.50}" if words else "no epoch")
        return history
    except (ValueError, KeyError, OSError) as error:
        check_damage(error)
        raise InputError(f"{path} cannot be read ({error}). Restore your copy of it, or train again.") from None
