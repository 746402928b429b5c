"""Readers of what runs and galleries keep, each with whole files to be damaged."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from fuzzing import damage
from fuzzing.colours import MeanColours, make_photos
from fuzzing.damage import Reader
from latentsearch import data as datasets
from latentsearch import environment, files, recipes, records
from latentsearch.config import BuildConfig, PrepareConfig, TrainConfig
from latentsearch.gallery import novelty
from latentsearch.gallery.sync import sync
from latentsearch.runs import Run
from latentsearch.tuning.space import Space
from latentsearch.tuning.trials import Parameters, Search, Trial


def build_records(folder: Path) -> Reader:
    """build.json, which says what a run was built for."""
    dataset = datasets.prepare(PrepareConfig(source="digits", root=folder))
    run = Run(folder, "digits")
    record = {"config": {"architecture": "compact"}, "num_weights": 5, "environment": environment.environment()}
    files.write_json(
        run.build_record,
        record | {"dataset": {"name": "digits", "content": dataset.content, **dataset.provenance.as_record()}},
    )

    def read(content: bytes) -> None:
        run.build_record.write_bytes(content)
        assert datasets.load_for(run).fingerprint == dataset.fingerprint

    return Reader([run.build_record.read_bytes()], read, (*damage.BYTES, *(damage.values,) * 20))


def training_records(folder: Path) -> Reader:
    """training.json of a training that is to go on."""
    from latentsearch.training import settings

    dataset = datasets.prepare(PrepareConfig(source="digits", root=folder))
    run = Run(folder, "digits")
    run.models.mkdir(parents=True)
    run.initial_model.write_bytes(b"weights")
    config = TrainConfig(run="digits", root=folder, resume=True)
    chosen = settings.choose(config, run, dataset, recipes.RECIPES["deep"])
    files.write_json(run.training_record, {"settings": asdict(chosen), "finished": False})

    def read(content: bytes) -> None:
        run.training_record.write_bytes(content)
        record = records.read(run.training_record, settings.TrainingRecord, "again")
        resumed = settings.resumed(config, run, dataset, chosen, record.settings)
        for field in dataclasses.fields(resumed):
            kinds = {"loss": {str, type(None)}, "loss_file": {str, type(None)}, "view_side": {int, type(None)}}.get(
                field.name, {type(getattr(chosen, field.name)), int}
            )
            assert type(getattr(resumed, field.name)) in kinds, field.name

    return Reader([run.training_record.read_bytes()], read, (*damage.BYTES, *(damage.values,) * 20))


def histories(folder: Path) -> Reader:
    """history.csv of a training."""
    from latentsearch.training.history import read_history

    run = Run(folder, "digits")
    run.models.mkdir(parents=True)
    measures = "loss,accuracy,val_loss,val_accuracy,val_mse,learning_rate,seconds"
    lines = [f"epoch,{measures}", *(f"{epoch},0.2,0.5,0.3,0.4,0.3,0.001,1.5" for epoch in range(1, 9))]

    def read(content: bytes) -> None:
        run.history.write_bytes(content)
        assert read_history(run).mean().size >= 7

    return Reader(["\n".join(lines).encode()], read)


def backups(folder: Path) -> Reader:
    """rows.json in the backup of an interrupted training."""
    from latentsearch.training.checkpoint import TrainingCheckpoint

    path = folder / "epoch-00002" / "rows.json"
    path.parent.mkdir()

    def read(content: bytes) -> None:
        path.write_bytes(content)
        rows = TrainingCheckpoint(folder).latest().rows
        assert min(row["val_loss"] for row in rows) is not None

    rows = [{"epoch": epoch, "loss": 0.2, "val_loss": 0.3, "val_mse": 0.3} for epoch in (1, 2)]
    return Reader([json.dumps(rows).encode()], read, (*damage.BYTES, *(damage.values,) * 20))


def weights(folder: Path) -> Reader:
    """A .keras file: a zip archive of JSON and HDF5."""
    import keras

    from latentsearch.models.encoder import Autoencoder

    path, images = folder / "best.keras", keras.Input((8, 8, 3))
    layers = [keras.layers.Flatten(), keras.layers.Dense(2)]
    encoder = keras.Sequential([keras.Input((8, 8, 3)), *layers], name="encoder")
    layers = [keras.layers.Dense(192), keras.layers.Reshape((8, 8, 3))]
    decoder = keras.Sequential([keras.Input((2,)), *layers], name="decoder")
    keras.Model(images, decoder(encoder(images))).save(path)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        keras.backend.clear_session()
        Autoencoder(path)

    return Reader([path.read_bytes()], read, (*damage.BYTES, *(damage.archive,) * 20))


def galleries(folder: Path) -> Reader:
    """gallery.npz: made anew when it is damaged."""
    from latentsearch.gallery import gallery

    encoder = MeanColours()
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    dataset = SimpleNamespace(images=images, fingerprint="images")
    path = folder / "gallery.npz"
    whole, _ = gallery.open_or_build(path, dataset, encoder)

    def read(content: bytes) -> str:
        path.write_bytes(content)
        opened, is_new = gallery.open_or_build(path, dataset, encoder)
        assert opened.ask(whole.codes, 3).ids.shape == (30, 3)
        return "made anew" if is_new else "read"

    return Reader([path.read_bytes()], read, (*damage.BYTES, *(damage.archive,) * 10))


def folder_galleries(folder: Path) -> Reader:
    """The gallery of a folder: made anew when it is damaged."""
    make_photos(folder / "photos", 12)
    path = folder / "photos.npz"
    sync(path, folder / "photos", MeanColours())

    def read(content: bytes) -> str:
        path.write_bytes(content)
        opened, changes = sync(path, folder / "photos", MeanColours())
        assert len(opened.entries()) == 12
        return "made anew" if changes.added == 12 else "read"

    return Reader([path.read_bytes()], read, (*damage.BYTES, *(damage.archive,) * 10))


def profiles(folder: Path) -> Reader:
    """profile.json."""
    run = Run(folder, "run")
    novelty.save(run, novelty.Profile("encoder", 0.02, 1.5, np.eye(20, 3, dtype=np.float32)))

    def read(content: bytes) -> None:
        run.profile.write_bytes(content)
        assert novelty.load(run, "encoder").codes.ndim == 2

    return Reader([run.profile.read_bytes()], read)


def trials(folder: Path) -> Reader:
    """trial.json of a search, read for its table and to go on with it."""
    from latentsearch.tuning import report, storage
    from latentsearch.tuning.trials import medians, winner

    run = Run(folder, "tuned")
    tried = _trial()
    storage.save(run, tried)

    def read(content: bytes) -> None:
        run.trial("000").trial_record.write_bytes(content)
        [opened] = storage.load(run)
        table = report.as_table(_search(), [opened])
        assert len(table) == 1
        assert len(medians([opened] * 5)) == (len(opened.scores) if opened.status == "finished" else 0)
        if winner([opened]):
            report.titles([opened])

    return Reader([run.trial("000").trial_record.read_bytes()], read, (*damage.BYTES, *(damage.values,) * 20))


def searches(folder: Path) -> Reader:
    """search.json of a search, which a build from one of its trials reads."""
    from latentsearch.tuning import from_trial, storage

    run = Run(folder, "tuned")
    storage.save(run, _trial())
    with storage.saving_search(run, _search()):
        pass
    path = run.tuning / "search.json"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        config, recipe = from_trial.resolve(BuildConfig(run="tuned", from_trial="best", root=folder))
        assert isinstance(config.dataset, str)
        assert recipe is not None

    return Reader([path.read_bytes()], read, (*damage.BYTES, *(damage.values,) * 20))


def suggestions(folder: Path) -> Reader:
    """suggestion.json of a trial that was begun."""
    from latentsearch.tuning import from_trial, sampler

    run = Run(folder, "tuned")
    sampler.save(run, "000", sampler.Suggestion(_trial().parameters, {"filters": [0]}))
    path = run.trial("000").suggestion_record

    def read(content: bytes) -> None:
        path.write_bytes(content)
        network, recipe = from_trial.network_and_recipe(sampler.load(run, "000").parameters, shift=1, flip=True)
        assert type(network.filters) is int
        assert type(recipe.batch_size) is int

    return Reader([path.read_bytes()], read, (*damage.BYTES, *(damage.values,) * 20))


def _search() -> Search:
    return Search(
        objective="retrieval", dataset="digits", fingerprint="f", epochs=1, subset=None, shift=1, flip=False, seed=0,
        max_seconds=9.0, max_weights=10, space=Space(latent_dim=(10,)), mean_mse=0.06,
    )  # fmt: skip


def _trial() -> Trial:
    parameters: Parameters = {
        "latent_dim": 10, "filters": 16, "depth": 2, "dense_units": 128, "activation": "elu", "normalisation": False,
        "batch_size": 64, "optimizer": "adam", "learning_rate": 0.002, "similarity_weight": 0.0,
    }  # fmt: skip
    history = [{"epoch": 1.0, "val_loss": 0.03, "val_mse": 0.03, "val_copy_recall": 0.5, "val_effective_rank": 4.0}]
    return Trial(
        name="000", status="finished", reason="", parameters=parameters, draws={"filters": [0]}, seconds=1.5,
        num_weights=7, scores=[0.5], history=history,
    )  # fmt: skip
