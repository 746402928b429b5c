"""The training model: a copy of the autoencoder, built for speed, with its losses and optimizer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from latentsearch.errors import InputError
from latentsearch.models import losses as objectives
from latentsearch.models import own_loss
from latentsearch.models.architectures import DENOISER, TOWERS
from latentsearch.models.layers import BatchNormalization
from latentsearch.training.optimizers import optimizer_of
from latentsearch.training.settings import Settings

# Measures of a training with a similarity weight, by the names that Keras makes of those of the outputs.
MEASURE_NAMES = {
    "reconstruction_loss": "mse",
    "code_loss": "similarity",
    "projection_loss": "projection",
    "reconstruction_accuracy": "accuracy",
}


def measure_names(settings: Settings) -> dict[str, str]:
    """Return the names of measures in the history by those that Keras gives them."""
    if settings.loss is None:
        return MEASURE_NAMES
    own = "reconstruction_loss" if settings.similarity_weight else "loss"
    return MEASURE_NAMES | {own: "own_loss"}


_PROJECTION_UNITS = (512, 128)
_PROJECTION_TEMPERATURE = 0.2


def compiled(initial: keras.Model, settings: Settings, steps: int) -> keras.Model:
    """Builds the training model of an autoencoder, for the batches of `dataloader.training_batches`.

    Without a similarity weight it takes images and gives reconstructions. With one it takes views and gives
    "reconstruction", "code", and "projection": two dense layers on the encoder's features, which take up what tells
    single images apart, so that the features need not. They are thrown away after the training (Chen et al., 2020).

    Args:
        initial: The autoencoder, with sub-models "encoder" and "decoder".
        settings: Of the training.
        steps: Batches an epoch.

    Raises:
        InputError: if the encoder cannot take views of the side that the settings name, or has no layer "features".
    """
    encoder, decoder = (initial.get_layer(name) for name in ("encoder", "decoder"))
    if not settings.similarity_weight:
        images = keras.Input(initial.input_shape[1:], name="image")
        copies = [_copy(part, part.input_shape[1:], settings) for part in (encoder, decoder)]
        model = keras.Model(images, copies[1](copies[0](images)), name=initial.name)
        model.compile(
            optimizer_of(settings, steps),
            loss=own_loss.reconstruction_loss(settings.loss),
            metrics=[objectives.accuracy],
        )
    else:
        height, width, channels = initial.input_shape[1:]
        side = settings.view_side
        shape = (side, side, channels) if side else (height, width, channels)
        if settings.look:
            views, seen, code, features = _two_codes(encoder, shape, settings)
        else:
            views = keras.Input(shape, name="views")
            code, features = _copy(encoder, shape, settings, also="features")(views)
            seen = code
        outputs = {
            "reconstruction": _copy(decoder, decoder.input_shape[1:], settings)(seen),
            "code": code,
        }
        losses: dict[str, Any] = {
            "reconstruction": own_loss.reconstruction_loss(settings.loss),
            "code": objectives.NTXent(settings.temperature),
        }
        if settings.projection:
            outputs["projection"] = _projector(features.shape[-1])(features)
            losses["projection"] = objectives.NTXent(_PROJECTION_TEMPERATURE)
        weights = dict.fromkeys(losses, settings.similarity_weight) | {"reconstruction": 1.0}
        model = keras.Model(views, outputs, name=initial.name)
        model.compile(
            optimizer_of(settings, steps),
            loss=losses,
            loss_weights=weights,
            metrics={"reconstruction": objectives.accuracy},
        )
    copy_weights(initial, model)
    return model


def create_state(model: keras.Model, batches: tf.data.Dataset) -> None:
    """Create what a training step updates: the state of the optimizer, of losses and of metrics.

    Keras would create it in the first step, which TensorFlow traces a second time then: six seconds of kind-look.

    Args:
        model: Compiled, on one device.
        batches: Batches of (inputs, targets), of which the shapes count.
    """

    def zeros(spec: tf.TensorSpec | keras.KerasTensor) -> tf.Tensor:
        return ops.zeros(spec.shape, spec.dtype)

    def symbol(spec: tf.TensorSpec) -> keras.KerasTensor:
        return keras.KerasTensor(spec.shape, spec.dtype.name)

    inputs, targets = batches.element_spec
    predicted = model.compute_output_spec(keras.tree.map_structure(symbol, inputs))
    predictions = keras.tree.map_structure(zeros, predicted)
    seen, wanted = (keras.tree.map_structure(zeros, specs) for specs in (inputs, targets))
    model.optimizer.build(model.trainable_variables)
    model.compute_loss(seen, wanted, predictions, training=False)
    model.compute_metrics(seen, wanted, predictions)
    model.reset_metrics()


def _two_codes(
    encoder: keras.Model, shape: tuple[int, int, int], settings: Settings
) -> tuple[dict[str, keras.KerasTensor], keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """Builds the two towers of an encoder for training: the kind tower sees views, the look tower whole images.

    The reconstruction error does not reach the kind tower: it would make kinds of colours.

    Args:
        encoder: With models "kind" and "look".
        shape: Of a view.
        settings: Of the training.

    Returns:
        Inputs by name; what the decoder gets, `(batch, 2 * latent_dim)`: the mean kind code of the views of an image
        and its look code; the kind codes of the views, one below the other; their features.
    """
    kind, look = (encoder.get_layer(name) for name in TOWERS)
    views = keras.Input((settings.views, *shape), name="views")
    images = keras.Input(encoder.input_shape[1:], name="images")
    free = (None, None, shape[-1])  # for views, and for whole images where neighbours are looked for
    code, features = _copy(kind, free, settings, also="features")(ops.reshape(views, (-1, *shape)))
    own = settings.views - settings.views // 2  # the others may be of neighbours
    together = ops.mean(ops.reshape(code, (-1, settings.views, code.shape[-1]))[:, :own], axis=1)
    together = ops.stop_gradient(ops.normalize(together, axis=-1))
    seen = ops.concatenate([together, _copy(look, look.input_shape[1:], settings)(images)], axis=-1)
    return {"views": views, "images": images}, seen, code, features


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies the weights of the source's encoder and decoder to the target, except those of its denoiser.

    Kernels that the source computes with in bfloat16 are given as it sees them, rounded to 8 bits of mantissa.
    """
    targets = _parts(target)
    for name, part in _parts(source).items():
        for layer in part.layers:
            if layer.weights and not isinstance(layer, keras.Model):
                targets[name].get_layer(layer.name).set_weights(_as_computed(layer))


def _parts(model: keras.Model) -> dict[str, keras.Model]:
    """Returns the sub-models of an autoencoder by name: its encoder, or the towers of that, and its decoder."""
    found: dict[str, keras.Model] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            inner = _parts(layer)
            found |= inner or ({layer.name: layer} if layer.name not in ("projection", DENOISER) else {})
    return found


def normalise_together(model: keras.Model, together: bool) -> None:
    """Synchronises batch normalisation: mean and variance of the whole batch, not of each device's part.

    Args:
        model: As `compiled` made it.
        together: Whether it is trained on several devices.
    """
    for part in model.layers:
        for layer in getattr(part, "layers", ()):
            if isinstance(layer, layers.BatchNormalization):
                layer.synchronized = together


def _as_computed(layer: layers.Layer) -> list[np.ndarray]:
    weights: list[np.ndarray] = layer.get_weights()
    if layer.compute_dtype != "bfloat16" or isinstance(layer, layers.BatchNormalization):
        return weights
    return [ops.convert_to_numpy(ops.cast(ops.cast(values, "bfloat16"), "float32")) for values in weights]


def _copy(part: keras.Model, shape: tuple[int | None, ...], settings: Settings, also: str | None = None) -> keras.Model:
    """Copies a sub-model, with its own layers in the precision of the settings; its output is float32.

    Args:
        part: The encoder or the decoder.
        shape: Of one input of the copy.
        settings: Of the training.
        also: Name of a layer whose output is given as a second output.
    """
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[settings.precision]
    exact = part.layers[-3:] if part.name in TOWERS else part.layers[-1:]  # from the code on

    def clone(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config() | {"dtype": "float32" if layer in exact else policy}
        is_plain = type(layer) is layers.BatchNormalization
        return (BatchNormalization if is_plain else type(layer)).from_config(config)

    if also and also not in {layer.name for layer in part.layers}:
        raise InputError(
            f"--similarity-weight needs a layer named '{also}' in the {part.name}, from which the projection is made; "
            f"this run's has {', '.join(layer.name for layer in part.layers)}.\nBuild it again with "
            "BuildingAutoencoder.py, name that layer in a network of your own, or train with --similarity-weight 0."
        )

    try:
        copy = keras.models.clone_model(part, input_tensors=keras.Input(shape), clone_function=clone)
    except ValueError:  # too small to be pooled as often
        copy = None
    if copy is None or [weight.shape for weight in copy.weights] != [weight.shape for weight in part.weights]:
        raise InputError(
            f"--view-side {settings.view_side}: this architecture takes images of {part.input_shape[1]} pixels only. "
            "Leave the flag out, or build another run with BuildingAutoencoder.py --architecture deep."
        )
    outputs = [copy.output, copy.get_layer(also).output] if also else copy.output
    return keras.Model(copy.input, outputs, name=part.name)


def _projector(num_features: int) -> keras.Model:
    hidden, dim = _PROJECTION_UNITS
    features = keras.Input((num_features,))
    x = layers.Dense(hidden, use_bias=False)(features)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    return keras.Model(features, layers.Dense(dim)(x), name="projection")
