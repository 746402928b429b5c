"""Muon on convolutions: what its steps look like, what it leaves to AdamW, and that it survives saving."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from latentsearch.training.optimizers import Muon


def step_of(optimizer, before, gradient):
    variable = keras.Variable(before)
    optimizer.build([variable])
    optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    return keras.ops.convert_to_numpy(variable) - before


@pytest.mark.parametrize("shape", [(3, 3, 32, 64), (2, 2, 16, 256), (40, 60)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_step_turns_against_the_gradient_equally_far_in_every_direction(shape, dtype):
    rng = np.random.default_rng(0)
    # A gradient that is strong in one direction and weak in all others.
    size = (int(np.prod(shape[:-1])), shape[-1])
    gradient = rng.normal(size=size) * 0.2 + np.outer(rng.normal(size=size[0]), rng.normal(size=size[1]))
    optimizer = Muon(0.1, weight_decay=None, adam_weight_decay=None, iteration_dtype=dtype)
    step = step_of(optimizer, np.zeros(shape, np.float32), gradient.reshape(shape).astype(np.float32))
    singular = np.linalg.svd(step.reshape(size), compute_uv=False)
    expected = 0.1 * 0.2 * max(size) ** 0.5  # learning rate * rms_rate * scale of Moonlight
    assert (singular > 0.5 * expected).mean() > 0.9
    assert singular.max() < 1.4 * expected
    assert (step.reshape(size) * gradient).sum() < 0


@pytest.mark.parametrize("shape", [(4, 4, 3, 64), (64,)])
def test_first_layer_and_vectors_take_a_step_of_adam(shape):
    gradient = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    optimizer = Muon(0.1, adam_lr_ratio=0.5, weight_decay=None, adam_weight_decay=None)
    step = step_of(optimizer, np.zeros(shape, np.float32), gradient)
    np.testing.assert_allclose(step, -0.05 * np.sign(gradient), atol=1e-3)


def test_settings_survive_saving():
    one = Muon(0.1, adam_lr_ratio=0.3, weight_decay=0.02, adam_weight_decay=0.03, iteration_dtype="bfloat16")
    other = keras.optimizers.deserialize(keras.optimizers.serialize(one))
    for name in ("adam_lr_ratio", "weight_decay", "adam_weight_decay", "iteration_dtype", "momentum", "ns_steps"):
        assert getattr(one, name) == getattr(other, name), name
