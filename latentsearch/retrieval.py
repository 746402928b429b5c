"""Answers to "what looks like this?": tables, JSON, a figure, and the files themselves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from latentsearch import explanation, mosaics, runs
from latentsearch.collection import Collection
from latentsearch.config import METRICS, Metric, RetrieveConfig
from latentsearch.errors import InputError
from latentsearch.imagefiles import shown
from latentsearch.queries import NOT_IN_COLLECTION, Queries
from latentsearch.stores import EmbeddedStore, Store


class Match(NamedTuple):
    """A neighbour of a query.

    Args:
        rank: From 1.
        id: In the collection.
        distance: Of the codes; smaller is closer.
        score: Percentage of random pairs of gallery images that are farther apart.
        copy_score: Percentage of altered copies that are farther from their original.
    """

    rank: int
    id: int
    distance: float
    score: float
    copy_score: float


@dataclass(frozen=True)
class Answers:
    """Neighbours of queries under one or more metrics.

    Args:
        queries: What was asked about.
        codes: Of the queries, `(num_queries, latent_dim)`.
        matches: Of each metric and query, closest first; an empty list where nothing is close enough.
    """

    queries: Queries
    codes: np.ndarray
    matches: dict[Metric, list[list[Match]]]

    def __iter__(self) -> Iterator[tuple[int, Metric, list[Match]]]:
        """Number of the query, metric, and neighbours; the metrics of one query after each other."""
        for number in range(len(self.queries.names)):
            for metric, matches in self.matches.items():
                yield number, metric, matches[number]


def answer(
    queries: Queries,
    collection: Collection,
    *,
    k: int,
    metrics: tuple[Metric, ...],
    min_score: float = 0,
    only: tuple[str, ...] = (),
    codes: np.ndarray | None = None,
    store: Store | None = None,
) -> Answers:
    """The `k` nearest images of each query; an image of the collection never answers itself.

    Args:
        queries: At least one.
        collection: What is searched.
        k: How many neighbours.
        metrics: How codes are compared.
        min_score: Neighbours with a smaller score are left out.
        only: Names of the classes that may answer; none: all images.
        codes: Of the queries, where they are known, `(num_queries, latent_dim)`. Default: the encoder makes them.

        store: Holds the codes of the collection. Default: one in this process.

    Raises:
        InputError: if there are not more than `k` images that may answer, `min_score` is no percentage, there is no
            class of a name, or the store does not answer.
    """
    labels = collection.labels_of(only)
    num_images = np.isin(collection.labels, labels).sum() if only else len(collection.gallery.ids)
    if not 1 <= k < num_images:
        raise InputError(f"--k {k}: expected 1 to {num_images - 1}, the images that can answer.")
    if not 0 <= min_score <= 100:
        raise InputError(f"--min-score {min_score}: expected 0 to 100, a percentage.")
    codes = collection.autoencoder.encode(queries.images) if codes is None else codes
    if store is None:
        store = EmbeddedStore()
        store.sync(collection.store_name, collection.gallery, collection.labels)
    answers = {}
    for metric in metrics:
        found = store.search(codes, k, metric=metric, exclude=queries.ids, only=labels)
        scale = collection.scale(metric)
        columns = (found.ids, found.distances, scale.score(found.distances), scale.copy_score(found.distances))
        answers[metric] = [
            [Match(rank, *values) for rank, values in enumerate(zip(*row, strict=True), 1) if values[2] >= min_score]
            for row in zip(*(column.tolist() for column in columns), strict=True)
        ]
    return Answers(queries, codes, answers)


def as_record(answers: Answers, collection: Collection, config: RetrieveConfig) -> dict[str, Any]:
    """The answers for neighbours.json and --json."""
    return {
        "run": collection.run.name,
        "encoder": collection.gallery.encoder,
        "gallery": collection.name,
        "k": config.k,
        "only": list(config.only),
        "min_score": config.min_score,
        "seed": config.seed,
        "queries": [
            {
                "query": shown(answers.queries.names[number]),
                "class": _class_of(answers.queries.ids[number], collection),
                "metric": metric,
                "match": bool(matches),
                "neighbours": [
                    {"path": _path(collection, match.id), "class": collection.class_of(match.id), **match._asdict()}
                    for match in matches
                ],
            }
            for number, metric, matches in answers
        ],
    }


def table(answers: Answers, collection: Collection) -> pd.DataFrame:
    """One row a query, metric and rank, for neighbours.csv."""
    columns = ["query", "query_class", "metric", "rank", "id", "class", "path", "distance", "score", "copy_score"]
    rows = [
        {
            "query": shown(answers.queries.names[number]),
            "query_class": _class_of(answers.queries.ids[number], collection),
            "metric": metric,
            "class": collection.class_of(match.id),
            "path": shown(_path(collection, match.id) or ""),
            **match._asdict(),
        }
        for number, metric, matches in answers
        for match in matches
    ]
    return pd.DataFrame(rows, columns=columns)


def for_terminal(answers: Answers, collection: Collection) -> list[dict[str, str]]:
    """One row a query, metric and rank; what is the same as in the row above is left empty."""
    rows = []
    for number, metric, matches in answers:
        head = {"query": shown(answers.queries.names[number])}
        head["class"] = _class_of(answers.queries.ids[number], collection)
        if len(answers.matches) > 1:
            head["metric"] = metric
        for match in matches:
            row = {**(head if match.rank == 1 else dict.fromkeys(head, "")), "rank": str(match.rank)}
            row["neighbour"] = shown(collection.name_of(match.id))
            row["is a"] = collection.class_of(match.id)
            row["distance"] = f"{match.distance:.4g}"
            row["score"] = f"{match.score:.4g}"
            row["copy score"] = f"{match.copy_score:.3g}"
            rows.append(row)
        if not matches:
            empty = dict.fromkeys(("is a", "distance", "score", "copy score"), "")
            rows.append({**head, "rank": "", "neighbour": "no match", **empty})
    # Columns of classes where there are none are left out.
    without = [name for name in ("class", "is a") if not any(row[name] for row in rows)]
    return [{name: value for name, value in row.items() if name not in without} for row in rows]


SCORES_IN_WORDS = (
    "score: % of random pairs of gallery images that are farther apart. "
    "copy score: % of altered copies (with noise, or seen from aside) that are farther from their original."
)


def write(answers: Answers, collection: Collection, config: RetrieveConfig) -> list[Path]:
    """Writes neighbours.csv and .json, and the figures asked for, to reports/<run>/retrieval/; returns their paths."""
    folder = collection.run.reports / "retrieval"
    paths = [folder / "neighbours.csv", folder / "neighbours.json"]
    with runs.replacing(paths[0]) as temporary:
        table(answers, collection).to_csv(temporary, index=False, float_format="%.6g")
    runs.write_json(paths[1], as_record(answers, collection, config))
    figures = {"neighbours": _figure} if config.figure else {}
    if config.explain:
        figures["explanation"] = explanation_figure
    for name, draw in figures.items():
        paths.append(folder / f"{name}.png")
        with runs.replacing(paths[-1]) as temporary:
            draw(answers, collection).savefig(temporary, dpi=110)
    return paths


def copy_to(folder: Path, answers: Answers, collection: Collection) -> int:
    """Copies the neighbours, named by query and rank, the files where there are any; returns how many.

    Raises:
        InputError: if one of the files is no longer there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for number, metric, matches in answers:
        for match in matches:
            path = collection.path_of(match.id)
            name = f"query{number + 1:03}_{metric}_{match.rank:03}_" + (path.name if path else f"{match.id}.png")
            with runs.replacing(folder / name) as temporary:
                if path and not path.is_file():
                    raise InputError(f"{shown(path)} is no longer there. Leave out --no-sync, or bring it back.")
                if path:
                    shutil.copyfile(path, temporary)
                else:
                    Image.fromarray(collection.images(np.array([match.id]))[0]).save(temporary)
            count += 1
    return count


def metrics_of(config: RetrieveConfig) -> tuple[Metric, ...]:
    """The metrics that --metric names."""
    return METRICS if config.metric == "all" else (config.metric,)


def explanation_figure(answers: Answers, collection: Collection) -> Figure:
    """Why the nearest neighbour of each query is near, under each metric."""
    return mosaics.explanations(
        [
            explanation.explain(
                answers.queries.images[number],
                answers.codes[number],
                collection.images(np.array([matches[0].id]))[0],
                collection.gallery.code_of(np.array([matches[0].id]))[0],
                metric=metric,
                autoencoder=collection.autoencoder,
            )
            for number, metric, matches in answers
            if matches
        ]
    )


def _figure(answers: Answers, collection: Collection) -> Figure:
    """Each query with its neighbours, a row a metric, the rows of one query under each other."""
    queries, titles, neighbours, captions, same = [], [], [], [], []
    k = max((len(matches) for _, _, matches in answers), default=0)
    for number, metric, matches in answers:
        query_class = _class_of(answers.queries.ids[number], collection)
        parts = (query_class, metric if len(answers.matches) > 1 else "", "" if matches else "no match")
        queries.append(answers.queries.images[number])
        titles.append(f"{_short(answers.queries.names[number])}\n{' '.join(filter(None, parts))}")
        images = collection.images(np.array([match.id for match in matches], np.int64)) if matches else []
        blank = np.full((k - len(matches), *collection.autoencoder.image_shape), 255, np.uint8)
        neighbours.append(np.concatenate([np.reshape(images, (-1, *blank.shape[1:])).astype(np.uint8), blank]))
        classes = [collection.class_of(match.id) for match in matches]
        captions.append([
            f"{name or _short(collection.name_of(match.id))}\n{match.distance:.3g}, {match.score:.4g} %"
            for match, name in zip(matches, classes, strict=True)
        ] + [""] * len(blank))  # fmt: skip
        known = [int(name == query_class) if name and query_class else -1 for name in classes]
        same.append(known + [-1] * len(blank))
    return mosaics.neighbour_rows(np.array(queries), titles, np.array(neighbours), captions, np.array(same))


def _short(name: str) -> str:
    name = shown(Path(name).name)
    return name if len(name) <= 16 else f"{name[:7]}…{name[-8:]}"


def _path(collection: Collection, image_id: int) -> str | None:
    path = collection.path_of(image_id)
    return None if path is None else str(path)


def _class_of(image_id: int, collection: Collection) -> str:
    return "" if image_id == NOT_IN_COLLECTION else collection.class_of(int(image_id))
