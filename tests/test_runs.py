"""Files that appear whole or not at all, records, and names."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil

import numpy as np
import pytest

from latentsearch import data, files, runs
from latentsearch import environment as machine
from latentsearch.config import BuildConfig
from latentsearch.errors import InputError
from latentsearch.models.build import build_run
from latentsearch.recipes import Network
from latentsearch.runs import Run
from latentsearch.tuning.config import TuneConfig
from tests.conftest import REPOSITORY


def test_replacing_writes_the_new_or_keeps_the_old(tmp_path):
    path = tmp_path / "folder" / "file.json"
    with files.replacing(path) as temporary:
        temporary.write_text("one")
        assert temporary.suffix == ".json"

    def fail():
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "one"
    assert [file.name for file in path.parent.glob("[!.]*")] == ["file.json"]


@pytest.mark.slow
def test_kill_in_the_middle_of_a_write_leaves_the_old_or_the_new_file(tmp_path, killed_at):
    path = tmp_path / "record.json"
    program = (
        "from pathlib import Path; from latentsearch import files, runs; KILL_HERE;"
        f"files.write_json(Path({str(path)!r}), {{'number': 1}})"
    )
    files.write_json(path, {"number": 0})
    found = []
    for step in range(20):
        killed = killed_at(step, program)
        found.append(json.loads(path.read_text())["number"])
        if not killed:
            break
    assert found == sorted(found)
    assert found[0] == 0
    assert found[-1] == 1
    assert len(found) > 3


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "../a",
        "a b",
        ".hidden",
        "-flag",
        "a\n",
        "a/tuning",
        "a/tuning/",
        "a/tuning/..",
        "a/backup",
        "/tuning/0",
        "a/tuning/b/tuning/c",
    ],
)
def test_names_that_could_leave_the_root_are_refused(name, tmp_path):
    with pytest.raises(InputError, match="--run"):
        Run(tmp_path, name)


def test_a_trial_is_a_run_within_the_folders_of_another(tmp_path):
    run = Run(tmp_path, "a").trial("003")
    assert run.name == "a/tuning/003"
    assert run.models == tmp_path / "models" / "a" / "tuning" / "003"
    outer = Run(tmp_path, "a")
    files.make_folder(run.logs)
    files.make_folder(outer.logs / "train")
    assert outer.own(outer.logs) == [outer.logs / "train"]
    assert outer.own(outer.reports) == []


def test_a_missing_file_names_the_command_that_makes_it(tmp_path):
    run = Run(tmp_path, "photos")
    run.models.mkdir(parents=True)
    run.build_record.touch()
    with pytest.raises(InputError, match=r"(?s)no best.keras.*python TrainAutoencoder.py --run photos --root"):
        run.require(run.best_model, "TrainAutoencoder.py")


@pytest.mark.parametrize("content", ["", "{", "[1]", '"text"', "\x00", "[" * 100_000])
def test_a_damaged_record_names_the_command_that_makes_it(content, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"(?s)record.json.*python Some.py"):
        files.read_json(path, "python Some.py")


def test_commands_in_messages_give_the_flags_that_differ_from_the_defaults(tmp_path):
    config = BuildConfig(architecture="reference", latent_dim=5, overwrite=True, root=tmp_path / "a b")
    words = shlex.split(runs.command_line("Some.py", config))
    assert words == [
        *("python", "Some.py", "--architecture", "reference", "--latent-dim", "5", "--overwrite"),
        *("--root", str(tmp_path / "a b")),
    ]
    assert runs.command_line("Some.py", BuildConfig()) == "python Some.py"


def test_commands_in_messages_know_nested_flags_lists_and_what_is_on_by_default():
    network = Network(filters=16, normalisation=False)
    command = runs.command_line("Some.py", BuildConfig(architecture="custom", network=network))
    assert command == "python Some.py --architecture custom --network.filters 16 --network.no-normalisation"
    tuning = TuneConfig(flip=False, latent_dims=(4, 8), resume=True)
    assert runs.command_line("Some.py", tuning) == "python Some.py --latent-dims 4 8 --no-flip --resume"


def test_records_hold_what_was_written_and_never_nan(tmp_path):
    files.write_json(tmp_path / "record.json", {"a": [1, 2.5, None]})
    assert files.read_json(tmp_path / "record.json", "") == {"a": [1, 2.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "record.json", {"a": float("nan")})
    assert files.read_json(tmp_path / "record.json", "") == {"a": [1, 2.5, None]}


def test_the_environment_tells_versions_and_machine():
    environment = machine.environment()
    assert environment["packages"]["numpy"] == np.__version__
    assert re.fullmatch(rf".+, {machine.num_cores()} cores", environment["machine"])
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", environment["commit"] or "0" * 40)


def test_where_no_dataset_of_a_shipped_run_is_prepared_one_that_is_comes_first(tmp_path):
    def make(name, dataset, *, prepared):
        run = Run(tmp_path, name)
        run.models.mkdir(parents=True)
        run.best_model.touch()
        run.build_record.write_text(json.dumps({"dataset": {"name": dataset}}))
        if prepared:
            (tmp_path / "data" / dataset).mkdir(parents=True)
            (tmp_path / "data" / dataset / "dataset.json").touch()

    make("cifar10", "cifar10", prepared=False)
    make("odd", "odd", prepared=False)
    Run(tmp_path, "odd").build_record.write_text("[")
    assert runs.choose(tmp_path, None) == "cifar10"
    make("demo", "demo", prepared=True)
    assert runs.choose(tmp_path, None) == "demo"
    assert runs.choose(tmp_path, None, for_folder=True) == "cifar10"
    make("cifar10-deep", "cifar10-deep", prepared=True)
    assert runs.choose(tmp_path, None) == "cifar10-deep"
    for name in ("demo copy", ".hidden"):
        shutil.copytree(tmp_path / "models/demo", tmp_path / "models" / name)
    assert runs.trained_runs(tmp_path) == ["cifar10", "cifar10-deep", "demo", "odd"]
    make("mine", "mine", prepared=False)
    assert runs.choose(tmp_path, None) == "mine"


@pytest.mark.parametrize("name", ["photos", "Photos", "cifar10"])
def test_a_shipped_run_is_never_built_over_and_nothing_leads_there(name, small_root, tmp_path):
    shutil.copytree(small_root, tmp_path, dirs_exist_ok=True)
    run = Run(tmp_path, name)
    shutil.copytree(Run(tmp_path, "digits").models, run.models)
    run.initial_model.rename(run.best_model)
    before = {path: path.read_bytes() for path in run.models.rglob("*") if path.is_file() and path != run.lock}
    config = BuildConfig(run=name, dataset="digits", architecture="compact", overwrite=True, root=tmp_path)
    with pytest.raises(InputError, match=f"(?s)is shipped with latentsearch.*--run {name}-own"):
        build_run(config)
    assert {path: path.read_bytes() for path in run.models.rglob("*") if path.is_file() and path != run.lock} == before
    if name != "cifar10":  # the dataset of this name is for the default run
        assert f"--run {name}-own" in data.build_command(tmp_path, name)
    build_run(dataclasses.replace(config, run=f"{name}-own"))
    assert not Run(tmp_path, f"{name}-own").is_shipped


def test_what_would_be_left_behind_a_link_is_refused_before_anything_is_written(small_root, tmp_path):
    root = shutil.copytree(small_root, tmp_path / "root")
    run = Run(root, "digits")
    shutil.copy(run.initial_model, files.claim(run.best_model))
    (root / "models").rename(tmp_path / "large disk")
    (root / "models").symlink_to(tmp_path / "large disk")
    before = run.build_record.read_bytes()
    config = BuildConfig(run="digits", dataset="digits", architecture="compact", seed=9, overwrite=True, root=root)
    with pytest.raises(InputError, match="a link leads to it, and nothing is deleted through a link"):
        build_run(config)
    assert run.build_record.read_bytes() == before
    build_run(dataclasses.replace(config, run="another"))


def test_the_next_step_does_not_lead_to_a_run_of_another_dataset(small_root):
    """There is a run "digits", built for the dataset "digits"."""
    assert data.build_command(small_root, "digits").endswith(f"--dataset digits --run digits --root {small_root}")
    assert runs.dataset_of(small_root, "digits") == "digits"
    assert runs.dataset_of(small_root, "other") is None


def test_a_run_of_that_name_for_another_dataset_is_passed_by(small_root, tmp_path):
    shutil.copytree(small_root / "models" / "digits", tmp_path / "models" / "birds")
    assert "--dataset birds --run birds-own" in data.build_command(tmp_path, "birds")
    assert not runs.has_dataset(tmp_path, "birds")
    shutil.copytree(small_root / "data", tmp_path / "data")
    assert runs.has_dataset(tmp_path, "birds")


def test_images_that_a_shipped_run_learnt_from_and_that_are_not_here_are_told(tmp_path):
    run = Run(tmp_path, "photos")
    run.models.mkdir(parents=True)
    shutil.copy(Run(REPOSITORY, "photos").build_record, run.build_record)
    with pytest.raises(InputError, match=r"python DataPreperation.py --source photos32"):  # a run of one's own
        data.load_for(run)
    run.best_model.touch()
    with pytest.raises(InputError, match="not shipped") as refused:
        data.load_for(run)
    assert str(refused.value).endswith("python RetrieveSimilar.py --run photos --gallery FOLDER")
