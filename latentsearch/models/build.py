"""Build of a run: untrained weights, the record of how it was built, summary and diagram of the network."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from latentsearch import data, environment, files, locks, records, runs
from latentsearch.config import BuildConfig
from latentsearch.errors import InputError
from latentsearch.models import architectures, summary, transfer
from latentsearch.models.export import load_model
from latentsearch.plots import charts
from latentsearch.recipes import Recipe
from latentsearch.records import BuildFlags, Start
from latentsearch.runs import Run


@dataclass(frozen=True)
class BuiltRun:
    """The files that `build_run` wrote.

    Args:
        config: The flags.
        layers: The layers, in order; see `summary.in_short`.
        num_weights: Of the whole autoencoder.
        paths: The files.
        is_new: False when the run held a training and was built just so before: nothing was changed.
    """

    config: BuildConfig
    layers: list[summary.LayerRow]
    num_weights: int
    paths: list[Path]
    is_new: bool = True


def build_run(config: BuildConfig, recipe: Recipe | None = None) -> BuiltRun:
    """Builds an untrained autoencoder for a prepared dataset and writes it to models/<run>/.

    Args:
        config: The flags.
        recipe: How it is to be trained. Default: the recipe of the architecture.

    Raises:
        InputError: if the dataset is not prepared, its images do not fit the architecture, the run holds a training
            of another network and `overwrite` is off, or came with latentsearch.
    """
    run = Run(config.root, config.run)
    if run.is_shipped:
        own = runs.command_line("BuildingAutoencoder.py", dataclasses.replace(_as_typed(config), run=f"{run.name}-own"))
        raise InputError(f"run '{run.name}' is shipped with latentsearch, and stays.\nGive yours another name: {own}")
    dataset = data.load(config.root, config.dataset)
    files.check_free(run.initial_model, run.build_record, run.diagram, *run.learnt)
    with locks.locked(run.lock, f"run '{run.name}'"):
        return _build_run(run, config, dataset, recipe)


def _build_run(run: Run, config: BuildConfig, dataset: data.ImageSet, recipe: Recipe | None) -> BuiltRun:
    if any(path.exists() for path in (run.training_record, run.best_model)) and not config.overwrite:
        before = _built_before(run, config, recipe, dataset.content)
        if before:
            return before
        again = runs.command_line("BuildingAutoencoder.py", dataclasses.replace(_as_typed(config), overwrite=True))
        raise InputError(
            f"run '{run.name}' holds a training, which would be lost.\nTo delete it and build anew: {again}\n"
            "To keep it, give the new run another name: --run NAME, here and in the scripts that follow."
        )
    # What another network learnt under this name must never be taken for this one's.
    of_before = (*run.learnt, *run.own(run.logs), *run.own(run.reports))
    files.check_removable(*of_before, within=run.root)
    keras.utils.set_random_seed(config.seed)
    autoencoder = architectures.build(config.architecture, dataset.image_shape, config.latent_dim, config.network)
    start: dict[str, Any] = {}
    if config.start_from:
        source = Run(config.root, config.start_from)
        path = source.require(source.best_model, "TrainAutoencoder.py")
        transfer.take_weights(autoencoder, load_model(path), source.name)
        start = {"start": {"run": source.name, "model": files.file_fingerprint(path)}}
    layers = summary.in_short(summary.layer_rows(autoencoder))
    title = f"{config.architecture}: {autoencoder.count_params():,} weights"
    record = {
        "config": {**asdict(config), "root": None},
        **start,
        "num_weights": autoencoder.count_params(),
        "dataset": {"name": dataset.name, "content": dataset.content, **dataset.provenance.as_record()},
        "environment": environment.environment(),
    }
    record |= {"recipe": asdict(recipe)} if recipe else {}
    with contextlib.ExitStack() as stack:
        network, diagram, description = (
            stack.enter_context(files.replacing(path)) for path in (run.initial_model, run.diagram, run.build_record)
        )
        with files.writing(run.initial_model, written_to=network):
            autoencoder.save(network)
            files.flush(network)
        with files.writing(run.diagram, written_to=diagram):
            charts.network(layers, title).savefig(diagram, dpi=150)
            files.flush(diagram)
        # A kill between the moves of these files leaves files of two networks: this tells.
        record["initial_model"] = files.file_fingerprint(network)
        description.write_text(files.as_json(record), encoding="utf-8")
        files.flush(description)
        files.remove(*of_before, within=run.root)  # the new run is whole on disk
    return BuiltRun(config, layers, autoencoder.count_params(), [run.initial_model, run.build_record, run.diagram])


def _as_typed(config: BuildConfig) -> BuildConfig:
    """Return the flags without those that follow from the trial that they name."""
    plain = BuildConfig()
    given = ("architecture", "network", "latent_dim", "dataset") if config.from_trial else ()
    return dataclasses.replace(config, **{name: getattr(plain, name) for name in given})


def _built_before(run: Run, config: BuildConfig, recipe: Recipe | None, content: str) -> BuiltRun | None:
    """Return the run as it is, if it was built with these flags for these images, else None."""
    try:
        before = records.read_build(run)
    except InputError:
        return None
    same = run.initial_model.is_file() and (before.config, before.recipe) == (BuildFlags.of(config), recipe)
    if config.start_from:
        model = files.file_fingerprint(Run(config.root, config.start_from).best_model)
        same = same and before.start == Start(config.start_from, model)
    same = same and before.dataset.content == content
    return BuiltRun(config, [], before.num_weights, [], is_new=False) if same else None
