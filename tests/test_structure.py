"""Imports point one way, and the parts that are to start fast do not load Keras."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import subprocess
import sys
import typing

import pytest
from conftest import REPOSITORY

PACKAGE = REPOSITORY / "latentsearch"
SCRIPTS = sorted(REPOSITORY.glob("*.py"))
# A module may import from those above it only.
LAYERS = [
    {"errors", "recipes"},
    {"config", "files"},
    {"image_headers"},
    {"image_resizing"},
    {"image_memory"},
    {"imagefiles"},
    {"imagescan", "runs", "machine", "cli", "criteria", "space", "worker", "tuning_plots", "tune_config"}
    | {"milvus_connection", "devices"},
    {"trials", "litert", "spark"},
    {"suggestions"},
    {"datasets", "architectures", "objectives", "optimizers", "metrics", "augmentation", "distortions", "projection"}
    | {"plots", "resemblance", "verdict", "engines"},
    {"index", "exporting", "settings"},
    {"encoding"},
    {"gallery", "baselines", "scorecard", "stream", "trainee", "building", "tensorboard", "validation"}
    | {"duplicates"},
    {"callbacks", "folder_gallery", "folder_coding", "scores", "familiarity", "explanation", "stores"},
    {"training", "folder_sync", "spark_coding", "mosaics", "collection", "milvus_store"},
    {"trained", "queries", "evidence"},
    {"answers"},
    {"answer_pictures"},
    {"retrieval", "measurement", "checks", "pictures", "trial_training", "trial_pictures"},
    {"report", "tuning_report", "attempts"},
    {"page", "spark_tuning"},
    {"tuning"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports_of(path):
    """Names of the latentsearch modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("latentsearch.")}
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add("a relative import")
        elif isinstance(node, ast.ImportFrom) and node.module == "latentsearch":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("latentsearch."):
            found.add(node.module.split(".")[1])
    return found


def test_every_module_has_a_layer():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"} | {"datasets", "page"}
    assert modules == set(LEVEL)


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_imports_point_one_way(path):
    if path.stem != "__init__":
        upwards = {name for name in imports_of(path) if LEVEL.get(name, 99) >= LEVEL[path.stem]}
        assert not upwards, f"{path.stem} imports {upwards}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "datasets").glob("*.py")), ids=lambda path: path.stem)
def test_sources_of_images_import_no_later_stage(path):
    assert imports_of(path) <= {"datasets", "errors", "config", "files", "runs", "machine", "imagefiles", "imagescan"}


@pytest.mark.parametrize(
    "module",
    [
        "metrics",
        "plots",
        "mosaics",
        "index",
        "config",
        "cli",
        "datasets",
        "scorecard",
        "retrieval",
        "encoding",
        "trained",
        "page.server",
        "duplicates",
        "tuning",
        "tuning_report",
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
        "import sys; from latentsearch import answers, queries, retrieval, trained; "
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
