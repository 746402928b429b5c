"""Files to images: every kind that people have, upright and in colour; and what cannot be read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from latentsearch.encoding import Autoencoder, read_image
from latentsearch.errors import InputError

SHAPE = (32, 32, 3)


def save(image, path, **options):
    image.save(path, **options)
    return path


def half_red(width=64, height=64):
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    return image


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.gif", "a.webp", "a.jpg"])
def test_formats(name, tmp_path):
    image = read_image(save(half_red(), tmp_path / name), SHAPE)
    assert image.shape == SHAPE
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image[16, 4], [255, 0, 0], atol=12)
    np.testing.assert_allclose(image[16, 28], [0, 0, 255], atol=12)


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA", "RGBA"])
def test_modes(mode, tmp_path):
    source = half_red().convert(mode)
    path = save(source, tmp_path / ("a.tiff" if mode == "CMYK" else "a.png"))
    expected = np.asarray(source.convert("RGB").resize((32, 32)))
    np.testing.assert_allclose(read_image(path, SHAPE)[:, 4], expected[:, 4], atol=12)


def test_an_image_of_the_networks_size_is_unchanged(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    np.testing.assert_array_equal(read_image(save(Image.fromarray(pixels), tmp_path / "a.png"), SHAPE), pixels)


def test_transparent_parts_are_white(tmp_path):
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert (read_image(save(image, tmp_path / "a.png"), SHAPE) == 255).all()


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize(("dtype", "white"), [(np.uint16, 65535), (np.float32, 1.0), (np.float32, 255.0)])
def test_deep_grey_images_keep_their_brightness(suffix, dtype, white, tmp_path):
    if (suffix, dtype) == ("png", np.float32):
        pytest.skip("PNG has no floats")
    ramp = np.tile(np.linspace(0, 1, 32), (32, 1))
    path = save(Image.fromarray((ramp * white).astype(dtype)), tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(read_image(path, SHAPE)[:, :, 1], ramp * 255, atol=1)


@pytest.mark.parametrize("name", ["a.dds", "a.blp"])
def test_formats_that_pillow_gives_up_on_are_refused(name, tmp_path):
    size = b"\4\0\0\0" * 2
    header = {
        "a.dds": b"DDS " + b"\x7c\0\0\0" + b"\xff" * 4 + size + b"\xff" * 108,
        "a.blp": b"BLP2" + b"\7" * 8 + size + b"\7" * 1200,
    }[name]
    (tmp_path / name).write_bytes(header)
    with pytest.raises(InputError, match="not an image"):
        read_image(tmp_path / name, SHAPE)


def test_cropped_to_the_centre(tmp_path):
    image = Image.new("RGB", (96, 32), "white")
    image.paste("black", (32, 0, 64, 32))
    assert read_image(save(image, tmp_path / "a.png"), SHAPE).max() < 100


def test_turned_upright_by_exif(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image = read_image(save(half_red(), tmp_path / "a.png", exif=exif), SHAPE)
    np.testing.assert_allclose(image[16, 4], [0, 0, 255], atol=12)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff"])
def test_what_is_no_image_is_refused(content, tmp_path):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a.png: not an image"):
        read_image(tmp_path / "a.png", SHAPE)


def test_truncated_missing_folder_and_bomb_are_refused(tmp_path, monkeypatch):
    path = save(half_red(), tmp_path / "a.png")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="not an image"):
        read_image(path, SHAPE)
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "b.png", SHAPE)
    with pytest.raises(InputError, match="not an image"):
        read_image(tmp_path, SHAPE)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match="too large"):
        read_image(save(half_red(), tmp_path / "c.png"), SHAPE)


def test_codes_do_not_depend_on_the_batch_or_the_order(built_digits, tmp_path):
    autoencoder = Autoencoder(tmp_path / "models" / "digits" / "initial.keras")
    images = built_digits.images
    codes = autoencoder.encode(images)
    assert codes.shape == (200, 10)
    assert codes.dtype == np.float32
    ids = np.array([150, 3, 77])
    np.testing.assert_allclose(autoencoder.encode(images, ids), codes[ids], atol=1e-5)
    assert autoencoder.decode(codes[:2]).shape == (2, 32, 32, 3)


def test_the_fingerprint_is_that_of_the_encoder(built_digits, tmp_path):
    path = tmp_path / "models" / "digits" / "initial.keras"
    before = Autoencoder(path)
    assert before.fingerprint == Autoencoder(path).fingerprint
    kernel, *others = before.model.get_layer("encoder").get_weights()
    before.model.get_layer("encoder").set_weights([kernel + 1e-6, *others])
    before.model.save(path)
    assert before.fingerprint != Autoencoder(path).fingerprint


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a model"])
def test_a_damaged_model_is_refused(content, tmp_path):
    (tmp_path / "best.keras").write_bytes(content)
    with pytest.raises(InputError, match="cannot be opened as a model"):
        Autoencoder(tmp_path / "best.keras")
