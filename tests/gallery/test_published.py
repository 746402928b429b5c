"""What is published is searched as a whole, also when it is replaced meanwhile; a dictionary stands for Milvus."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("pymilvus", reason="pymilvus is not installed: requirements-milvus.txt")

from latentsearch.errors import InputError
from latentsearch.gallery import published
from latentsearch.gallery.index import Index
from latentsearch.gallery.manifest import Manifest, PublishedCodes
from latentsearch.gallery.published import PublishedStore

NUM_CODES, DIM = 300, 4
CODES = np.random.default_rng(0).standard_normal((NUM_CODES, DIM)).astype(np.float32)
EIGHT_BITS = np.round(CODES * 3) / 3  # so coarse that an index of these orders them wrongly


class Milvus:
    """Stands for the connection: catalogues by name, one collection of codes, found by their coarse values."""

    where = "http://here"

    def __init__(self, index="flat"):
        codes = PublishedCodes("codes", "euclidean", 0.0, index, {})
        self.manifest = Manifest("photos", "", "", "run", "encoder", "crop", DIM, None, NUM_CODES, (), (codes,))
        self.catalogue, self.asked, self.on_query = "first", [], lambda: None

    def load(self, collection):
        pass

    def close(self):
        pass

    def call(self, method, collection, **options):
        self.on_query()
        if method == "query":
            ids = [int(one) for one in options["filter"].removeprefix("id in [").removesuffix("]").split(",")]
            self.asked.append(ids)
            return [self.row(one) for one in ids if one < NUM_CODES]
        vectors, limit = np.array(options["data"], np.float32), options["limit"]
        found = Index(EIGHT_BITS if "ivf" in self.manifest.codes[0].index else CODES, metric="euclidean")
        rows = found.search(vectors, limit).ids.tolist()
        return [[{"id": one, "entity": self.row(one) | {"code": CODES[one]}} for one in row] for row in rows]

    def row(self, one):
        return {"id": one, "path": f"/{self.catalogue}/{one}.png", "label": "", "digest": ""}


def opened(monkeypatch, milvus):
    monkeypatch.setattr(published, "MilvusConnection", lambda where: milvus)
    monkeypatch.setattr(published, "read_manifest", lambda *arguments: (milvus.catalogue, milvus.manifest))
    return PublishedStore("http://here", "photos")


@pytest.mark.parametrize("index", ["flat", "ivf_sq8"])
def test_the_nearest_are_those_by_the_codes_that_are_kept(index, monkeypatch):
    store = opened(monkeypatch, Milvus(index))
    queries = CODES[:20] + 0.01
    assert store.search(queries, 10, metric="euclidean").ids.tolist() == (
        Index(CODES, metric="euclidean").search(queries, 10).ids.tolist()
    )


def test_coarse_codes_need_more_candidates_than_are_wanted(monkeypatch):
    """Else the test above could not fail."""
    monkeypatch.setattr(PublishedCodes, "num_candidates", lambda self, k: k + 8)
    store = opened(monkeypatch, Milvus("ivf_sq8"))
    exact = Index(CODES, metric="euclidean").search(CODES[:20], 10).ids.tolist()
    assert store.search(CODES[:20], 10, metric="euclidean").ids.tolist() != exact


@pytest.mark.parametrize("change", [{"encoder": "another"}, {"fit": "pad"}])
def test_what_another_encoder_published_is_refused_each_time(change, monkeypatch):
    milvus = Milvus()
    store = opened(monkeypatch, milvus)
    milvus.catalogue, milvus.manifest = "second", dataclasses.replace(milvus.manifest, **change)
    for _ in range(2):
        with pytest.raises(InputError, match="published by another encoder meanwhile"):
            store.search(CODES[:1], 3, metric="euclidean")


def test_what_lacks_a_metric_is_refused_each_time(monkeypatch):
    milvus = Milvus()
    store = opened(monkeypatch, milvus)
    cosine = dataclasses.replace(milvus.manifest.codes[0], metric="cosine")
    milvus.catalogue, milvus.manifest = "second", dataclasses.replace(milvus.manifest, codes=(cosine,))
    for _ in range(2):
        with pytest.raises(InputError, match="was not published for euclidean"):
            store.rows([3])
    assert store.metrics == ("euclidean",)


def test_rows_of_before_are_forgotten_when_it_is_replaced(monkeypatch):
    milvus = Milvus()
    store = opened(monkeypatch, milvus)
    assert store.rows([3, 999])[3]["path"] == "/first/3.png"
    store.rows([3])
    assert milvus.asked == [[3, 999]]  # once
    milvus.catalogue = "second"
    store.search(CODES[:1], 3, metric="euclidean")
    assert store.rows([299])[299]["path"] == "/second/299.png"
    assert store.rows([3])[3]["path"] == "/second/3.png"


def test_an_answer_of_what_is_replaced_meanwhile_is_asked_again(monkeypatch):
    milvus = Milvus()
    store = opened(monkeypatch, milvus)
    times = []

    def replace_once():
        times.append(milvus.catalogue)
        milvus.catalogue = "second"

    milvus.on_query = replace_once
    assert store.rows([5])[5]["path"] == "/second/5.png"
    assert times == ["first", "second"]


def test_few_rows_are_kept(monkeypatch):
    monkeypatch.setattr(published, "_KEPT", 10)
    store = opened(monkeypatch, Milvus())
    for start in range(0, 100, 8):
        assert len(store.rows(range(start, start + 8))) == 8
    assert len(store._now.rows) <= 10
