"""A publication that is replaced, another's, or whose index finds too little, with a stand-in for Milvus."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from latentsearch.errors import InputError
from latentsearch.gallery import published
from latentsearch.gallery.index import Index
from latentsearch.gallery.manifest import PublishedCodes
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
    for _ in range(2):  # each time: a page goes on after the first
        with pytest.raises(InputError, match=r"by another encoder meanwhile.\nRun the same command again"):
            store.search(codes[:3], 2, metric="cosine")


@pytest.mark.parametrize("another_has_seen", [False, True])
def test_what_is_dropped_during_a_search_and_answers_in_part_is_not_told(milvus, codes, another_has_seen):
    milvus.publish(manifest(("cosine", 0.0), num_codes=40), "before", rows_of(codes))
    store = PublishedStore("http://fake:1", "photos", ("cosine",))
    [new] = (dataclasses.replace(one, collection="new") for one in manifest(("cosine", 0.0)).codes)

    def replace():
        milvus.meanwhile = lambda: None
        held_in_part = milvus.collections["c0"]
        milvus.publish(manifest(num_codes=40, key="other", codes=(new,)), "after", rows_of(codes))
        milvus.collections["c0"] = held_in_part
        del held_in_part[20:]
        if another_has_seen:  # as another thread would, which turns to what is there now
            assert store.count(()) == 40
            store.search(codes[:1], 1, metric="cosine")

    milvus.meanwhile = replace
    found = store.search(codes, 5, metric="cosine")
    np.testing.assert_array_equal(found.ids, Index(codes).search(codes, 5).ids)
    assert store.manifest.key == "other"


def test_what_replaces_it_has_its_metrics_and_its_fit(milvus, codes):
    milvus.publish(manifest(("cosine", 0.0), num_codes=40), "before", rows_of(codes))
    store = PublishedStore("http://fake:1", "photos")
    assert store.metrics == ("cosine",)
    milvus.publish(manifest(("euclidean", 0.0), num_codes=40), "euclidean", rows_of(codes))
    for _ in range(2):
        with pytest.raises(InputError, match="was not published for cosine"):
            store.rows([3])
    milvus.publish(manifest(("cosine", 0.0), num_codes=40, fit="pad"), "padded", rows_of(codes))
    for _ in range(2):
        with pytest.raises(InputError, match="by another encoder meanwhile"):
            store.rows([3])


def test_rows_are_looked_up_once_and_forgotten_when_it_is_replaced(milvus, codes):
    milvus.publish(manifest(("cosine", 0.0), num_codes=40), "before", rows_of(codes))
    store = PublishedStore("http://fake:1", "photos")
    assert [store.rows([3, 999])[3]["path"] for _ in range(2)] == ["/3.png", "/3.png"]
    assert milvus.looked_up == [[3, 999], [999]]
    moved = [row | {"path": f"/moved{row['path']}"} for row in rows_of(codes)]
    milvus.publish(manifest(("cosine", 0.0), num_codes=40, key="other"), "after", moved)
    store.search(codes[:1], 3, metric="cosine")
    assert store.rows([3])[3]["path"] == "/moved/3.png"


def test_few_rows_are_kept(milvus, codes, monkeypatch):
    monkeypatch.setattr(published, "_KEPT", 10)
    milvus.publish(manifest(("cosine", 0.0), num_codes=40), "catalogue", rows_of(codes))
    store = PublishedStore("http://fake:1", "photos")
    for start in range(0, 40, 8):
        assert len(store.rows(range(start, start + 8))) == 8
    assert len(store._now.rows) <= 10


def test_codes_of_eight_bits_are_put_in_order_by_those_that_are_kept(milvus, monkeypatch):
    codes = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    milvus.as_indexed = lambda code: np.round(np.multiply(code, 6)) / 6
    [eight_bits] = (dataclasses.replace(one, index="ivf_sq8") for one in manifest(("cosine", 0.0)).codes)
    milvus.publish(manifest(num_codes=300, codes=(eight_bits,)), "catalogue", rows_of(codes))
    store = PublishedStore("http://fake:1", "photos")
    expected = Index(codes).search(codes[:20], 10).ids
    np.testing.assert_array_equal(store.search(codes[:20], 10, metric="cosine").ids, expected)
    monkeypatch.setattr(PublishedCodes, "num_candidates", lambda self, k: k)  # too few of such coarse codes
    assert (store.search(codes[:20], 10, metric="cosine").ids != expected).any()


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
