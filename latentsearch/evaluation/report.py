"""Numbers and figures of a run to metrics.json, PNG files and one self-contained report.html."""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from latentsearch import environment, files
from latentsearch.evaluation import scorecard
from latentsearch.evaluation.check_result import CheckResult
from latentsearch.evaluation.evaluation import Evidence
from latentsearch.evaluation.figures import draw
from latentsearch.gallery import two_codes
from latentsearch.gallery.trained_run import TrainedRun
from latentsearch.metrics import correlations, effective_rank, psnr
from latentsearch.plots.saving import save
from latentsearch.text import write_csv

NO_LABELS = (
    "These images have no labels, so it cannot be told which neighbours are right: the retrieval scorecard, the checks "
    "and the figures by class are left out. What altered copies find needs no labels, and the metric was chosen by it."
)

_LEADING = ("neighbours", "kind_and_look", "baselines")  # pictures that stand before the numbers


def write(trained: TrainedRun, evidence: Evidence, results: list[CheckResult]) -> Path:
    """Writes reports/<run>/: metrics.json, CSV tables, a PNG for each picture, summary.txt and report.html.

    Returns:
        The path of report.html.
    """
    folder, encoded = trained.run.reports, []
    for picture in draw(evidence, trained.gallery.weighted(trained.autoencoder.kind_dim, two_codes.DEFAULT_LOOK)):
        path = folder / f"{picture.name}.png"
        with files.replacing(path) as temporary:
            save(picture.figure, temporary)
        encoded.append((picture, base64.b64encode(path.read_bytes()).decode()))
    numbers = as_numbers(evidence, results)
    files.write_json(folder / "metrics.json", numbers)
    _write_csv(folder / "test_images.csv", _per_image(evidence))
    _write_csv(folder / "duplicates.csv", evidence.duplicates.table(evidence.dataset))
    template = jinja2.Template(
        (Path(__file__).parent / "report.html.jinja").read_text(encoding="utf-8"), autoescape=True
    )
    page = template.render(
        run=evidence.name,
        dataset=evidence.dataset,
        epochs=len(evidence.history),
        verdict=verdict(evidence, results),
        headline=headline(evidence),
        results=results,
        to_mend=[result for result in results if result.status in ("FAIL", "WARN")],
        score_rows=score_rows(evidence),
        no_labels=NO_LABELS,
        class_rows=class_rows(evidence),
        metric=evidence.metric,
        knn_k=scorecard.KNN_K,
        copy_rows=copy_rows(evidence),
        duplicate_rows=duplicate_rows(evidence),
        leak_rows=leak_rows(evidence),
        pictures=encoded,
        leading=_LEADING,
        environment=numbers["environment"],
    )
    path = folder / "report.html"
    lines = [verdict(evidence, results)]
    lines += [f"{name}: {value}" for name, value in headline(evidence).items()]
    lines += [f"check {result.name}: {result.status}" for result in results if result.status != "PASS"]
    lines.append(f"Report: {path.relative_to(trained.run.root)}")
    with files.replacing(folder / "summary.txt") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with files.replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def verdict(evidence: Evidence, results: list[CheckResult]) -> str:
    """The report in one sentence: whether the codes can be searched with, and what stands against it."""
    failed, warned, silent = (
        [result.name for result in results if result.status == status] for status in ("FAIL", "WARN", "n/a")
    )
    if any("collapsed" in result.not_applicable for result in results):
        return f"{evidence.name} has collapsed: different images get the same code, and searching with it is pointless."
    if evidence.is_labelled:
        found = evidence.own_score.overall["P@10"].value
        rival = max((evidence.rival_score(name) for name in evidence.baseline_names), key=_precision)
        opening = (
            f"{100 * found:.0f} of 100 neighbours are of the query's class; the best other vectors, {rival.method}, "
            f"reach {100 * _precision(rival):.0f}, chance {100 * float(evidence.chance.mean()):.0f}"
        )
    else:
        recalls = [by_metric[evidence.metric] for by_metric in evidence.copy_recall.values()]
        worst = min(recall[max(recall)].value for recall in recalls)
        opening = f"{100 * worst:.0f} of 100 altered copies find their original among ten neighbours"
    against = [f"{word}: {', '.join(names)}" for word, names in (("FAIL", failed), ("WARN", warned)) if names]
    rest = "; ".join(against) or f"all {len(results) - len(silent)} checks pass"
    return f"{opening}; {rest}."


def _precision(score: scorecard.Score) -> float:
    return score.overall["P@10"].value


def headline(evidence: Evidence) -> dict[str, str]:
    """The numbers that tell most, by their name."""
    mse = float(evidence.errors.mean())
    lines = {"test MSE": f"{mse:.5f} ({psnr(mse):.2f} dB); PCA {evidence.linear.mse:.5f}"}
    if not evidence.is_grey:
        lines["test accuracy"] = (
            f"{evidence.accuracy:.4f} of pixels have the right strongest channel; PCA {evidence.linear.accuracy:.4f}"
        )
    for name, value in evidence.own_score.overall.items() if evidence.is_labelled else ():
        rivals = (f"{rival} {evidence.rival_score(rival).overall[name].value:.4f}" for rival in evidence.baseline_names)
        lines[f"{name} ({evidence.metric})"] = f"{value.value:.4f}; {', '.join(rivals)}"
    for distortion, by_metric in evidence.copy_recall.items() if not evidence.is_labelled else ():
        recalls = (f"recall@{k} {recall.value:.4f}" for k, recall in by_metric[evidence.metric].items())
        lines[f"copies with {distortion} ({evidence.metric})"] = ", ".join(recalls)
    leaked = f"{evidence.leaked.sum():,} of {len(evidence.leaked):,} test images have a duplicate in the gallery"
    if evidence.leakless_score is not None:
        leaked += f"; P@10 without them {evidence.leakless_score.overall['P@10'].value:.4f}"
    lines["leaks"] = leaked
    tracking = evidence.criterion_tracking
    if tracking:
        lines["rank correlation with P@10 over the epochs"] = ", ".join(
            f"{name} {value:.2f}" for name, value in tracking.items()
        )
    lines["effective rank"] = f"{effective_rank(evidence.codes):.2f} of {evidence.codes.shape[1]}"
    return lines


def score_rows(evidence: Evidence) -> list[dict[str, str]]:
    """The scorecard as a table of strings: one row a method and metric, and chance; none without labels."""
    if not evidence.is_labelled:
        return []
    rows = [
        {"method": score.method, "metric": score.metric}
        | {name: f"{m.value:.4f} ± {(m.high - m.low) / 2:.4f}" for name, m in score.overall.items()}
        for score in (*evidence.parts, *evidence.scores)
    ]
    # Random neighbours in any number are right as often; for the other measures chance has no simple value.
    chance = {name: f"{evidence.chance.mean():.4f}" if name.startswith("P@") else "" for name in scorecard.MEASURES}
    return [*rows, {"method": "chance", "metric": ""} | chance]


def class_rows(evidence: Evidence) -> list[dict[str, str]]:
    """The scorecard of the run by class under its metric, as a table of strings; none without labels."""
    if not evidence.is_labelled:
        return []
    return [
        {"class": name} | {measure: f"{m.value:.3f} ± {(m.high - m.low) / 2:.3f}" for measure, m in measures.items()}
        for name, measures in evidence.own_score.by_class.items()
    ]


def copy_rows(evidence: Evidence) -> list[dict[str, str]]:
    """How often altered copies find their originals, as a table of strings: one row an alteration and metric."""
    return [
        {"alteration": distortion, "metric": metric}
        | {f"recall@{k}": f"{m.value:.3f} ± {(m.high - m.low) / 2:.3f}" for k, m in recalls.items()}
        for distortion, by_metric in evidence.copy_recall.items()
        for metric, recalls in by_metric.items()
    ]


def duplicate_rows(evidence: Evidence) -> list[dict[str, str | int]]:
    """Pairs of duplicates by where they lie and kind, as a table."""
    counts = evidence.duplicates.counts(evidence.dataset)
    return [
        {"duplicates": place} | {f"{kind} pairs": count for kind, count in kinds.items()}
        for place, kinds in counts.items()
    ]


def leak_rows(evidence: Evidence) -> list[dict[str, str]]:
    """The scorecard of the run with all test images and without those that leak, as a table of strings."""
    if evidence.leakless_score is None:
        return []
    leaked = int(evidence.leaked.sum())
    scores = {
        f"all {len(evidence.leaked):,} test images": evidence.own_score,
        f"without {leaked:,} that have a duplicate in the gallery": evidence.leakless_score,
    }
    return [
        {"queries": name, "metric": score.metric}
        | {measure: f"{m.value:.4f} ± {(m.high - m.low) / 2:.4f}" for measure, m in score.overall.items()}
        for name, score in scores.items()
    ]


def as_numbers(evidence: Evidence, results: list[CheckResult]) -> dict[str, Any]:
    """Everything that was measured, for metrics.json."""
    dataset = evidence.dataset
    return {
        "run": evidence.name,
        "encoder": evidence.encoder,
        "seed": evidence.seed,
        "epochs": len(evidence.history),
        "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint, "content": dataset.content},
        "protocol": {
            "gallery": f"{len(dataset.gallery_ids())} train and validation images",
            "queries": f"{len(evidence.test_ids)} test images",
            "relevant": "same class" if evidence.is_labelled else None,
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
            "mean_image_test_mse": evidence.linear.mean_mse,
            "test_mse_by_class": evidence.error_by_class if evidence.is_labelled else None,
        },
        "criterion_tracking": evidence.criterion_tracking,
        "latent": {
            "standard_deviation": evidence.codes.std(axis=0).tolist(),
            "correlations": correlations(evidence.codes).tolist(),
            "effective_rank": effective_rank(evidence.codes),
        },
        "chance": float(evidence.chance.mean()) if evidence.is_labelled else None,
        "metric": evidence.metric,
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
            for score in (*evidence.scores, *evidence.parts)
        ],
        "kind_and_look": [point._asdict() for point in evidence.slider],
        "compared": {
            "queries": evidence.compared.tolist(),
            "neighbours": {method: ids.tolist() for method, ids in evidence.neighbours.items()},
        },
        "copy_recall": {
            distortion: {
                metric: {f"recall@{k}": value._asdict() for k, value in recalls.items()}
                for metric, recalls in by_metric.items()
            }
            for distortion, by_metric in evidence.copy_recall.items()
        },
        "duplicates": _duplicates(evidence),
        "checks": [asdict(result) | {"status": result.status} for result in results],
        "environment": environment.environment(),
    }


def _duplicates(evidence: Evidence) -> dict[str, Any]:
    """What was found of duplicates, for metrics.json; the pairs stand in duplicates.csv."""
    sizes = np.bincount(evidence.duplicates.groups)
    without = evidence.leakless_score
    return {
        "pairs": evidence.duplicates.counts(evidence.dataset),
        "mirrored_pairs": int(evidence.duplicates.mirrored.sum()),
        "groups": int((sizes > 1).sum()),
        "images_in_groups": int(sizes[sizes > 1].sum()),
        "largest_group": int(sizes.max()),
        "test_images_with_duplicate_in_gallery": int(evidence.leaked.sum()),
        "share_of_test_images": float(evidence.leaked.mean()),
        "scorecard_without_them": without
        and {
            "metric": without.metric,
            "overall": {name: value._asdict() for name, value in without.overall.items()},
        },
    }


def _per_image(evidence: Evidence) -> pd.DataFrame:
    """One row a test image: id, class, squared_error, its code, and where it lies on the map, if it was drawn.

    No class without labels; the file of each image, if they are from files.
    """
    table = pd.DataFrame(
        {"id": evidence.test_ids, "class": evidence.class_of_image, "squared_error": evidence.errors}
    ).join(pd.DataFrame(evidence.codes).add_prefix("code_"))
    if not evidence.is_labelled:
        table = table.drop(columns="class")
    if evidence.dataset.paths:
        table.insert(1, "file", [evidence.dataset.paths[image_id] for image_id in evidence.test_ids])
    return table.join(pd.DataFrame(evidence.points, index=evidence.projected, columns=["map_x", "map_y"]))


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    with files.replacing(path) as temporary:
        write_csv(temporary, list(table.columns), table.itertuples(index=False, name=None))
