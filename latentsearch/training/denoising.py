"""Training of the denoiser, the first layers of an encoder of two codes, when all others are trained."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from latentsearch import files
from latentsearch.data import ImageSet, to_float
from latentsearch.models.architectures import DENOISER, TOWERS, has_denoiser
from latentsearch.models.export import load_model
from latentsearch.models.layers import noise_level
from latentsearch.runs import Run
from latentsearch.training.callbacks import deflate
from latentsearch.training.model import copied
from latentsearch.training.settings import Settings

_MAX_IMAGES = 20_000
_BATCH = 100
_RATE = 2e-3
_DEVIATION = (0.02, 0.2)  # of the noise, in [0, 1] as the images
_SHIFT = 0.15  # of the brightness, at most
_PIXELS_WEIGHT = 30.0  # of the mean squared error of pixels, beside the squared distance of codes
_CLEAN = 0.995  # share of the training images that the gate lets pass as they are


def denoise_run(run: Run, dataset: ImageSet, ids: np.ndarray, settings: Settings) -> None:
    """Trains the denoiser of the trained autoencoder of a run, in its file; see `train_denoiser`.

    Nothing changes where it was done before.

    Args:
        run: Trained, its codes turned.
        dataset: Its images.
        ids: Of the training images; at most 20,000 are used.
        settings: Of the training.
    """
    if not settings.denoiser_epochs:
        return
    autoencoder = load_model(run.best_model)
    encoder = autoencoder.get_layer("encoder")
    # A run that an older latentsearch built has none.
    if not has_denoiser(encoder) or encoder.get_layer(DENOISER).get_layer("gate").is_open:
        return
    chosen = np.sort(np.random.default_rng(settings.seed).permutation(ids)[:_MAX_IMAGES])
    train_denoiser(autoencoder, dataset.images[chosen], settings)
    with files.replacing(run.best_model) as temporary:
        autoencoder.save(temporary)
        deflate(temporary)


def train_denoiser(autoencoder: keras.Model, images: np.ndarray, settings: Settings) -> None:
    """Trains the denoiser of an autoencoder, then opens its gate for images that are noisier than most.

    A noisy image, denoised, is to have the code that the trained encoder gives the image without noise, and to look
    like it. Nothing else of the encoder changes (a distillation: Hinton et al., "Distilling the knowledge in a neural
    network", 2015).

    Args:
        autoencoder: Of the architecture kind-look, trained.
        images: Of the training, uint8 `(num_images, height, width, 3)`.
        settings: Of the training.
    """
    encoder = autoencoder.get_layer("encoder")
    denoiser = encoder.get_layer(DENOISER)
    batches = [to_float(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
    codes = np.concatenate([encoder.predict_on_batch(batch) for batch in batches])
    levels = np.concatenate([keras.ops.convert_to_numpy(noise_level(batch)) for batch in batches])
    denoised = denoiser.get_layer("denoised").output
    kind, look = (_frozen(encoder.get_layer(name), settings) for name in TOWERS)
    code = keras.ops.concatenate([kind(encoder.get_layer("enlarged")(denoised)), look(denoised)], axis=-1)
    learner = keras.Model(denoiser.input, {"pixels": denoised, "code": code})
    size = min(_BATCH, len(images))
    steps = len(images) // size
    rate = keras.optimizers.schedules.CosineDecay(_RATE, settings.denoiser_epochs * steps)
    # Keras divides the squared distance of codes by the numbers in them.
    weights = {"pixels": _PIXELS_WEIGHT, "code": codes.shape[1]}
    learner.compile(keras.optimizers.Adam(rate), loss=dict.fromkeys(weights, "mse"), loss_weights=weights)
    learner.fit(
        _noisy_batches(images, codes, size, settings.seed),
        epochs=settings.denoiser_epochs,
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=[_Line(settings.denoiser_epochs)],
    )
    denoiser.get_layer("gate").open_above(float(np.quantile(levels, _CLEAN)))


class _Line(keras.callbacks.Callback):
    """Prints one line an epoch."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self._epochs = epochs

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        seconds = time.perf_counter() - self._began
        print(f"denoiser, epoch {epoch + 1}/{self._epochs}  loss {logs['loss']:.4f}  {seconds:.0f} s", flush=True)


def _frozen(tower: keras.Model, settings: Settings) -> keras.Model:
    copy = copied(tower, tower.input_shape[1:], settings)
    copy.set_weights(tower.get_weights())
    copy.trainable = False
    return copy


def _noisy_batches(images: np.ndarray, codes: np.ndarray, size: int, seed: int) -> tf.data.Dataset:
    """Endless batches of noisy images, and of what is to become of them: images without noise, and their codes."""
    steps = len(images) // size

    def batch(number: np.int64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        epoch, step = divmod(int(number), steps)
        rows = np.random.default_rng([seed, epoch]).permutation(len(images))[step * size : (step + 1) * size]
        clean = to_float(images[rows])
        return _noisy(clean, np.random.default_rng([seed, epoch, step])), clean, codes[rows]

    def shaped(number: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        altered, clean, code = tf.numpy_function(batch, [number], (tf.float32, tf.float32, tf.float32))
        altered, clean = (tf.ensure_shape(values, (size, *images.shape[1:])) for values in (altered, clean))
        return altered, {"pixels": clean, "code": tf.ensure_shape(code, (size, codes.shape[1]))}

    return tf.data.Dataset.counter().map(shaped).prefetch(4)


def _noisy(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds Gaussian noise, of a deviation and a mean of its own to each image, and clips.

    Args:
        images: float32 in [0, 1], `(num_images, height, width, 3)`.
        rng: Where the random numbers come from.

    Returns:
        Same shape and range.
    """
    each = (len(images), 1, 1, 1)
    deviations, shifts = (rng.uniform(*of, each).astype(np.float32) for of in (_DEVIATION, (-_SHIFT, _SHIFT)))
    noisy: np.ndarray = images + shifts + deviations * rng.standard_normal(images.shape, dtype=np.float32)
    return noisy.clip(0, 1)
