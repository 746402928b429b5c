"""Answers to "what looks like this?": queries from files or the test split, tables and a figure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from latentsearch import mosaics, runs
from latentsearch.config import METRICS, Metric, RetrieveConfig
from latentsearch.datasets import ImageSet
from latentsearch.errors import InputError
from latentsearch.imagefiles import read_image, shown
from latentsearch.index import Neighbours
from latentsearch.trained import TrainedRun

_NUM_RANDOM = 20
_OUTSIDE = -1  # id of a query that is not in the dataset


@dataclass(frozen=True)
class Queries:
    """Images that are asked about.

    Args:
        names: What to call them.
        images: uint8 `(num_queries, height, width, 3)`.
        ids: int64 `(num_queries,)`, ids in the dataset; -1 for files.
    """

    names: list[str]
    images: np.ndarray
    ids: np.ndarray


@dataclass(frozen=True)
class Answers:
    """Neighbours of queries under one or more metrics."""

    queries: Queries
    by_metric: dict[Metric, Neighbours]


def find_queries(config: RetrieveConfig, dataset: ImageSet) -> tuple[Queries, list[str]]:
    """The images that the flags name, or 20 random test images.

    Returns:
        The queries that can be answered, and one line for each that cannot.
    """
    test_ids = dataset.ids("test")
    problems, names, images, ids = [], [], [], []
    for path in config.query:
        try:
            images.append(read_image(path, dataset.image_shape, fit=dataset.fit))
        except InputError as error:
            problems.append(str(error))
            continue
        names.append(str(path))
        ids.append(_OUTSIDE)
    positions = config.query_index
    if not config.query and not positions:
        chosen = np.random.default_rng(config.seed).permutation(len(test_ids))[:_NUM_RANDOM]
        positions = tuple(int(position) for position in chosen)
    for position in positions:
        if not 0 <= position < len(test_ids):
            problems.append(f"--query-index {position}: expected 0 to {len(test_ids) - 1}, the test images.")
            continue
        names.append(f"test {position}")
        ids.append(int(test_ids[position]))
        images.append(dataset.images[test_ids[position]])
    shape = (len(images), *dataset.image_shape)
    return Queries(names, np.array(images, dtype=np.uint8).reshape(shape), np.array(ids, dtype=np.int64)), problems


def answer(queries: Queries, trained: TrainedRun, *, k: int, metrics: tuple[Metric, ...]) -> Answers:
    """The `k` nearest images of each query; an image of the dataset never answers itself.

    Raises:
        InputError: if the gallery is not larger than `k`.
    """
    gallery = trained.gallery
    if not 1 <= k < len(gallery.ids):
        raise InputError(f"--k {k}: expected 1 to {len(gallery.ids) - 1}, the images that can answer.")
    codes = trained.autoencoder.encode(queries.images)
    return Answers(queries, {metric: gallery.ask(codes, k, metric=metric, exclude=queries.ids) for metric in metrics})


def table(answers: Answers, dataset: ImageSet) -> pd.DataFrame:
    """One row a query, metric and rank: query, query_class, metric, rank, id, class, file, distance.

    No classes if there are no labels, no file if the images are not from files.
    """
    rows = []
    for metric, neighbours in answers.by_metric.items():
        for number, name in enumerate(answers.queries.names):
            for rank, (image_id, distance) in enumerate(
                zip(neighbours.ids[number], neighbours.distances[number], strict=True), start=1
            ):
                rows.append(
                    {
                        "query": name,
                        "query_class": _class_name(dataset, answers.queries.ids[number]),
                        "metric": metric,
                        "rank": rank,
                        "id": int(image_id),
                        "class": _class_name(dataset, image_id),
                        "file": shown(dataset.paths[image_id]) if dataset.paths else "",
                        "distance": float(distance),
                    }
                )
    left_out = [] if dataset.is_labelled else ["query_class", "class"]
    return pd.DataFrame(rows).drop(columns=[*left_out, *([] if dataset.paths else ["file"])])


def side_by_side(answers: Answers, dataset: ImageSet) -> list[dict[str, str]]:
    """One row a query and rank, and a column a metric with class, id and distance, for the terminal."""
    rows = []
    for number, name in enumerate(answers.queries.names):
        query_class = _class_name(dataset, answers.queries.ids[number])
        for rank in range(next(iter(answers.by_metric.values())).ids.shape[1]):
            # Named once, so that the eye sees which rows belong together.
            row = {"query": name if rank == 0 else ""}
            row |= {"class": query_class if rank == 0 else ""} if dataset.is_labelled else {}
            row["rank"] = str(rank + 1)
            for metric, neighbours in answers.by_metric.items():
                image_id, distance = neighbours.ids[number, rank], neighbours.distances[number, rank]
                parts = {"class": _class_name(dataset, image_id)} if dataset.is_labelled else {}
                parts |= {"id": f"{image_id:>6}", "distance": f"{distance:<8.4g}"}
                parts |= {"file": shown(dataset.paths[image_id])} if dataset.paths else {}
                row[f"{metric}: {', '.join(parts)}"] = "  ".join(parts.values())
            rows.append(row)
    return rows


def write(trained: TrainedRun, config: RetrieveConfig, answers: Answers) -> list[Path]:
    """Writes neighbours.csv, neighbours.json and neighbours.png to reports/<run>/retrieval/ and returns their paths."""
    folder = trained.run.reports / "retrieval"
    rows = table(answers, trained.dataset)
    paths = [folder / f"neighbours.{suffix}" for suffix in ("csv", "json", "png")]
    with runs.replacing(paths[0]) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.6g")
    origin = {"run": trained.run.name, "encoder": trained.gallery.encoder, "k": config.k, "seed": config.seed}
    runs.write_json(paths[1], {**origin, "neighbours": rows.to_dict("records")})
    with runs.replacing(paths[2]) as temporary:
        _figure(answers, trained.dataset).savefig(temporary, dpi=110)
    return paths


def metrics_of(config: RetrieveConfig) -> tuple[Metric, ...]:
    """The metrics that --metric names."""
    return METRICS if config.metric == "all" else (config.metric,)


def _figure(answers: Answers, dataset: ImageSet) -> Figure:
    """Each query with its neighbours, a row a metric, the rows of one query under each other."""
    queries, titles, neighbours, captions, same = [], [], [], [], []
    for number, name in enumerate(answers.queries.names):
        query_id = answers.queries.ids[number]
        for metric, found in answers.by_metric.items():
            ids, distances = found.ids[number], found.distances[number]
            queries.append(answers.queries.images[number])
            parts = (_class_name(dataset, query_id), metric if len(answers.by_metric) > 1 else "")
            titles.append(f"{Path(name).name}\n{' '.join(filter(None, parts))}")
            neighbours.append(dataset.images[ids])
            captions.append(
                [f"{_class_name(dataset, i)}\n{distance:.3g}" for i, distance in zip(ids, distances, strict=True)]
            )
            unknown = np.full(len(ids), -1)
            same.append(unknown if query_id == _OUTSIDE else dataset.same_class(np.array([query_id]), ids[None])[0])
    return mosaics.neighbour_rows(np.array(queries), titles, np.array(neighbours), captions, np.array(same))


def _class_name(dataset: ImageSet, image_id: int) -> str:
    return "" if image_id == _OUTSIDE else str(dataset.class_of(image_id))
