"""The parts that are to start fast do not load Keras, and scripts hold no logic."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import subprocess
import sys
import typing

import pytest

from tests.conftest import REPOSITORY

SCRIPTS = sorted(REPOSITORY.glob("*.py"))


@pytest.mark.parametrize(
    "module",
    [
        "metrics",
        "plots.charts",
        "plots.image_grids",
        "gallery.index",
        "config",
        "cli",
        "data",
        "evaluation.scorecard",
        "search.output",
        "models.encoder",
        "search.open",
        "page.app",
        "evaluation.duplicates",
        "tuning.tune",
        "tuning.report",
    ],
)
def test_modules_that_never_load_keras(module):
    program = (
        f"import sys, latentsearch.{module}; loaded = {{'keras', 'tensorflow'}} & set(sys.modules); assert not loaded"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)


def test_a_query_loads_nothing_that_is_slow_to_import():
    slow = {"keras", "tensorflow", "pandas", "matplotlib", "faiss", "scipy", "sklearn", "pyspark", "pymilvus", "umap"}
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
    assert len(source.splitlines()) <= 60
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
