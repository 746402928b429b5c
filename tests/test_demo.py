"""The demo: its steps are commands of the scripts, its last lines tell what was found, and it touches no other run."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from examples import demo
from latentsearch.errors import InputError
from latentsearch.runs import Run
from tests.conftest import REPOSITORY
from tests.test_docs import parses

RIVALS = ("10-d PCA", "raw pixels")


@pytest.mark.parametrize("step", demo.STEPS, ids=lambda step: step[0])
def test_each_step_is_a_command_for_the_run_of_the_demo(step):
    assert parses(step[0], step[1:])
    assert demo.NAME in step


def test_the_last_lines_compare_by_what_the_report_holds(tmp_path):
    shutil.copytree(REPOSITORY / "reports" / "cifar10-deep", tmp_path / "reports" / "cifar10-deep")
    run = Run(tmp_path, "cifar10-deep")
    *found, second, third = demo.summary(run)
    numbers = json.loads((run.reports / "metrics.json").read_text())
    own = [row for row in numbers["scorecard"] if row["method"] == run.name and row["metric"] == numbers["metric"]]
    rivals = [row for method in RIVALS for row in numbers["scorecard"] if row["method"] == method]
    shares = [f"{100 * row['overall'][f'P@{k}']['value']:.0f}" for row in (*own, *rivals) for k in (100, 10)]
    assert [number for number in re.findall(r"\d+", " ".join(found)) if number != "100"] == shares
    assert (tmp_path / "reports" / "cifar10-deep" / "report.html").as_posix() in second
    assert third.startswith("Next: python RetrieveSimilar.py")


def test_a_dataset_of_that_name_that_is_not_the_demos_is_left_alone(small_root, tmp_path):
    shutil.copytree(small_root / "data" / "digits", tmp_path / "data" / demo.NAME)
    path = tmp_path / "data" / demo.NAME / "dataset.json"
    path.write_text(path.read_text().replace('"kind": "digits"', '"kind": "folder"'))
    before = path.read_bytes()
    with pytest.raises(InputError, match="not that of the demo"):
        demo.main(demo.DemoConfig(root=tmp_path))
    assert path.read_bytes() == before


def test_clean_removes_the_virtual_environment_alone():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^VENV := \.venv$", makefile, re.M)
    assert re.findall(r"\brm .*", makefile) == ["rm -rf $(VENV)"]
