"""Small trainings on the digits, for tests."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd

from latentsearch.config import TrainConfig
from latentsearch.models.export import load_model
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
    return load_model(Run(root, "digits").best_model).get_weights()


def assert_same_training(one, other):
    histories = [pd.read_csv(Run(root, "digits").history).drop(columns="seconds") for root in (one, other)]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)
