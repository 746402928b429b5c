"""The networks: autoencoders whose sub-models are named "encoder" and "decoder"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import layers, ops

from latentsearch.errors import InputError
from latentsearch.models import own_network
from latentsearch.models.layers import NoiseGate
from latentsearch.recipes import Architecture, Network

ImageShape = tuple[int, int, int]

# Layers of the encoder of "kind-look": two models side by side, the last layer of each, which turns its code, and the
# model before both that takes noise away.
TOWERS = ("kind", "look")
TURNED = "turned"
DENOISER = "denoiser"
# Objects look larger in views, which show parts, than in images, so the kind tower sees images enlarged (Touvron et
# al., "Fixing the train-test resolution discrepancy", 2019). Chosen without labels: see docs/codes.md.
_ENLARGED = 1.25
_COMPACT_FILTERS = (16, 32)
_COMPACT_UNITS = (512, 256)
# Filters of the convolutions of the deep encoder, and whether each halves the sides; then its dense units.
_DEEP_BLOCKS = ((64, False), (128, True), (128, False), (256, True), (256, False), (512, False))
_DEEP_UNITS = 512
_DECODER_UNITS = (512, 768)
_DENOISER_FILTERS = (48, 96)


def build(
    architecture: Architecture, image_shape: ImageShape, latent_dim: int, network: Network | None = None
) -> keras.Model:
    """Builds an untrained autoencoder: images float32 in [0, 1] `(batch, height, width, 3)` to the same shape.

    Args:
        architecture: A key of `ARCHITECTURES`.
        image_shape: `(height, width, 3)`; height and width multiples of what the architecture pools by.
        latent_dim: Numbers in a code, at least 1.
        network: Of the architecture custom. Default: `Network()`.

    Returns:
        A functional model whose layers "encoder" (image to code `(batch, latent_dim)`) and "decoder" (code
        to image) are models themselves; the encoder's layer "features" gives the vectors below the code.
        Of the architecture kind-look the code is `(batch, 2 * latent_dim)`: first that of the kind, then that of the
        look. Its encoder holds the models "denoiser", "kind" (of enlarged images; with the layer "features"), "look".

    Raises:
        InputError: if the sizes do not fit the architecture.
    """
    most = math.prod(image_shape)
    if not 1 <= latent_dim <= most:
        raise InputError(f"--latent-dim {latent_dim}: expected 1 to {most:,}, the numbers of an image.")
    if architecture == "custom" and network is not None and network.build is not None:
        return own_network.build(network.build, image_shape, latent_dim)
    maker = _custom(network) if architecture == "custom" and network is not None else ARCHITECTURES[architecture]
    make_encoder, make_decoder, multiple = maker
    height, width, _ = image_shape
    if height % multiple or width % multiple:
        raise InputError(
            f"Images of {height} x {width}: the {architecture} architecture needs multiples of {multiple} pixels. Take "
            "another --architecture, or prepare a folder with another --image-size."
        )
    image = keras.Input(image_shape, name="image")
    encoder = keras.Model(image, make_encoder(image, latent_dim), name="encoder")
    code = keras.Input(encoder.output_shape[1:], name="code")
    decoder = keras.Model(code, make_decoder(code, image_shape), name="decoder")
    outer_image = keras.Input(image_shape, name="image")
    return keras.Model(outer_image, decoder(encoder(outer_image)), name=f"{architecture}_autoencoder")


def kind_dim(encoder: keras.Model) -> int | None:
    """Returns the length of the kind code, the first numbers of a code; None if there is a single code."""
    return encoder.get_layer("kind").output_shape[1] if _has_towers(encoder) else None


def with_features(encoder: keras.Model) -> keras.Model:
    """Returns an encoder of two codes with a second output: the features of the kind tower. It shares the weights."""
    kind, look = (encoder.get_layer(name) for name in TOWERS)
    inner = keras.Model(kind.input, [kind.output, kind.get_layer("features").output])
    image = keras.Input(encoder.input_shape[1:])
    clean = encoder.get_layer(DENOISER)(image) if has_denoiser(encoder) else image
    code, features = inner(encoder.get_layer("enlarged")(clean))
    return keras.Model(image, [layers.Concatenate()([code, look(clean)]), features])


def take_apart(encoder: keras.Model) -> tuple[keras.Model, keras.Model | None, float | None]:
    """Take the denoiser out of an encoder, to be run on noisy images alone.

    Args:
        encoder: An encoder of images.

    Returns:
        The encoder of images that are clean; the denoiser; and the noise level above which an image is denoised. None
        and None, where none is.
    """
    if not has_denoiser(encoder):
        return encoder, None, None
    denoiser = encoder.get_layer(DENOISER)
    gate = denoiser.get_layer("gate")
    image = keras.Input(encoder.input_shape[1:])
    kind, look = (encoder.get_layer(name) for name in TOWERS)
    code = layers.Concatenate(name="code")([kind(encoder.get_layer("enlarged")(image)), look(image)])
    clean = keras.Model(image, code, name=encoder.name)
    if not gate.is_open:
        return clean, None, None
    denoised = keras.Model(denoiser.input, denoiser.get_layer("denoised").output, name=DENOISER)
    return clean, denoised, float(ops.convert_to_numpy(gate.threshold))


def has_denoiser(encoder: keras.Model) -> bool:
    """Tells whether an encoder begins with a denoiser; those of two codes do, unless an older version built them."""
    return DENOISER in {layer.name for layer in encoder.layers}


def _has_towers(encoder: keras.Model) -> bool:
    return {*TOWERS} <= {layer.name for layer in encoder.layers}


def _compact_encoder(image: keras.KerasTensor, latent_dim: int) -> keras.KerasTensor:
    """Encoder of compact. It halves images first, as ten numbers hold only what is large in an image."""
    small = layers.AveragePooling2D(2)(image)
    x = small
    for filters in _COMPACT_FILTERS:
        # Pooling first leaves a quarter of the values to normalise. As the normalisation's scale may be
        # negative this is not quite pooling last, but it learns as well.
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D(2)(x)
        x = layers.BatchNormalization(momentum=0.95)(x)
        x = layers.Activation("relu")(x)
    # Maxima forget where they were found; the small image itself tells that.
    x = layers.Concatenate()([layers.Flatten()(x), layers.Flatten()(small)])
    *hidden, last = _COMPACT_UNITS
    for units in hidden:
        x = _dense(x, units)
    return layers.Dense(latent_dim)(_dense(x, last, name="features"))


def _dense(x: keras.KerasTensor, units: int, name: str | None = None) -> keras.KerasTensor:
    x = layers.Dense(units, use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.95)(x)
    return layers.Activation("relu", name=name)(x)


def _dense_decoder(code: keras.KerasTensor, image_shape: ImageShape) -> keras.KerasTensor:
    """Decoder of compact. Dense layers draw the image at half size, as ten numbers hold no finer detail."""
    height, width, channels = image_shape
    x = code
    for units in _DECODER_UNITS:
        x = layers.Dense(units, activation="relu")(x)
    x = layers.Dense(height // 2 * (width // 2) * channels)(x)
    x = layers.Reshape((height // 2, width // 2, channels))(x)
    # Starts at mid-grey, in small steps: otherwise the first epochs go into finding the brightness.
    x = layers.Rescaling(0.25, offset=0.5)(x)
    return layers.UpSampling2D(2, interpolation="bilinear")(x)


def _deep_encoder(image: keras.KerasTensor, latent_dim: int) -> keras.KerasTensor:
    """Encoder of deep: seven convolutions and global average pooling, for images of any size."""
    # The first convolution halves the image: at full size it would cost as much as all others.
    x = _convolution(image, 64, kernel=4, strides=2)
    for filters, pooled in _DEEP_BLOCKS:
        x = _convolution(x, filters, pooled=pooled)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    return layers.Dense(latent_dim)(_dense(x, _DEEP_UNITS))


def _two_encoders(image: keras.KerasTensor, latent_dim: int) -> keras.KerasTensor:
    """Encoder of kind-look: that of deep for the kind, that of compact for the look, each scaled.

    Kind codes have length 1, look codes mean 0 and variance 1. The last layer of each, a matrix, is not trained: when
    a training ends, `rotation` turns the codes with it, and scales them.
    """
    image = _denoiser(image.shape[1:])(image)
    height, width, channels = image.shape[1:]
    sides = [round(_ENLARGED * side) for side in (height, width)]
    enlarged = keras.Input((*sides, channels))
    kind = layers.UnitNormalization(name="unit")(_deep_encoder(enlarged, latent_dim))
    kind = keras.Model(enlarged, _turned(kind, latent_dim), name="kind")
    small = keras.Input(image.shape[1:])
    look = layers.BatchNormalization(momentum=0.95, center=False, scale=False)(_compact_encoder(small, latent_dim))
    look = keras.Model(small, _turned(look, latent_dim), name="look")
    # Keras's Resizing takes training for meant where nothing is said, and hands that on to all layers behind it.
    enlarge = layers.Resizing(*sides, name="enlarged")
    return layers.Concatenate(name="code")([kind(enlarge(image, training=False)), look(image)])


def _denoiser(image_shape: ImageShape) -> keras.Model:
    """Denoiser: a U-Net at a half and a quarter of the side estimates the noise; the gate passes clean images.

    A small U-Net (Ronneberger et al., 2015). The last layer begins with zeros: images pass as they are.
    """
    half, quarter = _DENOISER_FILTERS
    image = keras.Input(image_shape)
    x = layers.Rescaling(1, offset=-0.5)(image)
    fine = layers.Conv2D(half, 4, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(quarter, 3, strides=2, padding="same", activation="relu")(fine)
    x = layers.Conv2D(quarter, 3, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(half, 4, strides=2, padding="same", activation="relu")(x)
    x = layers.Concatenate()([fine, x])
    x = layers.Conv2D(half, 3, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(image_shape[-1], 4, strides=2, padding="same", kernel_initializer="zeros")(x)
    denoised = layers.Add(name="denoised")([image, x])
    return keras.Model(image, NoiseGate(name="gate")([image, denoised]), name=DENOISER)


def _turned(code: keras.KerasTensor, latent_dim: int) -> keras.KerasTensor:
    layer = layers.Dense(latent_dim, use_bias=False, kernel_initializer="identity", name=TURNED)
    layer.trainable = False
    return layer(code)


def _convolution(
    x: keras.KerasTensor, filters: int, *, kernel: int = 3, strides: int = 1, pooled: bool = False
) -> keras.KerasTensor:
    x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    if pooled:
        x = layers.MaxPooling2D(2)(x)
    x = layers.BatchNormalization(momentum=0.95)(x)
    return layers.Activation("relu")(x)


def _reference_encoder(image: keras.KerasTensor, latent_dim: int) -> keras.KerasTensor:
    x = image
    for filters in (64, 64, 64, 64, 32):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(32, activation="relu", name="features")(x)
    return layers.Dense(latent_dim)(x)


def _reference_decoder(code: keras.KerasTensor, image_shape: ImageShape) -> keras.KerasTensor:
    height, width, channels = image_shape
    x = layers.Dense(27, activation="relu")(code)
    x = layers.Reshape((3, 3, 3))(x)
    for filters in (8, 16, 32, 64):
        x = layers.Conv2D(filters, 2, padding="same", activation="relu")(x)
        x = layers.UpSampling2D(2)(x)
        x = layers.Reshape(x.shape[1:])(x)  # changes nothing, but tells the shape to converters, which lose it above
    x = layers.Flatten()(x)
    x = layers.Dense(64, activation="relu")(x)
    x = layers.Dense(height * width * channels)(x)
    return layers.Reshape(image_shape)(x)


class _Maker(NamedTuple):
    encoder: Callable[[keras.KerasTensor, int], keras.KerasTensor]
    decoder: Callable[[keras.KerasTensor, ImageShape], keras.KerasTensor]
    multiple: int  # image sides must be multiples of this


def _custom(network: Network) -> _Maker:
    """Autoencoder of the user's measures: blocks that halve the sides and double the filters, then dense layers.

    Raises:
        InputError: if a number of the network is not at least 1.
    """
    for name in ("filters", "depth", "dense_units"):
        if getattr(network, name) < 1:
            flag = name.replace("_", "-")
            raise InputError(f"--network.{flag} {getattr(network, name)}: expected at least 1.")

    def finish(x: keras.KerasTensor, name: str | None = None) -> keras.KerasTensor:
        if network.normalisation:
            x = layers.BatchNormalization(momentum=0.95)(x)
        return layers.Activation(network.activation, name=name)(x)

    def encoder(image: keras.KerasTensor, latent_dim: int) -> keras.KerasTensor:
        x = image
        for block in range(network.depth):
            filters = network.filters * 2**block
            x = layers.Conv2D(filters, 3, padding="same", use_bias=not network.normalisation)(x)
            x = finish(layers.MaxPooling2D(2)(x))
        x = layers.Dense(network.dense_units, use_bias=not network.normalisation)(layers.Flatten()(x))
        return layers.Dense(latent_dim)(finish(x, name="features"))

    return _Maker(encoder, _dense_decoder, multiple=2**network.depth)


ARCHITECTURES: dict[Architecture, _Maker] = {
    "compact": _Maker(_compact_encoder, _dense_decoder, multiple=8),
    "deep": _Maker(_deep_encoder, _dense_decoder, multiple=8),
    "kind-look": _Maker(_two_encoders, _dense_decoder, multiple=8),
    "reference": _Maker(_reference_encoder, _reference_decoder, multiple=32),
    "custom": _custom(Network()),
}
