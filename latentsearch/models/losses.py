"""The contrastive loss, and the accuracy that the reference method reports."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from latentsearch.models import distribution

RECONSTRUCTION_LOSS = "mse"


@keras.saving.register_keras_serializable(package="latentsearch")
class NTXent(keras.losses.Loss):
    """NT-Xent: pulls the views of an image together and pushes those of other images apart.

    For view i with a view p of the same image, and s the cosine of two vectors:
    `loss_i = -log(exp(s_ip / T) / sum of exp(s_ij / T) over all j but i)`. Where an image has more than two views,
    the mean over p. Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (2020),
    equation 1. No class labels are seen: images are told apart by their numbers. In a training on several devices,
    j runs over the views of all of them.

    Args:
        temperature: T, more than 0.
        name: Of the loss.
        **kwargs: Of `keras.losses.Loss`.
    """

    def __init__(self, temperature: float = 0.5, name: str = "similarity", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.temperature = temperature

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """The loss of each view, float32 `(num_views,)`.

        Args:
            y_true: Which image each view is of, `(num_views,)` or `(num_views, 1)`: any numbers, each twice or more.
            y_pred: Vectors `(num_views, dim)`.
        """
        numbers = ops.reshape(y_true, (-1,))
        vectors = ops.normalize(ops.cast(y_pred, "float32"), axis=-1)
        all_numbers, first = distribution.gathered(numbers)
        all_vectors, _ = distribution.gathered(vectors)
        own_rows = first + ops.arange(ops.shape(vectors)[0])
        itself = ops.equal(own_rows[:, None], ops.arange(ops.shape(all_vectors)[0])[None, :])
        itself = ops.cast(itself, "float32")  # (num_views, num_views of all devices)
        same = ops.cast(ops.equal(numbers[:, None], all_numbers[None, :]), "float32") - itself
        scores = ops.matmul(vectors, ops.transpose(all_vectors)) / self.temperature - 1e9 * itself
        log_shares = scores - ops.logsumexp(scores, axis=-1, keepdims=True)
        return -ops.sum(log_shares * same, axis=-1) / ops.sum(same, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable(package="latentsearch")
def accuracy(images: keras.KerasTensor, reconstructions: keras.KerasTensor) -> keras.KerasTensor:
    """Computes the share of pixels whose strongest colour channel is right, in [0, 1].

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
