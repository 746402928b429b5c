"""The search for settings: hyperopt suggests, a process beside this one trains, each trial is a record on disk."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from hyperopt.base import JOB_STATE_DONE, trials_from_docs
from hyperopt.early_stop import no_progress_loss
from tqdm import tqdm

from latentsearch import baselines, datasets, runs, trials, tuning_report
from latentsearch.config import BuildConfig, TrainConfig
from latentsearch.datasets import ImageSet
from latentsearch.errors import InputError
from latentsearch.recipes import RECIPES, Recipe
from latentsearch.runs import TUNING, Run
from latentsearch.space import Space, suggest
from latentsearch.trials import Job, Outcome, Search, Trial
from latentsearch.tune_config import TuneConfig
from latentsearch.worker import Worker, WorkFailed


class Calls(Protocol):
    """What does the work of a search: a `worker.Worker`."""

    def call(self, function: Callable[..., Any], *arguments: Any, seconds: float | None = None) -> Any:
        """See `worker.Worker.call`."""


@dataclass(frozen=True)
class TuningResult:
    """What a search left behind.

    Args:
        run: That was searched for.
        tried: The trials, in order.
        table: See `tuning_report.as_table`; empty if the search was interrupted.
        paths: Files with the results.
        finished: False when it was interrupted.
    """

    run: Run
    tried: list[Trial]
    table: pd.DataFrame
    paths: list[Path]
    finished: bool


def tune(config: TuneConfig, worker: Calls | None = None) -> TuningResult:
    """Searches for settings, or goes on with a search, and writes what it found.

    Args:
        config: The flags.
        worker: Does the work; default: a process that is started, and ended with the search.

    Raises:
        InputError: if a flag or the dataset cannot be used, the run holds another search, or all trials failed.
    """
    if worker is None:
        with Worker(prepare, Run(config.root, config.run).tuning / "worker.log") as process:
            return tune(config, process)
    run, dataset = Run(config.root, config.run), datasets.load(config.root, config.dataset)
    _check(config, dataset)
    space = Space(latent_dim=config.latent_dims)
    search = Search(
        objective=config.objective,
        dataset=config.dataset,
        fingerprint=dataset.fingerprint,
        epochs=config.epochs,
        subset=config.subset,
        shift=config.shift,
        flip=config.flip,
        seed=config.seed,
        max_seconds=config.max_seconds,
        max_weights=config.max_weights,
        space=json.loads(json.dumps(asdict(space))),
        mean_mse=baselines.mean_image_error(dataset),
    )
    tried = _begin_or_go_on(config, run, search)
    progress = tqdm(desc="trials", total=config.trials, initial=len(tried), unit="trial")
    try:
        while len(tried) < config.trials and not _without_progress(tried, config.patience):
            suggestion = suggest(space, [(trial.draws, _loss(trial)) for trial in tried], seed=config.seed)
            network, recipe = trials.network_and_recipe(suggestion.parameters, shift=config.shift, flip=config.flip)
            name, latent_dim = f"{len(tried):03}", suggestion.parameters["latent_dim"]
            build = BuildConfig(architecture="custom", network=network, latent_dim=latent_dim)
            job = _job(
                config,
                search,
                name,
                build=build,
                recipe=recipe,
                parameters=suggestion.parameters,
                medians=trials.medians(tried),
            )
            trial = _try(worker, name, job, suggestion.draws)
            trials.save(run, trial)
            tried.append(trial)
            _tell(progress, trial, tried)
        if trials.winner(tried) is None:
            raise InputError(f"All {len(tried)} trials failed; the last one: {tried[-1].reason}")
        marked = [_marked(config, search, run, worker, architecture) for architecture in config.mark]
        table = tuning_report.as_table(search, tried, marked)
        paths = tuning_report.write(run, search, table)
        titles = tuning_report.titles(tried)
        paths.append(worker.call(compare, run.reports / TUNING / "best.png", run, titles))
    except KeyboardInterrupt:
        return TuningResult(run, tried, pd.DataFrame(), [], finished=False)
    except WorkFailed as failure:
        raise InputError(f"The figure of the best trials could not be drawn: {failure}") from None
    finally:
        progress.close()
    return TuningResult(run, tried, table, paths, finished=True)


def resume_command(config: TuneConfig) -> str:
    """The command that goes on with a search, for messages."""
    return runs.command_line(trials.SCRIPT, dataclasses.replace(config, resume=True, overwrite=False))


def prepare() -> None:
    """Imports TensorFlow, in the process that trains alone."""
    import latentsearch.trial_training  # noqa: F401

    # The default lock is one between processes, which a process that is killed cannot give back.
    tqdm.set_lock(threading.RLock())


def train(job: Job) -> Outcome:
    """See `trial_training.train_trial`."""
    from latentsearch.trial_training import train_trial

    return train_trial(job)


def compare(path: Path, run: Run, titles: dict[str, str]) -> Path:
    """See `trial_pictures.write_comparison`."""
    from latentsearch.trial_pictures import write_comparison

    return write_comparison(path, run, titles)


def _check(config: TuneConfig, dataset: ImageSet) -> None:
    """Refuses what would make every trial fail.

    Raises:
        InputError: if a flag has a value that cannot be, or the dataset is too small.
    """
    counts = {"trials": config.trials, "epochs": config.epochs, "max-weights": config.max_weights}
    counts |= {"subset": config.subset, "patience": config.patience}
    for flag, value in counts.items():
        if value is not None and value < 1:
            raise InputError(f"--{flag} {value}: expected at least 1.")
    if not config.latent_dims or min(config.latent_dims) < 1 or len(set(config.latent_dims)) < len(config.latent_dims):
        given = " ".join(map(str, config.latent_dims))
        raise InputError(f"--latent-dims {given}: expected different numbers, each at least 1.")
    if not 0 < config.max_seconds < np.inf:
        raise InputError(f"--max-seconds {config.max_seconds:g}: expected more than 0.")
    side = min(dataset.image_shape[:2])
    if not 0 <= config.shift < side:
        raise InputError(f"--shift {config.shift}: expected 0 to {side - 1} pixels.")
    if len(dataset.ids("validation")) < 2:
        raise InputError(
            f"dataset '{dataset.name}' has one validation image, and trials are compared by how validation images are "
            "found. Prepare it again with a larger --validation-fraction."
        )


def _begin_or_go_on(config: TuneConfig, run: Run, search: Search) -> list[Trial]:
    """The trials so far.

    Raises:
        InputError: if there is a search and it is not to be gone on with, or is another one.
    """
    anew = runs.command_line(trials.SCRIPT, dataclasses.replace(config, resume=False, overwrite=True))
    if (run.tuning / "search.json").exists() and not config.overwrite:
        before = trials.load_search(run)
        for name, now in asdict(search).items():
            then = getattr(before, name)
            if name != "mean_mse" and now != then:
                raise InputError(
                    f"run '{run.name}' was searched with another {name}: it was {then}, is {now}.\n"
                    f"To begin anew: {anew}\nTo keep that search, name another run with --run."
                )
        if not config.resume:
            raise InputError(
                f"run '{run.name}' was searched already.\nTo go on: {resume_command(config)}\nTo begin anew: {anew}"
            )
        return trials.load(run)
    runs.remove(run.tuning, run.logs / TUNING, run.reports / TUNING)
    trials.save_search(run, search)
    return []


def _without_progress(tried: Sequence[Trial], patience: int | None) -> bool:
    """Whether so many trials in a row were no better than the best before them; failed ones do not count."""
    losses = [_loss(trial) for trial in tried if trial.score is not None]
    if patience is None or not losses:
        return False
    stop, stopped, progress = no_progress_loss(patience), False, [losses[0], 0]
    for loss in losses[1:]:
        last = {"tid": 0, "state": JOB_STATE_DONE, "result": {"loss": loss}}  # of a search, it looks at the last
        stopped, progress = stop(trials_from_docs([last], validate=False), *progress)
    return stopped


def _loss(trial: Trial) -> float | None:
    return None if trial.score is None else -trial.score


def _job(
    config: TuneConfig,
    search: Search,
    name: str,
    *,
    build: BuildConfig,
    recipe: Recipe,
    parameters: Mapping[str, Any],
    medians: Sequence[float] = (),
) -> Job:
    run = Run(config.root, config.run).trial(name).name
    common = {"run": run, "seed": config.seed, "root": config.root}
    return Job(
        build=dataclasses.replace(build, dataset=config.dataset, overwrite=True, **common),
        recipe=recipe,
        train=TrainConfig(epochs=config.epochs, subset=config.subset, pictures_every=config.epochs, **common),
        criterion=search.criterion(build.latent_dim),
        medians=medians,
        max_seconds=config.max_seconds,
        max_weights=config.max_weights,
        parameters=parameters,
    )


def _try(worker: Calls, name: str, job: Job, draws: dict[str, list[Any]]) -> Trial:
    """Does a job, and says what came of it, whatever that is."""
    begin = time.monotonic()

    def trial(status: Any, reason: str, **measured: Any) -> Trial:
        seconds = round(time.monotonic() - begin, 3)
        return Trial(
            name=name, status=status, reason=reason, parameters=dict(job.parameters), draws=draws, seconds=seconds,
            **measured,
        )  # fmt: skip

    try:
        outcome: Outcome = worker.call(train, job, seconds=2 * job.max_seconds)
    except WorkFailed as failure:
        return trial("failed", str(failure))
    measured = {"num_weights": outcome.num_weights, "scores": outcome.scores, "history": outcome.history}
    return trial("stopped" if outcome.reason else "finished", outcome.reason, **measured)


def _marked(config: TuneConfig, search: Search, run: Run, worker: Calls, architecture: Any) -> Trial:
    """An architecture trained by its recipe as a trial would be, or the record of that."""
    if run.trial(architecture).trial_record.exists():
        return trials.load_one(run, architecture)
    recipe = dataclasses.replace(RECIPES[architecture], shift=config.shift, flip=config.flip)
    build = BuildConfig(architecture=architecture, latent_dim=config.latent_dims[0])
    trial = _try(
        worker, architecture, _job(config, search, architecture, build=build, recipe=recipe, parameters={}), {}
    )
    trials.save(run, trial)
    return trial


def _tell(progress: tqdm, trial: Trial, tried: Sequence[Trial]) -> None:
    score = f", score {trial.score:.4f}" if trial.score is not None else ""
    reason = f" ({trial.reason})" if trial.reason else ""
    progress.write(f"trial {trial.name}: {trial.status}{reason}{score}, {trial.seconds:.0f} s")
    best = trials.winner(tried)
    if best:
        progress.set_postfix_str(f"best {best.score:.4f} (trial {best.name})", refresh=False)
    progress.update()
