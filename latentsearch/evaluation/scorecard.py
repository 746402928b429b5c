"""The retrieval scorecard: how often neighbours of test images are of their class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latentsearch.config import Metric
from latentsearch.gallery.index import Index
from latentsearch.metrics import Interval, average_precision, bootstrap_means, knn_correct, precision_at_k

PRECISION_DEPTHS = (1, 10, 100)
AP_DEPTH = 1000
KNN_K = 10
MEASURES = (*(f"P@{k}" for k in PRECISION_DEPTHS), f"mAP@{AP_DEPTH}", f"kNN@{KNN_K}")


class Labelled(NamedTuple):
    """Vectors `(num_images, dim)` and the label of each, int `(num_images,)`."""

    vectors: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Score:
    """The retrieval scores of one kind of vector under one metric.

    Args:
        method: Name of the run, or of a baseline.
        metric: Metric that compared the vectors.
        overall: Mean of each of `MEASURES` over all queries, with its 95 % bootstrap interval.
        by_class: Means over the queries of each class: `{class name: {measure: interval}}`.
        precision_curve: Mean P@k for k = 1 to the depth searched.
        num_queries: Number of queries.
    """

    method: str
    metric: Metric
    overall: dict[str, Interval]
    by_class: dict[str, dict[str, Interval]]
    precision_curve: np.ndarray
    num_queries: int


def score(
    method: str,
    gallery: Labelled,
    queries: Labelled,
    class_names: tuple[str, ...],
    *,
    metric: Metric,
    seed: int = 0,
) -> Score:
    """Search `gallery` for the neighbours of `queries`, and count those of the same class.

    In a gallery of fewer than 1,000 images every depth is cut to its size.

    Args:
        method: Name for the table.
        gallery: Vectors that are searched; no query may be among them.
        queries: Vectors of the queries.
        class_names: One name per label.
        metric: Metric that compares vectors.
        seed: Seed of the bootstrap.
    """
    rows = Index(gallery.vectors, metric=metric).rank(queries.vectors, min(AP_DEPTH, len(gallery.labels)))
    return score_neighbours(method, gallery.labels[rows], queries.labels, class_names, metric=metric, seed=seed)


def score_neighbours(
    method: str,
    neighbour_labels: np.ndarray,
    query_labels: np.ndarray,
    class_names: tuple[str, ...],
    *,
    metric: Metric,
    seed: int = 0,
) -> Score:
    """Count the neighbours of the same class.

    Args:
        method: Name for the table.
        neighbour_labels: Labels of the neighbours, closest first, int `(num_queries, depth)`; at a depth of less than
            1,000 every measure is cut to it.
        query_labels: Labels of the queries, int `(num_queries,)`.
        class_names: One name per label.
        metric: Metric that compared vectors.
        seed: Seed of the bootstrap.
    """
    depth = neighbour_labels.shape[1]
    relevant = neighbour_labels == query_labels[:, None]  # (num_queries, depth)
    columns = [precision_at_k(relevant, min(k, depth)) for k in PRECISION_DEPTHS]
    columns += [average_precision(relevant, depth), knn_correct(neighbour_labels, query_labels, min(KNN_K, depth))]
    values = np.column_stack(columns)  # (num_queries, len(MEASURES))

    def measures(rows: np.ndarray) -> dict[str, Interval]:
        return dict(zip(MEASURES, bootstrap_means(values[rows], seed=seed), strict=True))

    present = [(name, np.flatnonzero(query_labels == label)) for label, name in enumerate(class_names)]
    return Score(
        method,
        metric,
        overall=measures(np.arange(len(values))),
        by_class={name: measures(rows) for name, rows in present if len(rows)},
        precision_curve=np.cumsum(relevant.mean(axis=0)) / np.arange(1, depth + 1),
        num_queries=len(values),
    )


def best_of(scores: Sequence[Score], method: str) -> Score:
    """Select the score of a method under the metric that gives it the highest P@10."""
    return max((score for score in scores if score.method == method), key=lambda score: score.overall["P@10"].value)
