"""Settings of a training: flags completed by the recipe, or those that it was begun with."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from latentsearch import environment, files
from latentsearch.config import TrainConfig
from latentsearch.data import FEW_IMAGES, ImageSet, advice_in_short
from latentsearch.errors import InputError
from latentsearch.metrics import enough_queries, too_few
from latentsearch.models import distribution, own_code
from latentsearch.recipes import Recipe
from latentsearch.runs import Run
from latentsearch.training.held_out import num_copied

_SCRIPT = "TrainAutoencoder.py"
_CHANGED = {  # what is no flag
    "initial_model": "its network: initial.keras is another one than it began with",
    "dataset": "its dataset: that is another one than it began with",
}
_MOST_EPOCHS = 300  # of few images, where a recipe asks for a number of steps
_LEAST_STEPS, _LEAST_BATCH = 8, 16  # of an epoch: of few images, batches are smaller than a recipe says


@dataclass(frozen=True, kw_only=True)
class Settings(Recipe):
    """All settings that decide how a training goes: those of a recipe, and these.

    Args:
        seed: Of order and augmentation.
        subset: Training images that are used, at most; None: all.
        devices: That share each batch. Their number changes the numbers by rounding only.
        loss: MODULE:FUNCTION of the user's that computes the error of reconstructions; None: mean squared error.
        loss_file: SHA-256 of the file of that module.
        initial_model: SHA-256 of the file of the initial weights.
        dataset: Fingerprint of the images.
        validation: Which validation images are looked at: the "first", as older versions did, or some that are "drawn".
    """

    seed: int
    subset: int | None = None
    devices: int = 1
    loss: str | None = None
    loss_file: str | None = None
    initial_model: str
    dataset: str
    validation: Literal["first", "drawn"] = "first"


@dataclass(frozen=True)
class TrainingRecord:
    """The content of models/<run>/training.json.

    Args:
        settings: The settings of the training.
        finished: Whether it came to its end.
        training: Name of the training, which its backup bears too; None in a record of an older version.
    """

    settings: Settings
    finished: bool = False
    training: str | None = None


def choose(config: TrainConfig, run: Run, dataset: ImageSet, recipe: Recipe, *, searched: bool = False) -> Settings:
    """Completes the flags by the recipe of the architecture.

    Args:
        config: The flags.
        run: The run.
        dataset: Its images.
        recipe: The recipe.
        searched: Whether a search found the recipe: its batches do not follow the number of images then.

    Raises:
        InputError: if a flag has a value that cannot be.
    """

    def chosen(name: str) -> Any:
        return getattr(recipe, name) if getattr(config, name, None) is None else getattr(config, name)

    if chosen("optimizer") != recipe.optimizer and config.learning_rate is None:
        raise InputError(
            f"--optimizer {config.optimizer}: the learning rate of this architecture is that of {recipe.optimizer}. "
            "Give one with --learning-rate, such as 0.002 for adam or 0.02 for muon."
        )
    own = {field.name: chosen(field.name) for field in dataclasses.fields(recipe)}
    if config.precision is None and not environment.has_bfloat16():
        own["precision"] = "float32"  # elsewhere bfloat16 is slower, not faster
    used = _num_used(dataset, config.subset)
    if config.batch_size is None and not searched:
        steps = max(1, min(_LEAST_STEPS, used // _LEAST_BATCH))
        own["batch_size"] = min(own["batch_size"], max(used // steps, 1))
    own["batch_size"] = min(own["batch_size"], used)
    if config.epochs is None and own["batch_size"] > 0:
        steps = max(_num_used(dataset, config.subset) // own["batch_size"], 1)
        own["epochs"] = max(recipe.epochs, min(-(-recipe.steps // steps), _MOST_EPOCHS))
    settings = Settings(
        **own,
        seed=config.seed,
        subset=config.subset,
        devices=distribution.resolve(config.devices),
        loss=config.loss,
        loss_file=None if config.loss is None else _loss_file(config.loss),
        initial_model=files.file_fingerprint(run.initial_model),
        dataset=dataset.fingerprint,
        validation="drawn",
    )
    _refuse_impossible(settings, dataset)
    return settings


def advice(dataset: ImageSet, settings: Settings, steps: int) -> list[str]:
    """Return lines on what few images mean for a training.

    Args:
        dataset: The dataset.
        settings: Settings of the training.
        steps: Steps an epoch.
    """
    lines = advice_in_short(dataset)
    used = _num_used(dataset, settings.subset)
    if used < FEW_IMAGES:
        plural = "" if steps == 1 else "s"
        lines.append(f"{used:,} training images in batches of {settings.batch_size}: {steps} step{plural} an epoch.")
    if not enough_queries(num_copied(dataset)):
        lines.append(too_few(num_copied(dataset), "validation image"))
    return lines


def _loss_file(loss: str) -> str:
    _, path = own_code.load("--loss", loss, such_as="my_loss:loss")
    return files.file_fingerprint(path)


def check_loss(run: Run, settings: Settings) -> None:
    """Refuse to go on with a training whose loss has changed.

    Raises:
        InputError: if the file of the loss is another one than it began with, or gone.
    """
    if settings.loss is not None and _loss_file(settings.loss) != settings.loss_file:
        raise InputError(
            f"run '{run.name}' cannot go on: the file of --loss {settings.loss} has changed since it began.\n"
            f"Restore it, or begin anew: {run.command(_SCRIPT, '--overwrite')} --loss {settings.loss}"
        )


def _num_used(dataset: ImageSet, subset: int | None) -> int:
    """Counts the training images that a training uses."""
    num_images = len(dataset.ids("train"))
    return num_images if subset is None else min(num_images, subset)


def refuse_ignored(config: TrainConfig, settings: Settings) -> None:
    """Refuse flags that say how views are made or compared, for a new training without any.

    Raises:
        InputError: naming the first such flag.
    """
    for name in ("noise", "noise_share", "temperature", "projection", "view_side"):
        if getattr(config, name) is not None and not settings.similarity_weight:
            flag = "no-projection" if name == "projection" and not config.projection else name.replace("_", "-")
            raise InputError(
                f"--{flag}: without --similarity-weight a training sees no views of images, which this is of. "
                "Add it, such as --similarity-weight 0.1, or leave this out."
            )


def _refuse_impossible(settings: Settings, dataset: ImageSet) -> None:
    for name in ("epochs", "subset", "batch_size", "devices"):  # the subset first: it limits the batches
        if getattr(settings, name) is not None and getattr(settings, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(settings, name)}: expected at least 1.")
    for name in ("learning_rate", "temperature"):
        if not 0 < getattr(settings, name) < np.inf:
            raise InputError(f"--{name.replace('_', '-')} {getattr(settings, name)}: expected more than 0.")
    if not 0 <= settings.similarity_weight < np.inf:
        raise InputError(f"--similarity-weight {settings.similarity_weight}: expected 0 or more.")
    _refuse_impossible_of_two_codes(settings)
    for name in ("neighbours_from", "noise", "noise_share"):
        if not 0 <= getattr(settings, name) <= 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(settings, name)}: expected 0 to 1.")
    if settings.view_side is not None and settings.view_side < 8:
        raise InputError(f"--view-side {settings.view_side}: expected at least 8 pixels.")
    if not 0 <= settings.shift < min(dataset.image_shape[:2]):
        raise InputError(f"--shift {settings.shift}: expected 0 to {min(dataset.image_shape[:2]) - 1} pixels.")


def _refuse_impossible_of_two_codes(settings: Settings) -> None:
    if settings.views < 2 or (settings.views > 2 and not settings.look):
        raise InputError(f"--views {settings.views}: expected 2 or more, and 2 of other architectures than kind-look.")
    if settings.look and not settings.similarity_weight:
        raise InputError("--similarity-weight 0: kind-look learns kinds by similarity. Build another --architecture.")
    for name in ("neighbours", "denoiser_epochs"):
        if getattr(settings, name) < 0 or (getattr(settings, name) and not settings.look):
            flag = name.replace("_", "-")
            raise InputError(f"--{flag} {getattr(settings, name)}: expected 0 or more, and 0 but for kind-look.")


def differences(now: Settings, before: Settings) -> list[str]:
    """Name what the flags of now would train otherwise, each in words such as "epochs 1 (now 24)"."""
    names = [name for name in asdict(now) if name not in (*_CHANGED, "devices", "loss_file", "precision", "validation")]
    pairs = [(name, getattr(before, name), getattr(now, name)) for name in names]
    return [f"{name.replace('_', '-')} {one} (now {other})" for name, one, other in pairs if one != other]


def resumed(config: TrainConfig, run: Run, dataset: ImageSet, settings: Settings, before: Settings) -> Settings:
    """Returns the settings that a training was begun with, after a check that the flags do not contradict them.

    Args:
        config: The flags of now.
        run: The run.
        dataset: Its images.
        settings: What those flags would give a new training.
        before: The settings in training.json. What an older version did not record, it did as the defaults say.

    Raises:
        InputError: if they contradict each other, or those in training.json are out of range.
    """
    again = f"Train again with {run.command(_SCRIPT, '--overwrite')}"
    given = {field.name for field in dataclasses.fields(config) if getattr(config, field.name) != field.default}
    if "devices" in given:  # may change: the numbers stay the same, up to rounding
        before = dataclasses.replace(before, devices=settings.devices)
    for name, value in asdict(settings).items():
        if getattr(before, name) != value and (name in given or name in ("initial_model", "dataset")):
            given_now = _CHANGED.get(name, f"--{name.replace('_', '-')} {value}: it began with {getattr(before, name)}")
            raise InputError(
                f"run '{run.name}' cannot go on with {given_now}.\n"
                f"To go on as it began: {run.command(_SCRIPT, '--resume')}\n"
                f"To begin anew, with your flags added: {run.command(_SCRIPT, '--overwrite')}"
            )
    try:
        _refuse_impossible(before, dataset)
    except InputError as error:
        raise InputError(f"{run.training_record} was changed: {error}\n{again}") from None
    if before.batch_size > _num_used(dataset, before.subset) or not 0 <= before.seed < 2**32:
        raise InputError(f"{run.training_record} was changed: its batches or its seed cannot be.\n{again}")
    return before
