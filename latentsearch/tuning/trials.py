"""Trials of a search for settings, and the search itself, as records on disk; and how a trial becomes a run."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from latentsearch import environment, files
from latentsearch.config import BuildConfig, Goal, Searched, TrainConfig
from latentsearch.errors import InputError
from latentsearch.recipes import RECIPES, Keep, Network, Recipe
from latentsearch.runs import Run
from latentsearch.tuning.objective import Criterion, kept

SCRIPT = "TuneAutoencoder.py"
# What may be in `Trial.parameters`: fields of Network and Recipe, and the numbers in a code.
PARAMETERS = ("latent_dim", "filters", "depth", "dense_units", "activation", "normalisation", "batch_size", "optimizer")
PARAMETERS += ("learning_rate", "similarity_weight", "temperature", "projection")
PARAMETERS += ("views", "view_side", "neighbours", "neighbours_from")
_MIN_TRIALS, _MIN_EPOCHS = 5, 2  # before trials are measured against the median of others


@dataclass(frozen=True, kw_only=True)
class Search:
    """All that decides what a search tries and how it scores it.

    Args:
        objective: What is sought.
        dataset: Name of the images.
        fingerprint: Of the images.
        epochs: Of each trial.
        subset: Training images of each trial, at most; None: all.
        shift: Of every trial.
        flip: Of every trial.
        seed: Of suggestions and trainings.
        max_seconds: Of a trial.
        max_weights: Of a network.
        space: Fields of `space.Space`, as JSON knows them.
        mean_mse: See `criteria.Criterion`; it follows from the images.
    """

    objective: Goal
    dataset: str
    fingerprint: str
    epochs: int
    subset: int | None
    shift: int
    flip: bool
    seed: int
    max_seconds: float
    max_weights: int
    space: Mapping[str, Any]
    mean_mse: float = field(compare=False)

    @property
    def architecture(self) -> Searched:
        """What is searched; an older latentsearch knew custom alone."""
        return self.space.get("architecture", "custom")

    def criterion(self, latent_dim: int, keep: Keep = "best") -> Criterion:
        """What scores a trial whose codes have `latent_dim` numbers, and which keeps the weights of this epoch."""
        return Criterion(self.objective, self.mean_mse, latent_dim, keep)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One finished trial: what was tried and what came of it.

    Args:
        name: Its number, such as 003, or the name of an architecture that is marked.
        status: "finished"; "stopped" after some epochs, as too slow or hopeless; or "failed": nothing was measured.
        reason: Why it was stopped or failed, else "".
        parameters: See `space.Suggestion`.
        draws: See `space.Suggestion`.
        seconds: That it took.
        num_weights: Of the network; None where there was none.
        scores: After each epoch, of the weights kept by then.
        history: Measures of each epoch.
        keep: Which epoch's weights it kept.
    """

    name: str
    status: Literal["finished", "stopped", "failed"]
    reason: str
    parameters: dict[str, Any]
    draws: dict[str, list[Any]]
    seconds: float
    num_weights: int | None = None
    scores: list[float] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    keep: Keep = "best"

    @property
    def score(self) -> float | None:
        """The score of the weights that were kept, None of a failed trial."""
        return self.scores[-1] if self.scores else None

    @property
    def loss(self) -> float | None:
        """What is minimised: the score with its sign turned."""
        return None if self.score is None else -self.score

    @property
    def best(self) -> Mapping[str, float]:
        """Measures of the epoch whose weights were kept; of a failed trial, none."""
        return kept(self.history, self.keep) if self.history else {}


@dataclass(frozen=True)
class Job:
    """What the training of a trial needs to know.

    Args:
        build: Of the untrained network.
        recipe: How it is trained.
        train: Likewise.
        criterion: What scores it.
        medians: Scores after each epoch that it should not stay below from the second on; empty without a rule.
        max_seconds: It ends after the epoch in which it takes longer.
        max_weights: It does not begin with more.
        parameters: To be shown beside the result.
    """

    build: BuildConfig
    recipe: Recipe
    train: TrainConfig
    criterion: Criterion
    medians: Sequence[float]
    max_seconds: float
    max_weights: int
    parameters: Mapping[str, Any]

    def reason_to_stop(self, scores: Sequence[float], seconds: float) -> str:
        """Why the training should end after these epochs, or "".

        Args:
            scores: After each epoch so far.
            seconds: Since it began.
        """
        done, epochs = len(scores), self.train.epochs
        if done >= epochs:
            return ""
        if seconds > self.max_seconds:
            return f"more than {self.max_seconds:g} seconds after {done} of {epochs} epochs"
        if _MIN_EPOCHS <= done <= len(self.medians) and scores[-1] < self.medians[done - 1]:
            return f"below the median after {done} of {epochs} epochs: {scores[-1]:.3f} < {self.medians[done - 1]:.3f}"
        return ""


@dataclass(frozen=True)
class Outcome:
    """What came of a training.

    Args:
        num_weights: Of the network.
        scores: After each epoch, of the weights kept by then.
        history: Measures of each epoch.
        reason: Why it was ended before its last epoch, or "".
    """

    num_weights: int
    scores: list[float]
    history: list[dict[str, float]]
    reason: str


def medians(tried: Sequence[Trial]) -> list[float]:
    """Median score of the trials after each epoch, as far as at least five came; empty before five have finished.

    Stopped trials count as far as they came: of those that went on alone, the median would rise with every trial.
    """
    if sum(trial.status == "finished" for trial in tried) < _MIN_TRIALS:
        return []
    longest = max(len(trial.scores) for trial in tried)
    reached = ([trial.scores[epoch] for trial in tried if len(trial.scores) > epoch] for epoch in range(longest))
    return [median(scores) for scores in reached if len(scores) >= _MIN_TRIALS]


def network_and_recipe(
    parameters: Mapping[str, Any], *, shift: int, flip: bool, architecture: Searched = "custom"
) -> tuple[Network, Recipe]:
    """What a trial builds and how it trains it.

    Args:
        parameters: See `space.Suggestion`.
        architecture: That is searched.
        shift: Of the search.
        flip: Of the search.
    """
    network, recipe = (
        {field.name: parameters[field.name] for field in dataclasses.fields(kind) if field.name in parameters}
        for kind in (Network, Recipe)
    )
    if architecture == "kind-look":
        return Network(), dataclasses.replace(RECIPES[architecture], **recipe, shift=shift, flip=flip)
    return Network(**network), Recipe(**recipe, schedule="cosine", shift=shift, flip=flip)


def save(run: Run, trial: Trial) -> None:
    """Writes the record of a trial of a run."""
    files.write_json(run.trial(trial.name).trial_record, asdict(trial))


def load(run: Run) -> list[Trial]:
    """The trials of a run, in order; one that was begun beside others and has not ended may be missing among them.

    Raises:
        InputError: if one is damaged, or another one is missing.
    """
    folders = run.tuning.iterdir() if run.tuning.is_dir() else ()
    names = [folder.name for folder in folders if folder.name.isdecimal() and (folder / "trial.json").exists()]
    names.sort(key=int)
    for missing in sorted(set(range(int(names[-1]) if names else 0)) - {int(name) for name in names}):
        if not run.trial(f"{missing:03}").suggestion_record.exists():
            after = next(name for name in names if int(name) > missing)
            raise InputError(
                f"{run.tuning} has trial {after} but not trial {missing:03}: what came after depends on it.\n"
                f"Restore your copy of it, or begin anew: {run.command(SCRIPT, '--overwrite')}"
            )
    return [load_one(run, name) for name in names]


def load_one(run: Run, name: str) -> Trial:
    """The trial of this name.

    Raises:
        InputError: if there is none, or its record is damaged.
    """
    path = run.trial(name).trial_record
    trial = _read(
        Trial,
        path,
        run,
        tuple(field.name for field in dataclasses.fields(Trial) if field.name not in ("num_weights", "keep")),
    )
    kinds = {"parameters": dict, "draws": dict, "scores": list, "history": list}
    for field_name, kind in kinds.items():
        if not isinstance(getattr(trial, field_name), kind):
            raise InputError(f"{path} is damaged: its {field_name} is no {kind.__name__}. Restore your copy of it.")
    return trial


@contextlib.contextmanager
def saving_search(run: Run, search: Search) -> Iterator[None]:
    """Write models/<run>/tuning/search.json; it is on disk before the block runs, and in its place after it."""
    with files.replacing(run.tuning / "search.json") as temporary:
        content = files.as_json(asdict(search) | {"environment": environment.environment()})
        temporary.write_text(content, encoding="utf-8")
        files.flush(temporary)
        yield


def load_search(run: Run) -> Search:
    """The search of a run.

    Raises:
        InputError: if there was none, or its record is damaged.
    """
    keys = tuple(field.name for field in dataclasses.fields(Search) if field.name != "subset")
    return _read(Search, run.tuning / "search.json", run, keys)


def winner(tried: Sequence[Trial]) -> Trial | None:
    """The first trial with the highest score, None if all failed."""
    scored = [trial for trial in tried if trial.score is not None]
    return max(scored, key=lambda trial: trial.score, default=None)


def build_from(config: BuildConfig) -> tuple[BuildConfig, Recipe]:
    """The flags of a build that names a trial, completed by that trial, and how it was trained.

    Raises:
        InputError: if there is no such trial, it failed, or flags contradict it.
    """
    run = Run(config.root, config.tuned or config.run)
    search, which = load_search(run), config.from_trial
    flag = f"--from-trial {which}"
    if which == "best":
        trial = winner(load(run))
    elif which.isdecimal():
        trial = load_one(run, f"{int(which):03}")
    else:
        raise InputError(f"{flag}: expected best, or the number of a trial of run '{run.name}'.")
    if trial is None or trial.status == "failed":
        reason = trial.reason if trial else "no trial of it has a score"
        raise InputError(f"{flag}: nothing came of it ({reason}). Name another, or search on: {run.command(SCRIPT)}")
    how = {"shift": search.shift, "flip": search.flip, "architecture": search.architecture}
    network, recipe = network_and_recipe(trial.parameters, **how)
    given = {"architecture": search.architecture, "network": network, "latent_dim": trial.parameters["latent_dim"]}
    given["dataset"] = search.dataset
    default = BuildConfig()
    for name, value in given.items():
        if getattr(config, name) not in (getattr(default, name), value):
            raise InputError(
                f"{flag}: its {name.replace('_', ' ')} is {value}. Leave out the flag that says otherwise."
            )
    return dataclasses.replace(config, **given), recipe


def _read(kind: type, path: Path, run: Run, keys: tuple[str, ...]) -> Any:
    record = files.read_json(path, run.command(SCRIPT), keys)
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in record.items() if name in names})
