"""Builds from a trial of a search for settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from latentsearch.config import BuildConfig, Searched
from latentsearch.errors import InputError
from latentsearch.recipes import RECIPES, Network, Recipe
from latentsearch.runs import Run
from latentsearch.tuning import storage
from latentsearch.tuning.trials import SCRIPT, winner


def network_and_recipe(
    parameters: Mapping[str, Any], *, shift: int, flip: bool, architecture: Searched = "custom"
) -> tuple[Network, Recipe]:
    """Return the network that a trial builds and the recipe that trains it.

    Args:
        parameters: See `sampler.Suggestion`.
        architecture: Architecture of the search.
        shift: Shift of the search, in pixels.
        flip: Whether the search mirrors images.
    """
    network, recipe = (
        {field.name: parameters[field.name] for field in dataclasses.fields(kind) if field.name in parameters}
        for kind in (Network, Recipe)
    )
    if architecture == "kind-look":
        return Network(), dataclasses.replace(RECIPES[architecture], **recipe, shift=shift, flip=flip)
    return Network(**network), Recipe(**recipe, schedule="cosine", shift=shift, flip=flip)


def resolve(config: BuildConfig) -> tuple[BuildConfig, Recipe | None]:
    """Complete the flags of a build by the trial that they name.

    Args:
        config: The flags; unless they name a trial by `from_trial`, they are returned as they are.

    Returns:
        The flags, and the recipe that the trial was trained by, None without a trial.

    Raises:
        InputError: if there is no such trial, it failed, or flags contradict it.
    """
    if not config.from_trial:
        if config.tuned:
            raise InputError(f"--tuned {config.tuned}: which of its trials? Add --from-trial best.")
        return config, None
    run = Run(config.root, config.tuned or config.run)
    search, which = storage.load_search(run), config.from_trial
    flag = f"--from-trial {which}"
    if which == "best":
        trial = winner(storage.load(run))
    elif which.isdecimal():
        trial = storage.load_one(run, f"{int(which):03}")
    else:
        raise InputError(f"{flag}: expected best, or the number of a trial of run '{run.name}'.")
    if trial is None or trial.status == "failed":
        reason = trial.reason if trial else "no trial of it has a score"
        raise InputError(f"{flag}: nothing came of it ({reason}). Name another, or search on: {run.command(SCRIPT)}")
    network, recipe = network_and_recipe(
        trial.parameters, shift=search.shift, flip=search.flip, architecture=search.space.architecture
    )
    resolved = dataclasses.replace(
        config,
        architecture=search.space.architecture,
        network=network,
        latent_dim=trial.parameters["latent_dim"],
        dataset=search.dataset,
    )
    default = BuildConfig()
    for name in ("architecture", "network", "latent_dim", "dataset"):
        value = getattr(resolved, name)
        if getattr(config, name) not in (getattr(default, name), value):
            raise InputError(
                f"{flag}: its {name.replace('_', ' ')} is {value}. Leave out the flag that says otherwise."
            )
    return resolved, recipe
