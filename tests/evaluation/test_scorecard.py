"""The scorecard on points whose neighbours can be told by eye."""

from __future__ import annotations

import numpy as np
import pytest

from latentsearch.evaluation.scorecard import MEASURES, Labelled, score


def on_a_circle(degrees):
    angles = np.deg2rad(np.array(degrees, dtype=float))
    return np.column_stack([np.cos(angles), np.sin(angles)])


def test_scores_of_a_hand_made_case():
    # Seen from 0 degrees: labels 0, 1, 0, 1 by distance; from 180: 1, 0, 1, 0.
    gallery = Labelled(on_a_circle([10, 40, 70, 120]), np.array([0, 1, 0, 1]))
    queries = Labelled(on_a_circle([0, 180]), np.array([0, 1]))
    for metric in ("euclidean", "cosine"):
        result = score("hand", gallery, queries, ("a", "b"), metric=metric)
        assert result.overall["P@1"].value == 1
        assert result.overall["P@10"].value == 0.5  # of four images, all are neighbours
        assert result.overall["mAP@1000"].value == pytest.approx((1 + 2 / 3) / 2)
        assert result.by_class["a"]["P@1"].value == 1
        np.testing.assert_allclose(result.precision_curve, [1, 0.5, 2 / 3, 0.5])


def test_separated_classes_score_one_and_shuffled_labels_score_chance():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 300)
    vectors = rng.normal(scale=0.01, size=(1200, 3)) + np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0)])[labels]
    ids = rng.permutation(1200)
    gallery, queries = ids[:1000], ids[1000:]
    names = tuple("abcd")
    perfect = score(
        "x", Labelled(vectors[gallery], labels[gallery]), Labelled(vectors[queries], labels[queries]), names,
        metric="euclidean",
    )  # fmt: skip
    assert all(perfect.overall[name].value == 1 for name in ("P@1", "P@10", "P@100", "kNN@10"))
    wrong = rng.permutation(labels)
    random = score(
        "x", Labelled(vectors[gallery], wrong[gallery]), Labelled(vectors[queries], wrong[queries]), names,
        metric="euclidean",
    )  # fmt: skip
    assert random.overall["P@100"].value == pytest.approx(0.25, abs=0.02)
    assert set(random.overall) == set(MEASURES)


def test_classes_without_queries_are_left_out():
    gallery = Labelled(np.eye(3), np.array([0, 1, 2]))
    result = score("x", gallery, Labelled(np.eye(3)[:1], np.array([0])), ("a", "b", "c"), metric="manhattan")
    assert list(result.by_class) == ["a"]
