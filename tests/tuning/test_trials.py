"""Scores, medians and records of trials; reasons to stop one; the build of what one tried."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from latentsearch.config import BuildConfig, TrainConfig
from latentsearch.errors import InputError
from latentsearch.recipes import Network
from latentsearch.runs import Run
from latentsearch.tuning import from_trial, sampler, storage, trials
from latentsearch.tuning.objective import WEIGHTS, Criterion
from latentsearch.tuning.sampler import Suggestion
from latentsearch.tuning.space import Space
from latentsearch.tuning.trials import Job, Search, Trial

PARAMETERS = {"latent_dim": 10, "filters": 16, "depth": 2, "dense_units": 128, "activation": "elu"}
PARAMETERS |= {"normalisation": False, "batch_size": 64, "optimizer": "adam", "learning_rate": 0.002}
PARAMETERS |= {"similarity_weight": 0.0}
ROW = {"val_loss": 0.03, "val_mse": 0.03, "val_copy_recall": 0.5, "val_effective_rank": 4.0}
SEARCH = Search(
    objective="retrieval", dataset="digits", fingerprint="f", epochs=3, subset=None, shift=1, flip=False, seed=0,
    max_seconds=9.0, max_weights=10, space=Space(latent_dim=(10,), filters=(16,)), mean_mse=0.06,
)  # fmt: skip


def trial(number=0, scores=(0.5,), status="finished", **changes):
    plain = {"name": f"{number:03}", "reason": "", "parameters": PARAMETERS, "draws": {"filters": [0]}, "seconds": 1.5}
    history = [ROW | {"epoch": 1.0}] * len(scores)
    return Trial(**plain | {"status": status, "scores": list(scores), "history": history} | changes)


@pytest.mark.parametrize(
    ("goal", "expected"),
    [("retrieval", 0.8 * 0.5 + 0.2 * 0.4), ("reconstruction", 0.5), ("balanced", 0.2 + 0.1 * 0.4 + 0.25)],
)
def test_scores_weigh_what_is_found_used_and_explained(goal, expected):
    assert Criterion(goal, mean_mse=0.06, latent_dim=10).score(ROW) == pytest.approx(expected)


def test_weights_add_up_to_one_and_no_goal_looks_at_labels():
    for goal, weights in WEIGHTS.items():
        assert sum(weights.values()) == pytest.approx(1)
        criterion = Criterion(goal, 0.06, 10)
        assert criterion.score(ROW | {"val_precision": 1.0}) == criterion.score(ROW | {"val_precision": 0.0})


def test_the_score_so_far_is_that_of_the_weights_kept():
    rows = [ROW | {"val_loss": loss, "val_copy_recall": found} for loss, found in ((3, 0.1), (1, 0.2), (2, 0.9))]
    criterion = Criterion("retrieval", 0.06, 10)
    assert [criterion.so_far(rows[:count]) for count in (1, 2, 3)] == pytest.approx([0.16, 0.24, 0.24])


def test_medians_need_five_finished_trials_and_count_stopped_ones_as_far_as_they_came():
    tried = [trial(number, [number / 10, 1 + number]) for number in range(4)]
    assert trials.medians(tried) == []
    tried.append(trial(4, [0.9], status="stopped"))
    assert trials.medians(tried) == []
    tried.append(trial(5, [0.8, 9.0]))
    assert trials.medians(tried) == pytest.approx([0.25, 3.0])
    assert trials.medians([*tried, trial(6, [], status="failed")]) == pytest.approx([0.25, 3.0])


@pytest.mark.parametrize(
    ("scores", "seconds", "reason"),
    [
        ([0.1], 1, ""),  # too early to tell
        ([0.1, 0.2], 1, "below the median after 2 of 4 epochs: 0.200 < 0.300"),
        ([0.1, 0.3], 1, ""),
        ([0.1, 0.2, 0.1], 1, ""),  # nobody came as far
        ([0.5], 11, "more than 10 seconds after 1 of 4 epochs"),
        ([0.1, 0.2, 0.2, 0.2], 11, ""),  # done anyway
    ],
)
def test_trials_are_stopped_when_hopeless_or_slow(scores, seconds, reason):
    job = Job(BuildConfig(), None, TrainConfig(epochs=4), 4, None, [0.2, 0.3], 10, 100, {})
    assert job.reason_to_stop(scores, seconds) == reason


def test_records_give_back_what_was_written_in_order(tmp_path):
    run = Run(tmp_path, "tuned")
    tried = [trial(0), trial(1, status="failed", reason="x", scores=[]), replace(trial(2), num_weights=7)]
    for one in [*reversed(tried), trial(name="compact")]:
        storage.save(run, one)
    assert storage.load(run) == tried
    with storage.saving_search(run, SEARCH):
        pass
    assert storage.load_search(run) == SEARCH
    assert storage.load_search(run).mean_mse == 0.06
    assert trials.winner(tried).name == "000"
    assert trials.winner([tried[1]]) is None


def test_a_gap_or_a_damaged_record_is_refused_in_words(tmp_path):
    run = Run(tmp_path, "tuned")
    storage.save(run, trial(0))
    storage.save(run, trial(2))
    with pytest.raises(InputError, match=r"(?s)trial 002 but not trial 001.*--overwrite"):
        storage.load(run)
    sampler.save(run, "001", Suggestion(PARAMETERS, {}))  # begun beside the others, and not ended
    assert [one.name for one in storage.load(run)] == ["000", "002"]
    path = run.trial("000").trial_record
    path.write_text(json.dumps(json.loads(path.read_text()) | {"history": 3}))
    with pytest.raises(InputError, match=r"(?s)trial.json: history: Expected `array`, got `int`.*--overwrite"):
        storage.load_one(run, "000")


def test_a_build_takes_network_recipe_and_dataset_of_the_trial(tmp_path):
    run = Run(tmp_path, "tuned")
    with storage.saving_search(run, SEARCH):
        pass
    for number, score in enumerate((0.3, 0.6, 0.5)):
        storage.save(run, trial(number, [score], parameters=PARAMETERS | {"filters": 10 + number}))
    config, recipe = from_trial.resolve(BuildConfig(run="tuned", from_trial="best", seed=7, root=tmp_path))
    assert config.network == Network(11, 2, 128, "elu", normalisation=False)
    assert (config.architecture, config.dataset, config.latent_dim, config.seed) == ("custom", "digits", 10, 7)
    assert (recipe.batch_size, recipe.learning_rate, recipe.optimizer) == (64, 0.002, "adam")
    assert (recipe.shift, recipe.flip, recipe.similarity_weight) == (1, False, 0)
    other = BuildConfig(run="new", tuned="tuned", from_trial="2", root=tmp_path)
    assert from_trial.resolve(other)[0].network.filters == 12


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"from_trial": "worst"}, "expected best, or the number"),
        ({"from_trial": "-1"}, "expected best, or the number"),
        ({"from_trial": "7"}, "trial.json is missing"),
        ({"from_trial": "1"}, r"nothing came of it \(no memory\)"),
        ({"from_trial": "best", "latent_dim": 4}, "its latent dim is 10"),
        ({"from_trial": "best", "dataset": "photos"}, "its dataset is digits"),
        ({"from_trial": "best", "tuned": "other"}, r"search.json is missing.*(?s:.)*TuneAutoencoder.py --run other"),
    ],
)
def test_trials_that_cannot_be_built_are_refused_in_words(flags, message, tmp_path):
    run = Run(tmp_path, "tuned")
    with storage.saving_search(run, SEARCH):
        pass
    storage.save(run, trial(0))
    storage.save(run, trial(1, [], status="failed", reason="no memory"))
    with pytest.raises(InputError, match=message):
        from_trial.resolve(BuildConfig(run="tuned", root=tmp_path, **flags))
