"""A reconstruction loss that a function of the user's computes, in the place of the mean squared error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from latentsearch.errors import InputError
from latentsearch.models import own_code
from latentsearch.models.losses import RECONSTRUCTION_LOSS

FLAG = "--loss"
SUCH_AS = "my_loss:loss"

_NUM_TRIED = 4
_loaded: dict[str, Callable[..., Any]] = {}


@keras.saving.register_keras_serializable(package="latentsearch")
class OwnLoss(keras.losses.Loss):
    """The mean of what a function gives for a batch of images and their reconstructions.

    A saved model holds its name alone: `load` must have found the function before the model is opened.

    Args:
        function: MODULE:FUNCTION.
        name: Name of the loss.
        **kwargs: Arguments of `keras.losses.Loss`.
    """

    def __init__(self, function: str, name: str = "own_loss", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        if function not in _loaded:
            raise ValueError(f"the loss {function} was not loaded")
        self.function = function

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Compute the loss of each image, or of all.

        Args:
            y_true: Images `(batch, height, width, 3)`.
            y_pred: Reconstructions, same shape.
        """
        return _loaded[self.function](y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": self.function}


def load(name: str, image_shape: tuple[int, int, int]) -> OwnLoss:
    """Load a loss and try it on four random images.

    Args:
        name: MODULE:FUNCTION; the module is looked for in the current folder, too. The function takes images and
            reconstructions, float32 `(batch, height, width, 3)`, and returns one number, or numbers of shape
            `(batch, ...)`, whose mean is minimised.
        image_shape: `(height, width, 3)`.

    Raises:
        InputError: if there is no such function, it fails, or what it returns cannot be minimised.
    """
    function, _ = own_code.load(FLAG, name, such_as=SUCH_AS)
    rng = np.random.default_rng(0)
    images, reconstructions = (tf.constant(rng.random((_NUM_TRIED, *image_shape), np.float32)) for _ in range(2))
    try:
        with tf.GradientTape() as tape:
            tape.watch(reconstructions)
            values = tf.convert_to_tensor(function(images, reconstructions))
            mean = tf.reduce_mean(values)
        gradient = tape.gradient(mean, reconstructions)
    except Exception as error:
        raise InputError(f"{FLAG} {name} failed: {own_code.in_short(error)}\n{own_code.EXAMPLE}") from error
    _check(name, values, gradient)
    _loaded[name] = function
    return OwnLoss(name)


def reconstruction_loss(name: str | None) -> str | OwnLoss:
    """Return the loss of reconstructions to compile a model with: one that was loaded, or the mean squared error."""
    return RECONSTRUCTION_LOSS if name is None else OwnLoss(name)


def total(name: str, images: np.ndarray, reconstructions: np.ndarray) -> float:
    """Compute the loss of a batch, times the number of its images.

    Args:
        name: A loss that was loaded.
        images: Images `(batch, height, width, 3)`.
        reconstructions: Same shape.
    """
    values = OwnLoss(name)(ops.convert_to_tensor(images), ops.convert_to_tensor(reconstructions))
    return float(ops.convert_to_numpy(values)) * len(images)


def _check(name: str, values: tf.Tensor, gradient: tf.Tensor | None) -> None:
    if not values.dtype.is_floating:
        raise InputError(f"{FLAG} {name} returned {values.dtype.name}; expected floats. {own_code.EXAMPLE}")
    if values.shape.rank and values.shape[0] != _NUM_TRIED:
        raise InputError(
            f"{FLAG} {name} returned numbers of shape {tuple(values.shape)} for {_NUM_TRIED} images; expected one "
            f"number, or numbers of shape ({_NUM_TRIED}, ...). {own_code.EXAMPLE}"
        )
    if gradient is None:
        raise InputError(
            f"{FLAG} {name} does not depend on the reconstructions in a way that can be minimised: use functions of "
            f"keras.ops. {own_code.EXAMPLE}"
        )
    for what, numbers in (("is", values), ("has a gradient that is", gradient)):
        if not np.isfinite(numbers.numpy()).all():
            raise InputError(f"{FLAG} {name} {what} not a finite number for random images in [0, 1].")
