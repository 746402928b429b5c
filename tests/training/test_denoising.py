"""The denoiser: it sees which images are noisy, leaves the others as they are, and learns when all else is trained."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from latentsearch import data, files
from latentsearch.config import TrainConfig
from latentsearch.models import architectures, transfer
from latentsearch.models.architectures import DENOISER, TOWERS
from latentsearch.models.encoder import Autoencoder
from latentsearch.models.export import load_model
from latentsearch.models.layers import NoiseGate, noise_level
from latentsearch.recipes import RECIPES
from latentsearch.runs import Run
from latentsearch.training import denoising
from latentsearch.training import train as training
from latentsearch.training.settings import Settings
from tests.training.trainings import train


def settings(**changes):
    recipe = dataclasses.replace(RECIPES["kind-look"], precision="float32")
    return Settings(**dataclasses.asdict(recipe) | {"seed": 0, "initial_model": "", "dataset": ""} | changes)


pytestmark = pytest.mark.usefixtures("small_towers")


@pytest.fixture(scope="module")
def small_root(tiny_root):
    """What all trainings of this module begin with."""
    return tiny_root


@pytest.fixture
def autoencoder():
    keras.utils.set_random_seed(0)
    return architectures.build("kind-look", (32, 32, 3), 10)


def gate_of(autoencoder):
    return autoencoder.get_layer("encoder").get_layer(DENOISER).get_layer("gate")


def shades(num_images, rng):
    """Images without noise: brightness that changes evenly from a corner to the others."""
    slopes = rng.uniform(-0.3, 0.3, (2, num_images, 1, 1, 3))
    rows, columns = np.linspace(-1, 1, 32)[:, None, None], np.linspace(-1, 1, 32)[None, :, None]
    return (0.5 + 0.5 * (slopes[0] * rows + slopes[1] * columns)).astype(np.float32)


@hypothesis_settings(max_examples=20, deadline=None)
@given(deviation=st.floats(0, 0.1), seed=st.integers(0, 2**16))
def test_the_level_is_the_deviation_of_the_noise(deviation, seed):
    rng = np.random.default_rng(seed)
    images = shades(3, rng)
    noisy = images + rng.normal(0, deviation, images.shape).astype(np.float32)
    np.testing.assert_allclose(noise_level(noisy), deviation, rtol=0.15, atol=1e-6)


def test_the_gate_takes_what_was_denoised_of_noisy_images_alone():
    gate = NoiseGate()
    rng = np.random.default_rng(0)
    images = shades(6, rng)
    images[::2] += rng.normal(0, 0.1, images[::2].shape)
    others = np.zeros_like(images)
    np.testing.assert_array_equal(gate([images, others]), images)
    assert not gate.is_open
    gate.open_above(0.05)
    assert gate.is_open
    passed = np.asarray(gate([images, others]))
    np.testing.assert_array_equal(passed[1::2], images[1::2])
    assert not passed[::2].any()


def test_an_untrained_denoiser_changes_nothing_and_a_trained_one_clean_images_not_at_all(autoencoder, tmp_path):
    rng = np.random.default_rng(0)
    clean = (shades(8, rng) * 255).astype(np.uint8)
    noisy = rng.integers(0, 256, clean.shape, dtype=np.uint8)

    def encoded(name):
        autoencoder.save(tmp_path / f"{name}.keras")
        return [Autoencoder(tmp_path / f"{name}.keras").encode(images) for images in (clean, noisy)]

    before = encoded("before")
    denoiser = autoencoder.get_layer("encoder").get_layer(DENOISER)
    denoiser.set_weights([rng.normal(0, 0.1, weights.shape) for weights in denoiser.get_weights()])
    gate_of(autoencoder).open_above(0.05)
    after = encoded("after")
    np.testing.assert_array_equal(after[0], before[0])
    assert (np.abs(after[1] - before[1]).max(axis=1) > 1e-3).all()
    codes = autoencoder.get_layer("encoder").predict_on_batch(data.to_float(noisy))
    np.testing.assert_allclose(after[1], codes, atol=1e-4)
    with_features = architectures.with_features(autoencoder.get_layer("encoder")).predict_on_batch(data.to_float(noisy))
    np.testing.assert_allclose(with_features[0], codes, atol=1e-5)


def test_noisy_images_come_nearer_to_their_codes_and_nothing_else_changes(autoencoder, small_digits, monkeypatch):
    monkeypatch.setattr(denoising, "_BATCH", 20)
    images = small_digits.images[small_digits.ids("train")]
    encoder = autoencoder.get_layer("encoder")
    copies = np.random.default_rng(1).normal(0.1, 0.1, images.shape) * 255 + images
    copies = data.to_float(copies.clip(0, 255).astype(np.uint8))
    codes, of_copies = (encoder.predict_on_batch(some) for some in (data.to_float(images), copies))
    parts = [*(encoder.get_layer(name) for name in TOWERS), autoencoder.get_layer("decoder")]
    before = [part.get_weights() for part in parts]
    denoising.train_denoiser(autoencoder, images, settings(denoiser_epochs=10))
    for part, weights in zip(parts, before, strict=True):
        for one, same in zip(part.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(one, same)
    levels = np.asarray(noise_level(data.to_float(images)))
    assert (levels > np.asarray(gate_of(autoencoder).threshold)).sum() == 1  # of 180: 0.5 %
    gate_of(autoencoder).open_above(0.05)
    denoised = encoder.predict_on_batch(copies)
    assert np.square(denoised - codes).sum() < 0.9 * np.square(of_copies - codes).sum()


def test_noise_is_of_many_strengths_and_shifts_the_brightness():
    images = np.full((500, 32, 32, 3), 0.5, np.float32)
    noisy, shifted = denoising._noisy(images, np.random.default_rng(0))
    assert np.ptp(shifted, axis=(1, 2, 3)).max() == 0
    assert noisy.dtype == np.float32
    assert noisy.min() >= 0
    assert noisy.max() <= 1
    deviations, shifts = noisy.std(axis=(1, 2, 3)), shifted[:, 0, 0, 0] - 0.5
    np.testing.assert_allclose(noisy.mean(axis=(1, 2, 3)), shifted[:, 0, 0, 0], atol=0.01)
    assert deviations.min() < 0.03 < 0.14 < deviations.max()
    assert shifts.min() < -0.13 < 0.13 < shifts.max()


def test_a_new_training_begins_without_the_denoiser_of_the_run_that_it_starts_from(autoencoder):
    trained = keras.models.clone_model(autoencoder)
    gate_of(trained).open_above(0.05)
    transfer.take_weights(autoencoder, trained, "trained")
    assert not gate_of(autoencoder).is_open


def test_runs_of_before_there_was_a_denoiser_are_still_opened(monkeypatch, tmp_path, autoencoder):
    with monkeypatch.context() as patch:
        patch.setattr(architectures, "_denoiser", lambda shape: keras.layers.Identity(name="nothing"))
        old = architectures.build("kind-look", (32, 32, 3), 10)
    assert not architectures.has_denoiser(old.get_layer("encoder"))
    run = Run(tmp_path, "old")
    run.best_model.parent.mkdir(parents=True)
    old.save(run.best_model)
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    codes = architectures.with_features(old.get_layer("encoder")).predict_on_batch(data.to_float(images))[0]
    np.testing.assert_allclose(Autoencoder(run.best_model).encode(images), codes, atol=1e-4)
    content = run.best_model.read_bytes()
    denoising.denoise_run(run, None, np.arange(5), settings())
    assert run.best_model.read_bytes() == content
    transfer.take_weights(autoencoder, old, "old")
    np.testing.assert_allclose(
        autoencoder.get_layer("encoder").predict_on_batch(data.to_float(images)), codes, atol=1e-5
    )


def test_it_learns_once_and_the_same_each_time(autoencoder, small_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(denoising, "_BATCH", 20)
    ids, runs = small_digits.ids("train"), [Run(tmp_path, name) for name in "ab"]
    for run in runs:
        with files.replacing(run.best_model) as temporary:
            autoencoder.save(temporary)
        content = run.best_model.read_bytes()
        denoising.denoise_run(run, small_digits, ids, settings(denoiser_epochs=0))
        assert run.best_model.read_bytes() == content
        denoising.denoise_run(run, small_digits, ids, settings(denoiser_epochs=1))
    trained = [load_model(run.best_model) for run in runs]
    assert all(gate_of(one).is_open for one in trained)
    for one, same in zip(*(model.get_weights() for model in trained), strict=True):
        np.testing.assert_array_equal(one, same)
    content = runs[0].best_model.read_bytes()
    denoising.denoise_run(runs[0], small_digits, ids, settings(denoiser_epochs=1))
    assert runs[0].best_model.read_bytes() == content


def test_a_training_that_is_stopped_in_the_denoiser_goes_on_there(built_digits, tmp_path, monkeypatch):
    calls = []

    def denoise(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(denoising, "denoise_run", denoise)
    assert not train(tmp_path, epochs=1).finished
    assert train(tmp_path, epochs=1, resume=True).finished
    assert len(calls) == 2


def test_a_trial_of_a_search_leaves_the_denoiser_out(built_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(denoising, "denoise_run", lambda *arguments: pytest.fail("it was trained"))
    assert training.train(TrainConfig(run="digits", root=tmp_path, batch_size=32, epochs=1), trial=True).finished
