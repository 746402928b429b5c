"""Training of the denoiser, the first layers of an encoder of two codes, when all others are trained."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from latentsearch import files
from latentsearch.data import ImageSet, read_rows, to_float
from latentsearch.models.architectures import DENOISER, has_denoiser
from latentsearch.models.export import load_model
from latentsearch.models.layers import noise_level
from latentsearch.runs import Run
from latentsearch.training.model import create_state
from latentsearch.training.optimizers import optimizer_of
from latentsearch.training.settings import Settings

_MAX_IMAGES = 20_000
_BATCH = 100
_LEARNING_RATE = 0.02  # of Muon
_DEVIATION = (0.02, 0.15)  # of the noise, in [0, 1] as the images
_SHIFT = 0.15  # of the brightness, at most
_CLEAN = 0.995  # share of the training images that the gate lets pass as they are


def denoise_run(
    run: Run, dataset: ImageSet, ids: np.ndarray, settings: Settings, autoencoder: keras.Model | None = None
) -> None:
    """Trains the denoiser of the trained autoencoder of a run, in its file; see `train_denoiser`.

    Nothing changes where it was done before.

    Args:
        run: Trained, its codes turned.
        dataset: Its images.
        ids: Of the training images; at most 20,000 are used.
        settings: Of the training.
        autoencoder: As the file holds it. Default: it is read.
    """
    if not settings.denoiser_epochs:
        return
    autoencoder = load_model(run.best_model) if autoencoder is None else autoencoder
    encoder = autoencoder.get_layer("encoder")
    # A run that an older latentsearch built has none.
    if not has_denoiser(encoder) or encoder.get_layer(DENOISER).get_layer("gate").is_open:
        return
    chosen = np.sort(np.random.default_rng(settings.seed).permutation(ids)[:_MAX_IMAGES])
    train_denoiser(autoencoder, read_rows(dataset.images, chosen), settings)
    with files.replacing(run.best_model) as temporary:
        autoencoder.save(temporary)


def train_denoiser(autoencoder: keras.Model, images: np.ndarray, settings: Settings) -> None:
    """Trains the denoiser of an autoencoder, then opens its gate for images that are noisier than most.

    Noisy images are to become what they were before. Nothing else of the encoder changes.

    Args:
        autoencoder: Of the architecture kind-look, trained.
        images: Of the training, uint8 `(num_images, height, width, 3)`.
        settings: Of the training.
    """
    denoiser = autoencoder.get_layer("encoder").get_layer(DENOISER)
    learner = keras.Model(denoiser.input, denoiser.get_layer("denoised").output)
    size = min(_BATCH, len(images))
    steps = len(images) // size
    own = dataclasses.replace(
        settings,
        optimizer="muon",
        learning_rate=_LEARNING_RATE,
        schedule="cosine",
        epochs=settings.denoiser_epochs,
    )
    learner.compile(optimizer_of(own, steps), loss="mse")
    batches = _noisy_batches(images, size, settings.seed)
    create_state(learner, batches)
    learner.fit(
        batches,
        epochs=settings.denoiser_epochs,
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=[_Line(settings.denoiser_epochs)],
    )
    starts = range(0, len(images), _BATCH)
    levels = [keras.ops.convert_to_numpy(noise_level(to_float(images[start : start + _BATCH]))) for start in starts]
    denoiser.get_layer("gate").open_above(float(np.quantile(np.concatenate(levels), _CLEAN)))


class _Line(keras.callbacks.Callback):
    """Prints one line an epoch."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self._epochs = epochs

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        seconds = time.perf_counter() - self._began
        print(f"denoiser, epoch {epoch + 1}/{self._epochs}  mse {logs['loss']:.5f}  {seconds:.0f} s", flush=True)


def _noisy_batches(images: np.ndarray, size: int, seed: int) -> tf.data.Dataset:
    """Makes endless batches of noisy images, with the clean ones as targets."""
    steps = len(images) // size

    def batch(number: np.int64) -> tuple[np.ndarray, np.ndarray]:
        epoch, step = divmod(int(number), steps)
        rows = np.random.default_rng([seed, epoch]).permutation(len(images))[step * size : (step + 1) * size]
        return _noisy(to_float(images[rows]), np.random.default_rng([seed, epoch, step]))

    def shaped(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pair = tf.numpy_function(batch, [number], (tf.float32, tf.float32))
        noisy, before = (tf.ensure_shape(values, (size, *images.shape[1:])) for values in pair)
        return noisy, before

    return tf.data.Dataset.counter().map(shaped).prefetch(4)


def _noisy(images: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Adds Gaussian noise, of a deviation and a mean of its own to each image, and clips.

    Args:
        images: float32 in [0, 1], `(num_images, height, width, 3)`.
        rng: Where the random numbers come from.

    Returns:
        Images with the noise, and with its mean alone (which no one could tell from the light); same shape and range.
    """
    each = (len(images), 1, 1, 1)
    deviations, shifts = (rng.uniform(*of, each).astype(np.float32) for of in (_DEVIATION, (-_SHIFT, _SHIFT)))
    shifted: np.ndarray = images + shifts
    noisy: np.ndarray = shifted + deviations * rng.standard_normal(images.shape, dtype=np.float32)
    return noisy.clip(0, 1), shifted.clip(0, 1)
