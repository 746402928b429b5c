"""Figures of search results: the neighbours of each query, why the nearest is near, groups of duplicates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from latentsearch.plots import image_grids
from latentsearch.search import explanation
from latentsearch.search.corpus import Corpus
from latentsearch.search.duplicates import Groups
from latentsearch.search.results import SearchResults, class_of
from latentsearch.text import printable

_MAX_ROWS, _MAX_NEIGHBOURS = 50, 20
_MAX_EXPLAINED = 20


def neighbours(results: SearchResults, corpus: Corpus) -> Figure:
    """Draw each query with its neighbours, one row per metric, the rows of one query under each other.

    At most 50 rows of 20 neighbours: no eye takes in more, and no image may be longer than 65,536 pixels.
    """
    queries, titles, found, captions, same = [], [], [], [], []
    rows = list(results)
    longest = max((len(hits) for _, _, hits in rows), default=0)
    k = min(longest, _MAX_NEIGHBOURS)
    for number, metric, all_hits in rows[:_MAX_ROWS]:
        hits = all_hits[:k]
        query_class = class_of(results.queries.ids[number], corpus)
        parts = (printable(query_class), metric if len(results.hits) > 1 else "", "" if hits else "no match")
        queries.append(results.queries.images[number])
        titles.append(f"{_short(results.queries.names[number])}\n{' '.join(filter(None, parts))}")
        empty = np.empty((0, *corpus.autoencoder.image_shape), np.uint8)
        images = corpus.images(np.array([hit.id for hit in hits], np.int64)) if hits else empty
        blank = np.full((k - len(hits), *corpus.autoencoder.image_shape), 255, np.uint8)
        found.append(np.concatenate([np.reshape(images, (-1, *blank.shape[1:])).astype(np.uint8), blank]))
        classes = [corpus.class_of(hit.id) for hit in hits]
        captions.append([
            f"{printable(name) or _short(corpus.name_of(hit.id))}\n{hit.likeness}, {hit.distance:.3g}"
            for hit, name in zip(hits, classes, strict=True)
        ] + [""] * len(blank))  # fmt: skip
        known = [int(name == query_class) if name and query_class else -1 for name in classes]
        same.append(known + [-1] * len(blank))
    left_out = [f"the first {_MAX_ROWS} of {len(rows):,} rows"] * (len(rows) > _MAX_ROWS)
    left_out += [f"the nearest {k} of {longest:,}"] * (longest > k)
    note = f"Drawn: {', '.join(left_out)}; neighbours.csv has all" if left_out else ""
    same_class = np.array(same).reshape(len(found), k)
    return image_grids.neighbour_rows(np.array(queries), titles, np.array(found), captions, same_class, note=note)


def explanations(results: SearchResults, corpus: Corpus) -> Figure:
    """Draw why the nearest neighbour of each query is near, under each metric, for the first 20 that have one."""
    found = [
        explanation.explain(
            results.queries.images[number],
            results.codes[number],
            corpus.images(np.array([hits[0].id]))[0],
            corpus.code_of(hits[0].id),
            metric=metric,
            autoencoder=corpus.autoencoder,
            weights=corpus.weights,
        )
        for number, metric, hits in [row for row in results if row[2]][:_MAX_EXPLAINED]
    ]
    return image_grids.explanations(
        [pair.query for pair in found],
        [pair.path for pair in found],
        [pair.neighbour for pair in found],
        [pair.shares for pair in found],
        [pair.metric for pair in found],
    )


def duplicate_groups(found: Groups) -> Figure:
    """Each group of duplicates in a row, its first image at the left; at most 50 rows of 20 others."""
    corpus, groups = found.corpus, found.groups[:_MAX_ROWS]
    longest = max((len(group) - 1 for group in found.groups), default=0)
    k = min(longest, _MAX_NEIGHBOURS)
    images = np.full((len(groups), k + 1, *corpus.autoencoder.image_shape), 255, np.uint8)
    captions = []
    for row, group in enumerate(groups):
        shown = group[: k + 1]
        images[row, : len(shown)] = corpus.images(np.array([copy.id for copy in shown]))
        words = [
            "first",
            *(copy.kind if copy.kind == "exact" else f"{copy.kind}, {copy.likeness:.2f}" for copy in shown[1:]),
        ]
        names = [f"{_short(corpus.name_of(copy.id))}\n{word}" for copy, word in zip(shown, words, strict=True)]
        captions.append(names + [""] * (k + 1 - len(shown)))
    left_out = [f"the first {_MAX_ROWS} of {len(found.groups):,} groups"] * (len(found.groups) > _MAX_ROWS)
    left_out += [f"the first {k + 1} of up to {longest + 1:,} images"] * (longest > k)
    note = f"Drawn: {', '.join(left_out)}; duplicates.csv has all" if left_out else "" if groups else "No duplicates"
    titles, others = [row[0] for row in captions], [row[1:] for row in captions]
    unknown = np.full((len(groups), k), -1)
    return image_grids.neighbour_rows(images[:, 0], titles, images[:, 1:], others, unknown, note=note)


def _short(name: str) -> str:
    name = printable(Path(name).name)
    return name if len(name) <= 16 else f"{name[:7]}…{name[-8:]}"


PICTURES: dict[str, Callable[[SearchResults, Corpus], Figure]] = {"neighbours": neighbours, "explanation": explanations}
