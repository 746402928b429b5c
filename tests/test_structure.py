"""The layout: what loads Keras, sizes of modules, tests of each module, scripts without logic."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import subprocess
import sys
import tomllib
import typing
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SCRIPTS = sorted(REPOSITORY.glob("*.py"))


# Keras and TensorFlow are slow to import: what starts fast, or runs beside a training, must not load them.
MAY_LOAD_KERAS = {
    *(f"models/{name}" for name in ("architectures", "build", "export", "layers", "losses", "summary")),
    *(f"models/{name}" for name in ("own_loss", "own_network", "transfer")),
    *(
        f"training/{name}"
        for name in ("callbacks", "checkpoint", "dataloader", "denoising", "hosts", "model", "neighbourhoods")
    ),
    *(f"training/{name}" for name in ("optimizers", "progress", "rotation", "tensorboard", "train", "validation")),
    "tuning/trial_training",
}
FREE_OF_KERAS = {
    "the package": "import latentsearch",
    "the library": "import latentsearch.data, latentsearch.gallery.index, latentsearch.models.encoder",
    "a query": "import latentsearch.search.open, latentsearch.search.output, latentsearch.search.queries",
    "the page": "import latentsearch.page.app",
    "SanityChecks": "from latentsearch.evaluation import checks, evaluate, report; "
    "from latentsearch.gallery import trained_run",
    "the projection": "from latentsearch.plots import projection; import sklearn.manifold",
    "the search for settings": "import latentsearch.tuning.tune, latentsearch.tuning.report",
    "the history of a training": "import latentsearch.training.history, latentsearch.training.settings",
}


def modules():
    """Names of the modules of the package, such as "gallery/index"."""
    paths = (REPOSITORY / "latentsearch").rglob("*.py")
    names = {path.relative_to(REPOSITORY / "latentsearch").with_suffix("").as_posix() for path in paths}
    return {name for name in names if not name.endswith(("__init__", "__main__"))}


def imported_at_once(path):
    """Top-level packages that a module imports when it is imported itself."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    plain = [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    return {name.split(".")[0] for name in plain + [node.module for node in body if isinstance(node, ast.ImportFrom)]}


def test_keras_is_imported_at_once_by_these_modules_alone():
    package = REPOSITORY / "latentsearch"
    found = {name for name in modules() if imported_at_once(package / f"{name}.py") & {"keras", "tensorflow"}}
    assert found == MAY_LOAD_KERAS


@pytest.fixture(scope="module")
def loading_keras():
    """Those of FREE_OF_KERAS behind which Keras is loaded, one after the other in one process."""
    program = (
        f"import sys\nfor what, statements in {FREE_OF_KERAS}.items():\n    exec(statements, {{}})\n"
        "    if {'keras', 'tensorflow'} & set(sys.modules): print(what)"
    )
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("what", FREE_OF_KERAS)
def test_what_never_loads_keras(what, loading_keras):
    assert what not in loading_keras


@pytest.mark.parametrize("folder", ["latentsearch", "tests", "benchmarks", "fuzzing"])
def test_no_module_is_over_300_lines(folder):
    lengths = {
        path.relative_to(REPOSITORY).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in (REPOSITORY / folder).rglob("*.py")
    }
    assert {path: length for path, length in lengths.items() if length > 300} == {}


def test_the_contract_of_the_core_names_each_module_that_lies_in_no_package():
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    core = next(one for one in contracts["contracts"] if one["name"] == "The core imports no package")
    assert set(core["source_modules"]) == {f"latentsearch.{name}" for name in modules() if "/" not in name}


def test_each_module_has_tests_of_its_name_or_the_readme_says_where():
    tests = REPOSITORY / "tests"
    rows = re.findall(r"^\| `([\w/]+)` \| (.+) \|$", (tests / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    elsewhere = {module: re.findall(r"`([^`]+)`", cell) for module, cell in rows}
    named = {name for name in modules() if (tests / name).with_name(f"test_{Path(name).name}.py").exists()}
    assert modules() - named == set(elsewhere)
    assert not [path for paths in elsewhere.values() for path in paths if not (tests / path).exists()]


def test_a_query_loads_nothing_that_is_slow_to_import():
    slow = {"keras", "tensorflow", "pandas", "matplotlib", "faiss", "scipy", "sklearn", "pyspark", "pymilvus"}
    program = (
        "import sys, latentsearch.search.open, latentsearch.search.output, latentsearch.search.queries; "
        f"loaded = {slow} & set(sys.modules); assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_pages_without_logic(path):
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert f"python {path.name}" in ast.get_docstring(tree)
    assert len(source.splitlines()) <= 66
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == ["main"]
    arithmetic = (ast.Add, ast.Sub, ast.Mult, ast.Pow, ast.Mod, ast.MatMult)  # a slash joins paths
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, arithmetic)]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_help_names_every_flag_and_loads_no_framework(path):
    listing = [sys.executable, "-X", "importtime", str(path), "--help"]
    result = subprocess.run(listing, capture_output=True, text=True, check=True)
    main = importlib.import_module(path.stem).main
    config = typing.get_type_hints(main)["config"]
    for field in dataclasses.fields(config):
        flag = ("no-" if field.default is True else "") + field.name.replace("_", "-")
        assert f"--{flag}" in result.stdout
    assert not {"keras", "tensorflow", "pandas"} & {line.split("|")[-1].strip() for line in result.stderr.splitlines()}
