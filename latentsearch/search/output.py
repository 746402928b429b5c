"""Write search results: tables, JSON, figures, and copies of the files."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from latentsearch import files
from latentsearch.config import METRICS, Metric
from latentsearch.environment import is_alive
from latentsearch.errors import InputError
from latentsearch.search.config import RetrieveConfig
from latentsearch.search.corpus import Corpus
from latentsearch.search.percentiles import nearer_pairs
from latentsearch.search.results import SearchResults, class_of, short_name
from latentsearch.text import printable, write_csv

_COPIES = "neighbours-"
_MEASURES = ("distance", "score", "copy_score", "likeness")
_COLUMNS = ("query", "query_class", "metric", "rank", "id", "class", "path", *_MEASURES)


def as_record(results: SearchResults, corpus: Corpus, config: RetrieveConfig) -> dict[str, Any]:
    """Return the results for neighbours.json and --json."""
    return {
        "run": corpus.run.name,
        "encoder": corpus.gallery.encoder,
        "gallery": corpus.name,
        "k": config.k or max((len(hits) for _, _, hits in results), default=0),
        "only": list(config.only),
        "min_score": config.min_score,
        "weak": config.weak,
        "seed": config.seed,
        "queries": [
            {
                "query": results.queries.names[number],
                "class": class_of(results.queries.ids[number], corpus),
                "metric": metric,
                "match": bool(hits),
                "neighbours": [
                    {"path": _path(corpus, hit.id), "class": corpus.class_of(hit.id), **hit._asdict()} for hit in hits
                ],
            }
            for number, metric, hits in results
        ],
    }


def table(results: SearchResults, corpus: Corpus) -> list[dict[str, Any]]:
    """Return one row per query, metric and rank, for neighbours.csv."""
    return [
        {
            "query": results.queries.names[number],
            "query_class": class_of(results.queries.ids[number], corpus),
            "metric": metric,
            "rank": hit.rank,
            "id": hit.id,
            "class": corpus.class_of(hit.id),
            "path": _path(corpus, hit.id) or "",
            **{name: getattr(hit, name) for name in _MEASURES},
        }
        for number, metric, hits in results
        for hit in hits
    ]


def for_terminal(results: SearchResults, corpus: Corpus) -> list[dict[str, str]]:
    """Return one row per query, metric and rank; the first of a query and metric names them."""
    rows = []
    for number, metric, hits in results:
        query_class = class_of(results.queries.ids[number], corpus)
        name = short_name(results.queries.names[number], corpus) + (f" ({query_class})" if query_class else "")
        query = f"{name}, {metric}" if len(results.hits) > 1 else name
        for hit in hits:
            row = {"query": query if hit.rank == 1 else "", "rank": str(hit.rank)}
            row["neighbour"] = short_name(corpus.name_of(hit.id), corpus)
            row["is a"] = corpus.class_of(hit.id)
            row["likeness"] = hit.likeness
            row["distance"] = f"{hit.distance:.4g}"
            row["pairs as near"] = nearer_pairs(hit.score)
            rows.append(row)
        if not hits:
            empty = dict.fromkeys(("is a", "likeness", "distance", "pairs as near"), "")
            rows.append({"query": query, "rank": "", "neighbour": "no match", **empty})
    if not any(row["is a"] for row in rows):  # there are no classes
        rows = [{name: value for name, value in row.items() if name != "is a"} for row in rows]
    return rows


SCORES_IN_WORDS = (
    "likeness: from same picture, very like and alike (may be of one kind) to weak\n"
    "(may be chance), by distances alone; pairs as near: share of random pairs of\n"
    "images that are as near (docs/own-images.md)."
)


def write(results: SearchResults, corpus: Corpus, config: RetrieveConfig) -> list[Path]:
    """Write neighbours.csv and .json, and the requested figures, to reports/<run>/retrieval/; return their paths."""
    folder = corpus.run.reports / "retrieval"
    paths = [folder / "neighbours.csv", folder / "neighbours.json"]
    with files.replacing(paths[0]) as temporary:
        write_csv(temporary, _COLUMNS, [list(row.values()) for row in table(results, corpus)])
    files.write_json(paths[1], as_record(results, corpus, config))
    is_drawn = config.figure and (config.json_figure or not config.json)
    wanted = ["neighbours"] * is_drawn + ["explanation"] * config.explain
    for name in {"neighbours", "explanation"}.difference(wanted):
        files.remove(folder / f"{name}.png", within=corpus.run.root)  # of an earlier query
    if wanted:
        from latentsearch.plots.saving import save  # slow to import: results in words do without
        from latentsearch.search import figures

        for name in wanted:
            paths.append(folder / f"{name}.png")
            with files.replacing(paths[-1]) as temporary:
                save(figures.PICTURES[name](results, corpus), temporary)
    return paths


def check_copy_to(folder: Path | None, corpus: Corpus) -> None:
    """Refuse a folder for copies that lies in what is searched: they would become images of it.

    Raises:
        InputError: if it does, directly or through links.
    """
    searched = corpus.folder
    if folder and searched and searched.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise InputError(
            f"--copy-to {printable(folder)} lies in {printable(searched)}, which is searched: the copies would become "
            "images of it. Give a folder outside."
        )


def copy_to(folder: Path, results: SearchResults, corpus: Corpus, *, synced: bool = True) -> tuple[Path, int]:
    """Copy the neighbours to a new folder, named by query and rank: the files, where there are any. All or none.

    Args:
        folder: Parent of the new folder, neighbours-001 or the next number.
        results: The results with the neighbours.
        corpus: The corpus of the search.
        synced: Whether the gallery was brought up to date with its folder before the search.

    Returns:
        The new folder, and the number of files in it.

    Raises:
        InputError: if one of the files is no longer there, or `folder` lies in what is searched.
    """
    check_copy_to(folder, corpus)
    files.make_folder(folder)
    copies = _unfinished(folder)
    count = 0
    try:
        for number, metric, hits in results:
            for hit in hits:
                path = corpus.path_of(hit.id)
                head = f"query{number + 1:03}_{metric}_{hit.rank:03}_"
                copy = files.claim(copies / _shortened(head, path.name if path else f"{hit.id}.png", copies))
                if path and not path.is_file():
                    raise InputError(f"{printable(path)} is no longer there. {_how_to_mend(corpus, synced)}")
                if path:
                    shutil.copyfile(path, copy)
                else:
                    Image.fromarray(corpus.images(np.array([hit.id]))[0]).save(copy)
                count += 1
        names = [path.name for path in folder.iterdir()]
        taken = [int(name.removeprefix(_COPIES)) for name in names if re.fullmatch(rf"{_COPIES}\d+", name)]
        return files.rename_folder(copies, folder / f"{_COPIES}{max(taken, default=0) + 1:03}"), count
    finally:
        files.remove(copies, within=folder)


def _unfinished(folder: Path) -> Path:
    """Make a new hidden folder for copies, and delete those of processes that were killed."""
    here = f".unfinished-{platform.node()}-"
    for path in files.written(folder):
        found = re.fullmatch(re.escape(here) + r"(\d+)-[0-9a-f]{8}", path.name)
        if found and not is_alive(int(found[1])):
            with contextlib.suppress(FileNotFoundError):  # another search deletes them too
                files.remove(path, within=folder)
    return files.make_folder(files.claim(folder / f"{here}{os.getpid()}-{secrets.token_hex(4)}"))


def _how_to_mend(corpus: Corpus, synced: bool) -> str:
    if corpus.folder is None:
        return "Bring it back, or prepare the dataset again: python DataPreperation.py --source FOLDER."
    if synced:
        return "Give the command again: it is left out then, unless it is on a disk that is not there now."
    return "Leave out --no-sync, or bring it back."


def _shortened(head: str, name: str, folder: Path) -> str:
    """Shorten a name to the length that the file system of `folder` takes, with its ending kept."""
    most = os.pathconf(folder, "PC_NAME_MAX") - len(os.fsencode(head))
    stem, suffix = Path(name).stem, Path(name).suffix
    if len(os.fsencode(name)) <= most:
        return head + name
    kept = os.fsencode(stem)[: most - len(os.fsencode(suffix))] if len(os.fsencode(suffix)) < 32 else b""
    # Half of a character at the cut is left out.
    return head + (kept.decode("utf-8", "ignore") + suffix if kept else os.fsdecode(os.fsencode(name)[:most]))


def metrics_of(config: RetrieveConfig) -> tuple[Metric, ...]:
    """Return the metrics that --metric names."""
    return METRICS if config.metric == "all" else (config.metric,)


def _path(corpus: Corpus, image_id: int) -> str | None:
    path = corpus.path_of(image_id)
    return None if path is None else str(path)
