"""Images to codes and back: the same however they are asked for, and known by the encoder that made them."""

from __future__ import annotations

import numpy as np
import pytest

from latentsearch.encoding import Autoencoder
from latentsearch.errors import InputError


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
