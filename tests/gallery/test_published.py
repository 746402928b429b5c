"""A publication that is replaced, another's, or whose index finds too little, with a stand-in for Milvus."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from latentsearch.errors import InputError
from latentsearch.gallery import published
from latentsearch.gallery.index import Index
from latentsearch.gallery.published import PublishedStore
from tests.gallery.fake_milvus import FakeMilvus
from tests.gallery.test_manifest import manifest


def rows_of(codes):
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    return [{"id": number, "code": code.tolist(), "path": f"/{number}.png"} for number, code in enumerate(unit)]


@pytest.fixture
def milvus(monkeypatch):
    fake = FakeMilvus()
    monkeypatch.setattr(published, "MilvusConnection", lambda where: fake)
    return fake


@pytest.fixture
def codes():
    return np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)


def test_neighbours_are_those_of_an_index(milvus, codes):
    milvus.publish(manifest(("cosine", 0.0), num_codes=40), "catalogue", rows_of(codes))
    store = PublishedStore("http://fake:1", "photos", ("cosine",))
    own = np.arange(40)
    found, expected = store.search(codes, 5, metric="cosine", exclude=own), Index(codes).search(codes, 5, exclude=own)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_allclose(found.distances, expected.distances, atol=1e-6)


def test_a_search_goes_on_in_what_replaced_its_collections(milvus, codes):
    milvus.publish(manifest(("cosine", 0.0), num_codes=40), "before", rows_of(codes))
    store = PublishedStore("http://fake:1", "photos", ("cosine",))
    [new] = (dataclasses.replace(one, collection="new") for one in manifest(("cosine", 0.0)).codes)
    milvus.publish(manifest(num_codes=20, key="other", codes=(new,)), "after", rows_of(codes[:20]))
    assert store.search(codes[:3], 2, metric="cosine").ids.max() < 20
    assert store.manifest.num_codes == 20
    milvus.publish(manifest(("cosine", 0.0), encoder="another"), "another", [])
    with pytest.raises(InputError, match=r"by another encoder meanwhile.\nRun the same command again"):
        store.search(codes[:3], 2, metric="cosine")


def test_what_is_dropped_during_a_search_and_answers_in_part_is_not_told(milvus, codes):
    milvus.publish(manifest(("cosine", 0.0), num_codes=40), "before", rows_of(codes))
    store = PublishedStore("http://fake:1", "photos", ("cosine",))
    [new] = (dataclasses.replace(one, collection="new") for one in manifest(("cosine", 0.0)).codes)

    def replace():
        milvus.meanwhile = lambda: None
        held = rows_of(codes)
        held_in_part = milvus.collections["c0"]
        milvus.publish(manifest(num_codes=40, key="other", codes=(new,)), "after", held)
        milvus.collections["c0"] = held_in_part
        del held_in_part[20:]

    milvus.meanwhile = replace
    found = store.search(codes, 5, metric="cosine")
    np.testing.assert_array_equal(found.ids, Index(codes).search(codes, 5).ids)
    assert store.manifest.key == "other"


def test_a_collection_that_vanished_is_told(milvus, codes):
    milvus.publish(manifest(("cosine", 0.0), num_codes=40), "catalogue", rows_of(codes))
    store = PublishedStore("http://fake:1", "photos", ("cosine",))
    del milvus.collections["c0"]
    with pytest.raises(InputError, match="can't find collection c0"):
        store.search(codes[:3], 2, metric="cosine")


def test_an_index_that_finds_too_few_is_told(milvus, codes):
    milvus.publish(manifest(("cosine", 0.0), num_codes=40), "catalogue", rows_of(codes))
    store = PublishedStore("http://fake:1", "photos", ("cosine",))
    milvus.most = 3
    with pytest.raises(InputError, match=r"found 3 of 5 images for a query.\nAsk for fewer by --k"):
        store.search(codes[:1], 5, metric="cosine")


def test_what_is_not_ours_or_not_there_is_told(milvus):
    milvus.collections = {"photos": []}
    with pytest.raises(InputError, match="the collection photos is none that python -m latentsearch"):
        PublishedStore("http://fake:1", "photos", ("cosine",))
    with pytest.raises(InputError, match="none at http://fake:1 is called so"):
        PublishedStore("http://fake:1", "nothing", ("cosine",))
    with pytest.raises(InputError, match="Milvus has no metric manhattan"):
        PublishedStore("http://fake:1", "photos", ("manhattan",))
