"""The search: its loop with a stand-in for training, what it refuses, and a short one with real trainings."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from latentsearch import data, records
from latentsearch.config import BuildConfig, TrainConfig
from latentsearch.errors import InputError
from latentsearch.runs import Run
from latentsearch.tuning import from_trial, report, sampler, storage, trials
from latentsearch.tuning.config import TuneConfig
from latentsearch.tuning.figures import write_comparison
from latentsearch.tuning.objective import mean_image_error
from latentsearch.tuning.sampler import Suggestion
from latentsearch.tuning.trials import Outcome
from latentsearch.tuning.tune import tune
from latentsearch.tuning.worker import WorkFailed
from tests.conftest import REPOSITORY


class StandIn:
    """In the place of a worker: makes up what training would measure.

    Args:
        fail: Reasons to fail, by the number of the trial.
        interrupt: Called before the trial of this number.
    """

    def __init__(self, fail=None, interrupt=(None, None)):
        self.fail = fail or {}
        self.interrupt = interrupt
        self.jobs = []

    def call(self, function, *arguments, seconds=None):
        if function is write_comparison:
            path, _, titles = arguments
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(titles))
            return path
        [job] = arguments
        name = Path(job.build.run).name
        if name == self.interrupt[0]:
            self.interrupt[1]()
        if name in self.fail:
            raise WorkFailed(self.fail[name])
        self.jobs.append(job)
        found = job.parameters.get("filters", 40) / 100
        rows, scores, reason = [], [], ""
        while not reason and len(rows) < job.train.epochs:
            row = {"epoch": len(rows) + 1.0, "val_mse": 0.05 - 0.01 * len(rows) - found / 100, "val_effective_rank": 5}
            rows.append(row | {"val_loss": row["val_mse"], "val_copy_recall": found, "val_precision": found / 2})
            scores.append(job.criterion.so_far(rows))
            reason = job.reason_to_stop(scores, 0)
        return Outcome(1000, scores, rows, reason)


@pytest.fixture
def no_figures(monkeypatch):
    """Leaves out what takes longest."""
    monkeypatch.setattr(report, "write", lambda *_: [])


def config(root, **changes):
    plain = {"dataset": "digits", "trials": 12, "epochs": 3, "mark": ("compact",), "root": root}
    return TuneConfig(**plain | changes)


def without_seconds(tried):
    return [replace(trial, seconds=0) for trial in tried]


def test_each_trial_is_a_run_with_a_record_and_the_best_is_found(small_digits, tmp_path, no_figures):
    worker = StandIn()
    result = tune(config(tmp_path), worker)
    assert result.finished
    assert [trial.name for trial in result.tried] == [f"{number:03}" for number in range(12)]
    assert storage.load(Run(tmp_path, "tuned")) == result.tried
    assert [job.build.run for job in worker.jobs[:2]] == ["tuned/tuning/000", "tuned/tuning/001"]
    for job in worker.jobs:
        assert (job.train.run, job.train.epochs, job.train.seed) == (job.build.run, 3, 0)
    best = trials.winner(result.tried)
    assert best.parameters["filters"] == max(trial.parameters["filters"] for trial in result.tried)
    assert report.tracking(result.table)["score: retrieval"] == pytest.approx(1)
    assert not report.tracking(result.table[:4])  # too few to tell
    # From the sixth on, what is below the median after two epochs is stopped.
    assert {trial.status for trial in result.tried[:5]} == {"finished"}
    stopped = [trial for trial in result.tried if trial.status == "stopped"]
    assert stopped
    assert all(len(trial.scores) == 2 and "below the median" in trial.reason for trial in stopped)


def test_results_are_tables_and_figures(small_digits, tmp_path):
    result = tune(config(tmp_path, trials=7), StandIn(fail={"002": "no memory"}))
    folder = Run(tmp_path, "tuned").reports / "tuning"
    assert {path.parent for path in result.paths} == {folder}
    record = json.loads((folder / "tuning.json").read_text())
    assert record["best"] == trials.winner(result.tried).name
    assert record["by_status"] == {"finished": 6, "failed": 1}
    # As it was made up, the best are best in both.
    assert {result.tried[int(name)].score for name in record["pareto_front"]} == {trials.winner(result.tried).score}
    assert record["rank_correlation_with_precision"]["val_mse"] == pytest.approx(1)
    table = pd.read_csv(folder / "trials.csv", dtype={"trial": str})
    assert list(table["trial"]) == [*(f"{number:03}" for number in range(7)), "compact"]
    assert list(table["marked"]) == [False] * 7 + [True]
    assert table["reason"][2] == "no memory"
    assert table.loc[table["trial"] == "003", "score"].item() == pytest.approx(result.tried[3].score, rel=1e-4)
    for name in ("trade_off", "parameters", "tracking"):
        assert Image.open(folder / f"{name}.png").size[0] > 600
    assert len((folder / "best.png").read_text().splitlines()) == 3
    rows = report.best_rows(result.table)
    assert rows[0]["trial"] == trials.winner(result.tried).name
    assert rows[-1]["trial"] == "compact"


def test_failed_trials_are_recorded_with_their_reason_and_the_search_goes_on(small_digits, tmp_path, no_figures):
    result = tune(config(tmp_path, trials=5), StandIn(fail={"001": "no memory", "004": "NaN"}))
    assert [trial.status for trial in result.tried] == ["finished", "failed", "finished", "finished", "failed"]
    assert [result.tried[number].reason for number in (1, 4)] == ["no memory", "NaN"]
    with pytest.raises(InputError, match="All 2 trials failed; the last one: NaN"):
        tune(config(tmp_path, run="bad", trials=2), StandIn(fail={"000": "no memory", "001": "NaN"}))


@pytest.mark.slow
def test_after_kill_9_a_search_ends_as_if_never_interrupted(small_digits, tmp_path, no_figures):
    straight = tune(config(tmp_path), StandIn())
    killed = config(tmp_path, run="killed")
    program = f"""
import os, signal, sys
from pathlib import Path, PosixPath
from tests.tuning.test_tune import StandIn
from latentsearch.tuning import tune as tuning
from latentsearch.tuning.config import TuneConfig
tuning.tune({killed!r}, StandIn(interrupt=("011", lambda: os.kill(os.getpid(), signal.SIGKILL))))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert len(storage.load(Run(tmp_path, "killed"))) == 11
    with pytest.raises(InputError, match=r"(?s)was searched already.*--run killed.* --resume"):
        tune(killed, StandIn())
    resumed = tune(replace(killed, resume=True), StandIn())
    assert without_seconds(resumed.tried) == without_seconds(straight.tried)


def test_ctrl_c_keeps_the_finished_trials_and_more_can_be_asked_for(small_digits, tmp_path, no_figures):
    def interrupt():
        raise KeyboardInterrupt

    result = tune(config(tmp_path), StandIn(interrupt=("002", interrupt)))
    assert not result.finished
    assert len(result.tried) == 2
    worker = StandIn()
    assert len(tune(config(tmp_path, trials=4, resume=True), worker).tried) == 4
    assert [Path(job.build.run).name for job in worker.jobs] == ["002", "003", "compact"]
    again = StandIn()
    assert len(tune(config(tmp_path, trials=4, resume=True), again).tried) == 4
    assert again.jobs == []


def test_what_was_begun_side_by_side_is_gone_on_with_one_by_one(small_digits, tmp_path, no_figures):
    straight = tune(config(tmp_path), StandIn())
    run = Run(tmp_path, "tuned")
    for name in ("003", "008", "011"):  # as Spark leaves them that is killed: suggested, and no more
        trial = storage.load_one(run, name)
        sampler.save(run, name, Suggestion(trial.parameters, trial.draws))
        run.trial(name).trial_record.unlink()
    worker = StandIn()
    again = tune(config(tmp_path, trials=13, resume=True), worker)
    assert [Path(job.build.run).name for job in worker.jobs] == ["003", "008", "011", "012"]
    assert [trial.draws for trial in again.tried[:12]] == [trial.draws for trial in straight.tried]
    assert [trial.name for trial in again.tried] == [f"{number:03}" for number in range(13)]


def test_without_pyspark_the_flag_says_what_to_install(small_digits, tmp_path, monkeypatch, in_process):
    monkeypatch.setitem(sys.modules, "pyspark", None)
    flags = ("--dataset", "digits", "--shift", 0, "--root", tmp_path, "--spark", "local[2]")
    refused = in_process("TuneAutoencoder.py", *flags)
    assert refused.returncode == 2
    assert "pyspark is not installed.\nInstall what it needs: python -m pip install -r" in refused.stderr
    assert not storage.load(Run(tmp_path, "tuned"))


def test_a_search_of_another_kind_is_refused(small_digits, tmp_path, no_figures):
    tune(config(tmp_path, trials=2), StandIn())
    for changes in ({"objective": "balanced"}, {"epochs": 2}, {"subset": None}, {"seed": 1}, {"latent_dims": (4,)}):
        with pytest.raises(InputError, match=r"(?s)searched with another .*begin anew: .*--overwrite"):
            tune(config(tmp_path, resume=True, **changes), StandIn())
    assert len(tune(config(tmp_path, trials=1, overwrite=True, epochs=2), StandIn()).tried) == 1


def test_patience_ends_a_search_without_progress(small_digits, tmp_path, no_figures):
    tried = tune(config(tmp_path, trials=40, patience=4), StandIn(fail={"003": "x"})).tried
    scores = [trial.score for trial in tried if trial.score is not None]
    assert len(tried) < 40
    assert max(scores[-4:]) <= max(scores[:-4])
    assert max(scores[-4:-1]) <= max(scores[:-4]), "ended too late"
    assert all(max(scores[: end - 4]) < max(scores[end - 4 : end]) for end in range(5, len(scores)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": 0}, "--trials 0"),
        ({"subset": 0}, "--subset 0"),
        ({"patience": 0}, "--patience 0"),
        ({"parallel": 0}, "--parallel 0"),
        ({"parallel": 2}, "--parallel 2: .* with --spark only"),
        ({"latent_dims": (4, 4)}, "--latent-dims 4 4"),
        ({"max_seconds": 0.0}, "--max-seconds 0"),
        ({"shift": 32}, "--shift 32: expected 0 to 31"),
        ({"dataset": "photos"}, "DataPreperation.py"),
        ({"run": "tuned/tuning/000/tuning/1"}, "--run"),
    ],
)
def test_flags_that_cannot_be_are_refused_before_anything_is_written(small_digits, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        tune(config(tmp_path, **changes), StandIn())
    assert not (tmp_path / "models").exists()


def test_the_error_of_the_mean_image_is_that_of_a_loop(small_digits):
    images = data.to_float(small_digits.images)
    mean = images[small_digits.ids("train")].mean(axis=0)
    expected = ((images[small_digits.ids("validation")] - mean) ** 2).mean()
    assert mean_image_error(small_digits) == pytest.approx(expected, rel=1e-5)


class InThisProcess:
    """In the place of a worker: does the work here, where TensorFlow is loaded already."""

    def call(self, function, *arguments, seconds=None):
        try:
            return function(*arguments)
        except InputError as error:
            raise WorkFailed(str(error)) from None


@pytest.mark.slow
def test_a_short_search_on_digits_and_the_run_that_goes_on_from_it(small_digits, tmp_path, script):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from latentsearch.models.build import build_run
    from latentsearch.training import settings
    from latentsearch.training.history import read_history

    flags = ["--dataset", "digits", "--trials", 2, "--epochs", 1, "--subset", 100, "--shift", 0, "--no-flip", "--mark"]
    searched = script("TuneAutoencoder.py", *flags, "--root", tmp_path)
    assert searched.returncode == 0, searched.stderr
    assert "BuildingAutoencoder.py --run tuned" in searched.stdout
    assert "leaked" not in searched.stderr
    tried = storage.load(Run(tmp_path, "tuned"))
    assert [trial.status for trial in tried] == ["finished", "finished"]
    for trial in tried:
        run = Run(tmp_path, f"tuned/tuning/{trial.name}")
        assert run.best_model.stat().st_size
        assert trial.score == pytest.approx(trial.scores[0])
        summaries = EventAccumulator(str(run.logs)).Reload()
        assert {"_hparams_/session_start_info", "trial/score"} <= set(summaries.summary_metadata)
        assert read_history(run)["val_effective_rank"].between(1, 10).all()
    assert Image.open(tmp_path / "reports" / "tuned" / "tuning" / "best.png").size[0] > 600
    with pytest.raises(InputError, match=r"All 1 trials failed.*weights, more than --max-weights 1000"):
        tune(config(tmp_path, run="small", trials=1, max_weights=1000), InThisProcess())

    best = trials.winner(tried)
    built = build_run(*from_trial.resolve(BuildConfig(run="tuned", from_trial="best", root=tmp_path)))
    assert built.num_weights == best.num_weights
    # Its training has the settings of the trial's, and leaves the trials alone.
    run = Run(tmp_path, "tuned")
    chosen = settings.choose(
        TrainConfig(run="tuned", root=tmp_path), run, small_digits, records.read_build(run).recipe, searched=True
    )
    searched = json.loads(Run(tmp_path, f"tuned/tuning/{best.name}").training_record.read_text())["settings"]
    expected = {name: best.parameters[name] for name in ("batch_size", "learning_rate", "optimizer")}
    expected |= {"shift": 0, "flip": False}
    assert {name: getattr(chosen, name) for name in expected} == expected
    assert {name: searched[name] for name in expected} == expected | {"batch_size": min(expected["batch_size"], 100)}
    assert not run.own_events()  # which a training replaces
    assert Run(tmp_path, "tuned/tuning/000").logs.exists()
    assert storage.load(run) == tried
