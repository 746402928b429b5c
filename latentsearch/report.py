"""Numbers and figures of a run to metrics.json, PNG files and one self-contained report.html."""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from latentsearch import plots, runs, scorecard
from latentsearch.checks import CheckResult
from latentsearch.evidence import Evidence
from latentsearch.metrics import correlations, effective_rank, psnr
from latentsearch.pictures import CURVES, draw
from latentsearch.runs import Run
from latentsearch.scorecard import Score
from latentsearch.trained import TrainedRun

_DPI = 110


def write(trained: TrainedRun, evidence: Evidence, results: list[CheckResult]) -> Path:
    """Writes reports/<run>/: metrics.json, CSV tables, a PNG for each picture, and report.html.

    Returns:
        The path of report.html.
    """
    run = trained.run
    pictures = draw(evidence, trained.gallery)
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
        copy_rows=copy_rows(evidence),
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
    paths = []
    for measure, title in CURVES.items():
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


def copy_rows(evidence: Evidence) -> list[dict[str, str]]:
    """How often altered copies find their originals, as a table of strings: one row an alteration and metric."""
    return [
        {"alteration": distortion, "metric": metric}
        | {f"recall@{k}": f"{m.value:.3f} ± {(m.high - m.low) / 2:.3f}" for k, m in recalls.items()}
        for distortion, by_metric in evidence.copy_recall.items()
        for metric, recalls in by_metric.items()
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
