"""The five scripts as processes, in order, on the digits in a temporary root; then what they refuse."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from latentsearch import data
from latentsearch.evaluation import evaluate, report
from latentsearch.runs import Run
from tests.conftest import called_once
from tests.processes import run_process

pytestmark = pytest.mark.slow

SMALL = ("--architecture", "custom", "--network.filters", "16", "--network.depth", "1", "--network.dense-units", "128")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """The root after DataPreperation, BuildingAutoencoder, TrainAutoencoder and SanityChecks, and how these ended."""
    root, ended = tmp_path_factory.mktemp("root"), {}
    training = ("--epochs", "8", "--batch-size", "32", "--learning-rate", "3e-3", "--shift", "0", "--no-flip")
    for name, *flags in (
        ("DataPreperation.py", "--source", "digits"),
        ("BuildingAutoencoder.py", "--run", "digits", "--dataset", "digits", *SMALL),
        ("TrainAutoencoder.py", "--run", "digits", *training),
        ("SanityChecks.py", "--run", "digits", "--strict"),
    ):
        result = run_process(name, *flags, "--root", root)
        assert result.returncode == 0 or "--strict" in flags, result.stderr
        assert "Traceback" not in result.stderr
        ended[name] = result
    return root, ended


def retrieve(script, root, *flags):
    return script("RetrieveSimilar.py", "--run", "digits", "--root", root, *flags)


def test_each_script_leaves_its_artefacts(pipeline):
    root, ended = pipeline
    run = Run(root, "digits")
    assert "(355, 32, 32, 3) float32 in [0.000, 1.000], no NaN" in ended["DataPreperation.py"].stdout
    assert "numbers a code" in ended["BuildingAutoencoder.py"].stdout
    assert "Report:" in ended["SanityChecks.py"].stdout
    for path in (run.initial_model, run.build_record, run.best_model, run.history, run.training_record, run.gallery):
        assert path.stat().st_size, path
    for name in ("training_loss", "pair_plot", "number_ends", "class_map", "thumbnail_map", "neighbours"):
        assert Image.open(run.reports / f"{name}.png").size[0] > 300
    assert not list(root.rglob("*.tmp*"))


def test_the_metrics_are_those_of_a_working_network(pipeline):
    root, _ = pipeline
    numbers = json.loads((Run(root, "digits").reports / "metrics.json").read_text())
    score = {(row["method"], row["metric"]): row["overall"] for row in numbers["scorecard"]}
    assert {method for method, _ in score} == {
        "digits",
        "raw pixels",
        "colour histogram",
        "10-d PCA",
        "whitened 10-d PCA",
    }
    assert {metric for method, metric in score if method == "digits"} == {"cosine", "euclidean", "manhattan"}
    assert score["digits", "euclidean"]["P@10"]["value"] > 0.6  # chance is 0.1
    assert numbers["chance"] == pytest.approx(0.1, abs=0.005)
    for measures in score.values():
        assert all(0 <= m["low"] <= m["value"] <= m["high"] <= 1 for m in measures.values())
    assert numbers["reconstruction"]["test_mse"] < 0.06
    by_name = {check["name"]: check for check in numbers["checks"]}
    assert by_name["retrieval against chance"]["status"] == "PASS"
    assert by_name["copies with noise"]["status"] == "PASS"
    assert by_name["leaks"]["status"] == "PASS"
    assert by_name["leaks"]["value"] == numbers["duplicates"]["share_of_test_images"]
    without = numbers["duplicates"]["scorecard_without_them"]["overall"]["P@10"]
    own = next(row for row in numbers["scorecard"] if row["metric"] == numbers["metric"])
    assert without["value"] == pytest.approx(own["overall"]["P@10"]["value"], abs=0.02)


def test_the_report_is_one_file_that_needs_no_network(pipeline):
    root, _ = pipeline
    page = (Run(root, "digits").reports / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"#]{1,40})', page)
    assert set(re.findall(r'href="#([^"]+)', page)) <= set(re.findall(r' id="([^"]+)', page))
    assert (
        page.index('class="verdict"') < page.index('id="baselines"') < page.index("Contents") < page.index(">Checks<")
    )
    assert len(sources) == len(list(Run(root, "digits").reports.glob("*.png")))
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://|url\(|<script|<link|@import", page)
    for heading in (
        "Checks",
        "Retrieval scorecard",
        "Duplicates and leaks",
        "Latent dimensions in pairs",
        "The worst 10",
    ):
        assert heading in page


def test_every_figure_of_the_report_has_its_numbers_in_a_file(pipeline):
    root, _ = pipeline
    per_image = pd.read_csv(Run(root, "digits").reports / "test_images.csv")
    dataset = data.load(root, "digits")
    np.testing.assert_array_equal(per_image["id"], dataset.ids("test"))
    numbers = json.loads((Run(root, "digits").reports / "metrics.json").read_text())
    assert [row["number"] for row in numbers["latent"]["ends"]] == [f"number {number}" for number in range(1, 11)]
    assert max(row["high"]["share"] for row in numbers["latent"]["ends"]) > 0.5
    assert per_image["squared_error"].mean() == pytest.approx(numbers["reconstruction"]["test_mse"], rel=1e-4)
    assert [name for name in per_image if name.startswith("code_")] == [f"code_{n}" for n in range(10)]


def test_test_images_are_answered_but_never_by_themselves(pipeline, script):
    root, _ = pipeline
    result = retrieve(script, root, "--query-index", 0, 7, "--k", 5, "--metric", "all")
    assert result.returncode == 0, result.stderr
    folder = Run(root, "digits").reports / "retrieval"
    rows = pd.read_csv(folder / "neighbours.csv")
    assert len(rows) == 2 * 5 * 3
    record = json.loads((folder / "neighbours.json").read_text())
    for query in record["queries"]:
        own = rows[(rows["query"] == query["query"]) & (rows["metric"] == query["metric"])]
        assert [neighbour["id"] for neighbour in query["neighbours"]] == list(own["id"])
        assert query["class"] == str(own["query_class"].iloc[0])
    test_ids = data.load(root, "digits").ids("test")
    for position, name in ((0, "test 0"), (7, "test 7")):
        assert test_ids[position] not in set(rows.loc[rows["query"] == name, "id"])
    assert (rows.groupby(["query", "metric"])["distance"].diff().dropna() >= 0).all()
    assert list(rows["metric"].unique()) == ["cosine", "euclidean", "manhattan"]
    assert Image.open(folder / "neighbours.png").size[1] > 500  # two queries under three metrics
    assert "kept from before" in result.stdout


def test_without_queries_twenty_test_images_are_asked_about(pipeline, in_process):
    root, _ = pipeline
    assert retrieve(in_process, root).returncode == 0
    rows = pd.read_csv(Run(root, "digits").reports / "retrieval" / "neighbours.csv")
    assert rows["query"].nunique() == 20
    assert len(rows) == 200


def test_files_that_cannot_be_read_are_named_and_the_others_answered(pipeline, in_process, tmp_path):
    root, _ = pipeline
    dataset = data.load(root, "digits")
    Image.fromarray(dataset.images[3]).resize((200, 200), Image.Resampling.NEAREST).save(tmp_path / "three.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    asked = [tmp_path / name for name in ("broken.jpg", "three.png", "none.png")]
    result = retrieve(in_process, root, "--query", *asked)
    assert result.returncode == 2
    assert "broken.jpg: " in result.stderr
    assert "none.png: there is no such file" in result.stderr
    assert "Traceback" not in result.stderr
    rows = pd.read_csv(Run(root, "digits").reports / "retrieval" / "neighbours.csv")
    assert set(rows["query"]) == {str(tmp_path / "three.png")}
    assert rows["id"][0] == 3  # a larger copy of image 3 finds image 3
    assert rows["distance"][0] < rows["distance"][1] / 2


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("DataPreperation.py", ["--source", "nowhere"], "nothing is there"),
        ("BuildingAutoencoder.py", ["--run", "new", "--dataset", "photos"], "python DataPreperation.py"),
        ("BuildingAutoencoder.py", ["--run", "digits", "--dataset", "digits", "--latent-dim", "9"], "--overwrite"),
        ("BuildingAutoencoder.py", ["--architecture", "huge"], "compact"),
        ("TrainAutoencoder.py", ["--run", "digits", "--epochs", "7"], "cannot go on with --epochs 7: it began with 8"),
        (
            "TrainAutoencoder.py",
            ["--run", "digits", "--resume", "--epochs", "7"],
            "cannot go on with --epochs 7: it began with 8",
        ),
        ("TrainAutoencoder.py", ["--seed", "-1"], "--seed -1"),
        ("TrainAutoencoder.py", ["--run", "unknown"], "python BuildingAutoencoder.py --run unknown"),
        ("TrainAutoencoder.py", ["--epochs", "many"], "--epochs"),
        ("TuneAutoencoder.py", ["--dataset", "digits", "--trials", "0"], "--trials 0"),
        (
            "BuildingAutoencoder.py",
            ["--run", "new", "--from-trial", "best"],
            "python TuneAutoencoder.py",
        ),
        ("SanityChecks.py", ["--run", "digits", "--compare", "digits"], "expected another run"),
        ("SanityChecks.py", ["--run", "unknown"], "python TrainAutoencoder.py --run unknown"),
        ("RetrieveSimilar.py", ["--run", "digits", "--k", "0"], "--k 0"),
        ("RetrieveSimilar.py", ["--run", "digits", "--query-index", "355"], "expected 0 to 354"),
        ("RetrieveSimilar.py", ["--run", "../digits"], "--run"),
    ],
)
def test_bad_input_exits_with_2_and_words(name, flags, message, pipeline, in_process):
    root, _ = pipeline
    result = in_process(name, *flags, "--root", root)
    assert result.returncode == 2
    assert message in result.stderr


@pytest.fixture(scope="module")
def measured_once():
    """Lets SanityChecks measure and draw once, and judge the same each time."""
    with called_once((evaluate, "evaluate"), (report, "write")):
        yield


@pytest.fixture
def check_similar(pipeline, measured_once, coarse_figures, small_towers, in_process):
    """Checks a run "similar" of that root, which has learnt next to nothing."""
    root, _ = pipeline
    flags, network = ["--run", "similar", "--root", root], [*SMALL, "--latent-dim", "2"]
    if not Run(root, "similar").best_model.exists():
        assert in_process("BuildingAutoencoder.py", "--dataset", "digits", *network, *flags).returncode == 0
        training = ["--similarity-weight", "0.1", "--epochs", "1", "--shift", "0", "--no-flip"]
        trained = in_process("TrainAutoencoder.py", *training, *flags)
        assert trained.returncode == 0, trained.stderr
    return lambda *strict: in_process("SanityChecks.py", "--compare", "digits", *strict, *flags)


def test_a_run_trained_for_similarity_is_set_beside_the_plain_one(pipeline, check_similar):
    root, _ = pipeline
    checked = check_similar()
    assert checked.returncode == 0, checked.stderr
    reports = Run(root, "similar").reports
    numbers = json.loads((reports / "metrics.json").read_text())
    assert {"similar", "digits", "raw pixels"} <= {row["method"] for row in numbers["scorecard"]}
    test_ids = set(data.load(root, "digits").ids("test"))
    assert set(numbers["compared"]["queries"]) <= test_ids
    for method in ("raw pixels", "digits", "similar"):
        found = np.array(numbers["compared"]["neighbours"][method])
        assert found.shape == (20, 5)
        assert not test_ids & set(found.ravel())
    for name in ("comparison", "training_similarity", "training_retrieval"):
        assert Image.open(reports / f"{name}.png").size[0] > 300


@pytest.mark.parametrize(("strict", "status"), [(["--strict"], 1), ([], 0)])
def test_a_failed_check_exits_with_1_if_strict_and_with_0_if_not(strict, status, check_similar):
    result = check_similar(*strict)
    assert result.returncode == status, result.stderr
    assert "FAIL" in result.stdout


def test_the_pipeline_fixture_fails_no_check_but_that_of_a_plain_autoencoder(pipeline):
    """Ten numbers learnt for the picture alone find digits less well than a PCA does, and --strict says so."""
    root, ended = pipeline
    numbers = json.loads((Run(root, "digits").reports / "metrics.json").read_text())
    failed = {check["name"] for check in numbers["checks"] if check["status"] == "FAIL"}
    assert failed <= {"retrieval against PCA"}
    assert ended["SanityChecks.py"].returncode == int(bool(failed)), ended["SanityChecks.py"].stderr
