"""Model files: compressed, and refused where they are damaged or would do harm."""

from __future__ import annotations

import json
import zipfile

import keras
import numpy as np
import pytest

from latentsearch import files
from latentsearch.errors import InputError
from latentsearch.models.encoder import Autoencoder
from latentsearch.models.export import compress, load_model
from tests.models.networks import save_small


def test_a_compressed_model_is_the_same_model(tmp_path):
    path = tmp_path / "best.keras"
    files.claim(path)
    save_small(path)
    before, size = load_model(path).get_weights(), path.stat().st_size
    compress(path)
    assert path.stat().st_size < 0.9 * size
    for own, other in zip(load_model(path).get_weights(), before, strict=True):
        np.testing.assert_array_equal(own, other)
    written = path.stat()
    compress(path)
    assert path.stat() == written


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a model"])
def test_a_damaged_model_is_refused(content, tmp_path):
    (tmp_path / "best.keras").write_bytes(content)
    with pytest.raises(InputError, match="cannot be opened as a model"):
        Autoencoder(tmp_path / "best.keras")


def repacked(path, changes):
    """The .keras file with other members."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (members | changes).items():
            archive.writestr(name, content)


def test_a_model_that_would_run_code_is_refused_and_runs_none(tmp_path):
    path, harmed = tmp_path / "best.keras", tmp_path / "harmed"
    images = keras.Input((8, 8, 3))
    name = str(harmed)
    harmful = keras.layers.Lambda(lambda x: [__import__("pathlib").Path(name).touch(), x][1])
    keras.Sequential([keras.Input((8, 8, 3)), harmful], name="encoder").save(path)
    harmed.unlink()  # saving it ran it once
    with pytest.raises(InputError, match="Lambda"):
        Autoencoder(path)
    assert not harmed.exists()
    keras.Model(images, keras.layers.Dense(2, name="encoder", activation="relu")(images)).save(path)
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json").decode()
    assert '"activation": "relu"' in config
    for module, function in (("os", "mkdir"), ("builtins", "exec"), ("keras.utils", "get_file")):
        called = json.dumps({"module": module, "class_name": "function", "config": function, "registered_name": None})
        repacked(path, {"config.json": config.replace('"relu"', called)})
        with pytest.raises(InputError, match="cannot be opened as a model"):
            Autoencoder(path)


def test_a_model_packed_far_beyond_its_size_is_not_unpacked(built_digits, tmp_path):
    path = tmp_path / "models" / "digits" / "initial.keras"
    repacked(path, {"model.weights.h5": bytes(10**8)})
    with pytest.raises(InputError, match=r"100,0\d\d,\d\d\d bytes packed into"):
        Autoencoder(path)
