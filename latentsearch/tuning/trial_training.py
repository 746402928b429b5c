"""The training of one trial of a search, in a process beside the search."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from latentsearch.errors import InputError
from latentsearch.models.build import build_run
from latentsearch.runs import Run
from latentsearch.training import tensorboard
from latentsearch.training.train import train
from latentsearch.tuning.trials import PARAMETERS, Job, Outcome


class Watch(keras.callbacks.Callback):
    """A callback that scores each epoch of a trial, and ends a training that is too slow or hopeless.

    Args:
        job: The job of the trial.
        begin: Time of its begin, by `time.monotonic`.

    Attributes:
        scores: Scores after each epoch, of the weights kept by then.
        reason: Reason why the training was ended, or "".
    """

    def __init__(self, job: Job, begin: float) -> None:
        super().__init__()
        self._job = job
        self._begin = begin
        self._rows: list[dict[str, float]] = []
        self.scores: list[float] = []
        self.reason = ""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        self._rows.append(dict(logs))
        self.scores.append(self._job.criterion.so_far(self._rows))
        if not np.isfinite(self.scores[-1]):
            raise InputError(f"The score is no longer a number in epoch {epoch + 1}.")
        self.reason = self._job.reason_to_stop(self.scores, time.monotonic() - self._begin)
        if self.reason:
            self.model.stop_training = True


def train_trial(job: Job) -> Outcome:
    """Build and train a trial as a run like any other, and show it in TensorBoard's HParams.

    Raises:
        InputError: if its network cannot be built or is too large, or its loss is no longer a number.
    """
    keras.backend.clear_session()  # of the trial before: its memory, and its names of layers
    begin = time.monotonic()
    built = build_run(job.build, job.recipe)
    if built.num_weights > job.max_weights:
        raise InputError(f"{built.num_weights:,} weights, more than --max-weights {job.max_weights}")
    watch = Watch(job, begin)
    result = train(job.train, watch=[watch], trial=True)
    measured = {name: float(result.best[name]) for name in result.best.index if name.startswith("val_")}
    if job.parameters:
        names = ("val_mse", "val_copy_recall", "val_effective_rank", "val_agreement", "val_precision")
        measures = {"score": watch.scores[-1]} | {name: measured[name] for name in names if name in measured}
        logs = Run(job.build.root, job.build.run).logs
        tensorboard.write_trial(logs, job.parameters, measures, PARAMETERS)
    history = [{str(name): value for name, value in row.items()} for row in result.history.to_dict("records")]
    return Outcome(built.num_weights, watch.scores, history, watch.reason)
