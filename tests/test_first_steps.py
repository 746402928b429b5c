"""No dead ends: defaults lead on, refusals name what there is and what mends them, and each step names the next."""

from __future__ import annotations

import dataclasses
import re
import shutil

import pytest

from latentsearch import files, runs
from latentsearch.config import OWN_RUN, PHOTOS_RUN, SHIPPED_RUNS
from latentsearch.data import cifar10
from latentsearch.errors import InputError
from latentsearch.evaluation import evaluate, report
from latentsearch.runs import Run
from tests.conftest import REPOSITORY, a_part_of_the_digits, once


def make_trained(root, *names):
    for name in names:
        Run(root, name).models.mkdir(parents=True)
        Run(root, name).best_model.touch()


def test_the_default_run_is_the_users_own_if_it_is_trained_else_a_shipped_one(tmp_path):
    assert runs.choose(tmp_path, None) == OWN_RUN
    make_trained(tmp_path, "other", *reversed(SHIPPED_RUNS))
    assert runs.choose(tmp_path, None) == runs.choose(tmp_path, None, for_folder=True) == SHIPPED_RUNS[0]
    make_trained(tmp_path, PHOTOS_RUN)
    assert runs.choose(tmp_path, None) == SHIPPED_RUNS[0]
    assert runs.choose(tmp_path, None, for_folder=True) == PHOTOS_RUN
    make_trained(tmp_path, OWN_RUN)
    assert runs.choose(tmp_path, None, for_folder=True) == OWN_RUN
    assert runs.choose(tmp_path, None) == OWN_RUN
    assert runs.choose(tmp_path, "other") == "other"


def test_the_line_that_names_the_run_says_why_where_that_may_surprise():
    assert runs.in_words("other", "other") == "run: other"
    assert runs.in_words(SHIPPED_RUNS[0], None) == f"run: {SHIPPED_RUNS[0]}"
    assert runs.in_words(OWN_RUN, None) == f"run: {OWN_RUN}"
    assert f"--run {PHOTOS_RUN}" in runs.in_words(OWN_RUN, None, for_folder=True)
    assert runs.in_words("demo", None) == "run: demo (its dataset is prepared, that of no shipped run is)"


def test_every_run_that_is_shipped_can_be_the_default():
    shipped = re.findall(r"^!/models/(.+)/$", (REPOSITORY / ".gitignore").read_text(encoding="utf-8"), re.M)
    assert shipped
    assert set(shipped) <= {*SHIPPED_RUNS, PHOTOS_RUN}
    assert set(shipped) <= set(runs.trained_runs(REPOSITORY))


def test_an_unknown_run_names_those_that_there_are(tmp_path):
    make_trained(tmp_path, "birds", "cars")
    run = Run(tmp_path, "brids")
    pattern = r"(?s)no run 'brids'.*birds, cars\. Did you mean birds\?.*BuildingAutoencoder.py.*TrainAutoencoder"
    with pytest.raises(InputError, match=pattern):
        run.require(run.best_model, "TrainAutoencoder.py")
    shipped = Run(tmp_path, PHOTOS_RUN)
    with pytest.raises(InputError, match=r"comes with the repository.* --root, .*root=") as refused:
        shipped.require(shipped.best_model, "TrainAutoencoder.py")
    assert "BuildingAutoencoder.py" not in str(refused.value)  # nobody builds that one


@pytest.mark.parametrize(
    ("name", "flags", "next_step"),
    [
        ("RetrieveSimilar.py", (), "python DataPreperation.py"),
        ("SanityChecks.py", (), "python DataPreperation.py"),
        ("BuildingAutoencoder.py", (), "python DataPreperation.py"),
        ("TrainAutoencoder.py", (), "python BuildingAutoencoder.py"),
        ("TuneAutoencoder.py", (), "python DataPreperation.py"),
    ],
)
def test_on_a_fresh_clone_a_refusal_ends_with_the_command_that_mends_it(name, flags, next_step, tmp_path, in_process):
    for run in ("cifar10-deep", "cifar10-compact"):
        shutil.copytree(REPOSITORY / "models" / run, tmp_path / "models" / run)
    result = in_process(name, *flags, "--root", tmp_path)
    assert result.returncode == 2
    assert next_step in result.stderr.splitlines()[-1]
    assert not Run(tmp_path, OWN_RUN).models.exists()


def once_each(save):
    """What saves each figure once, and writes the same file each time."""
    saved = {}

    def wrapped(figure, path):
        if figure in saved:
            path.write_bytes(saved[figure])
        else:
            save(figure, path)
            saved[figure] = path.read_bytes()

    return wrapped


@pytest.mark.slow
@pytest.mark.usefixtures("small_towers", "coarse_figures")
def test_the_scripts_in_order_without_flags_lead_on_twice(tmp_path, in_process, monkeypatch):
    """But for --root and a short training."""
    part = dataclasses.replace(a_part_of_the_digits(), kind="cifar10")
    monkeypatch.setattr(cifar10, "download", lambda: part)
    for module, name in ((evaluate, "evaluate"), (report, "draw")):  # what takes longest; it is written twice
        monkeypatch.setattr(module, name, once(getattr(module, name)))
    monkeypatch.setattr(report, "save", once_each(report.save))
    script = "DataPreperation.py"
    for number in range(10):
        result = in_process(script, "--root", tmp_path, *(["--epochs", 1] if script.startswith("Train") else []))
        assert result.returncode == 0, result.stderr
        if script == "RetrieveSimilar.py":
            assert f"run: {OWN_RUN}" in result.stdout
            assert number in (4, 9)
            script = "DataPreperation.py"
            continue
        if number > 4 and script in ("BuildingAutoencoder.py", "TrainAutoencoder.py"):
            assert "nothing was changed" in result.stdout
        script = re.search(r"^Next: python (\w+\.py)", result.stdout, re.M)[1]
        assert "--run" not in result.stdout.splitlines()[-1]


@pytest.mark.slow
def test_a_training_is_not_lost_to_another_network(small_root, tmp_path, in_process):
    shutil.copytree(small_root, tmp_path, dirs_exist_ok=True)
    run = Run(tmp_path, "digits")
    shutil.copy(run.initial_model, files.claim(run.best_model))
    flags = ("--run", "digits", "--dataset", "digits", "--architecture", "compact", "--root", tmp_path)
    again = in_process("BuildingAutoencoder.py", *flags)
    assert (again.returncode, run.best_model.exists()) == (0, True)
    assert "nothing was changed" in again.stdout
    other = in_process("BuildingAutoencoder.py", *flags, "--latent-dim", 4)
    assert (other.returncode, run.best_model.exists()) == (2, True)
    assert "--latent-dim 4" in other.stderr
    assert "--overwrite" in other.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("small_towers")
def test_a_build_names_its_dataset_and_one_that_may_have_been_meant(small_root, tmp_path, in_process):
    shutil.copytree(small_root, tmp_path, dirs_exist_ok=True)
    (tmp_path / "data" / "pics").mkdir()
    (tmp_path / "data" / "pics" / "dataset.json").touch()
    built = in_process("BuildingAutoencoder.py", "--run", "pics", "--dataset", "digits", "--root", tmp_path)
    assert built.returncode == 0, built.stderr
    assert "kind-look for dataset 'digits'" in built.stdout
    assert "20 numbers a code" in built.stdout
    assert "for that one, add --dataset pics" in built.stdout
