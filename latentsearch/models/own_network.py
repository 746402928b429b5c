"""A network that a function of the user's builds, named as MODULE:FUNCTION."""

from __future__ import annotations

from typing import Any

import keras

from latentsearch.errors import InputError
from latentsearch.models import own_code

_FLAG = "--network.build"


def build(name: str, image_shape: tuple[int, int, int], latent_dim: int) -> keras.Model:
    """Build an autoencoder with a function of the user's, and check that the scripts can use it.

    Args:
        name: MODULE:FUNCTION; the module is looked for in the current folder, too. The function takes `image_shape` and
            `latent_dim` and returns a Keras model.
        image_shape: `(height, width, 3)`.
        latent_dim: Numbers in a code.

    Raises:
        InputError: if there is no such function, it fails, or what it returns is not such an autoencoder.
    """
    function, _ = own_code.load(_FLAG, name, such_as="my_network:build")
    try:
        autoencoder = function(image_shape, latent_dim)
    except Exception as error:
        raise InputError(f"{_FLAG} {name} failed: {own_code.in_short(error)}\n{own_code.EXAMPLE}") from error
    _check(name, autoencoder, image_shape, latent_dim)
    model: keras.Model = autoencoder
    return model


def _check(name: str, autoencoder: Any, image_shape: tuple[int, int, int], latent_dim: int) -> None:
    if not isinstance(autoencoder, keras.Model):
        raise InputError(
            f"{_FLAG} {name} returned {type(autoencoder).__name__}; expected a Keras model. {own_code.EXAMPLE}"
        )
    parts = {layer.name: layer for layer in autoencoder.layers if isinstance(layer, keras.Model)}
    missing = [part for part in ("encoder", "decoder") if part not in parts]
    if missing:
        raise InputError(
            f"{_FLAG} {name}: the model has no sub-model named {' or '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, parts)) or 'none'}. {own_code.EXAMPLE}"
        )
    for part, taken, given in (("encoder", image_shape, (latent_dim,)), ("decoder", (latent_dim,), image_shape)):
        shapes = parts[part].input_shape, parts[part].output_shape
        if shapes != ((None, *taken), (None, *given)):
            raise InputError(
                f"{_FLAG} {name}: the {part} maps {shapes[0]} to {shapes[1]}; expected {(None, *taken)} to "
                f"{(None, *given)}. {own_code.EXAMPLE}"
            )
