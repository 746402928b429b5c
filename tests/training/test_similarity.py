"""Training for similarity: the views that it sees, what it keeps, and that it never looks at a label."""

from __future__ import annotations

import dataclasses
import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from latentsearch import data, environment, metrics
from latentsearch.config import BuildConfig, TrainConfig
from latentsearch.data.augmentation import views
from latentsearch.errors import InputError
from latentsearch.models import architectures
from latentsearch.models.build import build_run
from latentsearch.models.export import load_model
from latentsearch.models.layers import BatchNormalization
from latentsearch.recipes import RECIPES, Network
from latentsearch.runs import Run
from latentsearch.training import dataloader, validation
from latentsearch.training.model import compiled, copy_weights, create_state
from latentsearch.training.settings import Settings, choose
from tests.training.trainings import Interrupt, assert_same_training, train

SIMILAR = {"similarity_weight": 0.5, "batch_size": 32}
pytestmark = pytest.mark.usefixtures("small_towers")


@pytest.fixture(scope="module")
def small_root(tiny_root):
    """What all trainings of this module begin with."""
    return tiny_root


def settings(**changes):
    plain = {"epochs": 2, "batch_size": 32, "learning_rate": 1e-3, "schedule": "cosine", "shift": 0, "flip": False}
    return Settings(**{**plain, "seed": 0, "initial_model": "", "dataset": "", "similarity_weight": 1.0, **changes})


def test_each_batch_has_two_views_of_each_image_and_says_of_which(small_digits):
    ids = small_digits.ids("train")
    batches = list(dataloader.training_batches(small_digits.images, ids, settings(view_side=16)).take(3))
    for looks, targets in batches:
        assert looks.shape == (64, 16, 16, 3)
        np.testing.assert_array_equal(targets["code"][:, 0], [*range(32), *range(32)])
        np.testing.assert_array_equal(targets["projection"], targets["code"])
        originals = targets["reconstruction"].numpy()
        np.testing.assert_array_equal(originals[:32], originals[32:])
        assert not np.allclose(looks[:32], looks[32:])
        small = originals.reshape(64, 16, 2, 16, 2, 3).mean(axis=(2, 4))
        own = np.abs(looks - small).mean(axis=(1, 2, 3))
        other = np.abs(looks - np.roll(small, 1, axis=0)).mean(axis=(1, 2, 3))
        assert own.mean() < other.mean()


@pytest.mark.parametrize("architecture", ["compact", "deep", "reference"])
def test_the_copy_in_training_computes_what_the_autoencoder_computes(architecture):
    autoencoder = architectures.build(architecture, (32, 32, 3), 10)
    images = np.random.default_rng(0).random((4, 32, 32, 3)).astype(np.float32)
    learner = compiled(autoencoder, settings(), 4)
    result = learner.predict_on_batch(images)
    np.testing.assert_allclose(result["reconstruction"], autoencoder.predict_on_batch(images), atol=1e-5)
    np.testing.assert_allclose(
        result["code"], autoencoder.get_layer("encoder").predict_on_batch(images), rtol=1e-4, atol=1e-5
    )
    assert result["projection"].shape == (4, 128)
    halved = compiled(autoencoder, settings(precision="bfloat16"), 4).predict_on_batch(images)
    assert halved["code"].dtype == np.float32
    np.testing.assert_allclose(halved["code"], result["code"], atol=0.05 * np.abs(result["code"]).max() + 1e-3)


def test_the_fast_normalisation_is_keras_s():
    rng = np.random.default_rng(0)
    images = rng.normal(2, 3, (8, 4, 4, 5)).astype(np.float32)
    plain, fast = keras.layers.BatchNormalization(momentum=0.9), BatchNormalization(momentum=0.9)
    for training in (True, True, False):
        np.testing.assert_allclose(fast(images, training=training), plain(images, training=training), atol=1e-4)
    for layer in (plain, fast):
        with tf.GradientTape() as tape:
            values = tf.Variable(images)
            loss = tf.reduce_sum(layer(values, training=True) ** 3)
        layer.gradients = tape.gradient(loss, [values, *layer.trainable_weights])
    for a, b in zip(plain.gradients, fast.gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-2)
    for a, b in zip(plain.get_weights(), fast.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["compact", "reference"])
def test_an_encoder_of_one_size_refuses_views_of_another(architecture):
    autoencoder = architectures.build(architecture, (32, 32, 3), 10)
    with pytest.raises(InputError, match="--architecture deep"):
        compiled(autoencoder, settings(view_side=16), 4)


def test_an_encoder_without_features_asks_to_be_built_again():
    autoencoder = architectures.build("compact", (32, 32, 3), 10)
    autoencoder.get_layer("encoder").get_layer("features").name = "activation"
    with pytest.raises(InputError, match=r"(?s)needs a layer named 'features'.*BuildingAutoencoder.py"):
        compiled(autoencoder, settings(), 4)


def test_weights_of_the_copy_reach_the_autoencoder(small_digits):
    keras.utils.set_random_seed(0)
    autoencoder = architectures.build("deep", (32, 32, 3), 10)
    learner = compiled(autoencoder, settings(), 4)
    batches = dataloader.training_batches(small_digits.images, small_digits.ids("train"), settings())
    learner.fit(batches, steps_per_epoch=2, verbose=0)
    images = data.to_float(small_digits.images[:5])
    before = autoencoder.predict_on_batch(images)
    copy_weights(learner, autoencoder)
    after = autoencoder.predict_on_batch(images)
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(after, learner.predict_on_batch(images)["reconstruction"], atol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_step_is_traced_once_and_begins_from_the_state_that_was_created(weight, small_digits, monkeypatch):
    chosen = settings(similarity_weight=weight)
    batches = dataloader.training_batches(small_digits.images, small_digits.ids("train"), chosen)
    losses, network = [], Network(filters=8, depth=1, dense_units=16)
    for prepared in (True, False):
        keras.utils.set_random_seed(0)
        learner = compiled(architectures.build("custom", (32, 32, 3), 10, network), chosen, 4)
        if prepared:
            create_state(learner, batches)
        traced = []
        step = learner.train_step
        monkeypatch.setattr(
            learner, "train_step", lambda batch, step=step, traced=traced: traced.append(1) or step(batch)
        )
        losses.append(learner.fit(batches, steps_per_epoch=2, epochs=2, verbose=0).history)
        assert len(traced) == 1 or not prepared
    for name, values in losses[1].items():
        assert losses[0][name] == pytest.approx(values, rel=1e-5), name


def test_kernels_reach_the_autoencoder_as_the_training_computes_with_them(small_digits):
    autoencoder = architectures.build("deep", (32, 32, 3), 10)
    chosen = settings(precision="bfloat16", view_side=16)
    learner = compiled(autoencoder, chosen, 4)
    batches = dataloader.training_batches(small_digits.images, small_digits.ids("train"), chosen)
    learner.fit(batches, steps_per_epoch=2, verbose=0)
    copy_weights(learner, autoencoder)
    for layer in autoencoder.get_layer("encoder").layers[:-1]:
        for weight in layer.weights if "norm" not in layer.name else ():
            bits = np.ascontiguousarray(weight.numpy()).view(np.uint32)
            assert not (bits & 0xFFFF).any(), layer.name
    last = autoencoder.get_layer("encoder").layers[-1].kernel.numpy()
    assert (np.ascontiguousarray(last).view(np.uint32) & 0xFFFF).any()


def test_validation_measures_what_it_says(small_digits):
    autoencoder = architectures.build("compact", (32, 32, 3), 10)
    validator = validation.Validator(small_digits, settings(similarity_weight=0.25))
    measures = validator(autoencoder)
    ids = small_digits.ids("validation")
    images = data.to_float(small_digits.images[ids])
    error = np.square(autoencoder.predict_on_batch(images) - images).mean()
    assert measures["val_mse"] == pytest.approx(error, rel=1e-4)
    assert measures["val_loss"] == pytest.approx(error + 0.25 * measures["val_similarity"], rel=1e-4)
    encoder = autoencoder.get_layer("encoder")

    def unit(pictures):
        codes = encoder.predict_on_batch(pictures)
        return codes / np.linalg.norm(codes, axis=1, keepdims=True)

    rng = np.random.default_rng([0, 0])
    originals = small_digits.images[ids]
    first, second = (unit(views(originals, shape=(32, 32), flip=False, rng=rng)) for _ in range(2))
    codes, labels = unit(images), small_digits.labels[ids]
    precisions, found = [], []
    for row in range(len(ids)):
        nearest = [other for other in np.argsort(-codes @ codes[row]) if other != row][:10]
        precisions.append(np.mean(labels[nearest] == labels[row]))
        found.append(row in np.argsort(-codes @ first[row])[:10])
    assert measures["val_precision"] == pytest.approx(np.mean(precisions), abs=0.01)
    assert measures["val_copy_recall"] == pytest.approx(np.mean(found), abs=0.1)
    both = np.concatenate([first, second]).astype(np.float64)
    scores = np.exp(both @ both.T / 0.5)
    np.fill_diagonal(scores, 0)
    partners = np.roll(np.arange(len(both)), len(ids))
    naive = -np.log(scores[np.arange(len(both)), partners] / scores.sum(axis=1)).mean()
    assert measures["val_similarity"] == pytest.approx(naive, rel=1e-3)


@pytest.mark.products
def test_codes_of_views_come_nearer_and_everything_is_recorded(compact_root, tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "LEAST_QUERIES", 10)  # of fewer validation images, retrieval is not shown
    shutil.copytree(compact_root, tmp_path, dirs_exist_ok=True)
    result = train(tmp_path, epochs=8, learning_rate=3e-3, **SIMILAR)
    history = result.history
    assert history["val_similarity"].iloc[-1] < history["val_similarity"].iloc[0] - 0.2
    assert history["val_copy_recall"].iloc[-1] > history["val_copy_recall"].iloc[0]
    np.testing.assert_allclose(history["val_loss"], history["val_mse"] + 0.5 * history["val_similarity"], rtol=1e-5)
    assert result.best["val_loss"] == history["val_loss"].min()
    run = Run(tmp_path, "digits")
    dataset = data.load(tmp_path, "digits")
    kept = validation.Validator(dataset, Settings(**json.loads(run.training_record.read_text())["settings"]))
    assert kept(load_model(run.best_model))["val_loss"] == pytest.approx(result.best["val_loss"], rel=1e-4)
    assert {path.name for path in run.exported.iterdir() if path.is_dir()} >= {"best", "best-int8"}
    assert {"training_loss.png", "training_similarity.png", "training_retrieval.png"} <= {
        path.name for path in run.reports.iterdir()
    }
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tags = EventAccumulator(str(run.logs / "validation")).Reload().Tags()["tensors"]
    assert {"epoch_copy_recall", "epoch_precision", "epoch_similarity", "epoch_mse"} <= set(tags)


def test_labels_have_no_part_in_what_is_learnt_or_kept(built_digits, tmp_path, monkeypatch):
    shuffled = np.random.default_rng(0).permutation(built_digits.labels)
    results, learnt = [], []
    for labels in (built_digits.labels, shuffled):
        monkeypatch.setattr(data, "load_for", lambda run, now=labels: dataclasses.replace(built_digits, labels=now))
        results.append(train(tmp_path, epochs=2, overwrite=True, **SIMILAR).history)
        learnt.append(load_model(Run(tmp_path, "digits").best_model).get_weights())
    assert not np.allclose(results[0]["val_precision"], results[1]["val_precision"])
    pd.testing.assert_frame_equal(*[table.drop(columns=["val_precision", "seconds"]) for table in results])
    for one, other in zip(*learnt, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_training_that_is_refused_leaves_the_one_before(trained_digits, tmp_path):
    run = Run(tmp_path, "digits")
    before = run.best_model.read_bytes()
    with pytest.raises(InputError, match="--view-side 16: this architecture"):
        train(tmp_path, epochs=1, overwrite=True, view_side=16, **SIMILAR)
    assert run.best_model.read_bytes() == before
    assert json.loads(run.training_record.read_text())["finished"]


def test_records_of_older_trainings_are_understood(trained_digits, tmp_path):
    run = Run(tmp_path, "digits")
    history = pd.read_csv(run.history)
    record = json.loads(run.training_record.read_text())
    for name in ("optimizer", "similarity_weight", "temperature", "projection", "view_side", "precision"):
        del record["settings"][name]
    run.training_record.write_text(json.dumps(record))
    pd.testing.assert_frame_equal(train(tmp_path, epochs=2, resume=True).history, history)
    # One that was interrupted has a backup without today's measures.
    del record["training"]
    run.training_record.write_text(json.dumps(record | {"finished": False}))
    (run.backup / "epoch-00001").mkdir(parents=True)
    (run.backup / "epoch-00001" / "rows.json").write_text('[{"epoch": 1, "val_loss": 0.1}]')
    with pytest.raises(InputError, match=r"(?s)older latentsearch.*--overwrite"):
        train(tmp_path, epochs=2, resume=True)


@pytest.mark.slow
def test_deep_resumed_ends_as_if_never_interrupted(part_root, tmp_path, monkeypatch):
    from latentsearch.training import tensorboard

    roots = [shutil.copytree(part_root, tmp_path / "a")]
    build_run(BuildConfig(architecture="deep", run="digits", dataset="digits", root=roots[0]))
    roots.append(shutil.copytree(roots[0], tmp_path / "b"))
    flags = {"batch_size": 64, "epochs": 2, "view_side": 16}
    train(roots[0], **flags)
    with monkeypatch.context() as patch:
        patch.setattr(tensorboard, "callbacks", lambda *arguments, **keywords: [Interrupt(2 + 1)])
        assert not train(roots[1], **flags).finished
    train(roots[1], resume=True, **flags)
    assert_same_training(*roots)
    record = json.loads(Run(roots[0], "digits").training_record.read_text())["settings"]
    assert record["optimizer"] == RECIPES["deep"].optimizer
    assert record["similarity_weight"] == RECIPES["deep"].similarity_weight


@pytest.mark.parametrize(("flag", "native", "expected"), [
    (None, True, "bfloat16"), (None, False, "float32"), ("bfloat16", False, "bfloat16"), ("float32", True, "float32"),
])  # fmt: skip
def test_bfloat16_is_the_default_where_the_processor_has_it(
    flag, native, expected, built_digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(environment, "has_bfloat16", lambda: native)
    config = TrainConfig(run="digits", precision=flag, root=tmp_path)
    assert choose(config, Run(tmp_path, "digits"), built_digits, RECIPES["deep"]).precision == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"similarity_weight": -1.0}, "--similarity-weight -1.0: expected 0 or more"),
        ({"temperature": 0.0}, "--temperature 0.0: expected more than 0"),
        ({"view_side": 4}, "--view-side 4: expected at least 8"),
        ({"optimizer": "muon"}, "--optimizer muon: .*--learning-rate"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message, built_digits, tmp_path):
    with pytest.raises(InputError, match=message):
        train(tmp_path, epochs=1, **changes)
