"""A network of the user's own: built, trained, checked and searched with, or refused in words."""

from __future__ import annotations

import re
import shutil
import sys

import pandas as pd
import pytest

from latentsearch.errors import InputError
from latentsearch.models import own_network
from latentsearch.runs import Run
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.usefixtures("coarse_figures")


def the_example() -> str:
    """The module that docs/extending.md shows."""
    text = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
    return re.search(r"^```python\n(.*?)^```", text, re.M | re.S)[1]


@pytest.mark.slow
@pytest.mark.parametrize("similarity", [0, 0.5])
def test_the_example_goes_through_the_scripts(similarity, part_root, tmp_path, in_process, monkeypatch):
    root = shutil.copytree(part_root, tmp_path / "root")
    (tmp_path / "my_network.py").write_text(the_example())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_network", raising=False)
    own = ("--run", "own", "--root", root)
    build = ("--architecture", "custom", "--network.build", "my_network:build", "--dataset", "digits")
    build += ("--latent-dim", 2)  # of which figures are drawn fast
    assert in_process("BuildingAutoencoder.py", *build, *own).returncode == 0
    (tmp_path / "my_network.py").unlink()  # not needed any more
    flags = ("--epochs", 1, "--similarity-weight", similarity)
    trained = in_process("TrainAutoencoder.py", *flags, *own)
    assert trained.returncode == 0, trained.stderr
    if similarity:
        checked = in_process("SanityChecks.py", *own)
        assert checked.returncode == 0, checked.stderr
    found = in_process("RetrieveSimilar.py", "--query-index", 0, "--k", 3, *own)
    assert found.returncode == 0, found.stderr
    assert len(pd.read_csv(Run(root, "own").reports / "retrieval" / "neighbours.csv")) == 3


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("my_network", "", "expected MODULE:FUNCTION"),
        ("nowhere_to_be_found:build", "", "cannot be imported.*ModuleNotFoundError"),
        ("broken_network:build", "import keras\n1 / 0", r"ZeroDivisionError.*broken_network.py, line 2"),
        ("empty_network:build", "x = 1", "has no function build"),
        (
            "failing_network:build",
            "def build(image_shape, latent_dim):\n    raise KeyError(5)",
            "failed: KeyError.*line 2",
        ),
        ("odd_network:build", "def build(image_shape, latent_dim):\n    return 5", "returned int"),
        (
            "flat_network:build",
            "import keras\ndef build(shape, dim):\n    x = keras.Input(shape)\n    return keras.Model(x, x)",
            "no sub-model named 'encoder' or 'decoder'; it has none",
        ),
        ("small_network:build", None, r"the decoder maps \(None, 10\) to \(None, 8, 8, 3\)"),
    ],
)
def test_what_is_no_autoencoder_is_refused_in_words(name, source, message, tmp_path, monkeypatch):
    if source is None:
        source = the_example().replace("layers.Reshape(image_shape)(x)", "layers.Reshape((8, 8, 3))(x)")
        source = source.replace("Dense(height * width * channels)", "Dense(8 * 8 * 3)")
    if source:
        (tmp_path / f"{name.partition(':')[0]}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"(?s){message}"):
        own_network.build(name, (32, 32, 3), 10)
