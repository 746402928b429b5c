"""Which validation images a training looks at: some of every class, and no more than fit into memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from latentsearch.data import SPLITS
from latentsearch.training import held_out
from latentsearch.training.held_out import validation_ids
from latentsearch.training.history import hidden
from latentsearch.training.validation import Validator
from latentsearch.tuning.objective import mean_image_error
from tests.training.test_similarity import settings


@pytest.fixture
def by_class(small_digits):
    """Images of validation alone and some of training, stored class by class; those of the first half are grey."""
    labels = np.sort(small_digits.labels)
    split = np.full(len(labels), SPLITS.index("validation"), np.uint8)
    split[::7] = SPLITS.index("train")
    images = small_digits.images.copy()
    images[len(images) // 2 :, ..., 0] //= 2
    return dataclasses.replace(small_digits, images=images, labels=labels, split=split)


def test_of_images_that_are_stored_by_class_some_of_each_are_looked_at(by_class, monkeypatch):
    monkeypatch.setattr(held_out, "_MAX_IMAGES", 100)
    monkeypatch.setattr(held_out, "_MAX_COPIED", 40)
    ids = validation_ids(by_class)
    assert len(ids) == len(set(ids.tolist())) == 100
    assert set(ids.tolist()) <= set(by_class.ids("validation").tolist())
    for few in (ids, ids[:40]):  # the first ones are looked at as copies
        assert len(set(by_class.labels[few].tolist())) >= 8  # of ten
    kept = Validator(by_class, settings(similarity_weight=1.0, validation="drawn"))
    np.testing.assert_array_equal(kept._images, by_class.images[ids])
    np.testing.assert_array_equal(kept._labels, by_class.labels[ids])
    assert len(kept._views[0]) == 40
    monkeypatch.setattr("latentsearch.training.history._NUM_LOOKED_AT", 50)
    assert "accuracy" not in hidden(by_class)


def test_the_mean_image_stands_in_the_place_of_the_images_that_are_looked_at(by_class, monkeypatch):
    monkeypatch.setattr(held_out, "_MAX_IMAGES", 30)
    mean = by_class.images[by_class.ids("train")].mean(axis=0) / 255
    expected = np.square(by_class.images[validation_ids(by_class)] / 255 - mean).mean()
    assert mean_image_error(by_class) == pytest.approx(expected, rel=1e-5)


def test_large_images_are_fewer_and_what_is_chance_then_is_not_shown(by_class, monkeypatch):
    monkeypatch.setattr(held_out, "_MAX_BYTES", 60 * 32 * 32 * 3)
    kept = Validator(by_class, settings(similarity_weight=1.0, validation="drawn"))
    assert (len(kept._images), len(kept._views[0])) == (60, 15)
    assert "val_copy_recall" in hidden(by_class)
    monkeypatch.setattr(held_out, "_MAX_BYTES", 4 * 60 * 32 * 32 * 3)
    assert "val_copy_recall" not in hidden(by_class)
