"""The library: eight lines for a notebook, with examples that are run."""

from __future__ import annotations

import dataclasses
import doctest
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import latentsearch
from latentsearch import data
from latentsearch.models.encoder import Autoencoder
from latentsearch.runs import Run
from latentsearch.search import library
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def root(small_root, tmp_path_factory):
    """A root with a run whose untrained weights serve as trained ones."""
    root = shutil.copytree(small_root, tmp_path_factory.mktemp("library") / "root")
    shutil.copy(Run(root, "digits").initial_model, Run(root, "digits").best_model)
    return root


@pytest.fixture(scope="module")
def run(root):
    return latentsearch.open_run("digits", root=root)


def test_examples_of_the_docstrings(root, run, tmp_path):
    names = {"root": root, "run": run, "np": np, "images": data.load(root, "digits").images, "folder": tmp_path}
    names["Image"] = Image
    results = [
        doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
        for example in doctest.DocTestFinder().find(library, globs=names)
    ]
    assert sum(result.attempted for result in results) >= 8
    assert not any(result.failed for result in results)


def test_paths_and_arrays_of_one_image_have_one_code(run, root, tmp_path):
    image = data.load(root, "digits").images[5]
    Image.fromarray(image).save(tmp_path / "five.png")
    codes = run.encode([tmp_path / "five.png", str(tmp_path / "five.png"), image, image / 255, image[..., 0]])
    assert codes.shape == (5, run.latent_dim)
    np.testing.assert_allclose(codes, np.tile(codes[:1], (5, 1)), atol=1e-6)
    np.testing.assert_array_equal(run.encode(np.stack([image, image])), codes[:2])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), "2"),
        (np.zeros((0, 4, 3), np.uint8), "expected"),
        (np.full((8, 8, 3), np.nan), "expected 0 to 1"),
        (np.zeros((8, 8, 3), np.int64), "int64, expected uint8"),
        ([], "no images came"),
        ("none.jpg", "there is no such file"),
    ],
)
def test_what_is_no_image_is_refused_in_words(image, message, run):
    with pytest.raises(latentsearch.InputError, match=message):
        run.encode([image] if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[-1] == 2 else image)


def test_a_folder_is_searched_and_its_files_never_find_themselves(run, root, tmp_path):
    for number, image in enumerate(data.load(root, "digits").images[:6]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    assert len(run.search(tmp_path / "0.png", folder=tmp_path)) == 5  # as many as there are
    found = run.search(tmp_path / "0.png", folder=tmp_path, k=5)
    assert isinstance(found, pd.DataFrame)
    assert sorted(found["path"]) == [str(tmp_path / f"{number}.png") for number in range(1, 6)]
    assert found["distance"].is_monotonic_increasing


@pytest.mark.parametrize("asked", [None, "float32", "int8"])
def test_codes_are_in_float32_and_folders_in_int8_unless_one_is_asked_for(asked, run, root, tmp_path):
    image = data.load(root, "digits").images[5]
    Image.fromarray(image).save(tmp_path / "five.png")
    opened = latentsearch.open_run("digits", root=root, encoder_precision=asked)
    encoder = Autoencoder(Run(root, "digits").best_model, precision=asked or "float32")
    np.testing.assert_array_equal(opened.encode(image), encoder.encode(image[None]))
    assert opened._folder(tmp_path).autoencoder.precision == (asked or "int8")
    assert opened._dataset.autoencoder.precision == (asked or "float32")


def test_a_folder_is_searched_without_the_encoder_of_the_dataset(root, tmp_path):
    for number, image in enumerate(data.load(root, "digits").images[:2]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    opened = latentsearch.open_run("digits", root=root)
    opened.search(tmp_path / "0.png", folder=tmp_path, k=1)
    assert "_encoder" not in vars(opened)


def test_an_unknown_run_names_those_that_there_are(root):
    with pytest.raises(latentsearch.InputError, match=r"no run 'digit'.*digits"):
        latentsearch.open_run("digit", root=root)


def test_importing_the_library_loads_nothing_slow():
    program = (
        "import sys, latentsearch; loaded = {'keras', 'tensorflow', 'numpy', 'pandas'} & set(sys.modules)\n"
        "assert not loaded; latentsearch.open_run; assert not {'keras', 'tensorflow', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)


@pytest.mark.slow
def test_installed_it_works_from_anywhere_and_never_looks_beside_itself(tmp_path):
    pytest.importorskip("setuptools")
    source = tmp_path / "source"
    shutil.copytree(REPOSITORY / "latentsearch", source / "latentsearch", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(tmp_path / "site"), str(source)], check=True, capture_output=True)
    for data_file in ("evaluation/report.html.jinja", "page/static/index.html"):
        assert (tmp_path / "site" / "latentsearch" / data_file).is_file()
    program = (
        "import latentsearch\nprint(latentsearch.__version__)\n"
        "try:\n    latentsearch.open_run()\nexcept latentsearch.InputError as error:\n    print(error)"
    )
    environment = {"PYTHONPATH": str(tmp_path / "site"), "LATENTSEARCH_ROOT": str(tmp_path / "root")}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.startswith(f"{latentsearch.__version__}\n")
    assert str(tmp_path / "root" / "models") in result.stdout


def test_duplicates_of_the_dataset_are_equal_or_of_one_shot(run, root, monkeypatch):
    corpus = run._dataset
    images = np.array(corpus.dataset.images[:40])
    images[7], images[8] = images[3], images[3]
    monkeypatch.setattr(corpus, "dataset", dataclasses.replace(corpus.dataset, images=images))
    monkeypatch.setattr(corpus, "gallery", corpus.gallery.only(np.arange(40)))
    monkeypatch.setattr(corpus, "compared", corpus.gallery)
    found = run.duplicates()
    assert list(found) == ["group", "path", "id", "class", "kind", "of", "likeness", "bytes"]
    exact = found[found["kind"] == "exact"]
    assert exact["id"].tolist() == [7, 8]
    assert exact["of"].tolist() == ["image 3", "image 3"]
    assert exact["bytes"].isna().all()
