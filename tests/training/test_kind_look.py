"""Two codes: what each learns from, neighbours as views, turned codes, and beginning with another run's weights."""

from __future__ import annotations

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from latentsearch import data, files
from latentsearch.config import BuildConfig, TrainConfig
from latentsearch.errors import InputError
from latentsearch.models import architectures
from latentsearch.models import transfer as transferring
from latentsearch.models.build import build_run
from latentsearch.models.encoder import Autoencoder
from latentsearch.models.export import load_model
from latentsearch.recipes import RECIPES, Network
from latentsearch.runs import Run
from latentsearch.training import dataloader, neighbourhoods, tensorboard
from latentsearch.training.model import compiled
from latentsearch.training.settings import Settings, choose
from latentsearch.training.validation import Validator
from latentsearch.tuning.from_trial import network_and_recipe
from latentsearch.tuning.objective import Criterion
from latentsearch.tuning.sampler import suggest
from latentsearch.tuning.space import Space
from latentsearch.tuning.trials import PARAMETERS
from tests.training.trainings import Interrupt, assert_same_training, train

SIDE = 16
pytestmark = pytest.mark.usefixtures("small_towers")


def settings(**changes):
    recipe = dataclasses.replace(RECIPES["kind-look"], view_side=SIDE, batch_size=32, precision="float32", shift=0)
    return Settings(
        **dataclasses.asdict(recipe) | {"epochs": 4, "seed": 0, "initial_model": "", "dataset": ""} | changes
    )


@pytest.fixture(scope="module")
def small_root(part_root, small_towers, tmp_path_factory):
    """A root with an untrained run "digits" of a small network, to be copied."""
    root = shutil.copytree(part_root, tmp_path_factory.mktemp("small") / "root")
    build_run(BuildConfig(architecture="compact", run="digits", dataset="digits", root=root))
    return root


@pytest.fixture(scope="module")
def autoencoder(small_towers):
    keras.utils.set_random_seed(0)
    return architectures.build("kind-look", (32, 32, 3), 10)


def test_each_image_has_its_views_and_what_is_to_be_drawn(small_digits):
    ids = small_digits.ids("train")
    for inputs, targets in dataloader.training_batches(small_digits.images, ids, settings(noise=0.0)).take(2):
        assert inputs["views"].shape == (32, 4, SIDE, SIDE, 3)
        np.testing.assert_array_equal(targets["reconstruction"], inputs["images"])
        np.testing.assert_array_equal(targets["code"], np.tile(np.arange(32)[:, None], (1, 4)))
        small = inputs["images"].numpy().reshape(32, SIDE, 2, SIDE, 2, 3).mean(axis=(2, 4))
        views = inputs["views"].numpy()
        own = np.abs(views - small[:, None]).mean()
        other = np.abs(views - np.roll(small, 1, axis=0)[:, None]).mean()
        assert own < other


def test_half_of_the_views_are_of_neighbours():
    images = np.zeros((70, 32, 32, 3), np.uint8)
    ids = np.arange(3, 67)  # of which every second image is white, and has black neighbours, or the reverse
    images[ids[::2]] = 255
    near = (np.arange(64)[:, None] + [1, 3]) % 64
    chosen = settings(batch_size=64, noise=0.0)
    [(inputs, targets)] = dataloader.training_batches(images, ids, chosen, neighbours=near).take(1)
    np.testing.assert_array_equal(targets["code"], np.tile(np.arange(64)[:, None], (1, 4)))
    np.testing.assert_array_equal(targets["projection"], targets["code"] + np.array([0, 0, 64, 64]))
    white = inputs["images"].numpy().mean(axis=(1, 2, 3)) > 0.5
    assert white.sum() == 32
    brightness = inputs["views"].numpy().mean(axis=(2, 3, 4))  # black stays black in any colours
    np.testing.assert_array_equal(brightness[:, :2] > 0.2, np.tile(white[:, None], (1, 2)))
    np.testing.assert_array_equal(brightness[:, 2:] > 0.2, np.tile(~white[:, None], (1, 2)))


def test_the_copy_in_training_computes_what_the_towers_compute(autoencoder):
    rng = np.random.default_rng(0)
    views, images = (rng.random(shape, dtype=np.float32) for shape in ((4, 4, SIDE, SIDE, 3), (4, 32, 32, 3)))
    learner = compiled(autoencoder, settings(), 4)
    result = learner.predict_on_batch({"views": views, "images": images})
    encoder, decoder = (autoencoder.get_layer(name) for name in ("encoder", "decoder"))
    kind = keras.models.clone_model(encoder.get_layer("kind"), input_tensors=keras.Input((None, None, 3)))
    kind.set_weights(encoder.get_layer("kind").get_weights())
    codes = kind.predict_on_batch(views.reshape(-1, SIDE, SIDE, 3))
    np.testing.assert_allclose(result["code"], codes, atol=1e-5)
    mean = codes.reshape(4, 4, 10)[:, :2].mean(axis=1)
    both = [mean / np.linalg.norm(mean, axis=1, keepdims=True), encoder.predict_on_batch(images)[:, 10:]]
    expected = decoder.predict_on_batch(np.concatenate(both, axis=1))
    np.testing.assert_allclose(result["reconstruction"], expected, atol=1e-5)


def test_the_reconstruction_error_does_not_reach_the_kind(autoencoder):
    learner = compiled(autoencoder, settings(), 4)
    rng = np.random.default_rng(0)
    with tf.GradientTape() as tape:
        drawn = learner(
            {"views": rng.random((4, 4, SIDE, SIDE, 3)), "images": rng.random((4, 32, 32, 3))}, training=True
        )["reconstruction"]
        error = tf.reduce_mean(drawn**2)
    towers = [learner.get_layer(name).trainable_weights for name in ("kind", "look")]
    kind, look = tape.gradient(error, [[weight.value for weight in weights] for weights in towers])
    assert all(gradient is None or not np.any(gradient) for gradient in kind)
    assert any(np.any(gradient) for gradient in look)


def test_neighbours_are_of_the_features_and_begin_where_they_shall(autoencoder, small_digits):
    chosen = settings(neighbours=2, neighbours_from=0.5)
    assert neighbourhoods.periods(chosen, 200) == [(0, 2), (2, 4)]
    assert neighbourhoods.periods(settings(epochs=12, neighbours_from=0.4), 200) == [(0, 5), (5, 8), (8, 11), (11, 12)]
    for few in (neighbourhoods.periods(chosen, 49), neighbourhoods.periods(settings(neighbours=0), 200)):
        assert few == [(0, 4)]
    ids = small_digits.ids("train")[:120]
    learner = compiled(autoencoder, chosen, 4)
    find = {"settings": chosen}
    assert neighbourhoods.find(learner, autoencoder, small_digits.images, ids, epoch=0, **find) is None
    found = neighbourhoods.find(learner, autoencoder, small_digits.images, ids, epoch=2, **find)
    features = neighbourhoods.features_of(learner.get_layer("kind"), autoencoder, small_digits.images, ids)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    near = unit @ unit.T
    np.fill_diagonal(near, -2)
    assert found.shape == (120, 2)
    np.testing.assert_allclose(np.take_along_axis(near, found, axis=1), -np.sort(-near, axis=1)[:, :2], atol=1e-5)


def test_the_kind_tower_begins_with_the_encoder_of_deep(autoencoder):
    deep = architectures.build("deep", (32, 32, 3), 10)
    copy = keras.models.clone_model(autoencoder)
    transferring.take_weights(copy, deep, "deep")
    image = np.random.default_rng(0).random((2, 40, 40, 3), dtype=np.float32)
    whole = keras.models.clone_model(deep.get_layer("encoder"), input_tensors=keras.Input((None, None, 3)))
    whole.set_weights(deep.get_layer("encoder").get_weights())
    code = whole.predict_on_batch(image)
    kind = copy.get_layer("encoder").get_layer("kind").predict_on_batch(image)
    np.testing.assert_allclose(kind, code / np.linalg.norm(code, axis=1, keepdims=True), atol=1e-5)
    with pytest.raises(InputError, match="--start-from compact: its network"):
        transferring.take_weights(copy, architectures.build("compact", (32, 32, 3), 10), "compact")


class CopyAt(keras.callbacks.Callback):
    """Copies the root before a step: what a process that is killed there would leave."""

    def __init__(self, iterations, root, copy):
        super().__init__()
        self.iterations, self.root, self.copy = iterations, root, copy

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.optimizer.iterations == self.iterations:
            shutil.copytree(self.root, self.copy)


@pytest.mark.slow
def test_resumed_after_neighbours_were_found_ends_as_if_never_interrupted(part_root, tmp_path, monkeypatch):
    flags = {"batch_size": 64, "epochs": 3, "view_side": 8, "neighbours_from": 0.3, "subset": 128, "neighbours": 2}
    flags |= {"denoiser_epochs": 1}
    roots = [shutil.copytree(part_root, tmp_path / "a"), tmp_path / "b"]
    build_run(BuildConfig(run="digits", dataset="digits", root=roots[0]))
    in_the_second_epoch_that_uses_the_neighbours = 2 * 2 + 1
    copy = CopyAt(in_the_second_epoch_that_uses_the_neighbours, *roots)
    monkeypatch.setattr(tensorboard, "callbacks", lambda *arguments, **_: [copy])
    train(roots[0], **flags)
    assert (Run(roots[1], "digits").backup / "epoch-00002" / "neighbours.npy").exists()
    with monkeypatch.context() as patch:  # and Ctrl-C, in the same epoch
        patch.setattr(tensorboard, "callbacks", lambda *arguments, **_: [Interrupt(copy.iterations - 1)])
        assert not train(roots[1], resume=True, **flags).finished
    monkeypatch.setattr(tensorboard, "callbacks", lambda *arguments, **_: [])
    train(roots[1], resume=True, **flags)
    assert_same_training(*roots)
    run = Run(roots[0], "digits")
    trained = Autoencoder(run.best_model)
    assert (trained.latent_dim, trained.kind_dim) == (20, 10)
    images = data.load_for(run).images[:20]
    codes = load_model(run.best_model).get_layer("encoder").predict_on_batch(data.to_float(images))
    # So short a training leaves codes that are nearly alike, and scales them up.
    np.testing.assert_allclose(trained.encode(images), codes, atol=1e-4 * np.abs(codes).max())


def test_validation_measures_the_kind_and_how_much_of_the_features_it_has(autoencoder, small_digits):
    measures = Validator(small_digits, settings())(autoencoder)
    images = data.to_float(small_digits.images[small_digits.ids("validation")])
    codes, features = architectures.with_features(autoencoder.get_layer("encoder")).predict_on_batch(images)
    np.testing.assert_allclose(codes, autoencoder.get_layer("encoder").predict_on_batch(images), atol=1e-5)

    def near(vectors):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, -2)
        return np.argsort(-cosines, axis=1)[:, :10]

    both = zip(near(codes[:, :10]), near(features - features.mean(axis=0)), strict=True)
    assert measures["val_agreement"] == pytest.approx(np.mean([len({*a} & {*b}) / 10 for a, b in both]), abs=0.01)
    assert measures["val_effective_rank"] <= 10


def test_a_search_for_the_training_of_two_codes_stays_in_its_space():
    space = Space(latent_dim=(10,), architecture="kind-look")
    tried = [suggest(space, [], seed=seed).parameters for seed in range(12)]
    for parameters in tried:
        assert set(parameters) <= set(PARAMETERS)
        assert ("neighbours_from" in parameters) is (parameters["neighbours"] > 0)
        network, recipe = network_and_recipe(parameters, shift=1, flip=False, architecture="kind-look")
        assert network == Network()
        given = {name: value for name, value in parameters.items() if name != "latent_dim"}
        assert dataclasses.replace(RECIPES["kind-look"], shift=1, flip=False, **given) == recipe
    assert {parameters["neighbours"] > 0 for parameters in tried} == {True, False}


def test_a_trial_that_keeps_the_last_epoch_is_scored_by_it():
    rows = [{"val_loss": 1.0, "val_copy_recall": 0.9, "val_effective_rank": 5.0, "val_mse": 0.1, "val_agreement": 0.3}]
    rows.append(rows[0] | {"val_loss": 2.0, "val_agreement": 0.8})
    scores = [Criterion("kinds", 0.2, 10, keep).so_far(rows) for keep in ("best", "last")]
    assert scores == pytest.approx([0.4 * 0.9 + 0.4 * agreement + 0.2 * 0.5 for agreement in (0.3, 0.8)])


@pytest.mark.parametrize(("subset", "epochs"), [(32, 300), (128, 250), (None, None), (33, 300)])
def test_few_images_are_passed_over_more_often(subset, epochs, built_digits, tmp_path):
    config = TrainConfig(run="digits", batch_size=32, subset=subset, root=tmp_path)
    chosen = choose(config, Run(tmp_path, "digits"), built_digits, RECIPES["kind-look"])
    num_images = len(built_digits.ids("train")) if subset is None else subset
    assert chosen.epochs == max(24, min(300, -(-1000 // (num_images // 32))))
    assert subset is None or chosen.epochs == epochs
    given = choose(dataclasses.replace(config, epochs=7), Run(tmp_path, "digits"), built_digits, RECIPES["kind-look"])
    assert given.epochs == 7
    plain = choose(config, Run(tmp_path, "digits"), built_digits, RECIPES["compact"])
    assert plain.epochs == 100


def test_a_run_begins_with_the_weights_of_another_and_records_it(built_digits, tmp_path):
    config = BuildConfig(
        architecture="compact", run="more", dataset="digits", start_from="digits", seed=1, root=tmp_path
    )
    with pytest.raises(InputError, match=r"(?s)no best.keras.*TrainAutoencoder.py --run digits"):
        build_run(config)
    other, run = Run(tmp_path, "digits"), Run(tmp_path, "more")
    shutil.copyfile(other.initial_model, other.best_model)
    build_run(config)
    for one, same in zip(
        *(load_model(path).get_weights() for path in (run.initial_model, other.best_model)), strict=True
    ):
        np.testing.assert_array_equal(one, same)
    assert json.loads(run.build_record.read_text())["start"] == {
        "run": "digits",
        "model": files.file_fingerprint(other.best_model),
    }
    with pytest.raises(InputError, match="--start-from digits: its network"):
        build_run(dataclasses.replace(config, run="third", architecture="kind-look"))


def test_histograms_of_tensorboard_are_named_as_the_numbers_of_both_codes(autoencoder, small_digits, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    callback = tensorboard._CodesAndPictures(tmp_path, autoencoder, small_digits, every=1)
    callback.set_params({"epochs": 1})
    callback.on_train_begin()
    callback.on_epoch_end(0)
    callback.on_train_end()
    tags = set(EventAccumulator(str(tmp_path)).Reload().Tags()["tensors"]) - {"images and reconstructions"}
    kind = architectures.kind_dim(autoencoder.get_layer("encoder"))
    look = autoencoder.get_layer("encoder").output_shape[1] - kind
    names = [f"kind {number + 1}" for number in range(kind)] + [f"look {number + 1}" for number in range(look)]
    assert look > 0
    assert tags == {f"code/{name}" for name in names}
