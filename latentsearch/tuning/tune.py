"""The search for settings: hyperopt suggests, a process beside this one trains, each trial is a record on disk."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from latentsearch import data, files, locks, runs, spark
from latentsearch.config import BuildConfig
from latentsearch.data import ImageSet
from latentsearch.errors import InputError
from latentsearch.metrics import enough_queries, too_few
from latentsearch.recipes import RECIPES, Architecture
from latentsearch.runs import TUNING, Run
from latentsearch.text import printable
from latentsearch.tuning import report, spark_trials, storage, trials
from latentsearch.tuning.config import TuneConfig
from latentsearch.tuning.figures import write_comparison
from latentsearch.tuning.objective import mean_image_error
from latentsearch.tuning.space import Space
from latentsearch.tuning.study import Calls, Study, attempt, prepare
from latentsearch.tuning.trials import Search, Trial
from latentsearch.tuning.worker import Worker, WorkFailed

# TensorFlow keeps some of the memory of each training: 24 trials on CIFAR-10 took 6 GB in one process.
_TRIALS_A_PROCESS = 4


@dataclass(frozen=True)
class TuningResult:
    """The result of a search.

    Args:
        run: The run of the search.
        tried: The trials, in order.
        table: See `report.as_table`; empty if the search was interrupted.
        paths: Files with the results.
        finished: Whether it was not interrupted.
    """

    run: Run
    tried: list[Trial]
    table: pd.DataFrame
    paths: list[Path]
    finished: bool


def tune(config: TuneConfig, worker: Calls | None = None) -> TuningResult:
    """Search for settings, or go on with a search, and write the results.

    Args:
        config: The flags.
        worker: Process that does the work. Default: one that is started, and ended with the search.

    Raises:
        InputError: if a flag or the dataset cannot be used, the run holds another search, or all trials failed.
    """
    if worker is None:
        log = Run(config.root, config.run).tuning / "worker.log"
        with Worker(prepare, log, calls=_TRIALS_A_PROCESS) as process:
            return tune(config, process)
    given = config.root
    config = dataclasses.replace(config, root=given.absolute())  # as other machines are to see it
    run, dataset = Run(config.root, config.run), data.load(config.root, config.dataset)
    _check(config, dataset)
    space = Space(latent_dim=config.latent_dims, architecture=config.architecture)
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
        space=space,
        mean_mse=mean_image_error(dataset),
    )
    if not enough_queries(held_out := len(dataset.ids("validation"))):
        print(f"{too_few(held_out, 'validation image')} Scores that go by it are a matter of chance.")
    spark_session = spark.session(config.spark, run.models / "spark.log") if config.spark else contextlib.nullcontext()
    busy = locks.locked(run.tuning / ".lock", f"the search of run '{run.name}'")
    with spark_session as session, busy:
        tried = _begin_or_go_on(config, run, search)
        with tqdm(desc="trials", total=config.trials, initial=len(tried), unit="trial") as progress:
            study = Study(config, search, space, run, tried, lambda trial: _tell(progress, trial, tried))
            try:
                if session is None:
                    _one_by_one(study, worker)
                else:
                    spark_trials.side_by_side(study, session)
                result = _result(study, worker)
                paths = [given / path.relative_to(config.root) for path in result.paths]
                return dataclasses.replace(result, run=Run(given, config.run), paths=paths)
            except KeyboardInterrupt:
                return TuningResult(run, tried, pd.DataFrame(), [], finished=False)


def resume_command(config: TuneConfig) -> str:
    """Return the command that goes on with a search, for messages."""
    return runs.command_line(trials.SCRIPT, dataclasses.replace(config, resume=True, overwrite=False))


def _one_by_one(study: Study, worker: Calls) -> None:
    """Try one suggestion after the other."""
    while not study.is_over:
        name, suggestion, job = study.upcoming()
        trial = attempt(worker, name, job, suggestion.draws)
        storage.save(study.run, trial)
        study.add(trial)


def _result(study: Study, worker: Calls) -> TuningResult:
    """Train the marked architectures, and write tables and figures.

    Raises:
        InputError: if all trials failed, or a figure cannot be drawn.
    """
    run, tried = study.run, study.tried
    if trials.winner(tried) is None:
        raise InputError(f"All {len(tried)} trials failed; the last one: {tried[-1].reason}")
    marked = [_marked(study, worker, architecture) for architecture in study.config.mark]
    table = report.as_table(study.search, tried, marked)
    paths = report.write(run, study.search, table)
    try:
        paths.append(worker.call(write_comparison, run.reports / TUNING / "best.png", run, report.titles(tried)))
    except WorkFailed as failure:
        raise InputError(f"The figure of the best trials could not be drawn: {failure}") from None
    return TuningResult(run, tried, table, paths, finished=True)


def _check(config: TuneConfig, dataset: ImageSet) -> None:
    """Refuse flags that would make every trial fail.

    Raises:
        InputError: if a flag has a value that cannot be, or the dataset is too small.
    """
    counts: dict[str, int | None] = {"trials": config.trials, "epochs": config.epochs}
    counts |= {"max-weights": config.max_weights, "subset": config.subset}
    counts |= {"patience": config.patience, "parallel": config.parallel}
    for flag, value in counts.items():
        if value is not None and value < 1:
            raise InputError(f"--{flag} {value}: expected at least 1.")
    if config.parallel and not config.spark:
        raise InputError(f"--parallel {config.parallel}: trials run beside each other with --spark only. Add it.")
    if not config.latent_dims or min(config.latent_dims) < 1 or len(set(config.latent_dims)) < len(config.latent_dims):
        given = " ".join(map(str, config.latent_dims))
        raise InputError(f"--latent-dims {given}: expected different numbers, each at least 1.")
    if config.objective == "kinds" and config.architecture != "kind-look":
        raise InputError("--objective kinds: it needs two codes. Add --architecture kind-look.")
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
    """Begin a search, or return the trials of the one to go on with.

    Raises:
        InputError: if there is a search and --resume is off, or it is another one.
    """
    anew = runs.command_line(trials.SCRIPT, dataclasses.replace(config, resume=False, overwrite=True))
    if (run.tuning / "search.json").exists() and not config.overwrite:
        before = storage.load_search(run)
        for name in (field.name for field in dataclasses.fields(Search) if field.compare):
            then, now = getattr(before, name), getattr(search, name)
            if now != then:
                raise InputError(
                    f"run '{run.name}' was searched with another {name}: it was {then}, is {now}.\n"
                    f"To begin anew: {anew}\nTo keep that search, name another run with --run."
                )
        if not config.resume:
            raise InputError(
                f"run '{run.name}' was searched already.\nTo go on: {resume_command(config)}\nTo begin anew: {anew}"
            )
        return storage.load(run)
    files.check_removable(*_parts_of(run), within=run.root)
    with storage.saving_search(run, search):  # on disk before what it replaces goes
        files.remove(*_parts_of(run), within=run.root)
    return []


def _parts_of(run: Run) -> list[Path]:
    """List the trials of a run, with their logs and reports, without the records of the search itself and its lock."""
    kept = (".lock", "search.json", "worker.log")
    return [*files.written(run.tuning, but=kept), run.logs / TUNING, run.reports / TUNING]


def _marked(study: Study, worker: Calls, architecture: Architecture) -> Trial:
    """Train an architecture by its recipe as a trial, or read the record of that."""
    config, run = study.config, study.run
    if run.trial(architecture).trial_record.exists():
        return storage.load_one(run, architecture)
    recipe = dataclasses.replace(RECIPES[architecture], shift=config.shift, flip=config.flip)
    build = BuildConfig(architecture=architecture, latent_dim=config.latent_dims[0])
    job = study.job(architecture, build=build, recipe=recipe, parameters={})
    trial = attempt(worker, architecture, job, {})
    storage.save(run, trial)
    return trial


def _tell(progress: tqdm[Any], trial: Trial, tried: Sequence[Trial]) -> None:
    score = f", score {trial.score:.4f}" if trial.score is not None else ""
    reason = f" ({printable(trial.reason)})" if trial.reason else ""
    progress.write(f"trial {trial.name}: {trial.status}{reason}{score}, {trial.seconds:.0f} s")
    best = trials.winner(tried)
    if best:
        progress.set_postfix_str(f"best {best.score:.4f} (trial {best.name})", refresh=False)
    progress.update()
