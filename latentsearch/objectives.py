"""What training minimises, and the measure that the reference reports beside it."""

from __future__ import annotations

import keras
from keras import ops

RECONSTRUCTION_LOSS = "mse"


@keras.saving.register_keras_serializable(package="latentsearch")
def accuracy(images: keras.KerasTensor, reconstructions: keras.KerasTensor) -> keras.KerasTensor:
    """Share of pixels whose strongest colour channel is right, in [0, 1].

    This is what Keras computes when an autoencoder is compiled with `metrics=["accuracy"]`: it takes the
    three channels of a pixel for the scores of three classes. It says little about a reconstruction (a
    10-d PCA of CIFAR-10 reaches 0.608), and is kept because the reference reports it.

    Args:
        images: Originals `(batch, height, width, 3)`.
        reconstructions: Same shape.

    Returns:
        float32 `(batch, height, width)` of 0 and 1; Keras averages it.
    """
    hits = ops.equal(ops.argmax(images, axis=-1), ops.argmax(reconstructions, axis=-1))
    return ops.cast(hits, "float32")
