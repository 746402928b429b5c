"""A search under way: the job of its next trial, and the record of the outcome."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from hyperopt.base import JOB_STATE_DONE, trials_from_docs
from hyperopt.early_stop import no_progress_loss
from tqdm import tqdm

from latentsearch.config import BuildConfig, TrainConfig
from latentsearch.recipes import Recipe
from latentsearch.runs import Run
from latentsearch.tuning import from_trial, sampler, trials
from latentsearch.tuning.config import TuneConfig
from latentsearch.tuning.sampler import Suggestion
from latentsearch.tuning.space import Space
from latentsearch.tuning.trials import Draws, Job, Outcome, Parameters, Search, Trial
from latentsearch.tuning.worker import WorkFailed


class Calls(Protocol):
    """A process that does the work of a search, such as a `worker.Worker`."""

    def call(self, function: Callable[..., Any], *arguments: Any, seconds: float | None = None) -> Any:
        """See `worker.Worker.call`."""


@dataclass(frozen=True)
class Study:
    """A search under way.

    Args:
        config: The flags.
        search: Settings of the search.
        space: Space of the suggestions.
        run: The run of the search.
        tried: The trials that have ended, in order.
        tell: Function that is called with each trial that has ended.
    """

    config: TuneConfig
    search: Search
    space: Space
    run: Run
    tried: list[Trial]
    tell: Callable[[Trial], None]

    @property
    def is_over(self) -> bool:
        """Whether there are as many trials as asked for, or there has been no progress for too long."""
        return len(self.tried) >= self.config.trials or without_progress(self.tried, self.config.patience)

    def upcoming(self, running: Mapping[str, Suggestion] | None = None) -> tuple[str, Suggestion, Job]:
        """Return name, suggestion and job of the next trial; see `sampler.upcoming`."""
        seed = self.config.seed
        name, suggestion = sampler.upcoming(self.run, self.space, self.tried, seed=seed, running=running)
        parameters = suggestion.parameters
        config = self.config
        network, recipe = from_trial.network_and_recipe(
            parameters, shift=config.shift, flip=config.flip, architecture=config.architecture
        )
        build = BuildConfig(architecture=config.architecture, network=network, latent_dim=parameters["latent_dim"])
        medians = trials.medians(self.tried)
        return name, suggestion, self.job(name, build=build, recipe=recipe, parameters=parameters, medians=medians)

    def job(
        self,
        name: str,
        *,
        build: BuildConfig,
        recipe: Recipe,
        parameters: Parameters,
        medians: Sequence[float] = (),
    ) -> Job:
        """Make the job that trains an architecture as a trial of this name; see `trials.Job` for the arguments."""
        config, run = self.config, self.run.trial(name).name
        return Job(
            build=dataclasses.replace(
                build, run=run, dataset=config.dataset, seed=config.seed, overwrite=True, root=config.root
            ),
            recipe=recipe,
            train=TrainConfig(
                run=run,
                epochs=config.epochs,
                subset=config.subset,
                seed=config.seed,
                pictures_every=config.epochs,
                root=config.root,
            ),
            epochs=config.epochs,
            criterion=self.search.criterion(build.latent_dim, recipe.keep),
            medians=medians,
            max_seconds=config.max_seconds,
            max_weights=config.max_weights,
            parameters=parameters,
        )

    def add(self, trial: Trial) -> None:
        """Add a trial that has ended and whose record is written."""
        self.tried.append(trial)
        self.tried.sort(key=lambda trial: int(trial.name))
        self.tell(trial)


def prepare() -> None:
    """Import TensorFlow, in the process that trains alone."""
    import latentsearch.tuning.trial_training  # noqa: F401

    # The default lock is one between processes, which a process that is killed cannot give back.
    tqdm.set_lock(threading.RLock())


def train(job: Job) -> Outcome:
    """See `trial_training.train_trial`."""
    from latentsearch.tuning.trial_training import train_trial

    return train_trial(job)


def attempt(worker: Calls, name: str, job: Job, draws: Draws) -> Trial:
    """Do a job, and return its trial, failed ones too."""
    begin = time.monotonic()

    def trial(status: Literal["finished", "stopped", "failed"], reason: str, **measured: Any) -> Trial:
        seconds = round(time.monotonic() - begin, 3)
        return Trial(
            name=name, status=status, reason=reason, parameters=job.parameters, draws=draws, seconds=seconds,
            keep=job.criterion.keep, **measured,
        )  # fmt: skip

    try:
        outcome: Outcome = worker.call(train, job, seconds=2 * job.max_seconds)
    except WorkFailed as failure:
        return trial("failed", str(failure))
    measured = {"num_weights": outcome.num_weights, "scores": outcome.scores, "history": outcome.history}
    return trial("stopped" if outcome.reason else "finished", outcome.reason, **measured)


def without_progress(tried: Sequence[Trial], patience: int | None) -> bool:
    """Tell whether the last `patience` trials were no better than the best before them; failed ones do not count."""
    losses = [trial.loss for trial in tried if trial.loss is not None]
    if patience is None or not losses:
        return False
    stop, stopped, progress = no_progress_loss(patience), False, [losses[0], 0]
    for loss in losses[1:]:
        last = {"tid": 0, "state": JOB_STATE_DONE, "result": {"loss": loss}}  # of a search, it looks at the last
        stopped, progress = stop(trials_from_docs([last], validate=False), *progress)
    return stopped
