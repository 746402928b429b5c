"""The scripts on a small folder of images without labels."""

from __future__ import annotations

import functools
import json

import pandas as pd
import pytest
from PIL import Image

import BuildingAutoencoder
import DataPreperation
import RetrieveSimilar
import SanityChecks
import TrainAutoencoder
import TuneAutoencoder
from latentsearch.config import BuildConfig, CheckConfig, PrepareConfig, TrainConfig
from latentsearch.data import digits
from latentsearch.recipes import Network
from latentsearch.runs import Run
from latentsearch.search.config import RetrieveConfig
from latentsearch.tuning import tune
from latentsearch.tuning.config import TuneConfig
from latentsearch.tuning.space import Space
from tests.faults import InThisProcess

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_towers", "coarse_figures")]

SMALL = Network(filters=8, depth=1, dense_units=16)


def test_a_search_needs_no_labels(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tune, "Worker", InThisProcess)
    monkeypatch.setattr(tune, "Space", functools.partial(Space, filters=(8,), depth=(1,), dense_units=(16,)))
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, image in enumerate(digits.read().images[:60]):
        Image.fromarray(image).save(folder / f"{number}.png")
    DataPreperation.main(PrepareConfig(source=str(folder), root=tmp_path))
    flags = {"trials": 2, "epochs": 1, "subset": None, "latent_dims": (4,), "mark": ("compact",)}
    assert TuneAutoencoder.main(TuneConfig(run="mine", dataset="photos", root=tmp_path, **flags)) == 0
    output = capsys.readouterr().out
    assert "P@10" not in output
    assert "rank correlation" not in output
    reports = Run(tmp_path, "mine").reports / "tuning"
    assert {path.stem for path in reports.glob("*.png")} == {"best", "parameters", "trade_off"}
    table = pd.read_csv(reports / "trials.csv")
    assert set(table["status"]) == {"finished"}
    assert table["val_precision"].isna().all()
    assert table["score"].notna().all()


def test_without_labels_all_is_there_but_what_needs_them(tmp_path, capsys):
    """In this process, which has loaded TensorFlow already."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, image in enumerate(digits.read().images[:60]):
        Image.fromarray(image).save(folder / f"{number}\t.png")
    (folder / "notes.txt").write_text("notes")
    DataPreperation.main(PrepareConfig(source=str(folder), image_size=64, root=tmp_path))
    BuildingAutoencoder.main(
        BuildConfig(architecture="custom", network=SMALL, run="mine", dataset="photos", latent_dim=2, root=tmp_path)
    )
    assert TrainAutoencoder.main(TrainConfig(run="mine", epochs=2, root=tmp_path)) == 0
    assert SanityChecks.main(CheckConfig(run="mine", root=tmp_path)) == 0
    assert RetrieveSimilar.main(RetrieveConfig(run="mine", query_index=(0,), k=3, metric="all", root=tmp_path)) == 0
    run = Run(tmp_path, "mine")
    output = capsys.readouterr().out
    assert "another type of file: 1 .txt" in output
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
        "leaks",
    ]
    page = (run.reports / "report.html").read_text()
    for there in ("These images have no labels", "Latent dimensions in pairs", "Corrupted copies", "The worst 10"):
        assert there in page
    for gone in ("error by class", "By class", "Precision against depth", "P@10"):
        assert gone not in page
    pictures = {path.stem for path in run.reports.glob("*.png")}
    assert {"neighbours", "comparison", "code_map", "thumbnail_map", "pair_plot", "number_ends"} <= pictures
    assert not {"class_map", "error_by_class", "retrieval_by_class", "precision_curve"} & pictures
    neighbours = pd.read_csv(run.reports / "retrieval" / "neighbours.csv")
    assert neighbours["class"].isna().all()
    assert neighbours["path"].str.endswith(r"\t.png").all()
