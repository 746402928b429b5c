"""Small trainings on the digits, for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd

from latentsearch import building, datasets, training
from latentsearch.config import BuildConfig, PrepareConfig, TrainConfig
from latentsearch.encoding import Autoencoder
from latentsearch.runs import Run


def train(root, **changes):
    return training.train(TrainConfig(run="digits", root=root, **{"batch_size": 32, "shift": 0} | changes))


def weights(root):
    return Autoencoder(Run(root, "digits").best_model).model.get_weights()


def assert_same_training(one, other):
    histories = [pd.read_csv(Run(root, "digits").history).drop(columns="seconds") for root in (one, other)]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


def make_run(root):
    """Prepares the digits and builds a run for them."""
    datasets.prepare(PrepareConfig(source="digits", root=root))
    building.build_run(BuildConfig(run="digits", dataset="digits", root=root))
    return root
