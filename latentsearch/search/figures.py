"""Answers drawn: the neighbours of each query, and why the nearest is near."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from latentsearch.plots import image_grids
from latentsearch.search import explanation
from latentsearch.search.corpus import Collection
from latentsearch.search.results import Answers, class_of
from latentsearch.text import printable


def neighbours(answers: Answers, collection: Collection) -> Figure:
    """Each query with its neighbours, a row a metric, the rows of one query under each other."""
    queries, titles, found, captions, same = [], [], [], [], []
    k = max((len(matches) for _, _, matches in answers), default=0)
    for number, metric, matches in answers:
        query_class = class_of(answers.queries.ids[number], collection)
        parts = (query_class, metric if len(answers.matches) > 1 else "", "" if matches else "no match")
        queries.append(answers.queries.images[number])
        titles.append(f"{_short(answers.queries.names[number])}\n{' '.join(filter(None, parts))}")
        images = collection.images(np.array([match.id for match in matches], np.int64)) if matches else []
        blank = np.full((k - len(matches), *collection.autoencoder.image_shape), 255, np.uint8)
        found.append(np.concatenate([np.reshape(images, (-1, *blank.shape[1:])).astype(np.uint8), blank]))
        classes = [collection.class_of(match.id) for match in matches]
        captions.append([
            f"{name or _short(collection.name_of(match.id))}\n{match.distance:.3g}, {match.score:.4g} %"
            for match, name in zip(matches, classes, strict=True)
        ] + [""] * len(blank))  # fmt: skip
        known = [int(name == query_class) if name and query_class else -1 for name in classes]
        same.append(known + [-1] * len(blank))
    return image_grids.neighbour_rows(np.array(queries), titles, np.array(found), captions, np.array(same))


def explanations(answers: Answers, collection: Collection) -> Figure:
    """Why the nearest neighbour of each query is near, under each metric."""
    return image_grids.explanations(
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


def _short(name: str) -> str:
    name = printable(Path(name).name)
    return name if len(name) <= 16 else f"{name[:7]}…{name[-8:]}"


PICTURES: dict[str, Callable[[Answers, Collection], Figure]] = {"neighbours": neighbours, "explanation": explanations}
