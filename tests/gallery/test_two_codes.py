"""Kind and look: what a distance of both is, and that every way to an answer weighs them alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentsearch.errors import InputError
from latentsearch.gallery.sync import sync
from latentsearch.gallery.two_codes import DEFAULT_LOOK, chosen_look, number_names, weighted, weights
from latentsearch.runs import Run
from latentsearch.search.folder_corpus import FolderCorpus
from latentsearch.search.queries import Queries
from latentsearch.search.results import search
from tests.photos import MeanColours, make_photos

CODES = np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32)


@given(st.floats(0, 1, width=32), st.integers(1, 6))
def test_the_squared_distance_is_the_weighted_sum_of_both(look, kind_dim):
    result = weighted(CODES, kind_dim, look)
    squares = np.square(CODES[0].astype(float) - CODES[1])
    expected = (1 - look) * squares[:kind_dim].sum() + look * squares[kind_dim:].sum()
    assert np.square(result[0].astype(float) - result[1]).sum() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_at_the_ends_one_code_answers_alone():
    np.testing.assert_array_equal(weighted(CODES, 3, 0), CODES[:, :3])
    np.testing.assert_array_equal(weighted(CODES, 3, 1), CODES[:, 3:])
    assert weighted(CODES, None, 0.5) is CODES
    np.testing.assert_allclose(weights(7, 3, 0.19), [0.9] * 3 + [0.19**0.5] * 4, rtol=1e-6)


def test_numbers_are_counted_from_one_in_each_code():
    assert number_names(5, 3) == ["kind 1", "kind 2", "kind 3", "look 1", "look 2"]
    assert number_names(2, None) == ["number 1", "number 2"]


@pytest.mark.parametrize("look", [-0.1, 1.1, float("nan")])
def test_a_share_that_cannot_be_is_refused(look):
    with pytest.raises(InputError, match="expected 0"):
        chosen_look(look, 10)


def test_a_share_of_a_single_code_is_refused_and_the_default_is_not():
    with pytest.raises(InputError, match="kind-look"):
        chosen_look(0.2, None)
    assert chosen_look(None, None) == chosen_look(None, 10) == DEFAULT_LOOK


class TwoColours(MeanColours):
    """Stands for an encoder of two codes: red is the kind, green and blue are the look."""

    kind_dim, fingerprint = 1, "two colours"


@pytest.fixture
def corpus(tmp_path):
    make_photos(tmp_path / "photos", 20)
    content, _ = sync(tmp_path / "gallery.npz", tmp_path / "photos", TwoColours())
    return FolderCorpus(Run(tmp_path, "colours"), TwoColours(), content)


@pytest.mark.parametrize("look", [0, 0.3, 1])
def test_answers_are_those_of_brute_force_over_the_weighted_codes(look, corpus):
    there = corpus.with_look(look)
    query = Queries(["a query"], np.full((1, 8, 8, 3), 130, np.uint8), np.array([-1]))
    codes = np.array([[130, 130, 130]], np.float32)
    [hit] = search(query, there, k=5, metrics=("euclidean",), codes=codes).hits["euclidean"]
    compared = weighted(np.concatenate([codes, corpus.gallery.codes]), 1, look).astype(float)
    distances = np.linalg.norm(compared[1:] - compared[0], axis=1)
    np.testing.assert_allclose([one.distance for one in hit], np.sort(distances)[:5], rtol=1e-5)
    assert {one.id for one in hit} <= set(corpus.gallery.ids[distances <= np.sort(distances)[4] * 1.00001].tolist())


def test_another_share_leaves_the_corpus_as_it_was_and_stores_tell_them_apart(corpus):
    other = corpus.with_look(1)
    assert corpus.look == DEFAULT_LOOK
    assert corpus.gallery is other.gallery
    assert len({corpus.store_name, other.store_name, corpus.with_look(0.5).store_name}) == 3
    assert not np.array_equal(other.scale("euclidean").random, corpus.scale("euclidean").random)
