"""The measurements as metrics.json, and as a table of the test images."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from latentsearch import environment
from latentsearch.evaluation import scorecard
from latentsearch.evaluation.check_result import CheckResult
from latentsearch.evaluation.evaluation import Evaluation
from latentsearch.metrics import correlations, effective_rank, psnr


def as_record(evaluation: Evaluation, results: list[CheckResult]) -> dict[str, Any]:
    """Return all measurements, as metrics.json holds them."""
    dataset = evaluation.dataset
    return {
        "run": evaluation.name,
        "encoder": evaluation.encoder,
        "seed": evaluation.seed,
        "epochs": len(evaluation.history),
        "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint, "content": dataset.content},
        "protocol": {
            "gallery": _part(evaluation.gallery_ids, dataset.gallery_ids(), "train and validation images"),
            "queries": _part(evaluation.test_ids, dataset.ids("test"), "test images"),
            "rivals": "under the metric of the highest P@10 of validation images; raw pixels compared in float32",
            "relevant": "same class" if evaluation.is_labelled else None,
            "AP": "mean of precision at each hit in the first 1000, divided by the number of hits there",
            "kNN": f"majority of {scorecard.KNN_K} neighbours, ties to the closest",
            "intervals": "95 % percentile bootstrap over queries, 1000 resamples",
        },
        "reconstruction": {
            "test_mse": float(evaluation.errors.mean()),
            "test_psnr_db": psnr(float(evaluation.errors.mean())),
            "test_accuracy": evaluation.accuracy,
            "train_mse": evaluation.train_mse,
            "pca_test_mse": evaluation.linear.mse,
            "pca_test_accuracy": evaluation.linear.accuracy,
            "mean_image_test_mse": evaluation.linear.mean_mse,
            "test_mse_by_class": evaluation.error_by_class if evaluation.is_labelled else None,
        },
        "criterion_tracking": evaluation.criterion_tracking,
        "latent": {
            "standard_deviation": evaluation.codes.std(axis=0).tolist(),
            "correlations": correlations(evaluation.codes).tolist(),
            "effective_rank": effective_rank(evaluation.codes),
            "ends": [
                {"number": name, "low": low.of_class._asdict(), "high": high.of_class._asdict()}
                for name, (low, high) in zip(evaluation.number_names, evaluation.number_ends, strict=True)
            ],
        },
        "chance": float(evaluation.chance.mean()) if evaluation.is_labelled else None,
        "metric": evaluation.metric,
        "scorecard": [
            {
                "method": score.method,
                "metric": score.metric,
                "queries": score.num_queries,
                "overall": {name: value._asdict() for name, value in score.overall.items()},
                "by_class": {
                    class_name: {name: value._asdict() for name, value in measures.items()}
                    for class_name, measures in score.by_class.items()
                },
                "precision_curve": [round(float(value), 5) for value in score.precision_curve],
            }
            for score in (*evaluation.scores, *evaluation.parts)
        ],
        "kind_and_look": [point._asdict() for point in evaluation.slider],
        "compared": {
            "queries": evaluation.compared.tolist(),
            "neighbours": {method: ids.tolist() for method, ids in evaluation.neighbours.items()},
        },
        "copy_recall": {
            corruption: {
                metric: {f"recall@{k}": value._asdict() for k, value in recalls.items()}
                for metric, recalls in by_metric.items()
            }
            for corruption, by_metric in evaluation.copy_recall.items()
        },
        "duplicates": _duplicates(evaluation),
        "checks": [asdict(result) | {"status": result.status} for result in results],
        "environment": environment.environment(),
    }


def _part(ids: np.ndarray, of: np.ndarray, what: str) -> str:
    return f"{len(ids)} {what}" if len(ids) == len(of) else f"a sample of {len(ids)} of {len(of)} {what}"


def _duplicates(evaluation: Evaluation) -> dict[str, Any]:
    """Return the counts of duplicates for metrics.json; the pairs are in duplicates.csv."""
    sizes = np.bincount(evaluation.duplicates.groups)
    without = evaluation.leakless_score
    return {
        "pairs": evaluation.duplicates.counts(evaluation.dataset),
        "recall_of_proposals": evaluation.duplicates.recall,
        "mirrored_pairs": int(evaluation.duplicates.mirrored.sum()),
        "groups": int((sizes > 1).sum()),
        "images_in_groups": int(sizes[sizes > 1].sum()),
        "largest_group": int(sizes.max()),
        "test_images_with_duplicate_in_gallery": int(evaluation.leaked.sum()),
        "share_of_test_images": float(evaluation.leaked.mean()),
        "scorecard_without_them": without
        and {
            "metric": without.metric,
            "overall": {name: value._asdict() for name, value in without.overall.items()},
        },
    }


def per_image(evaluation: Evaluation) -> pd.DataFrame:
    """Return one row per test image: id, class, squared_error, code, and place on the map, if it is on it.

    No class without labels; the file of each image, if they are from files.
    """
    table = pd.DataFrame(
        {"id": evaluation.test_ids, "class": evaluation.class_of_image, "squared_error": evaluation.errors}
    ).join(pd.DataFrame(evaluation.codes).add_prefix("code_"))
    if not evaluation.is_labelled:
        table = table.drop(columns="class")
    if evaluation.dataset.paths:
        table.insert(1, "file", [evaluation.dataset.paths[image_id] for image_id in evaluation.test_ids])
    return table.join(pd.DataFrame(evaluation.points, index=evaluation.projected, columns=["map_x", "map_y"]))
