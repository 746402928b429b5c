"""A search with parallel trials on a Spark cluster, by hyperopt's SparkTrials."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import platform
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hyperopt import JOB_STATE_ERROR, STATUS_FAIL, STATUS_OK, SparkTrials, Trials, fmin, hp
from hyperopt.base import Domain
from hyperopt.exceptions import AllTrialsFailed

from latentsearch import locks, runs, spark
from latentsearch.errors import InputError, NoRoom
from latentsearch.runs import Run
from latentsearch.tuning import sampler, storage, study, trials
from latentsearch.tuning.sampler import Suggestion
from latentsearch.tuning.study import Study
from latentsearch.tuning.trials import Draws, Job, Trial
from latentsearch.tuning.worker import Worker

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NUMBER = "number"  # of the trial, as one more of hyperopt's parameters: the function that is tried gets no other word
_MAX_NUMBER = 2**31 - 1


class Objective:
    """The function that hyperopt minimises. Spark sends it to an executor, which trains a trial and records it.

    Args:
        run: The run of the search.

    Attributes:
        jobs: Job and draws of each trial, by name. It is replaced as a whole, not changed: threads pickle
            it meanwhile.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.jobs: dict[str, tuple[Job, Draws]] = {}

    def __call__(self, drawn: dict[str, Any]) -> dict[str, Any]:
        """Train the trial of this number, unless that was done: Spark may call twice when it loses an executor."""
        name = f"{drawn[_NUMBER]:03}"
        job, draws = self.jobs[name]
        if not spark.sees(str(self._run.tuning)):
            raise InputError(f"{platform.node()} does not see {self._run.tuning}.")
        with locks.locked(self._run.tuning / f"{name}.lock", f"trial {name}", wait=True):
            if self._run.trial(name).trial_record.exists():
                trial = storage.load_one(self._run, name)
            else:
                with Worker(study.prepare, self._run.tuning / f"{name}.log") as worker:
                    trial = study.attempt(worker, name, job, draws)
                storage.save(self._run, trial)
        return {"status": STATUS_FAIL} if trial.loss is None else {"status": STATUS_OK, "loss": trial.loss}


class SideBySide:
    """A mediator between hyperopt, which asks for suggestions, and the records on disk, which the executors write.

    Args:
        study: The search under way.
        session: The session with Spark.
    """

    def __init__(self, study: Study, session: SparkSession) -> None:
        self._study, self._session, self._run = study, session, study.run
        self._running: dict[str, Suggestion] = {}
        self.objective = Objective(study.run)
        wanted = study.config.parallel or session.sparkContext.defaultParallelism
        self.spark_trials = SparkTrials(min(wanted, SparkTrials.MAX_CONCURRENT_JOBS_ALLOWED), spark_session=session)

    def suggest(self, new_ids: list[int], domain: Domain, spark_trials: Trials, seed: int) -> list[dict[str, Any]]:
        """Suggest the next trial to hyperopt, by `Study.upcoming`; nothing when the search is over."""
        self.look()
        if self._study.is_over:
            return []
        name, suggestion, job = self._study.upcoming(self._running)
        sampler.save(self._run, name, suggestion)
        self._running[name] = suggestion
        self.objective.jobs = {**self.objective.jobs, name: (job, suggestion.draws)}
        [tid] = new_ids
        values = suggestion.draws | {_NUMBER: [int(name)]}
        idxs = {label: [tid] * len(drawn) for label, drawn in values.items()}
        misc = {"tid": tid, "cmd": domain.cmd, "workdir": domain.workdir, "idxs": idxs, "vals": values}
        docs: list[dict[str, Any]] = spark_trials.new_trial_docs([tid], [None], [domain.new_result()], [misc])
        return docs

    def look(self) -> None:
        """Add the trials that have ended since the last look, and record those that Spark gave up.

        Raises:
            InputError: if Spark itself has ended, or the disk is full.
        """
        given_up = {
            f"{doc['misc']['vals'][_NUMBER][0]:03}": doc["misc"]["error"][1]
            for doc in self.spark_trials._dynamic_trials
            if doc["state"] == JOB_STATE_ERROR
        }
        for name in list(self._running):
            if not self._run.trial(name).trial_record.exists():
                if name not in given_up:
                    continue
                if spark.has_ended(self._session):
                    again = runs.command_line(
                        trials.SCRIPT, dataclasses.replace(self._study.config, resume=True, overwrite=False)
                    )
                    raise InputError(f"Spark has ended ({self._run.models / 'spark.log'}). To go on: {again}")
                full = re.search(r"NoRoom: (.+)", given_up[name] or "", re.DOTALL)
                if full:
                    raise NoRoom(full[1].strip())
                storage.save(self._run, self._failed(name, given_up[name]))
            del self._running[name]
            self._study.add(storage.load_one(self._run, name))

    def _failed(self, name: str, trace: str | None) -> Trial:
        reason = (
            f"on an executor: {trace.strip().splitlines()[-1]}"
            if trace
            else ("its executor ended, and so did those that tried it again; see spark.log")
        )
        job, draws = self.objective.jobs[name]
        return Trial(name=name, status="failed", reason=reason, parameters=job.parameters, draws=draws, seconds=0.0)

    @contextlib.contextmanager
    def watched(self, initial: int, total: int) -> Iterator[SimpleNamespace]:
        """Replace hyperopt's progress bar: look when trials have ended."""
        yield SimpleNamespace(update=lambda count: self.look(), postfix="")


def side_by_side(study: Study, session: SparkSession) -> None:
    """Try suggestions, several at a time, until the search is over.

    Raises:
        InputError: if the executors do not see the folder of the run, or Spark ends.
    """
    if study.is_over:
        return
    spark.check_shared(session, study.run.tuning / "search.json")
    logging.getLogger("hyperopt-spark").setLevel(logging.CRITICAL)  # what it says is in the records
    both = SideBySide(study, session)
    with contextlib.suppress(AllTrialsFailed):
        fmin(
            both.objective,
            study.space.expression() | {_NUMBER: hp.randint(_NUMBER, _MAX_NUMBER)},
            algo=both.suggest,
            max_evals=study.config.trials - len(study.tried),
            trials=both.spark_trials,
            return_argmin=False,
            show_progressbar=both.watched,
        )
    both.look()
