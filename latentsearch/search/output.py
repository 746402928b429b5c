"""Answers told: tables, JSON, figures, and the files themselves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from latentsearch import files
from latentsearch.config import METRICS, Metric, RetrieveConfig
from latentsearch.errors import InputError
from latentsearch.search.corpus import Collection
from latentsearch.search.results import Answers, class_of
from latentsearch.text import printable, write_csv

_COLUMNS = ("query", "query_class", "metric", "rank", "id", "class", "path", "distance", "score", "copy_score")


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
                "query": printable(answers.queries.names[number]),
                "class": class_of(answers.queries.ids[number], collection),
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


def table(answers: Answers, collection: Collection) -> list[dict[str, Any]]:
    """One row a query, metric and rank, for neighbours.csv."""
    return [
        {
            "query": answers.queries.names[number],
            "query_class": class_of(answers.queries.ids[number], collection),
            "metric": metric,
            "rank": match.rank,
            "id": match.id,
            "class": collection.class_of(match.id),
            "path": _path(collection, match.id) or "",
            **{name: getattr(match, name) for name in ("distance", "score", "copy_score")},
        }
        for number, metric, matches in answers
        for match in matches
    ]


def for_terminal(answers: Answers, collection: Collection) -> list[dict[str, str]]:
    """One row a query, metric and rank; what is the same as in the row above is left empty."""
    rows = []
    for number, metric, matches in answers:
        head = {"query": printable(answers.queries.names[number])}
        head["class"] = class_of(answers.queries.ids[number], collection)
        if len(answers.matches) > 1:
            head["metric"] = metric
        for match in matches:
            row = {**(head if match.rank == 1 else dict.fromkeys(head, "")), "rank": str(match.rank)}
            row["neighbour"] = printable(collection.name_of(match.id))
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
    with files.replacing(paths[0]) as temporary:
        write_csv(temporary, _COLUMNS, [list(row.values()) for row in table(answers, collection)])
    files.write_json(paths[1], as_record(answers, collection, config))
    wanted = ["neighbours"] * config.figure + ["explanation"] * config.explain
    if wanted:
        from latentsearch.search import figures  # slow to import: an answer in words does without

        for name in wanted:
            paths.append(folder / f"{name}.png")
            with files.replacing(paths[-1]) as temporary:
                figures.PICTURES[name](answers, collection).savefig(temporary, dpi=110)
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
            needed = path.stat().st_size if path and path.is_file() else None
            with files.replacing(folder / name, needed=needed) as temporary:
                if path and not path.is_file():
                    raise InputError(f"{printable(path)} is no longer there. Leave out --no-sync, or bring it back.")
                if path:
                    shutil.copyfile(path, temporary)
                else:
                    Image.fromarray(collection.images(np.array([match.id]))[0]).save(temporary)
            count += 1
    return count


def metrics_of(config: RetrieveConfig) -> tuple[Metric, ...]:
    """The metrics that --metric names."""
    return METRICS if config.metric == "all" else (config.metric,)


def _path(collection: Collection, image_id: int) -> str | None:
    path = collection.path_of(image_id)
    return None if path is None else str(path)
