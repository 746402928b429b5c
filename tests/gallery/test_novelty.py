"""Whether an encoder knows images: what is unusual is counted against the validation images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fuzzing.colours import MeanColours
from latentsearch.errors import InputError
from latentsearch.gallery import gallery, novelty
from latentsearch.gallery.gallery import Gallery
from latentsearch.runs import Run


class FlatColours(MeanColours):
    image_shape = (32, 32, 3)

    def encode(self, images, ids=None, *, progress=False):
        return super().encode(images if ids is None else images[ids])

    def decode(self, codes):
        return np.tile(codes[:, None, None] / 255, (1, 32, 32, 1))


@pytest.fixture
def profile(small_digits):
    return novelty.measure(small_digits, FlatColours())


def encoded(images):
    encoder = FlatColours()
    codes = encoder.encode(images)
    return Gallery(codes, np.arange(len(codes)), *gallery.examined(codes, images, encoder), encoder.fingerprint, {})


def test_images_of_the_same_kind_are_known_and_others_are_not(small_digits, profile):
    same = novelty.compare(encoded(np.array(small_digits.images)), profile)
    assert same.verdict == "known"
    assert 0 < same.by_error < 0.15
    rng = np.random.default_rng(0)
    flat = np.tile(rng.integers(0, 256, (200, 1, 1, 3), dtype=np.uint8), (1, 32, 32, 1))
    other = novelty.compare(encoded(flat), profile)  # reconstructed to perfection, but of no grey
    assert other.by_error == 0
    assert other.by_distance > 0.9
    assert other.verdict == "hardly known"
    noise = novelty.compare(encoded(255 * rng.integers(0, 2, (50, 32, 32, 3), dtype=np.uint8)), profile)
    assert noise.by_error == 1
    assert "100% are reconstructed worse" in str(noise)


def test_a_profile_is_kept_and_refused_when_damaged_or_of_another_encoder(profile, tmp_path):
    run = Run(tmp_path, "run")
    with pytest.raises(InputError, match="Make it first"):
        novelty.load(run, profile.encoder)
    novelty.save(run, profile)
    kept = novelty.load(run, profile.encoder)
    assert dataclasses.replace(kept, codes=None) == dataclasses.replace(profile, codes=None)
    np.testing.assert_allclose(kept.codes, profile.codes, rtol=1e-5)
    with pytest.raises(InputError, match="another encoder"):
        novelty.load(run, "another")
    text = run.profile.read_text()
    for damaged in (text.replace("[", "", 1), text.replace('"error": ', '"error": "x'), text.replace("[", "[[", 1)):
        run.profile.write_text(damaged)
        with pytest.raises(InputError):
            novelty.load(run, profile.encoder)
