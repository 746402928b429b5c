"""Numbers and figures of a run to metrics.json, PNG files and one self-contained report.html."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from latentsearch import plots, runs, scorecard
from latentsearch.checks import CheckResult
from latentsearch.evidence import Evidence
from latentsearch.gallery import Gallery
from latentsearch.metrics import correlations, effective_rank, psnr
from latentsearch.runs import Run
from latentsearch.scorecard import Score
from latentsearch.trained import TrainedRun

_NUM_PAIR_PLOT_IMAGES = 1000
_DPI = 110


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Args:
        name: File name without suffix.
        title: Heading.
        text: What to look for: good, poor, broken.
        figure: The figure itself.
    """

    name: str
    title: str
    text: str
    figure: Figure


def write(trained: TrainedRun, evidence: Evidence, results: list[CheckResult]) -> Path:
    """Writes reports/<run>/: metrics.json, CSV tables, a PNG for each picture, and report.html.

    Returns:
        The path of report.html.
    """
    run = trained.run
    pictures = _pictures(evidence, trained.gallery)
    encoded = []
    for picture in pictures:
        path = run.reports / f"{picture.name}.png"
        with runs.replacing(path) as temporary:
            picture.figure.savefig(temporary, dpi=_DPI)
        encoded.append((picture, base64.b64encode(path.read_bytes()).decode()))
    numbers = metrics(evidence, results)
    runs.write_json(run.reports / "metrics.json", numbers)
    per_image = pd.DataFrame(
        {"id": evidence.test_ids, "class": evidence.class_of_image, "squared_error": evidence.errors}
    ).join(pd.DataFrame(evidence.codes).add_prefix("code_"))
    with runs.replacing(run.reports / "test_images.csv") as temporary:
        per_image.to_csv(temporary, index=False, float_format="%.6g")
    template = jinja2.Template(
        (Path(__file__).parent / "report.html.jinja").read_text(encoding="utf-8"), autoescape=True
    )
    page = template.render(
        run=run.name,
        dataset=evidence.dataset,
        headline=headline(evidence),
        results=results,
        score_rows=score_rows(evidence.scores),
        knn_k=scorecard.KNN_K,
        latent_dim=evidence.codes.shape[1],
        pictures=encoded,
        environment=numbers["environment"],
    )
    lines = [f"{name}: {value}" for name, value in headline(evidence).items()]
    lines += [f"check {result.name}: {result.status}" for result in results if result.status != "PASS"]
    path = run.reports / "report.html"
    with runs.replacing(run.reports / "summary.txt") as temporary:
        temporary.write_text("\n".join([*lines, f"Report: {path.relative_to(run.root)}"]) + "\n", encoding="utf-8")
    with runs.replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def write_curves(run: Run, history: pd.DataFrame) -> list[Path]:
    """Writes the curves of loss and accuracy by epoch to reports/<run>/ and returns their paths."""
    titles = {"loss": "mean squared error", "accuracy": "share of pixels whose strongest channel is right"}
    paths = []
    for measure, title in titles.items():
        paths.append(run.reports / f"training_{measure}.png")
        with runs.replacing(paths[-1]) as temporary:
            plots.curves(history, measure, title).savefig(temporary, dpi=_DPI)
    return paths


def headline(evidence: Evidence) -> dict[str, str]:
    """The numbers that tell most, by their name."""
    best = evidence.best_score(evidence.name)
    mse = float(evidence.errors.mean())
    return {
        "test MSE": f"{mse:.5f} ({psnr(mse):.2f} dB); PCA {evidence.linear.mse:.5f}",
        "test accuracy": f"{evidence.accuracy:.4f} of pixels have the right strongest channel; "
        f"PCA {evidence.linear.accuracy:.4f}",
        **{
            f"{name} ({best.metric})": f"{value.value:.4f} ({value.low:.4f} to {value.high:.4f})"
            for name, value in best.overall.items()
        },
        "effective rank": f"{effective_rank(evidence.codes):.2f} of {evidence.codes.shape[1]}",
    }


def score_rows(scores: list[Score]) -> list[dict[str, str]]:
    """The scorecard as a table of strings: one row a method and metric."""
    return [
        {
            "method": score.method,
            "metric": score.metric,
            **{name: f"{m.value:.4f} ± {(m.high - m.low) / 2:.4f}" for name, m in score.overall.items()},
        }
        for score in scores
    ]


def metrics(evidence: Evidence, results: list[CheckResult]) -> dict[str, Any]:
    """Everything that was measured, for metrics.json."""
    dataset, labels = evidence.dataset, evidence.labels
    error_by_class = {
        name: float(evidence.errors[labels == label].mean())
        for label, name in enumerate(dataset.class_names)
        if (labels == label).any()
    }
    return {
        "run": evidence.name,
        "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint, "content": dataset.content},
        "protocol": {
            "gallery": f"{len(dataset.gallery_ids())} train and validation images",
            "queries": f"{len(evidence.test_ids)} test images",
            "relevant": "same class",
            "AP": "mean of precision at each hit in the first 1000, divided by the number of hits there",
            "kNN": f"majority of {scorecard.KNN_K} neighbours, ties to the closest",
            "intervals": "95 % percentile bootstrap over queries, 1000 resamples",
        },
        "reconstruction": {
            "test_mse": float(evidence.errors.mean()),
            "test_psnr_db": psnr(float(evidence.errors.mean())),
            "test_accuracy": evidence.accuracy,
            "train_mse": evidence.train_mse,
            "pca_test_mse": evidence.linear.mse,
            "pca_test_accuracy": evidence.linear.accuracy,
            "test_mse_by_class": error_by_class,
        },
        "latent": {
            "standard_deviation": evidence.codes.std(axis=0).tolist(),
            "correlations": correlations(evidence.codes).tolist(),
            "effective_rank": effective_rank(evidence.codes),
        },
        "chance": evidence.chance,
        "scorecard": [
            {
                "method": score.method,
                "metric": score.metric,
                "overall": {name: value._asdict() for name, value in score.overall.items()},
                "by_class": {
                    class_name: {name: value._asdict() for name, value in measures.items()}
                    for class_name, measures in score.by_class.items()
                },
                "precision_curve": [round(float(value), 5) for value in score.precision_curve],
            }
            for score in evidence.scores
        ],
        "copy_recall": {
            distortion: {
                metric: {f"recall@{k}": value._asdict() for k, value in recalls.items()}
                for metric, recalls in by_metric.items()
            }
            for distortion, by_metric in evidence.copy_recall.items()
        },
        "checks": [asdict(result) | {"status": result.status} for result in results],
        "environment": runs.environment(),
    }


def _pictures(evidence: Evidence, gallery: Gallery) -> list[Picture]:
    """All figures of the report, in its order."""
    names, classes = evidence.dataset.class_names, evidence.class_of_image
    best = evidence.best_score(evidence.name)
    sample = np.linspace(0, len(classes) - 1, min(_NUM_PAIR_PLOT_IMAGES, len(classes))).astype(int)
    curve_of = {
        f"{method} ({score.metric})": score.precision_curve
        for method in (evidence.name, *evidence.baseline_names)
        for score in [evidence.best_score(method)]
    }
    errors = {name: float(evidence.errors[classes == name].mean()) for name in names if (classes == name).any()}
    table = pd.DataFrame({name: {m: v.value for m, v in ms.items()} for name, ms in best.by_class.items()}).T
    projected = evidence.test_ids[evidence.projected]
    return [
        *_reconstruction_pictures(evidence),
        Picture(
            "error_by_class",
            "Reconstruction error by class",
            "Good: bars of similar length. A class far longer than the others has images that ten numbers describe "
            "badly (much texture, strong contrast).",
            plots.bars(errors, "mean squared error", ("PCA, all classes", evidence.linear.mse)),
        ),
        Picture(
            "neighbours",
            "Nearest gallery images",
            "The first test image of each class, and its nearest gallery images by code. Green: same class. "
            "Good: mostly green, and what is red looks alike. Poor: same colours, other things. "
            "Broken: no likeness at all, or the same neighbours for every query.",
            _neighbours(evidence, gallery),
        ),
        Picture(
            "precision_curve",
            "Precision against depth",
            "Good: far above chance and the baselines, falling slowly. Poor: on the baselines. Broken: flat at chance.",
            plots.precision_curves(curve_of, evidence.chance),
        ),
        Picture(
            "retrieval_by_class",
            f"Retrieval by class ({best.metric})",
            "Good: no row near chance. A weak class is mostly answered with images of another.",
            plots.class_table(table, "share"),
        ),
        Picture(
            "pair_plot",
            "Latent dimensions in pairs",
            "Good: round clouds, classes in different places. Poor: narrow bands (two dimensions say the same). "
            "Broken: lines or single points (dead or copied dimensions).",
            plots.pair_plot(evidence.codes[sample], classes[sample], names),
        ),
        Picture(
            "code_distributions",
            "Distribution of each latent dimension",
            "Good: broad, and shifted between classes. Poor: the same for every class. Broken: one spike.",
            plots.code_distributions(evidence.codes, classes, names),
        ),
        Picture(
            "correlations",
            "Correlation of the latent dimensions",
            "Good: pale off the diagonal. Broken: a cell at 1 or -1 off the diagonal: two copies of one dimension.",
            plots.correlation_map(correlations(evidence.codes)),
        ),
        Picture(
            "class_map",
            "Map of the test codes by class (UMAP)",
            "Good: islands or regions of one colour. Poor: gradual mixtures. Broken: all colours everywhere.",
            plots.class_map(evidence.points, classes[evidence.projected], names),
        ),
        Picture(
            "thumbnail_map",
            "Map of the test codes by image (UMAP)",
            "What do neighbours share? Kinds of things: good. Only background colour and brightness: poor.",
            plots.thumbnail_map(evidence.points, evidence.dataset.images[projected]),
        ),
    ]


def _reconstruction_pictures(evidence: Evidence) -> list[Picture]:
    texts = {
        "first": "Good: blurred, but layout, pose and colour are right. Poor: right colours only. "
        "Broken: the same image every time.",
        "best": "Easy images: smooth, with few edges.",
        "worst": "Hard images: texture and strong contrast, which ten numbers cannot hold.",
    }
    pictures = []
    for title, (ids, reconstructions) in evidence.examples.items():
        rows = np.searchsorted(evidence.test_ids, ids)
        captions = [f"{evidence.errors[row]:.4f}" for row in rows]
        images = {"original": evidence.dataset.images[ids], "reconstruction": reconstructions}
        heading = {"first": "The first 10 test images", "best": "The best 10", "worst": "The worst 10"}[title]
        figure = plots.image_rows(images, captions)
        pictures.append(
            Picture(f"reconstructions_{title}", f"{heading}, with their squared error", texts[title], figure)
        )
    copies = plots.image_rows(evidence.copies)
    text = "The alterations of the copy checks: each copy should find its original among all gallery images."
    return [*pictures, Picture("copies", "Altered copies", text, copies)]


def _neighbours(evidence: Evidence, gallery: Gallery) -> Figure:
    dataset, best = evidence.dataset, evidence.best_score(evidence.name)
    firsts = [np.flatnonzero(evidence.labels == label)[:1] for label in range(len(dataset.class_names))]
    queries = evidence.test_ids[np.concatenate(firsts)]
    found = gallery.only(dataset.gallery_ids()).ask(gallery.codes[queries], 10, metric=best.metric)
    name_of = np.array(dataset.class_names)
    return plots.neighbour_rows(
        dataset.images[queries],
        name_of[dataset.labels[queries]].tolist(),
        dataset.images[found.ids],
        name_of[dataset.labels[found.ids]].tolist(),
        dataset.labels[found.ids] == dataset.labels[queries][:, None],
    )
