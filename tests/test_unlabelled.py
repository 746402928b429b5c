"""The five scripts on small folders of images: without labels, and with labels that are few."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import BuildingAutoencoder
import DataPreperation
import RetrieveSimilar
import SanityChecks
import TrainAutoencoder
from latentsearch.config import BuildConfig, CheckConfig, PrepareConfig, RetrieveConfig, TrainConfig
from latentsearch.datasets import digits
from latentsearch.runs import Run

pytestmark = pytest.mark.slow


def make_folder(folder, name_of):
    """A digit in each file, named by its number and its class."""
    source = digits.read()
    for number in range(60):
        path = folder / name_of(number, source.labels[number])
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(source.images[number]).save(path)
    return folder


def run_scripts(folder, *, architecture, image_size):
    """All five in this process, which has TensorFlow already; returns where the last two wrote."""
    root = folder.parent
    DataPreperation.main(PrepareConfig(source=str(folder), image_size=image_size, root=root))
    BuildingAutoencoder.main(BuildConfig(architecture=architecture, run="mine", dataset=folder.name, root=root))
    assert TrainAutoencoder.main(TrainConfig(run="mine", epochs=2, root=root)) == 0
    assert SanityChecks.main(CheckConfig(run="mine", root=root)) == 0
    assert RetrieveSimilar.main(RetrieveConfig(run="mine", query_index=(0,), k=3, metric="all", root=root)) == 0
    return Run(root, "mine")


def test_without_labels_all_is_there_but_what_needs_them(tmp_path, capsys):
    folder = make_folder(tmp_path / "photos", lambda number, _: f"{number}\t.png")
    (folder / "notes.txt").write_text("notes")
    run = run_scripts(folder, architecture="compact", image_size=64)
    output = capsys.readouterr().out
    assert "another type of file      1" in output
    assert "no labels" in output
    assert r"\t.png" in output
    history = pd.read_csv(run.history)
    assert "val_copy_recall" in history
    assert "val_precision" not in history
    assert (run.logs / "codes" / "metadata.tsv").read_text().startswith("id\tfile\n")

    numbers = json.loads((run.reports / "metrics.json").read_text())
    assert numbers["scorecard"] == []
    assert numbers["chance"] is None
    assert numbers["metric"] in ("cosine", "euclidean")
    assert [check["name"] for check in numbers["checks"]] == [
        "reconstruction",
        "generalisation",
        "dead dimensions",
        "correlated dimensions",
        "effective rank",
        "distinct codes",
        "copies with noise",
        "copies with projection",
    ]
    page = (run.reports / "report.html").read_text()
    for there in ("These images have no labels", "Latent dimensions in pairs", "Altered copies", "The worst 10"):
        assert there in page
    for gone in ("error by class", "By class", "Precision against depth", "P@10"):
        assert gone not in page
    pictures = {path.stem for path in run.reports.glob("*.png")}
    assert {"neighbours", "comparison", "code_map", "thumbnail_map", "pair_plot"} <= pictures
    assert not {"class_map", "error_by_class", "retrieval_by_class", "precision_curve"} & pictures
    neighbours = pd.read_csv(run.reports / "retrieval" / "neighbours.csv")
    assert list(neighbours) == ["query", "metric", "rank", "id", "file", "distance"]
    assert neighbours["file"].str.endswith(r"\t.png").all()


def test_two_classes_one_of_a_single_image(tmp_path, capsys):
    def name_of(number, _):
        if number == 0:
            return "test/rare/0.png"
        return f"{'test' if number < 10 else 'train'}/$\\no$/{number}.png"  # Matplotlib would take it for a formula

    folder = make_folder(tmp_path / "photos", name_of)
    run = run_scripts(folder, architecture="deep", image_size=32)
    numbers = json.loads((run.reports / "metrics.json").read_text())
    assert np.isfinite(numbers["chance"])
    by_name = {check["name"]: check for check in numbers["checks"]}
    assert by_name["weakest class"]["why"].endswith("Here: $\\no$.")
    assert "retrieval_by_class" in {path.stem for path in run.reports.glob("*.png")}
    assert "no labels" not in capsys.readouterr().out
