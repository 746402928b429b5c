"""The images at an end of a number, and the class that most of them are of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentsearch.gallery.number_ends import class_of_most, outermost


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=300), st.booleans(), st.integers(0, 40))
def test_the_outermost_are_those_that_a_sort_finds(values, is_high, least):
    values = np.array(values, np.float32)
    rows = outermost(values, is_high=is_high, least=least)
    ordered = np.sort(values)[::-1] if is_high else np.sort(values)
    np.testing.assert_array_equal(values[rows], ordered[: max(least, 20, len(values) // 100)])
    assert len(set(rows.tolist())) == len(rows)


def test_of_many_images_a_hundredth_is_at_an_end():
    values = np.random.default_rng(0).permutation(5000)
    np.testing.assert_array_equal(values[outermost(values, is_high=False)], np.arange(50))
    np.testing.assert_array_equal(values[outermost(values, is_high=True)], np.arange(4999, 4949, -1))


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (["cat"] * 3 + ["dog"], "75 % of class cat"),
        (["cat"] * 2 + ["dog"] * 2, ""),
        ([""] * 3 + ["dog"], ""),
        (["a\n"] * 2, r"100 % of class a\n"),
    ],
)
def test_an_end_has_the_class_of_more_than_half(classes, words):
    assert class_of_most(classes).in_words == words
