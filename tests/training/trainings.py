"""Small trainings on the digits, for tests."""

from __future__ import annotations

import io
import zipfile

import h5py
import keras
import numpy as np
import pandas as pd

from latentsearch.config import TrainConfig
from latentsearch.runs import Run
from latentsearch.training import train as training


class Interrupt(keras.callbacks.Callback):
    """Presses Ctrl-C in the middle of an epoch."""

    def __init__(self, iterations):
        super().__init__()
        self.iterations = iterations

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.optimizer.iterations == self.iterations:
            raise KeyboardInterrupt


def train(root, **changes):
    return training.train(TrainConfig(run="digits", root=root, **{"batch_size": 32, "shift": 0} | changes))


def weights(root):
    """The arrays of the best model in the order of their names; faster than to build the model."""
    with zipfile.ZipFile(Run(root, "digits").best_model) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    arrays = []
    with h5py.File(content) as file:
        file.visititems(lambda name, item: arrays.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    return arrays


def assert_same_training(one, other):
    histories = [pd.read_csv(Run(root, "digits").history).drop(columns="seconds") for root in (one, other)]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)
