"""A network that a function of the user's builds, named as MODULE:FUNCTION."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

import keras

from latentsearch.errors import InputError

_FLAG = "--network.build"
_EXAMPLE = "docs/extending.md has a complete example."


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
    function = _function(name)
    try:
        autoencoder = function(image_shape, latent_dim)
    except Exception as error:
        raise InputError(f"{_FLAG} {name} failed: {_in_short(error)}\n{_EXAMPLE}") from error
    _check(name, autoencoder, image_shape, latent_dim)
    model: keras.Model = autoencoder
    return model


def _function(name: str) -> Any:
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        raise InputError(f"{_FLAG} {name}: expected MODULE:FUNCTION, such as my_network:build. {_EXAMPLE}")
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(
            f"{_FLAG} {name}: the module {module_name} cannot be imported from {folder}: {_in_short(error)}\n{_EXAMPLE}"
        ) from error
    finally:
        sys.path.remove(folder)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise InputError(f"{_FLAG} {name}: {module.__file__} has no function {function_name}. {_EXAMPLE}")
    return function


def _check(name: str, autoencoder: Any, image_shape: tuple[int, int, int], latent_dim: int) -> None:
    if not isinstance(autoencoder, keras.Model):
        raise InputError(f"{_FLAG} {name} returned {type(autoencoder).__name__}; expected a Keras model. {_EXAMPLE}")
    parts = {layer.name: layer for layer in autoencoder.layers if isinstance(layer, keras.Model)}
    missing = [part for part in ("encoder", "decoder") if part not in parts]
    if missing:
        raise InputError(
            f"{_FLAG} {name}: the model has no sub-model named {' or '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, parts)) or 'none'}. {_EXAMPLE}"
        )
    for part, taken, given in (("encoder", image_shape, (latent_dim,)), ("decoder", (latent_dim,), image_shape)):
        shapes = parts[part].input_shape, parts[part].output_shape
        if shapes != ((None, *taken), (None, *given)):
            raise InputError(
                f"{_FLAG} {name}: the {part} maps {shapes[0]} to {shapes[1]}; expected {(None, *taken)} to "
                f"{(None, *given)}. {_EXAMPLE}"
            )


def _in_short(error: Exception) -> str:
    """The error, and the line of the user's that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if len(frames) > 1 else ""
    return f"{type(error).__name__}: {error}{place}"
