"""Training on several devices: two parts of this processor, in processes of their own, stand for two GPUs."""

from __future__ import annotations

import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest

from latentsearch import data
from latentsearch.config import BuildConfig, TrainConfig
from latentsearch.errors import InputError
from latentsearch.models import architectures, distribution
from latentsearch.models.build import build_run
from latentsearch.models.export import load_model
from latentsearch.recipes import RECIPES
from latentsearch.runs import Run
from latentsearch.training import settings
from latentsearch.training.model import compiled, normalise_together
from latentsearch.training.settings import Settings
from tests.training.trainings import assert_same_training, train

# TensorFlow divides a processor before its start only.
TWO_DEVICES = """
import pathlib, shutil
import keras, numpy as np, tensorflow as tf
from latentsearch.models import distribution as devices, layers, losses as objectives
from latentsearch.training import train as training
from latentsearch.config import TrainConfig
part = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [part, part])
devices.KIND = "CPU"
"""

TRAIN = """
class Copy(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if self.model.optimizer.iterations == {copied_at}:
            shutil.copytree({root!r}, {copy!r})
training.train(TrainConfig(run="digits", root=pathlib.Path({root!r}), **{flags!r}), watch=[Copy()])
"""

GATHERS = """
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
rng = np.random.default_rng(0)
vectors = tf.constant(rng.normal(size=(12, 5)), tf.float32)
numbers = tf.tile(tf.range(6.0), [2])[:, None]  # the second views of all images are on the other device
similarity = objectives.NTXent(0.5)

def loss_and_gradient(rows):
    own = tf.gather(vectors, rows)
    with tf.GradientTape() as tape:
        tape.watch(own)
        loss = similarity(tf.gather(numbers, rows), own)
    return loss, tape.gradient(loss, own)

halves = strategy.experimental_distribute_values_from_function(
    lambda context: tf.range(6) + 6 * context.replica_id_in_sync_group
)
losses, gradients = tf.function(lambda: strategy.run(loss_and_gradient, args=(halves,)))()
loss, gradient = loss_and_gradient(tf.range(12))
np.testing.assert_allclose(sum(losses.values), loss, rtol=1e-6)
np.testing.assert_allclose(tf.concat(gradients.values, axis=0), gradient, atol=1e-6)

images = tf.constant(rng.normal(2, 3, (12, 4, 4, 3)), tf.float32)
plain = keras.layers.BatchNormalization(momentum=0.9)
whole = plain(images, training=True)
with strategy.scope():
    layer = layers.BatchNormalization(momentum=0.9, synchronized=True)
    layer.build(images.shape)
step = tf.function(lambda: strategy.run(lambda rows: layer(tf.gather(images, rows), training=True), args=(halves,)))
np.testing.assert_allclose(tf.concat(step().values, axis=0), whole, atol=1e-5)
for name in ("moving_mean", "moving_variance"):
    copies = strategy.experimental_local_results(getattr(layer, name).value)
    assert len(copies) == 2
    for copy in copies:
        np.testing.assert_allclose(copy, getattr(plain, name), rtol=1e-5)
"""


pytestmark = pytest.mark.usefixtures("small_towers")


@pytest.fixture(scope="module")
def small_root(tiny_root):
    """What all trainings of this module begin with."""
    return tiny_root


@pytest.fixture
def on_two_devices(training_fork):
    """Trains a run "digits" on two devices, in a process; returns its exit status.

    Before a step its root is copied: that is what a process that is killed there would leave.
    """

    def start(root, copied_at=-1, copy=None, **flags):
        return training_fork(
            TWO_DEVICES + TRAIN.format(copied_at=copied_at, root=str(root), copy=str(copy), flags=flags)
        )

    return start


def losses(root):
    return pd.read_csv(Run(root, "digits").history)[["loss", "val_loss"]]


@pytest.mark.slow
def test_the_loss_and_the_normalisation_are_those_of_the_whole_batch(training_fork):
    assert training_fork(TWO_DEVICES + GATHERS) == 0


@pytest.mark.slow
def test_two_devices_learn_what_one_learns_and_go_on_from_what_a_kill_leaves(on_two_devices, small_root, tmp_path):
    one, two = (shutil.copytree(small_root, tmp_path / name) for name in "12")
    killed, returned = tmp_path / "killed", tmp_path / "back"
    flags = {"batch_size": 32, "shift": 0, "epochs": 3}
    train(one, **flags)
    steps = len(data.load(two, "digits").ids("train")) // 32
    assert on_two_devices(two, copied_at=steps + 1, copy=killed, devices="all", **flags) == 0
    # Rounding alone differs, in the sixth digit; normalisation of each half by itself would give 0.3 to 4 %.
    pd.testing.assert_frame_equal(losses(one), losses(two), rtol=1e-3)
    assert json.loads(Run(two, "digits").training_record.read_text())["settings"]["devices"] == 2

    shutil.copytree(killed, returned)
    assert on_two_devices(killed, resume=True) == 0
    assert_same_training(two, killed)
    with pytest.raises(InputError, match=r"--devices 2: this machine has 0 GPUs.*--devices 1"):
        train(returned, epochs=3, resume=True)
    assert train(returned, epochs=3, resume=True, devices=1).finished
    pd.testing.assert_frame_equal(losses(two), losses(returned), rtol=1e-3)

    dataset = data.load(two, "digits")
    images = data.to_float(dataset.images[dataset.ids("validation")])
    error = np.square(load_model(Run(two, "digits").best_model).predict(images, verbose=0) - images).mean()
    assert error == pytest.approx(losses(two)["val_loss"].min(), rel=1e-4)


@pytest.mark.slow
def test_two_devices_learn_similarity_as_one_does(on_two_devices, part_root, tmp_path):
    one = shutil.copytree(part_root, tmp_path / "1")
    build_run(BuildConfig(architecture="deep", run="digits", dataset="digits", root=one))
    two = shutil.copytree(one, tmp_path / "2")
    flags = {"batch_size": 32, "epochs": 2, "view_side": 16, "precision": "float32"}
    train(one, **flags)
    assert on_two_devices(two, devices=2, **flags) == 0
    # In four steps rounding makes 0.002 %, and normalisation of each half by itself would make 0.3 %. Then it grows, as
    # Muon takes the small parts of a gradient for as important as the great ones: 0.2 % in the second epoch.
    pd.testing.assert_frame_equal(losses(one)[:1], losses(two)[:1], rtol=1e-3)
    pd.testing.assert_frame_equal(losses(one), losses(two), rtol=0.02)


def test_every_normalisation_is_switched_and_stays_so_in_a_backup(tmp_path):
    plan = Settings(
        **{"epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "schedule": "constant", "shift": 0, "flip": False},
        **{"seed": 0, "initial_model": "", "dataset": "", "similarity_weight": 1.0},
    )
    learner = compiled(architectures.build("deep", (32, 32, 3), 10), plan, 4)

    def switches(model):
        layers = [layer for part in model.layers for layer in getattr(part, "layers", [])]
        found = [layer.synchronized for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
        # Moving mean and variance are all that a gradient does not reach.
        assert 2 * len(found) == len(model.non_trainable_weights) > 4
        return set(found)

    assert switches(learner) == {False}
    normalise_together(learner, True)
    assert switches(learner) == {True}
    learner.save(tmp_path / "trainee.keras")
    reopened = load_model(tmp_path / "trainee.keras", compiled=True)
    assert switches(reopened) == {True}
    normalise_together(reopened, False)
    assert switches(reopened) == {False}


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (2, "--devices 2: this machine has 0 GPUs"),
        ("all", "--devices all: this machine has 0 GPUs"),
        (0, "--devices 0: expected at least 1, or all"),
    ],
)
def test_devices_that_are_not_there_are_refused(flag, message, monkeypatch, built_digits, tmp_path, in_process):
    monkeypatch.setattr(distribution, "_names", list)
    before = {path.name for path in Run(tmp_path, "digits").models.iterdir()}
    refused = in_process("TrainAutoencoder.py", "--run", "digits", "--devices", flag, "--root", tmp_path)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert {path.name for path in Run(tmp_path, "digits").models.iterdir()} == before


def test_several_devices_of_several_hosts_are_refused_in_words(monkeypatch, built_digits, tmp_path):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["one:1", "two:2"]}}')
    with pytest.raises(InputError, match=r"TF_CONFIG.*several hosts.*unset TF_CONFIG"):
        distribution.resolve("all")


def test_batches_that_cannot_be_shared_are_refused(monkeypatch, built_digits, tmp_path):
    monkeypatch.setattr(distribution, "_names", lambda: ["GPU:0", "GPU:1", "GPU:2"])
    with pytest.raises(InputError, match=r"--devices 3: 32 images a batch.*--batch-size"):
        train(tmp_path, epochs=1, devices="all")


def test_one_device_is_what_no_flag_means(monkeypatch, built_digits, tmp_path):
    run = Run(tmp_path, "digits")
    monkeypatch.setattr(distribution, "_names", lambda: pytest.fail("devices were counted"))
    chosen = [
        settings.choose(TrainConfig(run="digits", devices=flag, root=tmp_path), run, built_digits, RECIPES["compact"])
        for flag in (None, 1)
    ]
    assert chosen[0] == chosen[1]
    assert chosen[0].devices == 1


@pytest.mark.gpu
def test_all_gpus_learn_what_one_learns(small_root, tmp_path):
    import tensorflow as tf

    if len(tf.config.list_physical_devices("GPU")) < 2:
        pytest.skip("fewer than two GPUs")
    one, two = (shutil.copytree(small_root, tmp_path / name) for name in "12")
    for root, number in ((one, 1), (two, 2)):
        train(root, epochs=4, devices=number)
    pd.testing.assert_frame_equal(losses(one), losses(two), rtol=0.02)
