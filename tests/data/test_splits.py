"""Splits by content: the shares that are asked for, whatever the order, and equal images on one side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from latentsearch.data import SPLITS
from latentsearch.data.source import SourceImages
from latentsearch.data.splits import content_keys, split_images
from latentsearch.errors import InputError

CLASSES = ("a", "b", "c")


def source_of(numbers, labels):
    """A source of images that are equal where their numbers are."""
    images = np.repeat(np.array(numbers, np.uint8), 12).reshape(-1, 2, 2, 3)
    return SourceImages(images, np.array(labels), np.zeros(len(images), np.uint8), CLASSES, "digits", "test")


def split(source, seed, shares):
    return split_images(source, content_keys(source.images, seed), shares)


@settings(deadline=None)
@given(
    st.integers(30, 250),
    st.fixed_dictionaries({"test": st.floats(0.05, 0.4), "validation": st.floats(0.05, 0.4)}),
    st.integers(0, 2**32 - 1),
)
def test_shares_are_those_asked_for_in_each_class(count, shares, seed):
    labels = np.arange(count) % len(CLASSES)
    found = split(source_of(np.arange(count), labels), seed, shares)
    left = np.bincount(labels)
    for name, share in shares.items():
        held = np.bincount(labels[found == SPLITS.index(name)], minlength=len(CLASSES))
        pooled = np.round(left * share) == 0  # classes too small for one of their own
        assert (np.abs(held - left * share)[~pooled] <= 0.5).all()
        assert abs(held[pooled].sum() - (left * share)[pooled].sum()) <= 0.5
        left = left - held


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), min_size=30, max_size=90),
    st.integers(0, 99),
    st.randoms(),
)
def test_order_decides_nothing_and_equal_images_go_together(content, seed, random):
    shares = {"test": 0.2, "validation": 0.2}
    numbers, labels = zip(*content, strict=True)
    order = random.sample(range(len(content)), len(content))
    try:
        found = split(source_of(numbers, labels), seed, shares)
    except InputError:
        assume(False)
    shuffled = split(source_of([numbers[row] for row in order], [labels[row] for row in order]), seed, shares)
    np.testing.assert_array_equal(shuffled, found[order])
    sides = {}
    for number, side in zip(numbers, found.tolist(), strict=True):
        assert sides.setdefault(number, side) == side


def test_a_split_of_the_source_is_kept_and_too_few_images_are_refused():
    whole = source_of(range(20), np.arange(20) % 3)
    given_test = SourceImages(whole.images, whole.labels, np.arange(20) % 2 * 2, CLASSES, "digits", "test")
    found = split(given_test, 0, {"test": 0.5, "validation": 0.3})
    np.testing.assert_array_equal(found == SPLITS.index("test"), np.arange(20) % 2 == 1)
    with pytest.raises(InputError, match="every split needs at least one"):
        split(source_of([1, 1, 1], [0, 0, 0]), 0, {"test": 0.3, "validation": 0.3})
