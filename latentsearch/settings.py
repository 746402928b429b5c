"""The settings of a training: flags completed by the recipe of the architecture, or those it was begun with."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from latentsearch import runs
from latentsearch.config import TrainConfig
from latentsearch.datasets import ImageSet
from latentsearch.errors import InputError
from latentsearch.recipes import Recipe
from latentsearch.runs import Run

_SCRIPT = "TrainAutoencoder.py"


@dataclass(frozen=True, kw_only=True)
class Settings(Recipe):
    """All that decides how a training goes: a recipe, and these.

    Args:
        epochs: Passes over the training images.
        seed: Of order and augmentation.
        subset: Training images that are used, at most; None: all.
        initial_model: SHA-256 of the file of the initial weights.
        dataset: Fingerprint of the images.
    """

    epochs: int
    seed: int
    subset: int | None = None
    initial_model: str
    dataset: str


def choose(config: TrainConfig, run: Run, dataset: ImageSet, recipe: Recipe) -> Settings:
    """The flags, completed by the recipe of the architecture.

    Raises:
        InputError: if a flag has a value that cannot be.
    """

    def chosen(name: str) -> Any:
        return getattr(recipe, name) if getattr(config, name, None) is None else getattr(config, name)

    counts = {"--epochs": config.epochs, "--batch-size": chosen("batch_size"), "--subset": config.subset}
    for flag, value in counts.items():
        if value is not None and value < 1:
            raise InputError(f"{flag} {value}: expected at least 1.")
    for name in ("learning_rate", "temperature"):
        if not 0 < chosen(name) < np.inf:
            raise InputError(f"--{name.replace('_', '-')} {chosen(name)}: expected more than 0.")
    if chosen("optimizer") != recipe.optimizer and config.learning_rate is None:
        raise InputError(
            f"--optimizer {config.optimizer}: the learning rate of this architecture is that of {recipe.optimizer}. "
            "Give one with --learning-rate, such as 0.002 for adam or 0.02 for muon."
        )
    if not 0 <= chosen("similarity_weight") < np.inf:
        raise InputError(f"--similarity-weight {config.similarity_weight}: expected 0 or more.")
    if not 0 <= chosen("noise") <= 1:
        raise InputError(f"--noise {config.noise}: expected 0 to 1, of values in [0, 1].")
    if chosen("view_side") is not None and chosen("view_side") < 8:
        raise InputError(f"--view-side {chosen('view_side')}: expected at least 8 pixels.")
    if not 0 <= chosen("shift") < min(dataset.image_shape[:2]):
        raise InputError(f"--shift {config.shift}: expected 0 to {min(dataset.image_shape[:2]) - 1} pixels.")
    own = {field.name: chosen(field.name) for field in dataclasses.fields(recipe)}
    if config.precision is None and not runs.has_bfloat16():
        own["precision"] = "float32"  # elsewhere bfloat16 is slower, not faster
    num_images = min(len(dataset.ids("train")), config.subset or np.inf)
    return Settings(
        **own | {"batch_size": min(own["batch_size"], num_images)},
        epochs=config.epochs,
        seed=config.seed,
        subset=config.subset,
        initial_model=runs.file_fingerprint(run.initial_model),
        dataset=dataset.fingerprint,
    )


def resumed(config: TrainConfig, run: Run, settings: Settings, before: dict[str, Any]) -> Settings:
    """The settings that a training was begun with, unless a flag or what it was made from contradicts them.

    Args:
        config: The flags of now.
        run: The run.
        settings: What those flags would give a new training.
        before: The settings in training.json.

    Raises:
        InputError: if they contradict each other.
    """
    given = {field.name for field in dataclasses.fields(config) if getattr(config, field.name) != field.default}
    # What an older latentsearch did not record, it did as the defaults say.
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    before = {name: value for name, value in defaults.items() if value is not dataclasses.MISSING} | before
    for name, value in asdict(settings).items():
        if name not in before:
            raise InputError(f"{run.training_record} has no {name}: train again with --overwrite.")
        if before[name] != value and (name in given or name in ("initial_model", "dataset")):
            raise InputError(
                f"run '{run.name}' cannot go on with another {name}: it was {before[name]}, is {value}.\n"
                f"To go on as it began: {run.command(_SCRIPT, '--resume')}\n"
                f"To begin anew: {run.command(_SCRIPT, '--overwrite')}"
            )
    return Settings(**{name: before[name] for name in asdict(settings)})
