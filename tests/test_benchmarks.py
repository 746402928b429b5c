"""What the benchmarks share: settings of trainings, rounds in new processes, and ratios beside what docs quote."""

from __future__ import annotations

import os

import pytest

from benchmarks import ratios, timing, training_profile
from latentsearch.recipes import RECIPES


@pytest.mark.parametrize("architecture", RECIPES)
def test_each_recipe_makes_settings_of_an_epoch(architecture):
    settings = training_profile.settings_of(architecture, "a dataset")
    assert settings.epochs == 1
    assert settings.batch_size == RECIPES[architecture].batch_size


def own_process(number):
    return {"ours": float(os.getpid()), "theirs": float(number)}


def test_each_round_is_a_new_process():
    rounds = timing.in_processes(own_process, 7, repeats=2)
    assert rounds["theirs"] == [7, 7]
    assert len({*rounds["ours"], float(os.getpid())}) == 3


def test_a_ratio_is_of_one_round_and_of_the_best_of_others():
    names = ["Keras, batches of 32", "Keras, batches of 1000", "Keras, one at a time"]
    ours = ["latentsearch, from memory", "latentsearch in int8, from memory", "latentsearch, one at a time"]
    rates = dict(zip([*names, *ours], [[10, 10], [20, 5], [1, 2], [30, 30], [60, 20], [4, 4]], strict=True))
    content = {"rows": [{"run": "compact", "how": how, "rounds": rounds} for how, rounds in rates.items()]}
    assert ratios._coding(content) == {
        "encoding images from memory, compact": [1.5, 3],
        "encoding images from memory in int8, compact": [3, 2],
        "encoding one image at a time, compact": [4, 2],
    }
    rows = [
        {"size": 10, "metric": "cosine", "contender": name, "round": number, "p50_ms": ms, "batch_s": ms}
        for number, times in enumerate(({"latentsearch": 2, "pykdtree": 4, "FAISS flat": 3}, {"latentsearch": 1}))
        for name, ms in times.items()
    ]
    rows.append(rows[0] | {"contender": "hnswlib", "p50_ms": 0.1, "batch_s": 0.1})  # approximate
    assert ratios._search({"rows": rows}) == {
        "10 codes by cosine, one query": [1.5],
        "10 codes by cosine, 10,000 queries": [1.5],
    }


def test_what_is_told_stands_beside_what_was_measured_last():
    sittings = [{"machine": "m", "written": f"2026-11-{day}T10:00"} for day in (25, 25, 30)]
    kept = {
        "a": [one | {"rounds": rounds} for one, rounds in zip(sittings, ([3, 2], [1, 3], [4, 5, 6]), strict=True)],
        "b": [sittings[0] | {"rounds": [2]}],
    }
    first, second = ratios.compared(kept, {"a": 4})
    assert (first["lowest"], first["highest"], first["last median"]) == (1, 6, 5)
    assert (first["days and machines"], first["last beside the page"]) == (2, "+25 %")
    assert second["last beside the page"] is None
