"""Each check on evaluation made to be good, poor or broken: it must say so."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from latentsearch import metrics
from latentsearch.evaluation import checks, report
from latentsearch.evaluation.baselines import LinearReconstruction
from latentsearch.evaluation.evaluation import Evaluation
from latentsearch.evaluation.remedies import REMEDIES, remedy
from latentsearch.evaluation.scorecard import MEASURES, Score
from latentsearch.gallery.duplicates import Duplicates
from latentsearch.metrics import Interval

FOR_SIMILARITY = pd.DataFrame({"epoch": [1], "val_similarity": [5.0]})


def interval(value):
    return Interval(value, value * 0.99, value * 1.01)


def a_score(method, p10, by_class=None, num_queries=1000):
    measures = dict.fromkeys(MEASURES, interval(p10))
    classes = {name: dict.fromkeys(MEASURES, interval(value)) for name, value in (by_class or {}).items()}
    return Score(method, "cosine", measures, classes, np.array([p10]), num_queries)


def leaking(dataset, count):
    """Duplicates of `count` test images, each of another gallery image."""
    pairs = np.column_stack([dataset.gallery_ids()[:count], dataset.ids("test")[:count]])
    flags = np.zeros(count, dtype=bool)
    return Duplicates(pairs, np.ones(count), flags, flags, np.arange(len(dataset.images)))


@pytest.fixture
def good(small_digits):
    test_ids = small_digits.ids("test")
    return Evaluation(
        name="mine",
        encoder="",
        seed=0,
        dataset=small_digits,
        history=pd.DataFrame({"epoch": [1]}),
        gallery_ids=small_digits.gallery_ids(),
        test_ids=test_ids,
        codes=np.random.default_rng(0).normal(size=(len(test_ids), 10)).astype(np.float32),
        errors=np.full(len(test_ids), 0.01),
        accuracy=0.6,
        train_mse=0.01,
        linear=LinearReconstruction(mse=0.02, accuracy=0.5, mean_mse=0.06),
        linear_rival=LinearReconstruction(mse=0.02, accuracy=0.5, mean_mse=0.06),
        chance=np.full(len(test_ids), 0.1),
        metric="cosine",
        scores=[
            a_score("mine", 0.5, {"3": 0.4, "5": 0.6}),
            a_score("raw pixels", 0.3),
            a_score("10-d PCA", 0.25),
            a_score("whitened 10-d PCA", 0.27),
        ],
        compared=test_ids[:1],
        neighbours={},
        copy_recall={name: {"cosine": {1: interval(0.6), 10: interval(0.9)}} for name in ("noise", "projection")},
        copies={},
        examples={},
        points=np.zeros((1, 2)),
        projected=np.zeros(1, dtype=int),
        duplicates=leaking(small_digits, 0),
        leakless_score=None,
    )


def test_ends_of_numbers_show_other_shots_and_tell_the_class_that_most_are_of(good):
    count = len(good.test_ids)
    digit = dataclasses.replace(good, test_ids=good.dataset.gallery_ids()[:100], codes=np.empty((100, 2), np.float32))
    values = np.random.default_rng(0).permutation(100)
    digit.codes[:, 0], digit.codes[:, 1] = digit.labels == 3, values
    assert (digit.labels == 3).sum() < 20
    (low, high), (first, last) = digit.number_ends
    assert low.of_class.name == ""
    assert {int(good.dataset.labels[image_id]) for image_id in high.ids} == {3}
    assert first.ids == digit.test_ids[np.argsort(values)[:5]].tolist()
    assert last.ids == digit.test_ids[np.argsort(-values)[:5]].tolist()
    # Of a pair of one shot the outermost alone is shown.
    one, other = sorted(first.ids[:2])
    flag = np.zeros(1, dtype=bool)
    shot = Duplicates(np.array([[one, other]]), np.ones(1), flag, flag, np.arange(len(good.dataset.images)))
    shown = dataclasses.replace(digit, duplicates=shot).number_ends[1][0].ids
    assert shown == [first.ids[0], *digit.test_ids[np.argsort(values)[2:6]].tolist()]
    assert count < 100
    assert {end.of_class.name for ends in good.number_ends for end in ends} == {""}  # of too few images


@pytest.mark.parametrize("spread", [0, 1e-7, 1e-4])
def test_collapsed_codes_say_so_and_what_needs_codes_is_not_applicable(good, spread):
    noise = np.random.default_rng(0).normal(0, spread, good.codes.shape)
    collapsed = dataclasses.replace(good, codes=(0.7 + noise).astype(np.float32))
    results = {result.name: result for result in checks.run_checks(collapsed)}
    assert results["distinct codes"].status == "FAIL"
    assert "collapsed" in results["distinct codes"].meaning
    for name in ("effective rank", "retrieval against PCA", "copies with noise"):
        assert results[name].status == "n/a"
        assert "collapsed" in results[name].meaning
    assert "Here" not in results["correlated dimensions"].explanation
    correlated = next(result for result in checks.run_checks(good) if result.name == "correlated dimensions")
    assert re.search(r"Here: number \d+ and number \d+\.$", correlated.explanation)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_of_few_images_what_needs_more_is_left_out_in_words(good, count):
    few = dataclasses.replace(
        good, test_ids=good.test_ids[:count], codes=good.codes[:count], errors=good.errors[:count],
        chance=good.chance[:count], duplicates=leaking(good.dataset, 0),
    )  # fmt: skip
    results = {result.name: result for result in checks.run_checks(few)}
    assert results["effective rank"].status == "n/a"
    assert f"there are {count}" in results["effective rank"].meaning
    assert results["dead dimensions"].status == "n/a"
    assert results["reconstruction"].status == "PASS"


def test_among_few_images_finding_copies_is_left_out_in_words(good, monkeypatch):
    assert status(good, "copies with noise") == "PASS"
    monkeypatch.setattr(metrics, "LEAST_QUERIES", len(good.dataset.gallery_ids()) + 1)
    results = {result.name: result for result in checks.run_checks(good)}
    for name in ("copies with noise", "copies with projection"):
        assert results[name].status == "n/a"
        assert "too few images to tell how many copies find their original" in results[name].meaning
    assert "too few" in report.headline(good)["corrupted copies"]
    assert report.copy_rows(good) == []


def test_what_is_advised_is_not_done_already():
    for check in REMEDIES:
        advice = remedy(check, for_similarity=True, has_denoiser=True)
        assert "rain for similarity" not in advice
        assert "Build the architecture kind-look" not in advice
    assert "rain for similarity" in remedy("copies with projection", for_similarity=False, has_denoiser=False)


def test_every_check_says_what_to_do_and_errors_are_what_is_compared_with_a_linear_code(good):
    assert all(result.remedy for result in checks.run_checks(good))
    near_perfect = [a_score("mine", 0.97, {"3": 0.9}), a_score("raw pixels", 0.9), a_score("10-d PCA", 0.945)]
    assert status(dataclasses.replace(good, scores=near_perfect), "retrieval against PCA") == "PASS"


def status(evaluation, name):
    return {result.name: result.status for result in checks.run_checks(evaluation)}[name]


def test_good_evidence_passes_every_check_and_every_check_speaks(good):
    for result in checks.run_checks(good):
        assert result.status == "PASS", result
        for words in (result.question, result.why, result.good, result.poor, result.broken):
            assert words.endswith((".", "?")), words
        assert result.meaning == result.good


def test_a_rival_that_was_asked_with_fewer_queries_says_so(good):
    few = dataclasses.replace(good, scores=[*good.scores[:1], a_score("raw pixels", 0.3, num_queries=5)])
    assert checks.beats_pixels(few).why.startswith(
        "P@10 over that of raw pixels (cosine: 0.300, asked with 5 of the test images)"
    )
    assert "asked with" not in checks.beats_pixels(good).why


def test_without_labels_the_checks_that_need_them_are_left_out(good):
    images = dataclasses.replace(good.dataset, class_names=(), labels=np.full_like(good.dataset.labels, -1))
    unlabelled = dataclasses.replace(good, dataset=images, scores=[], chance=np.empty(0))
    left_out = {result.name for result in checks.run_checks(good)} - {
        result.name for result in checks.run_checks(unlabelled)
    }
    assert left_out == {
        "retrieval against chance",
        "retrieval against PCA",
        "retrieval against pixels",
        "weakest class",
    }


def test_a_class_without_a_gallery_image_is_not_the_weakest(good):
    score = a_score("mine", 0.5, {"3": 0.0, "5": 0.5})
    of_class = good.class_of_image
    assert (of_class == "3").any()
    evaluation = dataclasses.replace(good, scores=[score, *good.scores[1:]], chance=np.where(of_class == "3", 0.0, 0.1))
    result = checks.weakest_class(evaluation)
    assert result.status == "PASS"
    assert result.why.endswith("Here: 5.")
    none = dataclasses.replace(evaluation, chance=np.zeros(len(of_class)))
    assert checks.weakest_class(none).status == "FAIL"
    assert checks.beats_chance(none).value > 0


def worse(good, **changes):
    return dataclasses.replace(good, **changes)


def with_column(codes, column, values):
    codes = codes.copy()
    codes[:, column] = values
    return codes


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("reconstruction", lambda e: {"errors": e.errors * 1.98}, "WARN"),
        ("reconstruction", lambda e: {"errors": e.errors * 2.1}, "FAIL"),
        ("reconstruction", lambda e: {"errors": e.errors * 5.3, "history": FOR_SIMILARITY}, "PASS"),
        ("reconstruction", lambda e: {"errors": e.errors * 5.5, "history": FOR_SIMILARITY}, "WARN"),
        ("reconstruction", lambda e: {"errors": e.errors * 6.1, "history": FOR_SIMILARITY}, "FAIL"),
        (
            "reconstruction",  # by the look code alone, whatever a PCA with the numbers of both reaches
            lambda e: {"history": FOR_SIMILARITY, "kind_dim": 5, "linear": e.linear._replace(mse=0.001)},
            "PASS",
        ),
        (
            "reconstruction",
            lambda e: {"history": FOR_SIMILARITY, "kind_dim": 5, "linear_rival": e.linear._replace(mse=0.001)},
            "FAIL",
        ),
        ("reconstruction", lambda e: {"errors": e.errors * np.nan}, "FAIL"),
        ("generalisation", lambda e: {"train_mse": 0.0085}, "WARN"),
        ("generalisation", lambda e: {"train_mse": 0.005}, "FAIL"),
        ("dead dimensions", lambda e: {"codes": with_column(e.codes, 3, 1.0)}, "WARN"),
        ("dead dimensions", lambda e: {"codes": with_column(e.codes, [3, 4], 1.0)}, "FAIL"),
        ("dead dimensions", lambda e: {"codes": with_column(e.codes, slice(6), 1.0)}, "FAIL"),
        ("dead dimensions", lambda e: {"codes": np.zeros_like(e.codes)}, "FAIL"),
        ("correlated dimensions", lambda e: {"codes": with_column(e.codes, 3, -2 * e.codes[:, 5])}, "FAIL"),
        (
            "correlated dimensions",
            lambda e: {"codes": with_column(e.codes, 3, e.codes[:, 5] + 0.4 * e.codes[:, 6])},
            "WARN",
        ),
        ("effective rank", lambda e: {"codes": e.codes * ([9] + [1] * 9)}, "FAIL"),
        ("effective rank", lambda e: {"codes": e.codes * ([4] * 4 + [0.1] * 6)}, "WARN"),
        ("distinct codes", lambda e: {"codes": e.codes * 1e-9}, "PASS"),
        ("distinct codes", lambda e: {"codes": e.codes[np.arange(len(e.codes)) // 2]}, "FAIL"),
        ("retrieval against chance", lambda e: {"chance": e.chance * 3}, "WARN"),
        ("retrieval against chance", lambda e: {"chance": e.chance * 5}, "FAIL"),
        ("retrieval against PCA", lambda e: {"scores": [*e.scores[:2], a_score("10-d PCA", 0.5)]}, "WARN"),
        ("retrieval against PCA", lambda e: {"scores": [*e.scores[:2], a_score("10-d PCA", 0.6)]}, "FAIL"),
        ("retrieval against pixels", lambda e: {"scores": [*e.scores, a_score("raw pixels", 0.55)]}, "WARN"),
        ("retrieval against pixels", lambda e: {"scores": [*e.scores, a_score("raw pixels", 0.8)]}, "FAIL"),
        ("weakest class", lambda e: {"chance": e.chance * 3.5}, "WARN"),
        ("weakest class", lambda e: {"chance": np.where(e.class_of_image == "3", 0.45, 0.1)}, "FAIL"),
        ("copies with noise", lambda e: {"copy_recall": copies(e, "noise", 0.3)}, "WARN"),
        ("copies with projection", lambda e: {"copy_recall": copies(e, "projection", 0.01)}, "FAIL"),
        ("leaks", lambda e: {"duplicates": leaking(e.dataset, 2)}, "WARN"),
        ("leaks", lambda e: {"duplicates": leaking(e.dataset, 8)}, "FAIL"),
    ],
)
def test_other_evidence_gets_its_status(name, changes, expected, good):
    evaluation = worse(good, **changes(good))
    assert status(evaluation, name) == expected
    result = next(result for result in checks.run_checks(evaluation) if result.name == name)
    assert result.meaning == {"PASS": result.good, "WARN": result.poor, "FAIL": result.broken}[expected]


def copies(evaluation, corruption, value):
    return evaluation.copy_recall | {corruption: {"cosine": {1: interval(value), 10: interval(value)}}}
