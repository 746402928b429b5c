"""A search for settings, its trials and their jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from latentsearch.config import BuildConfig, Goal, TrainConfig
from latentsearch.recipes import Activation, Keep, Optimizer, Recipe
from latentsearch.tuning.objective import Criterion, kept
from latentsearch.tuning.space import Space

SCRIPT = "TuneAutoencoder.py"

Count = Annotated[int, Meta(ge=1)]
# For each name of hyperopt's the value drawn, or none where a condition ruled the name out.
Draws = dict[str, list[Any]]


class Parameters(TypedDict, total=False):
    """The settings that a trial tries: fields of `Network` and `Recipe`, and the numbers in a code."""

    latent_dim: Count
    filters: Count
    depth: Count
    dense_units: Count
    activation: Activation
    normalisation: bool
    batch_size: Count
    optimizer: Optimizer
    learning_rate: float
    similarity_weight: float
    temperature: float
    projection: bool
    views: int
    view_side: int
    neighbours: int
    neighbours_from: float


PARAMETERS = tuple(Parameters.__annotations__)
_ALWAYS = ("latent_dim", "batch_size", "learning_rate")  # whatever is searched
_MEASURES = {"val_loss", "val_mse", "val_copy_recall", "val_effective_rank"}  # of each epoch, for the score
_MIN_TRIALS, _MIN_EPOCHS = 5, 2  # before trials are measured against the median of others


def check(parameters: Parameters) -> None:
    """Refuse parameters of a record that lack one which every trial has.

    Raises:
        ValueError: naming the first that is missing.
    """
    for name in _ALWAYS:
        if name not in parameters:
            raise ValueError(f"expected {name} among the parameters")


@dataclass(frozen=True, kw_only=True)
class Search:
    """The settings of a search, which decide its suggestions and scores.

    Args:
        objective: Objective of the search; see `objective.WEIGHTS`.
        dataset: Name of the dataset.
        fingerprint: Fingerprint of the images.
        epochs: Epochs of each trial.
        subset: Largest number of training images of each trial; None: all.
        shift: Largest shift of images in pixels.
        flip: Whether to mirror images.
        seed: Seed of suggestions and trainings.
        max_seconds: Longest time of a trial.
        max_weights: Largest number of weights of a network.
        space: Space of the suggestions.
        mean_mse: See `objective.Criterion`; it follows from the images.
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
    space: Space
    mean_mse: float = field(compare=False)

    def criterion(self, latent_dim: int, keep: Keep = "best") -> Criterion:
        """Return the score of trials with codes of `latent_dim` numbers, which keep the weights of this epoch."""
        return Criterion(self.objective, self.mean_mse, latent_dim, keep)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial that has ended.

    Args:
        name: Number of the trial, such as 003, or name of an architecture that is marked.
        status: "finished"; "stopped" after some epochs, as too slow or hopeless; or "failed": nothing was measured.
        reason: Reason why it was stopped or failed, else "".
        parameters: See `sampler.Suggestion`; empty of an architecture that is marked.
        draws: See `sampler.Suggestion`.
        seconds: Time that it took.
        num_weights: Number of weights; None where there was no network.
        scores: Scores after each epoch, of the weights kept by then.
        history: Measures of each epoch.
        keep: The epoch whose weights it kept: the best or the last.
    """

    name: str
    status: Literal["finished", "stopped", "failed"]
    reason: str
    parameters: Parameters
    draws: Draws
    seconds: float
    num_weights: int | None = None
    scores: list[float] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    keep: Keep = "best"

    def __post_init__(self) -> None:
        """Check what a record may contradict.

        Raises:
            ValueError: if the number of scores or measures is not that of the epochs, or one is missing.
        """
        if self.name.isdecimal():
            check(self.parameters)
        if len(self.scores) != len(self.history) or bool(self.scores) == (self.status == "failed"):
            raise ValueError(f"{len(self.scores)} scores, {len(self.history)} epochs, but the trial is {self.status}")
        if missing := [name for name in sorted(_MEASURES) for row in self.history if name not in row]:
            raise ValueError(f"expected {missing[0]} in each epoch of the history")

    @property
    def score(self) -> float | None:
        """The score of the weights that were kept, None of a failed trial."""
        return self.scores[-1] if self.scores else None

    @property
    def loss(self) -> float | None:
        """The score with its sign turned, which is minimised."""
        return None if self.score is None else -self.score

    @property
    def best(self) -> Mapping[str, float]:
        """Measures of the epoch whose weights were kept; {} for a failed trial."""
        return kept(self.history, self.keep) if self.history else {}


@dataclass(frozen=True)
class Job:
    """The job of training a trial.

    Args:
        build: Flags of its build.
        recipe: Recipe of its training.
        train: Flags of its training.
        epochs: Length of its training.
        criterion: Score of its epochs.
        medians: Least scores after each epoch, from the second on; empty without a rule.
        max_seconds: Longest time; the training ends after the epoch that exceeds it.
        max_weights: Largest number of weights to train.
        parameters: Parameters to show beside the result.
    """

    build: BuildConfig
    recipe: Recipe
    train: TrainConfig
    epochs: int
    criterion: Criterion
    medians: Sequence[float]
    max_seconds: float
    max_weights: int
    parameters: Parameters

    def reason_to_stop(self, scores: Sequence[float], seconds: float) -> str:
        """Return the reason why the training should end after these epochs, or "".

        Args:
            scores: Scores after each epoch so far.
            seconds: Time since the begin.
        """
        done, epochs = len(scores), self.epochs
        if done >= epochs:
            return ""
        if seconds > self.max_seconds:
            return f"more than {self.max_seconds:g} seconds after {done} of {epochs} epochs"
        if _MIN_EPOCHS <= done <= len(self.medians) and scores[-1] < self.medians[done - 1]:
            return f"below the median after {done} of {epochs} epochs: {scores[-1]:.3f} < {self.medians[done - 1]:.3f}"
        return ""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a training.

    Args:
        num_weights: Number of weights.
        scores: Scores after each epoch, of the weights kept by then.
        history: Measures of each epoch.
        reason: Reason why it was ended before its last epoch, or "".
    """

    num_weights: int
    scores: list[float]
    history: list[dict[str, float]]
    reason: str


def medians(tried: Sequence[Trial]) -> list[float]:
    """Compute the median score after each epoch that at least five trials reached; [] before five have finished.

    Stopped trials count as far as they came: of those that went on alone, the median would rise with every trial.
    """
    if sum(trial.status == "finished" for trial in tried) < _MIN_TRIALS:
        return []
    longest = max(len(trial.scores) for trial in tried)
    reached = ([trial.scores[epoch] for trial in tried if len(trial.scores) > epoch] for epoch in range(longest))
    return [median(scores) for scores in reached if len(scores) >= _MIN_TRIALS]


def winner(tried: Sequence[Trial]) -> Trial | None:
    """Find the first trial with the highest score; None if all failed."""
    scored = [trial for trial in tried if trial.scores]
    return max(scored, key=lambda trial: trial.scores[-1], default=None)
