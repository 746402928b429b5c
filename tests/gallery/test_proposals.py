"""Pairs that may show one shot: proposed by any kind of vector, each once, exactly or approximately."""

from __future__ import annotations

import numpy as np
import pytest

from latentsearch.gallery import approximate, proposals
from latentsearch.gallery.index import Index
from tests.gallery.test_duplicates import as_set, find
from tests.gallery.test_image_matching import CORRUPTIONS, scenes


def test_pairs_are_the_same_however_many_are_held_at_a_time(monkeypatch):
    images = np.concatenate([scenes(60), scenes(60)[:9] // 2 + 60])
    whole = find(images)
    assert len(whole.pairs) == 9
    monkeypatch.setattr(proposals, "_PROPOSED", 50)
    parts = find(images)
    np.testing.assert_array_equal(parts.pairs, whole.pairs)
    np.testing.assert_array_equal(parts.likeness, whole.likeness)


def test_codes_propose_what_coarse_detail_does_not(monkeypatch):
    images = scenes(60)
    images[59] = CORRUPTIONS[2](images[0])
    codes = np.random.default_rng(0).normal(size=(60, 4))
    codes[59] = codes[0]
    monkeypatch.setattr(proposals, "PROPOSALS", 1)
    keys, _ = proposals._look_up(codes, codes, "euclidean")
    assert [0, 59] in proposals.pairs_of(keys, 60).tolist()
    monkeypatch.setattr(proposals, "_look_up", lambda vectors, *_: (keys if vectors.shape[1] == 4 else keys[:1], 1.0))
    assert as_set(find(images, codes)) == {(0, 59)}


def test_many_images_are_searched_approximately_and_the_recall_is_told(monkeypatch):
    images = np.concatenate([scenes(300), scenes(300)[:40]])
    images[300:] = np.roll(images[300:], 2, axis=2)
    codes = np.random.default_rng(0).normal(size=(340, 4))
    exact = find(images, codes)
    assert exact.recall == 1
    monkeypatch.setattr(proposals, "_MAX_EXACT", 100)
    monkeypatch.setattr(approximate, "_CELL", 20)
    found = find(images, codes)
    assert 0.8 < found.recall <= 1
    assert len(as_set(found) & as_set(exact)) >= 0.9 * len(as_set(exact)) > 0


@pytest.mark.parametrize("are_queries", [True, False])
def test_an_approximate_search_leaves_out_the_query_and_finds_all_where_it_visits_all_cells(monkeypatch, are_queries):
    monkeypatch.setattr(approximate, "_AT_A_TIME", 64)
    rng = np.random.default_rng(0)
    vectors, others = rng.normal(size=(2, 500, 8)).astype(np.float32) * rng.uniform(0.1, 10, (2, 500, 1))
    vectors, others = vectors.astype(np.float32), others.astype(np.float32)
    queries = vectors if are_queries else others
    expected = Index(vectors).rank(queries, 10, exclude=np.arange(500))
    found, recall = approximate.rank(vectors, queries, 10)
    # In float16, distances that are nearly equal change places.
    assert recall >= 0.999
    assert (found == expected).mean() >= 0.99
    assert (found != np.arange(500)[:, None]).all()


def test_proposals_are_unordered_distinct_and_never_of_an_image_with_itself():
    vectors = np.zeros((30, 2))  # all equal: only ids can tell
    keys, _ = proposals._look_up(vectors, vectors, "euclidean")
    pairs = proposals.pairs_of(keys, len(vectors))
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert set(pairs.ravel()) == set(range(30))
    assert len(pairs) <= 30 * proposals.PROPOSALS  # of 435
