"""What is installed is used: no requirement without an import, none imported without a requirement."""

from __future__ import annotations

import ast
import re
import sys
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.conftest import REPOSITORY

# Names that packages are imported by, where they differ from those that they are installed by.
IMPORTED_AS = {
    "scikit-learn": "sklearn",
    "faiss-cpu": "faiss",
    "pillow": "PIL",
    "ai-edge-litert": "ai_edge_litert",
    "milvus-lite": "milvus_lite",
    "pillow-heif": "pillow_heif",
}
BROUGHT_ALONG = {"grpc", "threadpoolctl"}  # by pymilvus, whose exceptions are grpc's; by scikit-learn, for its threads


def requirements(name):
    lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
    names = {re.split(r"[<>=\[ ;]", line)[0].lower() for line in lines if line and line[0] not in "#-"}
    return {IMPORTED_AS.get(name, name) for name in names}


def imported(*patterns):
    found = set()
    for path in (path for pattern in patterns for path in REPOSITORY.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"latentsearch", "DataPreperation", "__future__"}


def test_the_ranges_of_the_package_hold_the_releases_that_were_tested():
    """And the package needs just what requirements.txt pins; so does each of its extras."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parts = {"requirements.txt": project["dependencies"]}
    parts |= {f"requirements-{name}.txt": needs for name, needs in project["optional-dependencies"].items()}
    for name, ranges in parts.items():
        lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
        pins = {Requirement(line).name: Requirement(line) for line in lines if line and line[0] not in "#-"}
        assert {Requirement(line).name for line in ranges} == set(pins), name
        for needed in map(Requirement, ranges):
            [pin] = pins[needed.name].specifier
            assert needed.specifier.contains(pin.version), needed
            assert needed.extras == pins[needed.name].extras


PRODUCT = ("*.py", "latentsearch/**/*.py")


def test_every_requirement_is_imported():
    assert not requirements("requirements.txt") - imported(*PRODUCT)


@pytest.mark.parametrize("extra", ["page", "heic", "raw", "milvus", "spark"])
def test_every_requirement_of_an_extra_is_imported(extra):
    assert not requirements(f"requirements-{extra}.txt") - imported(*PRODUCT)


def test_every_import_is_required():
    files = [path.name for path in REPOSITORY.glob("requirements*.txt")]
    assert not imported(*PRODUCT) - BROUGHT_ALONG.union(*map(requirements, files))
