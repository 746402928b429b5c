"""The networks: the reference is what its source describes, and every one has the parts that others rely on."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from latentsearch.errors import InputError
from latentsearch.models import architectures, losses
from latentsearch.models.architectures import ARCHITECTURES, build
from latentsearch.models.summary import code_in_words, in_short, layer_rows
from latentsearch.recipes import Network


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("side", "latent_dim"), [(32, 10), (64, 1), (96, 16)])
def test_contract(architecture, side, latent_dim, tmp_path):
    autoencoder = build(architecture, (side, side, 3), latent_dim)
    images = np.random.default_rng(0).random((4, side, side, 3)).astype(np.float32)
    codes = autoencoder.get_layer("encoder")(images, training=False)
    assert codes.shape == (4, latent_dim * (2 if architecture == "kind-look" else 1))
    reconstructions = autoencoder(images, training=False)
    assert reconstructions.shape == images.shape
    np.testing.assert_allclose(
        autoencoder.get_layer("decoder")(codes, training=False), reconstructions, rtol=1e-4, atol=1e-5
    )
    autoencoder.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_allclose(loaded(images, training=False), reconstructions, atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_call_without_more_words_learns_nothing_and_one_in_training_does(architecture):
    autoencoder = build(architecture, (32, 32, 3), 4)
    images = np.random.default_rng(0).random((4, 32, 32, 3)).astype(np.float32)
    encoder = autoencoder.get_layer("encoder")
    towers = [encoder.get_layer(name) for name in architectures.TOWERS] if architecture == "kind-look" else [encoder]
    normalisations = [
        layer for tower in towers for layer in tower.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert normalisations or architecture == "reference"

    def moving():
        return [np.asarray(layer.moving_variance) for layer in normalisations]

    before, codes = moving(), encoder(images, training=False)
    np.testing.assert_array_equal(encoder(images), codes)
    autoencoder(images)
    assert all(np.array_equal(one, same) for one, same in zip(moving(), before, strict=True))
    autoencoder(images, training=True)
    assert not any(np.array_equal(one, other) for one, other in zip(moving(), before, strict=True))


def test_reference_is_the_network_of_the_source_document():
    autoencoder = build("reference", (32, 32, 3), 10)
    assert autoencoder.count_params() == 9_780_619
    shapes = [(row.layer, row.shape) for row in layer_rows(autoencoder) if row.weights]
    assert shapes == [
        ("Conv2D", (32, 32, 64)),
        ("Conv2D", (16, 16, 64)),
        ("Conv2D", (8, 8, 64)),
        ("Conv2D", (4, 4, 64)),
        ("Conv2D", (2, 2, 32)),
        ("Dense", (32,)),
        ("Dense", (10,)),
        ("Dense", (27,)),
        ("Conv2D", (3, 3, 8)),
        ("Conv2D", (6, 6, 16)),
        ("Conv2D", (12, 12, 32)),
        ("Conv2D", (24, 24, 64)),
        ("Dense", (64,)),
        ("Dense", (3072,)),
    ]


def test_compact_has_less_than_a_quarter_of_the_reference_s_weights():
    assert build("compact", (32, 32, 3), 10).count_params() < 9_780_619 / 4


def test_custom_has_the_layers_that_its_network_names():
    network = Network(filters=8, depth=2, dense_units=20, activation="gelu", normalisation=False)
    autoencoder = build("custom", (32, 32, 3), 10, network)
    rows = [(row.layer, row.shape) for row in layer_rows(autoencoder) if row.part == "encoder"]
    assert rows == [
        ("InputLayer", (32, 32, 3)),
        *(("Conv2D", (32, 32, 8)), ("MaxPooling2D", (16, 16, 8)), ("Activation", (16, 16, 8))),
        *(("Conv2D", (16, 16, 16)), ("MaxPooling2D", (8, 8, 16)), ("Activation", (8, 8, 16))),
        *(("Flatten", (1024,)), ("Dense", (20,)), ("Activation", (20,)), ("Dense", (10,))),
    ]
    encoder = autoencoder.get_layer("encoder")
    assert encoder.get_layer("features").activation is keras.activations.gelu
    normalised = build("custom", (32, 32, 3), 10, replace(network, normalisation=True))
    assert [row.layer for row in layer_rows(normalised)].count("BatchNormalization") == 3


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Network(depth=6), "multiples of 64"),
        (Network(depth=0), "--network.depth 0"),
        (Network(filters=0), "--network.filters 0"),
        (Network(dense_units=-1), "--network.dense-units -1"),
    ],
)
def test_networks_that_cannot_be_are_refused(network, message):
    with pytest.raises(InputError, match=message):
        build("custom", (32, 32, 3), 10, network)


@pytest.mark.parametrize(
    ("architecture", "shape", "latent_dim", "message"),
    [
        ("compact", (30, 32, 3), 10, "multiples of 8"),
        ("reference", (48, 48, 3), 10, "multiples of 32"),
        ("compact", (32, 32, 3), 0, "--latent-dim 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(architecture, shape, latent_dim, message):
    with pytest.raises(InputError, match=message):
        build(architecture, shape, latent_dim)


def test_summary_counts_all_weights():
    autoencoder = build("compact", (32, 32, 3), 10)
    rows = layer_rows(autoencoder)
    short = in_short(rows)
    assert sum(row.weights for row in rows) == sum(row.weights for row in short) == autoencoder.count_params()
    assert [row.shape for row in short if row.layer == "Dense"] == [(512,), (256,), (10,), (512,), (768,), (768,)]
    assert not {"Activation", "BatchNormalization"} & {row.layer for row in short}
    assert [(row.part, row.shape) for row in short if row.layer == "InputLayer"] == [("encoder", (32, 32, 3))]


def test_accuracy_is_what_keras_computes_for_the_reference():
    rng = np.random.default_rng(0)
    images, reconstructions = rng.random((2, 3, 8, 8, 3)).astype(np.float32)
    ours = float(keras.ops.mean(losses.accuracy(images, reconstructions)))
    metric = keras.metrics.CategoricalAccuracy()
    metric.update_state(images, reconstructions)
    assert ours == pytest.approx(float(metric.result()))
    assert 0.2 < ours < 0.5


@pytest.mark.parametrize("latent_dim", [0, -3, 32 * 32 * 3 + 1, 100_000_000])
def test_a_code_that_is_empty_or_longer_than_the_image_is_refused_in_words(latent_dim):
    with pytest.raises(InputError, match=f"--latent-dim {latent_dim}: expected 1 to 3,072"):
        architectures.build("compact", (32, 32, 3), latent_dim)


def test_numbers_of_a_code_are_those_of_both_codes():
    assert code_in_words(10, "kind-look") == "20 numbers a code, 10 of the kind and 10 of the look"
    assert code_in_words(10, "compact") == code_in_words(10, "custom") == "10 numbers a code"
