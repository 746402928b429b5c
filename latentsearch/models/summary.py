"""The layers of an autoencoder as rows of a table."""

from __future__ import annotations

from typing import NamedTuple

import keras


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


def _parts(model: keras.Model) -> list[keras.Model]:
    """Lists the models within a model, then the model itself."""
    return [*(layer for layer in model.layers if isinstance(layer, keras.Model)), model]
