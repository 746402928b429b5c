"""Pairs of images that may show the same shot: codes and simple measures propose them, half the resolution chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from latentsearch.config import Metric
from latentsearch.data.memory import give_back
from latentsearch.gallery import approximate, image_matching, same_shot
from latentsearch.gallery.index import Index
from latentsearch.gallery.threads import in_threads

PROPOSALS = 10
"""Images that are looked at for each image, by each kind of vector."""

_MAX_EXACT = 100_000  # images; proposals among more are looked for approximately
_PROPOSED = 2**19  # pairs whose rows are held at a time
_COARSE_LIKENESS = 0.45  # at half the resolution; pairs below are not looked at closely


def propose(
    grey: np.ndarray, codes: np.ndarray, *, metric: Metric, watch: Callable[[float], None]
) -> tuple[np.ndarray, float]:
    """Propose pairs: each image with the `PROPOSALS` nearest by code, layout, mirrored layout and pattern.

    Args:
        grey: At least two images from `image_matching.brightness`.
        codes: Their codes, `(num_images, latent_dim)`.
        metric: Metric that compares codes.
        watch: Is called, from time to time, with the share of the work that is done, in [0, 1].

    Returns:
        Pairs, as `keys_of`, ascending; and the share of the proposals that were found, below 1 among more than 100,000
        images.
    """
    by_code = np.array(codes, np.float32)
    # One kind of vector at a time, made when it is needed: those of hundreds of thousands of images are large.
    kinds: list[Callable[[], tuple[np.ndarray, np.ndarray]]]
    kinds = [lambda: (by_code, by_code), lambda: _layouts(grey), lambda: _mirrored(grey), lambda: _patterns(grey)]
    proposed, recalls = [], []
    for done, vectors_and_queries in enumerate(kinds):
        watch(done / len(kinds))
        found, recall = _look_up(*vectors_and_queries(), "cosine" if done else metric)
        proposed.append(found)
        recalls.append(recall)
    keys = _distinct(np.concatenate(proposed), kind="stable")  # quick where parts are in order
    del proposed
    give_back()
    return keys, float(np.mean(recalls))


def choose(
    images: np.ndarray, grey: np.ndarray, ids: np.ndarray, keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the proposed pairs that are worth a close look: the same to the eye, or alike at half the resolution.

    Args:
        images: All images.
        grey: The images of `ids` from `image_matching.brightness`.
        ids: Ids of images, ascending.
        keys: Pairs, from `keys_of`. Most are dropped, so that rows are made of some at a time.

    Returns:
        Pairs of rows of `grey`, int64 `(num_pairs, 2)`; whether they are the same to the eye, bool `(num_pairs,)`; and
        the smaller richness of each pair, `(num_pairs,)`.
    """
    coarse, richness = _coarse_details(grey)
    levels = same_shot.levels_of(grey)
    kept = []
    for block in image_matching.batches(len(keys), _PROPOSED):
        pairs = pairs_of(keys[block], len(grey))
        same = same_shot.look_the_same(grey, images, ids, pairs, levels)

        def coarse_likeness(rows: slice, pairs: np.ndarray = pairs) -> np.ndarray:
            one, other = pairs[rows].T
            fits: np.ndarray = image_matching.fit(coarse[one], coarse[other], image_matching.SHIFT // 2).max(axis=1)
            return fits

        alike = np.concatenate(in_threads(coarse_likeness, image_matching.batches(len(pairs))))
        chosen = same | (alike >= _COARSE_LIKENESS)
        kept.append((pairs[chosen], same[chosen], richness[pairs[chosen]].min(axis=1)))
    pairs, same, least = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return pairs, same, least


def _layouts(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute what layouts are looked up by: vectors and queries, the same ones, `(num_images, dim)`."""
    layouts = _by_blocks(grey, image_matching.layout).reshape(len(grey), -1)
    return layouts, layouts


def _mirrored(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute what the layouts of mirrored images are looked up by: vectors, and queries."""
    layouts = _by_blocks(grey, image_matching.layout)
    return layouts.reshape(len(grey), -1), layouts[:, :, ::-1].reshape(len(grey), -1)


def _patterns(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute what patterns are looked up by: vectors and queries, the same ones."""

    def pattern(images: np.ndarray) -> np.ndarray:
        return image_matching.pattern(image_matching.halved(image_matching.detail(images)))

    patterns = _by_blocks(grey, pattern).reshape(len(grey), -1)
    return patterns, patterns


def _by_blocks(grey: np.ndarray, measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Measure images batch by batch: all at once would take four times the memory of their pixels."""
    measured = np.empty((len(grey), *measure(grey[:1]).shape[1:]), np.float32)

    def fill(rows: slice) -> None:
        measured[rows] = measure(grey[rows])

    in_threads(fill, image_matching.batches(len(grey)))
    return measured


def _coarse_details(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the details of images at half the resolution, and the richness of each; see `image_matching`."""
    coarse = np.empty((len(grey), image_matching.SIDE // 2, image_matching.SIDE // 2), dtype=np.float32)
    richness = np.empty(len(grey))

    def measure(rows: slice) -> None:
        details = image_matching.detail(grey[rows])
        coarse[rows] = image_matching.halved(details)
        richness[rows] = image_matching.richness(details)

    in_threads(measure, image_matching.batches(len(grey)))
    return coarse, richness


def _nearest(vectors: np.ndarray, queries: np.ndarray, metric: Metric) -> np.ndarray:
    """Find the `PROPOSALS` vectors nearest to the query of each, itself left out, int64 `(num_images, k)`."""
    count = len(vectors)
    return Index(vectors, metric=metric).rank(queries, min(PROPOSALS, count - 1), exclude=np.arange(count))


def _look_up(vectors: np.ndarray, queries: np.ndarray, metric: Metric) -> tuple[np.ndarray, float]:
    """Propose pairs, as `keys_of`, exactly or, among very many images, approximately; and the recall."""
    if len(vectors) <= _MAX_EXACT:
        return keys_of(_nearest(vectors, queries, metric)), 1.0
    found, recall = approximate.rank(vectors, queries, PROPOSALS)
    return keys_of(found), recall


def keys_of(found: np.ndarray) -> np.ndarray:
    """Pair each row with those found for it, `(num_images, k)`; -1 is nothing.

    Returns:
        A number for each pair, ascending, each once: half the memory of two rows. `pairs_of` gives the rows.
    """
    count, k = found.shape
    rows, found = np.arange(count).repeat(k), found.ravel()
    keys = np.minimum(rows, found) * count + np.maximum(rows, found)
    return _distinct(keys[found >= 0])


def _distinct(keys: np.ndarray, kind: Literal["quicksort", "stable"] = "quicksort") -> np.ndarray:
    """Sort keys in place, and return each once: `np.unique` takes many times as long for millions, and their memory."""
    keys.sort(kind=kind)
    is_first = np.ones(len(keys), dtype=bool)
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
    return keys[is_first]


def pairs_of(keys: np.ndarray, count: int) -> np.ndarray:
    """Return the pairs of rows, of `count`, that these keys are of: `(num_pairs, 2)`, the smaller row first."""
    pairs = np.empty((len(keys), 2), dtype=np.int64)
    np.divmod(keys, count, out=(pairs[:, 0], pairs[:, 1]))
    return pairs
