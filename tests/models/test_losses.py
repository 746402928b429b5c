"""The similarity loss: its value against a naive loop, its gradient, and what it must not depend on."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsearch.models.losses import NTXent


def naive(numbers, vectors, temperature):
    """Equation 1 of the SimCLR paper, view by view; the mean over the other views of the same image."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    losses = []
    for i in range(len(unit)):
        others = [j for j in range(len(unit)) if j != i]
        total = sum(np.exp(unit[i] @ unit[j] / temperature) for j in others)
        partners = [j for j in others if numbers[j] == numbers[i]]
        losses.append(np.mean([-np.log(np.exp(unit[i] @ unit[j] / temperature) / total) for j in partners]))
    return np.array(losses)


def each(numbers, vectors, temperature=0.5):
    loss = NTXent(temperature, reduction=None)
    return keras.ops.convert_to_numpy(loss(np.asarray(numbers, np.float32), np.asarray(vectors, np.float32)))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(2, 3), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 2.0]))
def test_the_loss_is_the_one_of_the_paper(num_images, num_views, seed, temperature):
    rng = np.random.default_rng(seed)
    numbers = np.tile(np.arange(num_images), num_views)
    vectors = rng.normal(size=(len(numbers), 4))
    np.testing.assert_allclose(
        each(numbers, vectors, temperature), naive(numbers, vectors, temperature), rtol=1e-4, atol=1e-4
    )


def test_the_order_of_a_batch_and_the_length_of_vectors_do_not_matter():
    rng = np.random.default_rng(0)
    numbers, vectors = np.tile(np.arange(8), 2), rng.normal(size=(16, 10))
    order = rng.permutation(16)
    np.testing.assert_allclose(each(numbers[order], vectors[order]), each(numbers, vectors)[order], rtol=1e-5)
    np.testing.assert_allclose(each(numbers, vectors * rng.uniform(1, 9, (16, 1))), each(numbers, vectors), rtol=1e-4)


def test_a_step_down_the_gradient_joins_views_of_one_image_and_parts_others():
    # Two images on a circle, their views at 0 and 80, 100 and 180 degrees: the nearest are of different images.
    angles = np.deg2rad([0.0, 80.0, 100.0, 180.0])
    vectors = tf.constant(np.column_stack([np.cos(angles), np.sin(angles)]), tf.float32)
    numbers = np.array([0.0, 0.0, 1.0, 1.0], np.float32)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        loss = NTXent(0.5)(numbers, vectors)
    moved = (vectors - 0.1 * tape.gradient(loss, vectors)).numpy()
    moved = np.rad2deg(np.arctan2(moved[:, 1], moved[:, 0]))
    assert moved[1] - moved[0] < 80 - 1
    assert moved[3] - moved[2] < 80 - 1
    assert moved[2] - moved[1] > 20 + 1
    assert float(NTXent(0.5)(numbers, vectors)) == pytest.approx(float(loss))


def test_the_best_is_when_views_coincide_and_images_are_opposite():
    together = each([0, 0, 1, 1], [[1, 0], [1, 0], [-1, 0], [-1, 0]]).mean()
    assert together == pytest.approx(np.log(np.exp(2) + 2 * np.exp(-2)) - 2, rel=1e-5)
    rng = np.random.default_rng(0)
    assert all(each([0, 0, 1, 1], rng.normal(size=(4, 2))).mean() > together for _ in range(50))


def test_it_survives_saving():
    again = keras.losses.deserialize(keras.losses.serialize(NTXent(0.3)))
    assert again.temperature == 0.3
