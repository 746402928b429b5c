"""The layers of an autoencoder as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import keras

from latentsearch.recipes import RECIPES, Architecture

_KEEP_SHAPE = ("BatchNormalization", "Activation", "Reshape", "Rescaling", "UnitNormalization")


class LayerRow(NamedTuple):
    """One line of a network's summary: shape without the batch axis, e.g. `(16, 16, 32)`."""

    part: str
    layer: str
    shape: tuple[int, ...]
    weights: int


def layer_rows(autoencoder: keras.Model) -> list[LayerRow]:
    """Lists the layers of encoder and decoder in order; those of a tower under its name."""
    return [
        LayerRow(part.name, type(layer).__name__, tuple(layer.output.shape[1:]), layer.count_params())
        for whole in ("encoder", "decoder")
        for part in _parts(autoencoder.get_layer(whole))
        for layer in part.layers
        if not isinstance(layer, keras.Model)
    ]


def in_short(rows: Iterable[LayerRow]) -> list[LayerRow]:
    """Leaves out layers that keep the shape of their input, but for the first; their weights count for the layer above.

    The input of the decoder is left out too: the encoder ends with it.
    """
    blocks: list[LayerRow] = []
    for row in rows:
        if row.layer in _KEEP_SHAPE and blocks and blocks[-1].part == row.part:
            blocks[-1] = blocks[-1]._replace(weights=blocks[-1].weights + row.weights)
        elif (row.part, row.layer) != ("decoder", "InputLayer"):
            blocks.append(row)
    return blocks


def _parts(model: keras.Model) -> list[keras.Model]:
    """Lists the models within a model, then the model itself."""
    return [*(layer for layer in model.layers if isinstance(layer, keras.Model)), model]


def code_in_words(latent_dim: int, architecture: Architecture) -> str:
    """Say how many numbers a code has.

    Args:
        latent_dim: Numbers of a code, or of each of two.
        architecture: That of the network; it tells whether there are two codes.
    """
    if RECIPES[architecture].look:
        return f"{2 * latent_dim} numbers a code, {latent_dim} of the kind and {latent_dim} of the look"
    return f"{latent_dim} numbers a code"
