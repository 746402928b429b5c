"""Transfer of the weights of a trained run to a new autoencoder."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from latentsearch.errors import InputError
from latentsearch.models.architectures import DENOISER, TOWERS, TURNED, kind_dim


def take_weights(autoencoder: keras.Model, source: keras.Model, name: str) -> None:
    """Gives an autoencoder the weights of a trained one.

    Of an autoencoder of the architecture deep, one of kind-look takes the encoder alone, for its kind tower.

    Args:
        autoencoder: Untrained.
        source: Trained, of the same architecture, or of deep for one of kind-look.
        name: Of the source, for messages.

    Raises:
        InputError: if their layers differ.
    """
    kind_only = kind_dim(autoencoder.get_layer("encoder")) and not kind_dim(source.get_layer("encoder"))
    pairs = [(autoencoder.get_layer("encoder"), source.get_layer("encoder"))]
    if kind_only:
        pairs = [(pairs[0][0].get_layer("kind"), pairs[0][1])]
    else:
        pairs.append((autoencoder.get_layer("decoder"), source.get_layer("decoder")))
    for target, origin in pairs:
        layers, given = list(_weighted(target)), list(_weighted(origin))
        shapes = [[[weight.shape for weight in layer.weights] for layer in some] for some in (layers, given)]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"--start-from {name}: its network, or the size of its images, differs from what is built. Name a run "
                "of the same architecture and image size (or one of deep for kind-look), or leave the flag out."
            )
        for layer, other in zip(layers, given, strict=True):
            layer.set_weights(other.get_weights())
    if not kind_only and kind_dim(source.get_layer("encoder")):
        _turn_back(autoencoder, source)


def _weighted(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Lists the layers with weights, nested ones too, except those that are found when a training ends."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _weighted(layer) if layer.name != DENOISER else ()
        elif layer.weights and layer.name != TURNED:
            yield layer


def _turn_back(autoencoder: keras.Model, source: keras.Model) -> None:
    """Undoes the rotation of codes in the decoder, as a new training begins unrotated; see `rotation.turn`."""
    first = next(layer for layer in autoencoder.get_layer("decoder").layers if layer.weights)
    kernel, *others = first.get_weights()
    begin = 0
    for tower in TOWERS:
        [matrix] = source.get_layer("encoder").get_layer(tower).get_layer(TURNED).get_weights()
        own = slice(begin, begin := begin + len(matrix))
        kernel[own] = matrix.astype(np.float64) @ kernel[own]
    first.set_weights([kernel, *others])
