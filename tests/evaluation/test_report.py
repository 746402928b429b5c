"""The verdict of a report: one sentence, from what was measured."""

from __future__ import annotations

import dataclasses

import numpy as np

from latentsearch.evaluation import checks, report
from tests.evaluation.test_checks import a_score, good, leaking

__all__ = ["good"]  # a fixture


def verdict(evaluation):
    return report.verdict(evaluation, checks.run_checks(evaluation))


def test_the_verdict_names_the_best_rival_and_what_failed(good):
    assert verdict(good) == (
        "50 in 100 of the ten nearest images are of the query's class, and 50 in 100 of the hundred nearest; by the "
        "best rival, raw pixels, 30 and 30; by chance 10; all 13 checks pass."
    )
    worse = dataclasses.replace(
        good,
        duplicates=leaking(good.dataset, 8),
        scores=[*good.scores, a_score("colour histogram", 0.6)],
        train_mse=0.001,
    )
    assert verdict(worse).endswith("colour histogram, 60 and 60; by chance 10; FAIL: generalisation, leaks.")


def test_the_verdict_of_a_collapsed_run_says_so(good):
    assert "has collapsed" in verdict(dataclasses.replace(good, codes=np.ones_like(good.codes)))


def test_the_verdict_without_labels_is_about_altered_copies(good):
    dataset = dataclasses.replace(good.dataset, class_names=(), labels=np.full_like(good.dataset.labels, -1))
    assert verdict(dataclasses.replace(good, dataset=dataset, scores=[])).startswith("90 of 100 corrupted copies")
