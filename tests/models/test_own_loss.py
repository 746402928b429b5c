"""A loss of the user's own: trained with and gone on with, or refused in words."""

from __future__ import annotations

import json
import re
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from latentsearch.config import BuildConfig
from latentsearch.errors import InputError
from latentsearch.models import own_loss
from latentsearch.models.build import build_run
from latentsearch.recipes import Network
from latentsearch.runs import Run
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.usefixtures("small_towers", "coarse_figures")


@pytest.fixture(scope="module")
def small_root(part_root, small_towers, tmp_path_factory):
    """A root with an untrained run "digits" whose codes are two numbers, of which figures are drawn fast."""
    root = shutil.copytree(part_root, tmp_path_factory.mktemp("small") / "root")
    network = Network(filters=8, depth=1, dense_units=16)
    build_run(
        BuildConfig(architecture="custom", network=network, latent_dim=2, run="digits", dataset="digits", root=root)
    )
    return root


def the_example() -> str:
    """The module `my_loss.py` that docs/extending.md shows."""
    text = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
    return next(block for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S) if "def loss" in block)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of the user's, where no module was imported from before."""
    monkeypatch.chdir(tmp_path)
    for name in ("my_loss", "other_loss"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(own_loss, "_loaded", {})
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("similarity", [0, 0.5])
def test_the_example_goes_through_the_scripts(similarity, small_root, here, in_process, monkeypatch):
    root = shutil.copytree(small_root, here / "root")
    (here / "my_loss.py").write_text(the_example())
    own = ("--run", "digits", "--root", root)
    flags = ("--loss", "my_loss:loss", "--epochs", 2, "--batch-size", 16, "--similarity-weight", similarity)
    trained = in_process("TrainAutoencoder.py", *flags, *own)
    assert trained.returncode == 0, trained.stderr
    history = pd.read_csv(Run(root, "digits").history)
    assert (history["val_own_loss"] != history["val_mse"]).all()
    assert history["own_loss"].iloc[1] < history["own_loss"].iloc[0]
    if not similarity:
        np.testing.assert_allclose(history["val_loss"], history["val_own_loss"])
    settings = json.loads(Run(root, "digits").training_record.read_text())["settings"]
    assert settings["loss"] == "my_loss:loss"
    assert len(settings["loss_file"]) == 64
    (here / "my_loss.py").unlink()  # not needed any more
    monkeypatch.delitem(sys.modules, "my_loss")
    assert in_process("TrainAutoencoder.py", *own).returncode == 0
    if not similarity:
        checked = in_process("SanityChecks.py", *own)
        assert checked.returncode == 0, checked.stderr
        assert in_process("RetrieveSimilar.py", "--query-index", 0, "--k", 3, *own).returncode == 0


def stopped_training(root, in_process, monkeypatch):
    """Train an epoch of three with the loss of the example, then stop as Ctrl-C does."""
    from latentsearch.training.callbacks import Bookkeeping

    def stop(self, epoch, logs=None):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Bookkeeping, "on_epoch_end", stop)
        flags = ("--loss", "my_loss:loss", "--epochs", 3, "--run", "digits", "--root", root)
        assert in_process("TrainAutoencoder.py", *flags).returncode == 130


@pytest.mark.slow
def test_a_training_goes_on_with_the_same_loss_alone(small_root, here, in_process, monkeypatch):
    root = shutil.copytree(small_root, here / "root")
    (here / "my_loss.py").write_text(the_example())
    stopped_training(root, in_process, monkeypatch)
    own = ("--resume", "--run", "digits", "--root", root)
    (here / "other_loss.py").write_text(the_example())
    refused = in_process("TrainAutoencoder.py", "--loss", "other_loss:loss", *own)
    assert refused.returncode == 2
    assert "cannot go on with --loss other_loss:loss: it began with my_loss:loss" in refused.stderr
    (here / "my_loss.py").write_text(the_example().replace("0.5", "0.4"))
    refused = in_process("TrainAutoencoder.py", *own)
    assert refused.returncode == 2
    assert "the file of --loss my_loss:loss has changed since it began" in refused.stderr
    (here / "my_loss.py").write_text(the_example())
    monkeypatch.delitem(sys.modules, "my_loss")
    own_loss._loaded.clear()
    gone_on = in_process("TrainAutoencoder.py", *own)
    assert gone_on.returncode == 0, gone_on.stderr
    assert len(pd.read_csv(Run(root, "digits").history)) == 3


HEAD = "from keras import ops\ndef loss(images, reconstructions):\n    "


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("my_loss", "", "expected MODULE:FUNCTION, such as my_loss:loss"),
        ("nowhere_to_be_found:loss", "", "cannot be imported.*ModuleNotFoundError"),
        ("my_loss:loss", "x = 1", "has no function loss"),
        ("my_loss:loss", HEAD + "return images[5000]", "failed: .*line 3"),
        ("my_loss:loss", HEAD + "return ops.mean(reconstructions, axis=0)", r"of shape \(32, 32, 3\) for 4 images"),
        ("my_loss:loss", HEAD + "return ops.mean(images)", "does not depend on the reconstructions"),
        ("my_loss:loss", HEAD + "return ops.argmax(reconstructions, axis=-1)", "returned int32"),
        ("my_loss:loss", HEAD + "return ops.mean(ops.log(reconstructions - 2))", "is not a finite number"),
        ("my_loss:loss", HEAD + "return ops.sqrt(0 * ops.mean(reconstructions))", "has a gradient that is not"),
    ],
)
def test_what_cannot_be_minimised_is_refused_in_words(name, source, message, here):
    if source:
        (here / "my_loss.py").write_text(source)
    with pytest.raises(InputError, match=f"(?s){message}"):
        own_loss.load(name, (32, 32, 3))


@pytest.mark.parametrize("shape", ["()", "(batch,)", "(batch, height, width)"])
def test_numbers_of_any_shape_are_averaged(shape, here):
    axes = {"()": "None", "(batch,)": "(1, 2, 3)", "(batch, height, width)": "-1"}[shape]
    (here / "my_loss.py").write_text(HEAD + f"return ops.mean((images - reconstructions) ** 2, axis={axes})")
    loss = own_loss.load("my_loss:loss", (8, 8, 3))
    one, other = np.random.default_rng(0).random((2, 5, 8, 8, 3), np.float32)
    expected = np.mean((one - other) ** 2)
    np.testing.assert_allclose(float(loss(one, other)), expected, rtol=1e-5)
    np.testing.assert_allclose(own_loss.total("my_loss:loss", one, other), 5 * expected, rtol=1e-5)


def test_a_saved_model_alone_does_not_run_a_loss(here):
    (here / "my_loss.py").write_text("raise SystemExit('this must not run')")
    with pytest.raises(ValueError, match="was not loaded"):
        own_loss.OwnLoss.from_config({"function": "my_loss:loss", "name": "own_loss", "reduction": "mean"})
