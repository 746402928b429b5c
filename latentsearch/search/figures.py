"""Figures of search results: the neighbours of each query, why the nearest is near, groups of duplicates."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from latentsearch.data.image_files import ImageFileError, opened
from latentsearch.data.images import decode_larger
from latentsearch.plots import explanations as explained
from latentsearch.plots import image_grids
from latentsearch.search.corpus import Corpus, DatasetCorpus
from latentsearch.search.duplicates import Groups
from latentsearch.search.explanation import Alike, End, Explainer
from latentsearch.search.folder_corpus import FolderCorpus
from latentsearch.search.queries import NOT_IN_CORPUS
from latentsearch.search.results import SearchResults, class_of, short_name
from latentsearch.text import percentage, printable, shortened

_MAX_ROWS, _MAX_NEIGHBOURS = 50, 20
_MAX_EXPLAINED = 20
_SIDE = 192  # pixels of an image in an explanation, where there are as many


def neighbours(results: SearchResults, corpus: Corpus) -> Figure:
    """Draw each query with its neighbours, one row per metric, the rows of one query under each other.

    At most 50 rows of 20 neighbours: no eye takes in more, and no image may be longer than 65,536 pixels.
    """
    queries, titles, found, captions, same = [], [], [], [], []
    rows = list(results)
    longest = max((len(hits) for _, _, hits in rows), default=0)
    k = min(longest, _MAX_NEIGHBOURS)
    drawn = [results.queries.names[number] for number, _, _ in rows[:_MAX_ROWS]]
    drawn += [
        corpus.name_of(hit.id) for _, _, hits in rows[:_MAX_ROWS] for hit in hits[:k] if not corpus.class_of(hit.id)
    ]
    called = _told_apart(drawn, corpus)
    for number, metric, all_hits in rows[:_MAX_ROWS]:
        hits = all_hits[:k]
        query_class = class_of(results.queries.ids[number], corpus)
        parts = (printable(query_class), metric if len(results.hits) > 1 else "", "" if hits else "no match")
        queries.append(results.queries.images[number])
        titles.append(f"{called[results.queries.names[number]]}\n{' '.join(filter(None, parts))}")
        empty = np.empty((0, *corpus.autoencoder.image_shape), np.uint8)
        images = corpus.images(np.array([hit.id for hit in hits], np.int64)) if hits else empty
        blank = np.full((k - len(hits), *corpus.autoencoder.image_shape), 255, np.uint8)
        found.append(np.concatenate([np.reshape(images, (-1, *blank.shape[1:])).astype(np.uint8), blank]))
        classes = [corpus.class_of(hit.id) for hit in hits]
        captions.append([
            f"{printable(name) or called[corpus.name_of(hit.id)]}\n{hit.likeness}\n{hit.distance:.3g}"
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
    explainers = {metric: Explainer(corpus, metric) for metric in results.hits}

    @functools.cache  # the ends of the numbers are the same for most queries
    def picture(image_id: int) -> np.ndarray:
        return corpus.picture(image_id, _SIDE)

    pairs = []
    for number, metric, hits in [row for row in results if row[2]][:_MAX_EXPLAINED]:
        hit, query_id = hits[0], int(results.queries.ids[number])
        found = explainers[metric].explain(query_id, results.codes[number], hit.id, corpus.code_of(hit.id))
        query = _file_picture(results, number, corpus) if query_id == NOT_IN_CORPUS else picture(query_id)
        pairs.append(
            explained.ExplainedPair(
                f"Nearest neighbour: {hit.likeness}, {metric} distance {hit.distance:.3g}",
                (
                    _named("query", results.queries.names[number], query_id, corpus),
                    _named("neighbour", corpus.name_of(hit.id), hit.id, corpus),
                ),
                (query, picture(hit.id)),
                found.decoded,
                [explained.SharedEnd(_in_words(one), list(map(picture, one.end.ids))) for one in found.alike],
                [
                    explained.Difference(
                        f"{one.name}: {100 * one.share:.0f} % of the distance",
                        one.places,
                        (_end_in_words(one.ends[0]), _end_in_words(one.ends[1])),
                        list(map(picture, one.ends[0].ids)),
                        list(map(picture, one.ends[1].ids)),
                    )
                    for one in found.apart
                ],
            )
        )
    return explained.explanations(pairs)


def _file_picture(results: SearchResults, number: int, corpus: Corpus) -> np.ndarray:
    """Read the picture of a query that is a file; as the encoder takes it where the file is gone."""
    try:
        with opened(Path(results.queries.names[number])) as content:
            return decode_larger(content, corpus.autoencoder.image_shape, _SIDE, fit=corpus.fit)
    except ImageFileError:
        image: np.ndarray = results.queries.images[number]
        return image


def _named(role: str, name: str, image_id: int, corpus: Corpus) -> str:
    class_name = shortened(printable(class_of(image_id, corpus)), 14)
    return f"{role}{', ' if class_name else ''}{class_name}\n{_short(name)}"


def _in_words(one: Alike) -> str:
    first, second = (percentage(100 * share) for share in one.beyond)
    return f"{one.name}, {_end_in_words(one.end)}\nbeyond {first} and {second}\nof all images"


def _end_in_words(end: End) -> str:
    return f"{'high' if end.is_high else 'low'} end\n{shortened(end.of_class.in_words, 28)}".strip()


def duplicate_groups(found: Groups) -> Figure:
    """Each group of duplicates in a row, its first image at the left; at most 50 rows of 20 others."""
    corpus, groups = found.corpus, found.groups[:_MAX_ROWS]
    longest = max((len(group) - 1 for group in found.groups), default=0)
    k = min(longest, _MAX_NEIGHBOURS)
    images = np.full((len(groups), k + 1, *corpus.autoencoder.image_shape), 255, np.uint8)
    captions = []
    called = _told_apart((corpus.name_of(copy.id) for group in groups for copy in group[: k + 1]), corpus)
    for row, group in enumerate(groups):
        shown = group[: k + 1]
        images[row, : len(shown)] = corpus.images(np.array([copy.id for copy in shown]))
        words = [
            "first",
            *(copy.kind if copy.kind == "exact" else f"{copy.kind}, {copy.likeness:.2f}" for copy in shown[1:]),
        ]
        names = [f"{called[corpus.name_of(copy.id)]}\n{word}" for copy, word in zip(shown, words, strict=True)]
        captions.append(names + [""] * (k + 1 - len(shown)))
    left_out = [f"the first {_MAX_ROWS} of {len(found.groups):,} groups"] * (len(found.groups) > _MAX_ROWS)
    left_out += [f"the first {k + 1} of up to {longest + 1:,} images"] * (longest > k)
    note = f"Drawn: {', '.join(left_out)}; duplicates.csv has all" if left_out else "" if groups else "No duplicates"
    titles, others = [row[0] for row in captions], [row[1:] for row in captions]
    unknown = np.full((len(groups), k), -1)
    return image_grids.neighbour_rows(images[:, 0], titles, images[:, 1:], others, unknown, note=note)


def _told_apart(names: Iterable[str], corpus: Corpus) -> dict[str, str]:
    """Return what to call the images of these names: their files, with folders if one of them is not the only one."""
    different = dict.fromkeys(names)
    files = {name: Path(name).name for name in different}
    drawn = set(files.values())
    others = Counter(name for name in map(os.path.basename, _paths(corpus)) if name in drawn)
    if len(drawn) == len(files) and max(others.values(), default=1) == 1:
        return {name: printable(file) for name, file in files.items()}
    paths = {name: short_name(name, corpus) for name in different}
    # Of what lies elsewhere, the folder: the beginning of a long path is the same for many.
    return {
        name: str(Path(*Path(path).parts[-2:])) if path == printable(name) else path for name, path in paths.items()
    }


def _paths(corpus: Corpus) -> Iterable[str]:
    """List the files of a corpus, as far as they are at hand."""
    if isinstance(corpus, FolderCorpus):
        return (file.path for file in corpus.content.files)
    return corpus.dataset.paths if isinstance(corpus, DatasetCorpus) else ()


def _short(name: str) -> str:
    name = printable(Path(name).name)
    return name if len(name) <= 16 else f"{name[:7]}…{name[-8:]}"


PICTURES: dict[str, Callable[[SearchResults, Corpus], Figure]] = {"neighbours": neighbours, "explanation": explanations}
