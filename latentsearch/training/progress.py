"""Progress of a training: a bar of its steps on a terminal, then a line an epoch."""

from __future__ import annotations

import time
from typing import Any, NoReturn

import keras
from tqdm import tqdm

_SHOWN = {"loss": "loss", "val_loss": "val_loss", "val_mse": "val_mse", "val_copy_recall": "copies"}
_COPIES_IN_WORDS = (
    "copies: share of altered copies of validation images that find their\noriginal among ten neighbours."
)


class EpochLine(keras.callbacks.Callback):
    """Print one line an epoch, narrower than 80 columns; put it behind the callbacks whose measures it shows.

    Args:
        epochs: Of the whole training.
        hidden: Names of measures that are left out.
    """

    def __init__(self, epochs: int, hidden: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._epochs = epochs
        self._shown = {name: words for name, words in _SHOWN.items() if name not in hidden}
        self._began = 0.0
        self._is_explained = False
        self._bar: tqdm[NoReturn] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if "val_copy_recall" in self._shown and not self._is_explained:
            print(_COPIES_IN_WORDS, flush=True)
        self._is_explained = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began = time.perf_counter()
        steps = self.params.get("steps")
        self._bar = tqdm(total=steps, desc=f"epoch {epoch + 1}", unit=" steps", ncols=79, leave=False, disable=None)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._bar is not None:
            self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._bar is not None:
            self._bar.close()
        logs = logs or {}
        measures = "  ".join(f"{words} {logs[name]:.4g}" for name, words in self._shown.items() if name in logs)
        print(f"epoch {epoch + 1}/{self._epochs}  {measures}  {time.perf_counter() - self._began:.0f} s", flush=True)
