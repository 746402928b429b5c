"""Images to codes and back: the same however they are asked for, and known by the encoder that made them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from fuzzing import damage
from latentsearch import files
from latentsearch.data import to_float
from latentsearch.errors import InputError
from latentsearch.models import architectures, litert
from latentsearch.models import encoder as encoding
from latentsearch.models.architectures import ARCHITECTURES
from latentsearch.models.encoder import Autoencoder
from latentsearch.models.export import load_model
from latentsearch.models.litert import PARTS
from tests.conftest import REPOSITORY
from tests.models.networks import save_small

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder with such an autoencoder and its export, to be copied."""
    folder = tmp_path_factory.mktemp("small")
    save_small(folder / "initial.keras")
    Autoencoder(folder / "initial.keras")
    return folder


@pytest.fixture
def path(small, tmp_path):
    """File of such an autoencoder, exported."""
    return shutil.copytree(small, tmp_path / "own") / "initial.keras"


def test_codes_do_not_depend_on_the_batch_or_the_order(exported_digits, tmp_path):
    autoencoder = Autoencoder(tmp_path / "models" / "digits" / "initial.keras")
    images = exported_digits.images
    codes = autoencoder.encode(images)
    assert codes.shape == (200, 10)
    assert codes.dtype == np.float32
    ids = np.array([150, 3, 77])
    np.testing.assert_allclose(autoencoder.encode(images, ids), codes[ids], atol=1e-5)
    assert autoencoder.decode(codes[:2]).shape == (2, 32, 32, 3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_codes_and_pictures_are_those_of_keras(architecture, tmp_path):
    path = tmp_path / "best.keras"
    model = architectures.build(architecture, (32, 32, 3), 10)
    model.save(path)
    autoencoder = Autoencoder(path)
    images = np.random.default_rng(0).integers(0, 256, (150, 32, 32, 3), dtype=np.uint8)  # a batch, and a part of one
    codes = autoencoder.encode(images)
    np.testing.assert_allclose(codes, model.get_layer("encoder")(to_float(images), training=False), atol=1e-4)
    pictures = model.get_layer("decoder")(codes, training=False)
    np.testing.assert_allclose(autoencoder.decode(codes), pictures, atol=1e-4)
    numbers = 20 if architecture == "kind-look" else 10
    assert (autoencoder.image_shape, autoencoder.latent_dim) == ((32, 32, 3), numbers)
    assert autoencoder.encode(images[:0]).shape == (0, numbers)


def test_codes_in_int8_are_near_those_in_float32_and_the_same_in_any_batch(exported_digits, tmp_path):
    path = tmp_path / "models" / "digits" / "initial.keras"
    images = exported_digits.images
    autoencoder, quantised = Autoencoder(path), Autoencoder(path, precision="int8")
    codes, near = autoencoder.encode(images), quantised.encode(images)
    assert 1e-5 < np.abs(near - codes).max() / codes.std() < 0.1
    np.testing.assert_array_equal(quantised.encode(images, np.array([150, 3])), near[[150, 3]])
    np.testing.assert_array_equal(Autoencoder(path, precision="int8", cores=1).encode(images[:50]), near[:50])
    np.testing.assert_array_equal(quantised.decode(codes), autoencoder.decode(codes))
    assert quantised.trained == autoencoder.trained == autoencoder.fingerprint != quantised.fingerprint
    sizes = [
        (path.parent / "exported" / name / "encoder.tflite").stat().st_size for name in ("initial", "initial-int8")
    ]
    assert sizes[1] < sizes[0] / 3


def test_an_export_in_another_precision_is_not_used(path):
    exported = path.parent / "exported"
    shutil.copytree(exported / path.stem, exported / f"{path.stem}-int8")
    before = (exported / path.stem / "encoder.tflite").read_bytes()
    codes = Autoencoder(path, precision="int8").encode(IMAGES)
    assert (exported / f"{path.stem}-int8" / "encoder.tflite").read_bytes() != before
    assert (Autoencoder(path, precision="int8").encode(IMAGES) == codes).all()
    assert (exported / path.stem / "encoder.tflite").read_bytes() == before


def test_only_noisy_images_are_denoised_and_codes_are_those_of_keras(tmp_path, monkeypatch):
    path = tmp_path / "best.keras"
    model = architectures.build("kind-look", (16, 16, 3), 4)
    encoder = model.get_layer("encoder")
    denoiser = encoder.get_layer("denoiser")
    rng = np.random.default_rng(0)
    denoiser.set_weights([rng.normal(0, 0.1, of.shape) if of.shape else of for of in denoiser.get_weights()])
    denoiser.get_layer("gate").open_above(0.1)
    model.save(path)
    autoencoder = Autoencoder(path)
    images = np.full((120, 16, 16, 3), 90, np.uint8) + rng.integers(0, 20, (120, 16, 16, 3), dtype=np.uint8)
    noisy = np.array([3, 77, 110])
    images[noisy] = rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    expected = np.asarray(encoder(to_float(images), training=False))
    passed = []
    run = autoencoder._denoiser
    monkeypatch.setattr(autoencoder, "_denoiser", lambda values: passed.append(values.copy()) or run(values))
    np.testing.assert_allclose(autoencoder.encode(images), expected, atol=1e-4)
    np.testing.assert_array_equal(np.concatenate(passed), to_float(images[noisy]))
    denoiser.get_layer("gate").open_above(1000)
    closed = np.asarray(encoder(to_float(images), training=False))
    assert np.abs(closed - expected)[noisy].max() > 1e-3  # it matters
    (path.parent / "exported" / "best" / "denoiser.tflite").write_bytes(b"damaged")
    np.testing.assert_allclose(Autoencoder(path).encode(images), expected, atol=1e-4)


def test_threads_that_share_a_network_get_their_own_codes(exported_digits, tmp_path):
    autoencoder = Autoencoder(tmp_path / "models" / "digits" / "initial.keras")
    images = exported_digits.images
    codes = autoencoder.encode(images)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda row: autoencoder.encode(images[row : row + 1 + row % 3]), range(100)))
    for row, one in enumerate(found):
        np.testing.assert_allclose(one, codes[row : row + 1 + row % 3], atol=1e-5)


def test_codes_that_are_no_numbers_are_refused(tmp_path):
    model = architectures.build("compact", (8, 8, 3), 10)
    model.get_layer("encoder").set_weights([weights * np.nan for weights in model.get_layer("encoder").get_weights()])
    model.save(tmp_path / "best.keras")
    with pytest.raises(InputError, match="values that are not numbers"):
        Autoencoder(tmp_path / "best.keras").encode(np.zeros((1, 8, 8, 3), np.uint8))


def test_the_fingerprint_is_that_of_the_encoder(path):
    before = Autoencoder(path)
    assert before.fingerprint == Autoencoder(path).fingerprint
    images = IMAGES
    model = load_model(path)
    kernel, *others = model.get_layer("encoder").get_weights()
    model.get_layer("encoder").set_weights([kernel + 1e-6, *others])
    model.save(path)
    assert before.fingerprint != Autoencoder(path).fingerprint
    model.get_layer("encoder").set_weights([kernel + 0.1, *others])
    model.save(path)
    assert not np.allclose(before.encode(images), Autoencoder(path).encode(images), atol=1e-3)  # made anew


def test_a_network_that_was_exported_opens_without_keras(exported_digits, tmp_path):
    path = tmp_path / "models" / "digits" / "initial.keras"
    codes = Autoencoder(path).encode(exported_digits.images[:3])
    np.save(tmp_path / "images.npy", exported_digits.images[:3])
    program = f"""
import sys, numpy as np
from pathlib import Path
from latentsearch.models.encoder import Autoencoder
folder = Path({str(tmp_path)!r})
autoencoder = Autoencoder(folder / "models" / "digits" / "initial.keras")
np.save(folder / "codes.npy", autoencoder.encode(np.load(folder / "images.npy")))
assert not {{"keras", "tensorflow"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), codes)


@pytest.mark.parametrize("name", ["encoder.tflite", "decoder.tflite", "exported.json"])
@pytest.mark.parametrize("damage", ["cut", "changed", "removed"])
def test_a_damaged_export_is_made_anew(name, damage, path):
    codes = Autoencoder(path).encode(IMAGES)
    harmed = path.parent / "exported" / "initial" / name
    content = harmed.read_bytes()
    if damage == "removed":
        harmed.unlink()
    else:
        half = len(content) // 2
        changed = bytes(255 - byte for byte in content[half : half + 9])
        harmed.write_bytes(content[:half] + (b"" if damage == "cut" else changed + content[half + 9 :]))
    np.testing.assert_allclose(Autoencoder(path).encode(IMAGES), codes, atol=1e-5)
    record = json.loads((harmed.parent / "exported.json").read_text())
    for part in PARTS:
        assert files.file_fingerprint(harmed.parent / f"{part}.tflite") == record[part]


def test_networks_and_records_that_were_changed_together_are_not_used(path):
    codes = Autoencoder(path).encode(IMAGES)
    folder = path.parent / "exported" / "initial"
    names = [*(f"{part}.tflite" for part in PARTS), "exported.json"]
    whole = {name: (folder / name).read_bytes() for name in names}
    for number in range(120):
        rng = np.random.default_rng(number)
        part = PARTS[number % 2]
        _, content = damage.mutate(rng, [whole[f"{part}.tflite"]])
        record = json.loads(whole["exported.json"]) | {part: files.fingerprint(content)}
        if number % 5 == 0:
            record["fingerprint"] = files.fingerprint(rng.bytes(8))
        text = json.dumps(record).encode()
        if number % 3 == 0:
            text = damage.values(rng, text, [])
        (folder / f"{part}.tflite").write_bytes(content)
        (folder / "exported.json").write_bytes(text)
        told = json.loads(text)
        absent = {"kind_dim": None, "denoiser": None, "noisy_above": None, "precision": "float32"}
        same = isinstance(told, dict) and absent | told == absent | json.loads(whole["exported.json"])
        assert (encoding._exported(path, "float32") is not None) == same, number
        (folder / f"{part}.tflite").write_bytes(whole[f"{part}.tflite"])
    np.testing.assert_allclose(Autoencoder(path).encode(IMAGES), codes, atol=1e-5)


def test_an_export_of_another_network_is_not_used(path, tmp_path):
    codes = Autoencoder(path).encode(IMAGES)
    other = tmp_path / "other" / "initial.keras"
    other.parent.mkdir()
    save_small(other)
    assert not np.allclose(Autoencoder(other).encode(IMAGES), codes, atol=1e-3)
    ours, theirs = (model.parent / "exported" / "initial" for model in (path, other))
    for part in PARTS:
        (ours / f"{part}.tflite").write_bytes((theirs / f"{part}.tflite").read_bytes())
    record = json.loads((theirs / "exported.json").read_text()) | {"model": files.file_fingerprint(path)}
    (ours / "exported.json").write_text(json.dumps(record))
    np.testing.assert_allclose(Autoencoder(path).encode(IMAGES), codes, atol=1e-5)


@pytest.mark.parametrize("parts", [("encoder", "encoder"), ("decoder", "encoder"), (b"nothing", "decoder")])
def test_networks_that_do_not_fit_are_made_anew(parts, path):
    codes = Autoencoder(path).encode(IMAGES)
    folder = path.parent / "exported" / "initial"
    contents = [part if isinstance(part, bytes) else (folder / f"{part}.tflite").read_bytes() for part in parts]
    record = json.loads((folder / "exported.json").read_text())
    for part, content in zip(PARTS, contents):
        (folder / f"{part}.tflite").write_bytes(content)
        record[part] = files.fingerprint(content)
    (folder / "exported.json").write_text(json.dumps(record | {"seal": litert.seal(record)}))
    np.testing.assert_allclose(Autoencoder(path).encode(IMAGES), codes, atol=1e-5)


def test_a_model_of_other_shapes_is_refused(tmp_path):
    path, images = tmp_path / "best.keras", keras.Input((8, 8, 1))
    encoder = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)], name="encoder")
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(64)], name="decoder")
    keras.Model(images, decoder(encoder(images))).save(path)
    with pytest.raises(InputError, match="does not hold an encoder of images to codes"):
        Autoencoder(path)
