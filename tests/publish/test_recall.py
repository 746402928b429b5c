"""Recall of an index: measured as defined, reached by the least effort that does, or refused."""

from __future__ import annotations

import dataclasses
import functools
from types import SimpleNamespace

import numpy as np
import pytest

from latentsearch.errors import InputError
from latentsearch.gallery.index import Index
from latentsearch.gallery.manifest import PublishedCodes
from latentsearch.publish import recall
from latentsearch.publish.recall import Measured, built_with, with_recall

HNSW = PublishedCodes("c", "euclidean", 0.0, "hnsw", built_with("hnsw", 500))


@pytest.fixture
def measured(monkeypatch):
    """Forty queries among 500 codes; an index that sees the first codes alone, as many as its effort says."""
    codes = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    queries = np.arange(0, 500, 13)[:40]
    exact = Index(codes, metric="euclidean").search(codes[queries], 10, exclude=queries)

    def nearest(milvus, one, vectors, limit, timeout):
        assert timeout >= 600  # a server that has just loaded millions of codes takes long
        there = codes[: one.effort or 500]
        for found in Index(there, metric="euclidean").search(vectors, min(limit, len(there))).ids:
            yield [{"id": number, "entity": {"code": codes[number].tolist()}} for number in found.tolist()]

    monkeypatch.setattr(recall, "nearest", nearest)
    return Measured(codes[queries], queries, exact.distances[:, -1], 10), exact, codes


def expected_recall(measured, effort):
    _, exact, _ = measured
    return float((exact.ids < effort).mean())


def test_the_least_effort_that_has_the_recall_is_taken(measured):
    efforts = [32, 64, 128, 256, 512]
    recalls = [expected_recall(measured, effort) for effort in efforts]
    assert recalls == sorted(recalls)
    for effort, reached in zip(efforts, recalls, strict=True):
        found = with_recall(None, HNSW, measured[0], least=reached)
        assert (found.effort, found.num_queries) == (effort, 39)
        assert found.recall == pytest.approx(reached, abs=1e-4)


def test_flat_has_all(measured):
    found = with_recall(None, dataclasses.replace(HNSW, index="flat", built={}), measured[0], least=1.0)
    assert (found.recall, found.effort) == (1.0, 0)


def test_a_recall_that_no_effort_has_is_refused(measured, monkeypatch):
    monkeypatch.setitem(recall._MOST_EFFORT, "hnsw", 128)
    share = expected_recall(measured, 128)
    with pytest.raises(
        InputError, match=rf"--min-recall 0.9: the index hnsw finds {share:.1%} of the 10 nearest"
    ) as told:
        with_recall(None, HNSW, measured[0], least=0.9)
    assert "Give --index flat" in str(told.value)
    assert "what was published before is as it was" in str(told.value)


class Rows(list):
    """Stands for what is spread over executors."""

    def map(self, function):
        return Rows(map(function, self))

    def collect(self):
        return list(self)

    def treeReduce(self, function):
        return functools.reduce(function, self)


def test_a_single_image_has_nobody_to_be_missed(monkeypatch):
    vector = np.ones(3, np.float32)
    session = SimpleNamespace(sparkContext=SimpleNamespace(parallelize=lambda parts, count: Rows(parts)))
    monkeypatch.setattr(recall, "_picked", lambda *arguments: [(7, vector)])
    monkeypatch.setattr(recall, "_nearest", lambda *arguments: np.full((1, 0), np.inf, np.float32))
    measured = recall.compare_all(session, SimpleNamespace(num_codes=1, num_parts=1), HNSW, None, [7])
    assert (measured.ids.tolist(), measured.k, measured.last.shape) == ([7], 0, (1,))
    assert with_recall(None, HNSW, measured, least=1.0).recall == 1


def test_the_cells_grow_with_the_codes():
    assert [built_with("ivf_flat", count)["nlist"] for count in (1, 10_000, 1_000_000)] == [16, 400, 4000]
    assert built_with("ivf_sq8", 10_000) == {"nlist": 400}
    assert built_with("flat", 100) == {}
