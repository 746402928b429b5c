"""Records of all stages: what was written is read, old ones too, and a damaged value is named with its path."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import asdict, dataclass, field

import pytest

from latentsearch import files, records
from latentsearch.config import BuildConfig
from latentsearch.errors import InputError
from latentsearch.recipes import RECIPES, Network
from latentsearch.records import BuildFlags, BuildRecord, Start
from latentsearch.runs import Run
from tests.conftest import REPOSITORY

DATASET = {"name": "digits", "content": "c", "kind": "digits", "seed": 0, "validation_fraction": 0.1}


@dataclass(frozen=True)
class Inner:
    number: int
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    inner: Inner
    many: list[Inner] = field(default_factory=list)


def build_record(**changes):
    config = {**asdict(BuildConfig(architecture="deep")), "root": None}
    return {"config": config, "num_weights": 5, "dataset": DATASET, "environment": {}} | changes


def test_a_record_is_read_with_defaults_for_what_it_lacks_and_without_what_is_unknown(tmp_path):
    files.write_json(tmp_path / "a.json", {"inner": {"number": 3, "share": 1, "more": "x"}})
    assert records.read(tmp_path / "a.json", Outer, "") == Outer(Inner(3, 1.0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "a.json: Object missing required field `inner`"),
        ({"inner": {}}, "a.json: inner: Object missing required field `number`"),
        ({"inner": {"number": "3"}}, "a.json: inner.number: Expected `int`, got `str`"),
        ({"inner": {"number": True}}, "a.json: inner.number: Expected `int`, got `bool`"),
        ({"inner": {"number": 1, "share": None}}, "a.json: inner.share: Expected `float`, got `null`"),
        ({"inner": {"number": 1}, "many": [{"number": 1}, 5]}, r"a.json: many\[.*\]: Expected `object`, got `int`"),
        ([], "a.json holds a list, expected a JSON object"),
    ],
)
def test_what_is_wrong_is_named_with_file_path_and_command(content, message, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"(?s){message}.*python Some.py"):
        records.read(tmp_path / "a.json", Outer, "python Some.py")


def test_a_long_value_makes_no_long_message(tmp_path):
    files.write_json(tmp_path / "build.json", build_record(config={"architecture": "x" * 100_000}))
    with pytest.raises(InputError, match=r"config\.architecture: Invalid enum value") as caught:
        records.read(tmp_path / "build.json", BuildRecord, "python Some.py")
    assert len(str(caught.value)) < 600 + len(str(tmp_path))


def test_a_build_record_gives_back_flags_recipe_and_start(tmp_path):
    config = BuildConfig(architecture="custom", network=Network(filters=8), latent_dim=4, run="a", seed=3)
    recipe = dataclasses.replace(RECIPES["deep"], epochs=7)
    parts = {"config": {**asdict(config), "root": None}, "recipe": asdict(recipe), "start": {"run": "b", "model": "m"}}
    run = Run(tmp_path, "a")
    files.write_json(run.build_record, build_record(**parts))
    built = records.read_build(run)
    assert built.config == BuildFlags.of(config)
    assert (built.recipe, built.start, built.num_weights) == (recipe, Start("b", "m"), 5)
    assert built.dataset.as_record() == DATASET


def test_flags_that_an_older_version_did_not_record_have_their_defaults(tmp_path):
    files.write_json(tmp_path / "build.json", build_record(config={"architecture": "compact", "latent_dim": 10}))
    built = records.read(tmp_path / "build.json", BuildRecord, "")
    assert built.config == BuildFlags.of(BuildConfig(architecture="compact"))
    assert {one.name for one in dataclasses.fields(BuildConfig)} - {
        one.name for one in dataclasses.fields(BuildFlags)
    } == {
        "overwrite",
        "root",
    }


@pytest.mark.parametrize("name", ["cifar10", "cifar10-deep", "cifar10-compact"])
def test_the_records_of_the_shipped_runs_are_read(name):
    from latentsearch.gallery import novelty
    from latentsearch.training.settings import TrainingRecord

    run = Run(REPOSITORY, name)
    assert records.read_build(run).dataset.name == "cifar10"
    assert records.read(run.training_record, TrainingRecord, "").finished
    encoder = json.loads(run.profile.read_text())["encoder"]
    assert novelty.load(run, encoder).codes.ndim == 2


@pytest.mark.parametrize("value", ["1" + "0" * 400, '"\\ud800"'])
def test_a_record_with_a_value_that_nothing_can_take_is_refused(value, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(f'{{"a": [{value}]}}')
    with pytest.raises(InputError, match="cannot be read"):
        files.read_json(path, "again")
    content = {"a": os.fsdecode(b"caf\xe9"), "b": 10**200}  # the name of a file may be no UTF-8
    files.write_json(tmp_path / "other.json", content)
    assert files.read_json(tmp_path / "other.json", "again") == content
