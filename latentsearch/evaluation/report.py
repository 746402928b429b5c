"""The report of an evaluation: metrics.json, CSV tables, PNG files and one self-contained report.html."""

from __future__ import annotations

import base64
from pathlib import Path

import jinja2
import pandas as pd

from latentsearch import files
from latentsearch.evaluation import metrics_record, scorecard
from latentsearch.evaluation.check_result import CheckResult
from latentsearch.evaluation.evaluation import Evaluation
from latentsearch.evaluation.figures import draw
from latentsearch.gallery import two_codes
from latentsearch.gallery.trained_run import TrainedRun
from latentsearch.metrics import effective_rank, psnr
from latentsearch.plots.saving import save
from latentsearch.text import write_csv

NO_LABELS = (
    "These images have no labels, so it cannot be told which neighbours are right: the retrieval scorecard, the checks "
    "and the figures by class are left out. What corrupted copies find needs no labels: the metric was chosen by it."
)

_LEADING = ("neighbours", "kind_and_look", "baselines")  # pictures that stand before the numbers


def write(trained: TrainedRun, evaluation: Evaluation, results: list[CheckResult]) -> Path:
    """Write reports/<run>/: metrics.json, CSV tables, a PNG for each picture, summary.txt and report.html.

    Returns:
        The path of report.html.
    """
    folder, encoded = trained.run.reports, []
    for picture in draw(evaluation, trained.gallery.weighted(trained.autoencoder.kind_dim, two_codes.DEFAULT_LOOK)):
        path = folder / f"{picture.name}.png"
        with files.replacing(path) as temporary:
            save(picture.figure, temporary)
        encoded.append((picture, base64.b64encode(path.read_bytes()).decode()))
    numbers = metrics_record.as_record(evaluation, results)
    files.write_json(folder / "metrics.json", numbers)
    _write_csv(folder / "test_images.csv", metrics_record.per_image(evaluation))
    _write_csv(folder / "duplicates.csv", evaluation.duplicates.table(evaluation.dataset))
    template = jinja2.Template(
        (Path(__file__).parent / "report.html.jinja").read_text(encoding="utf-8"), autoescape=True
    )
    page = template.render(
        run=evaluation.name,
        dataset=evaluation.dataset,
        epochs=len(evaluation.history),
        verdict=verdict(evaluation, results),
        headline=headline(evaluation),
        results=results,
        to_mend=[result for result in results if result.status in ("FAIL", "WARN")],
        score_rows=score_rows(evaluation),
        no_labels=NO_LABELS,
        class_rows=class_rows(evaluation),
        metric=evaluation.metric,
        knn_k=scorecard.KNN_K,
        copy_rows=copy_rows(evaluation),
        duplicate_rows=duplicate_rows(evaluation),
        leak_rows=leak_rows(evaluation),
        pictures=encoded,
        leading=_LEADING,
        environment=numbers["environment"],
    )
    path = folder / "report.html"
    lines = [verdict(evaluation, results)]
    lines += [f"{name}: {value}" for name, value in headline(evaluation).items()]
    lines += [f"check {result.name}: {result.status}" for result in results if result.status != "PASS"]
    lines.append(f"Report: {path.relative_to(trained.run.root)}")
    with files.replacing(folder / "summary.txt") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with files.replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def verdict(evaluation: Evaluation, results: list[CheckResult]) -> str:
    """Sum up the report in one sentence: whether the codes suit a search, and what stands against it."""
    failed, warned, silent = (
        [result.name for result in results if result.status == status] for status in ("FAIL", "WARN", "n/a")
    )
    if any("collapsed" in result.not_applicable for result in results):
        return (
            f"{evaluation.name} has collapsed: different images get the same code, and searching with it is pointless."
        )
    if evaluation.is_labelled:
        rival = max((evaluation.rival_score(name) for name in evaluation.baseline_names), key=_precision)
        own, other = _shares(evaluation.own_score), _shares(rival)
        opening = (
            f"{own[0]:.0f} in 100 of the ten nearest images are of the query's class, and {own[1]:.0f} in 100 of the "
            f"hundred nearest; by the best rival, {rival.method}, {other[0]:.0f} and {other[1]:.0f}; by chance "
            f"{100 * float(evaluation.chance.mean()):.0f}"
        )
    elif evaluation.too_few_for_copies:
        opening = evaluation.too_few_for_copies.rstrip(".")
    else:
        recalls = [by_metric[evaluation.metric] for by_metric in evaluation.copy_recall.values()]
        worst = min(recall[max(recall)].value for recall in recalls)
        opening = f"{100 * worst:.0f} of 100 corrupted copies find their original among ten neighbours"
    against = [f"{word}: {', '.join(names)}" for word, names in (("FAIL", failed), ("WARN", warned)) if names]
    rest = "; ".join(against) or f"all {len(results) - len(silent)} checks pass"
    return f"{opening}; {rest}."


def _precision(score: scorecard.Score) -> float:
    return score.overall["P@10"].value


def _shares(score: scorecard.Score) -> list[float]:
    return [100 * score.overall[name].value for name in ("P@10", "P@100")]


def headline(evaluation: Evaluation, *, with_scores: bool = True) -> dict[str, str]:
    """Select the most telling numbers, by name; `with_scores` those of the scorecard too."""
    mse = float(evaluation.errors.mean())
    lines = {"test MSE": f"{mse:.5f} ({psnr(mse):.2f} dB); PCA {evaluation.linear.mse:.5f}"}
    if not evaluation.is_grey:
        lines["test accuracy"] = (
            f"{evaluation.accuracy:.4f} of pixels have the right strongest channel; "
            f"PCA {evaluation.linear.accuracy:.4f}"
        )
    for name, value in evaluation.own_score.overall.items() if evaluation.is_labelled and with_scores else ():
        rivals = (
            f"{rival} {evaluation.rival_score(rival).overall[name].value:.4f}" for rival in evaluation.baseline_names
        )
        lines[f"{name} ({evaluation.metric})"] = f"{value.value:.4f}; {', '.join(rivals)}"
    if evaluation.too_few_for_copies:
        lines["corrupted copies"] = evaluation.too_few_for_copies
    without_labels = not evaluation.is_labelled and not evaluation.too_few_for_copies
    for corruption, by_metric in evaluation.copy_recall.items() if without_labels else ():
        recalls = (f"recall@{k} {recall.value:.4f}" for k, recall in by_metric[evaluation.metric].items())
        lines[f"copies with {corruption} ({evaluation.metric})"] = ", ".join(recalls)
    leaked = f"{evaluation.leaked.sum():,} of {len(evaluation.leaked):,} test images have a duplicate in the gallery"
    if evaluation.leakless_score is not None:
        leaked += f"; P@10 without them {evaluation.leakless_score.overall['P@10'].value:.4f}"
    lines["leaks"] = leaked
    tracking = evaluation.criterion_tracking
    if tracking:
        lines["rank correlation with P@10 over the epochs"] = ", ".join(
            f"{name} {value:.2f}" for name, value in tracking.items()
        )
    rank = f"{effective_rank(evaluation.codes):.2f} of {evaluation.codes.shape[1]}"
    return lines | ({"effective rank": rank} if len(evaluation.codes) > 1 else {})


def score_rows(evaluation: Evaluation, *, with_intervals: bool = True) -> list[dict[str, str]]:
    """Return the scorecard as a table of strings: one row per method and metric, and chance; [] without labels."""
    if not evaluation.is_labelled:
        return []
    rows = [
        {"method": _asked_with(score, evaluation), "metric": score.metric}
        | {
            name: f"{m.value:.4f}" + (f" ± {(m.high - m.low) / 2:.4f}" if with_intervals else "")
            for name, m in score.overall.items()
        }
        for score in (*evaluation.parts, *evaluation.scores)
    ]
    # Random neighbours in any number are right as often; for the other measures chance has no simple value.
    chance = {name: f"{evaluation.chance.mean():.4f}" if name.startswith("P@") else "" for name in scorecard.MEASURES}
    return [*rows, {"method": "chance", "metric": ""} | chance]


def _asked_with(score: scorecard.Score, evaluation: Evaluation) -> str:
    few = score.num_queries < len(evaluation.test_ids)
    return f"{score.method}, asked with {score.num_queries:,} of the test images" if few else score.method


def class_rows(evaluation: Evaluation) -> list[dict[str, str]]:
    """Return the scorecard of the run by class under its metric, as a table of strings; [] without labels."""
    if not evaluation.is_labelled:
        return []
    return [
        {"class": name} | {measure: f"{m.value:.3f} ± {(m.high - m.low) / 2:.3f}" for measure, m in measures.items()}
        for name, measures in evaluation.own_score.by_class.items()
    ]


def copy_rows(evaluation: Evaluation) -> list[dict[str, str]]:
    """Return the recall of originals by corrupted copies as a table of strings, one row per corruption and metric.

    [] where images are too few for it to mean anything.
    """
    if evaluation.too_few_for_copies:
        return []
    return [
        {"corruption": corruption, "metric": metric}
        | {f"recall@{k}": f"{m.value:.3f} ± {(m.high - m.low) / 2:.3f}" for k, m in recalls.items()}
        for corruption, by_metric in evaluation.copy_recall.items()
        for metric, recalls in by_metric.items()
    ]


def duplicate_rows(evaluation: Evaluation) -> list[dict[str, str | int]]:
    """Return the pairs of duplicates by place and kind, as a table."""
    counts = evaluation.duplicates.counts(evaluation.dataset)
    return [
        {"duplicates": place} | {f"{kind} pairs": count for kind, count in kinds.items()}
        for place, kinds in counts.items()
    ]


def leak_rows(evaluation: Evaluation) -> list[dict[str, str]]:
    """Return the scorecard of the run with all test images and without leaks, as a table of strings."""
    if evaluation.leakless_score is None:
        return []
    leaked = int(evaluation.leaked.sum())
    scores = {
        f"all {len(evaluation.leaked):,} test images": evaluation.own_score,
        f"without {leaked:,} that have a duplicate in the gallery": evaluation.leakless_score,
    }
    return [
        {"queries": name, "metric": score.metric}
        | {measure: f"{m.value:.4f} ± {(m.high - m.low) / 2:.4f}" for measure, m in score.overall.items()}
        for name, score in scores.items()
    ]


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    with files.replacing(path) as temporary:
        write_csv(temporary, list(table.columns), table.itertuples(index=False, name=None))
