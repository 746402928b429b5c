"""Turned and whitened codes: which distances stay, and that pictures do."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from latentsearch import data
from latentsearch.models import architectures
from latentsearch.models import transfer as transferring
from latentsearch.training import rotation


@pytest.fixture(scope="module")
def autoencoder():
    keras.utils.set_random_seed(0)
    return architectures.build("kind-look", (32, 32, 3), 10)


@hypothesis_settings(max_examples=20, deadline=None)
@given(dim=st.integers(2, 8), seed=st.integers(0, 2**16))
def test_varimax_turns_and_nothing_else(dim, seed):
    rng = np.random.default_rng(seed)
    codes = rng.laplace(size=(300, dim)) @ rng.normal(size=(dim, dim))
    matrix = rotation.varimax(codes)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(dim), atol=1e-9)
    turned = codes @ matrix

    def criterion(values):
        return np.var(values**2, axis=0).sum()

    assert criterion(turned) >= criterion(codes) * (1 - 1e-9)
    assert (np.mean((turned - turned.mean(axis=0)) ** 3, axis=0) >= 0).all()


def test_varimax_finds_axes_that_were_turned_away():
    rng = np.random.default_rng(0)
    sources = rng.exponential(size=(5000, 4)) * (rng.random((5000, 4)) < 0.2)
    away = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    match = np.abs(np.corrcoef((sources @ away @ rotation.varimax(sources @ away)).T, sources.T)[:4, 4:])
    np.testing.assert_allclose(match.max(axis=1), 1, atol=0.02)


@hypothesis_settings(max_examples=20, deadline=None)
@given(dim=st.integers(2, 8), num_dead=st.integers(0, 2), seed=st.integers(0, 2**16))
def test_whitened_codes_vary_equally_but_where_they_are_dead(dim, num_dead, seed):
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    deviations = rng.uniform(0.3, 3, dim)
    deviations[: min(num_dead, dim - 1)] *= 1e-4
    codes = 5 + rng.normal(size=(4000, dim)) * deviations @ axes
    matrix = rotation.whitening(codes)
    assert np.linalg.cond(matrix) < 1e3
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)
    variances = np.linalg.eigvalsh(np.cov((codes @ matrix).T))
    dead = min(num_dead, dim - 1)
    assert (variances[:dead] < 1e-3).all()
    np.testing.assert_allclose(variances[dead:], 1, atol=1e-2)


def test_codes_that_are_all_equal_are_whitened_to_finite_ones():
    for codes in (np.zeros((50, 3)), np.ones((50, 3), np.float32)):
        assert np.isfinite(codes @ rotation.whitening(codes)).all()


def test_turned_codes_keep_distances_of_kinds_whiten_looks_and_keep_pictures(autoencoder, small_digits):
    copy = keras.models.clone_model(autoencoder)
    copy.set_weights(autoencoder.get_weights())
    images = data.to_float(small_digits.images[:200])
    encoder = copy.get_layer("encoder")

    def computed(model):
        return np.asarray(model(images, training=False))

    before, drawn = computed(encoder), computed(copy)
    assert rotation.turn(copy, lambda: before)
    after = computed(encoder)

    def distances(codes, part):
        return np.square(codes[:, None, part] - codes[None, :, part]).sum(axis=2)

    old, new = (distances(codes, slice(10)) for codes in (before, after))
    np.testing.assert_allclose(new / new.mean(), old / old.mean(), atol=1e-2)
    for part in (slice(10), slice(10, 20)):
        assert distances(after, part).mean() == pytest.approx(1, abs=1e-3)  # of two at random, equal ones included
    least, *_, most = np.linalg.eigvalsh(np.cov(before[:, 10:].T))
    assert most > 10 * least
    np.testing.assert_allclose(np.cov(after[:, 10:].T), np.eye(10) / 20, atol=2e-3)
    np.testing.assert_allclose(computed(copy), drawn, atol=1e-4)
    assert not rotation.turn(copy, lambda: after)
    begun = keras.models.clone_model(autoencoder)
    transferring.take_weights(begun, copy, "other")
    np.testing.assert_allclose(computed(begun), drawn, atol=1e-4)
    np.testing.assert_allclose(computed(begun.get_layer("encoder")), before, atol=1e-4)
