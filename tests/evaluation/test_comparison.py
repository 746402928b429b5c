"""Searches that an evaluation shares: the metric of rivals, and who asks."""

from __future__ import annotations

import numpy as np
import pytest

from latentsearch.config import METRICS
from latentsearch.evaluation import comparison
from latentsearch.evaluation.baselines import Vectors
from latentsearch.evaluation.comparison import Comparison


@pytest.fixture
def searches(small_digits):
    return Comparison(small_digits, small_digits.gallery_ids(), small_digits.ids("test"), seed=0)


def vectors_by(searches, of_gallery, of_queries, metrics=METRICS):
    """Vectors whose direction tells the class, and whose length is noise: cosine alone finds the class by them."""
    rng = np.random.default_rng(0)
    labels = (searches.dataset.labels[ids] for ids in (searches.gallery_ids, searches.query_ids))
    made = []
    for kinds, tells in zip(labels, (of_gallery, of_queries)):
        angles = np.deg2rad(kinds * 30 if tells else rng.uniform(0, 300, len(kinds)))
        made.append(np.column_stack([np.cos(angles), np.sin(angles)]) * rng.uniform(0.1, 10, (len(kinds), 1)))
    return Vectors(*made, metrics)


def test_the_metric_is_chosen_by_validation_images_and_never_by_test_images(searches):
    for tells in (True, False):
        assert searches.best_metric(vectors_by(searches, True, tells)) == "cosine"
    assert searches.best_metric(vectors_by(searches, True, True, ("manhattan", "cosine"))) == "cosine"


def test_the_metric_is_chosen_among_so_many_training_images_at_most(searches, monkeypatch):
    monkeypatch.setattr(comparison, "_MAX_SEARCHED", 30)
    sizes = []
    rank = Vectors.rank
    monkeypatch.setattr(Vectors, "rank", lambda self, *args: sizes.append(len(self.gallery)) or rank(self, *args))
    assert searches.best_metric(vectors_by(searches, True, True)) == "cosine"
    assert set(sizes) == {30}


def test_without_validation_images_the_first_metric_is_taken(searches):
    train = Comparison(searches.dataset, searches.dataset.ids("train"), searches.query_ids, seed=0)
    assert train.best_metric(vectors_by(train, True, True, ("manhattan", "cosine"))) == "manhattan"


def test_a_rival_is_scored_once_and_long_vectors_by_a_part_of_the_queries(searches, monkeypatch):
    monkeypatch.setattr(comparison, "_MAX_ASKED_OF_LONG", 7)
    short = searches.rival("short", vectors_by(searches, True, True))
    assert (short.metric, short.num_queries) == ("cosine", len(searches.query_ids))
    assert short.overall["P@1"].value == 1
    rng = np.random.default_rng(0)
    pair = [rng.normal(size=(len(ids), 64)) for ids in (searches.gallery_ids, searches.query_ids)]
    assert searches.rival("long", Vectors(*pair, METRICS)).num_queries == 7
