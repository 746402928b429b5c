"""The arithmetic of the encoder: the default by architecture, and that of codes which are kept."""

from __future__ import annotations

import dataclasses
import json
import shutil
import typing

import pytest

from latentsearch import files, records
from latentsearch.gallery.trained_run import FINE_IN_INT8, kept_in_words, open_for_files, usual_precision
from latentsearch.models import encoder as encoding
from latentsearch.models.encoder import fingerprint
from latentsearch.recipes import Architecture
from latentsearch.runs import Run
from tests.conftest import REPOSITORY


@pytest.fixture
def run(exported_root, tmp_path):
    """A run whose untrained weights serve as trained ones, exported in float32."""
    return make_trained(shutil.copytree(exported_root, tmp_path / "root"))


def make_trained(root):
    run = Run(root, "digits")
    shutil.copy(run.initial_model, run.best_model)
    shutil.copytree(run.exported / "initial", run.exported / "best")
    return run


def built_as(run, architecture):
    """The run, its record changed."""
    record = json.loads(run.build_record.read_text())
    run.build_record.write_text(json.dumps(record | {"config": record["config"] | {"architecture": architecture}}))
    return run


@pytest.mark.parametrize("architecture", typing.get_args(Architecture))
def test_int8_is_usual_where_it_was_measured_to_be_harmless(architecture, run):
    expected = "int8" if architecture in ("kind-look", "compact", "deep") else "float32"
    assert usual_precision(built_as(run, architecture)) == expected


def test_it_was_measured_of_each_architecture_that_takes_int8():
    rows = json.loads((REPOSITORY / "benchmarks" / "precision.json").read_text(encoding="utf-8"))["rows"]
    fine = [row["run"] for row in rows if row["P@10 int8"] >= row["P@10 float32"] - 0.001 - 1e-9]
    assert {records.read_build(Run(REPOSITORY, name)).config.architecture for name in fine} == set(FINE_IN_INT8)


@pytest.fixture
def opened(monkeypatch):
    """Arithmetics in which encoders are opened; they are not really."""
    opened = []

    def opening(path, *, precision):
        opened.append(precision)
        return dataclasses.make_dataclass("Opened", ["precision", "trained"])(precision, "weights")

    monkeypatch.setattr(encoding, "Autoencoder", opening)
    monkeypatch.setattr("latentsearch.gallery.trained_run.Autoencoder", opening)
    return opened


@pytest.mark.parametrize("architecture", ["compact", "custom"])
@pytest.mark.parametrize("asked", [None, "float32", "int8"])
@pytest.mark.parametrize("kept", [None, "float32", "int8"])
@pytest.mark.parametrize("is_exported", [True, False])
def test_the_user_decides_then_the_codes_that_are_kept_then_the_architecture(
    architecture, asked, kept, is_exported, run, opened
):
    built_as(run, architecture)
    trained = json.loads((run.exported / "best" / "exported.json").read_text())["fingerprint"]
    if not is_exported:
        trained = "weights"
        files.remove(run.exported / "best" / "exported.json", within=run.root)
    codes = fingerprint(trained, kept) if kept else None
    autoencoder = open_for_files(run, asked, lambda encoder: encoder == codes)
    usual = "int8" if architecture == "compact" else "float32"
    assert autoencoder.precision == (asked or kept or usual)
    assert opened[-1] == autoencoder.precision
    told = kept_in_words(run, autoencoder, asked)
    assert bool(told) == (asked is None and kept not in (None, usual))
    assert not told or (kept in told[0] and f"--encoder-precision {usual}" in told[0])


def test_codes_of_another_encoder_decide_nothing(run, opened):
    assert open_for_files(run, None, lambda encoder: encoder == "another").precision == "int8"
