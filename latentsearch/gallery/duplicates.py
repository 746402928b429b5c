"""Exact and near duplicates in a dataset: codes and simple measures propose pairs, pixels decide."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from latentsearch.config import Metric
from latentsearch.data import SPLITS, ImageSet
from latentsearch.data.imageset import pieces
from latentsearch.data.memory import give_back
from latentsearch.gallery import approximate, image_matching, same_shot
from latentsearch.gallery.index import Index
from latentsearch.gallery.threads import in_threads

PROPOSALS = 10
"""Images that are looked at for each image, by each kind of vector."""

_MAX_EXACT = 100_000  # images; proposals among more are looked for approximately
_COARSE_LIKENESS = 0.45  # at half the resolution; pairs below are not looked at closely
_PLACES = ("within gallery", "across", "within test")

Watch = Callable[[float], None]  # is told the share of the work that is done, in [0, 1]
# Shares of the time that 60,000 images take.
_LOOKED_UP, _FITTED = 0.6, 0.8


@dataclass(frozen=True)
class Duplicates:
    """Pairs of images of one dataset that show the same shot, most alike first.

    Exact: equal bytes. Of many equal images, each later one is paired with the first, and the first alone has near
    duplicates; `first_copy` tells which images it stands for.

    Args:
        pairs: Ids, int64 `(num_pairs, 2)`, the smaller one first.
        likeness: Likeness of each pair in [-1, 1], float32 `(num_pairs,)`; 1 where exact.
        exact: Whether the bytes of each pair are equal, bool `(num_pairs,)`.
        mirrored: Whether one shows the other mirrored, bool `(num_pairs,)`.
        first_copy: Id of the first image with the same bytes, for every image of the dataset, int64 `(num_images,)`.
        recall: Share of the proposals that were found: below 1 in more than 100,000 images, which are searched
            approximately.
    """

    pairs: np.ndarray
    likeness: np.ndarray
    exact: np.ndarray
    mirrored: np.ndarray
    first_copy: np.ndarray
    recall: float = 1.0

    @property
    def groups(self) -> np.ndarray:
        """A number for each image, the same for all that are linked by pairs, int `(num_images,)`."""
        count = len(self.first_copy)
        links = coo_array((np.ones(len(self.pairs)), tuple(self.pairs.T)), (count, count))
        groups: np.ndarray = connected_components(links, directed=False)[1]
        return groups

    def with_duplicate_among(self, ids: np.ndarray) -> np.ndarray:
        """Tell whether each image has an exact or near duplicate among `ids`, or is one, bool `(num_images,)`."""
        among = np.zeros(len(self.first_copy), dtype=bool)
        among[self.first_copy[ids]] = True
        linked = among.copy()
        one, other = self.first_copy[self.pairs].T
        linked[one[among[other]]] = True
        linked[other[among[one]]] = True
        found: np.ndarray = linked[self.first_copy]
        return found

    def places(self, dataset: ImageSet) -> np.ndarray:
        """Tell the place of each pair, `(num_pairs,)`: "within gallery", "across" or "within test"."""
        is_test = dataset.split == SPLITS.index("test")
        places: np.ndarray = np.array(_PLACES)[is_test[self.pairs].sum(axis=1)]
        return places

    def counts(self, dataset: ImageSet) -> dict[str, dict[str, int]]:
        """Count pairs by place and kind: `{"within gallery": {"exact": 0, "near": 3}, ...}`."""
        places = self.places(dataset)
        return {
            place: {
                "exact": int((self.exact & (places == place)).sum()),
                "near": int((~self.exact & (places == place)).sum()),
            }
            for place in _PLACES
        }

    def table(self, dataset: ImageSet) -> pd.DataFrame:
        """Return one row per pair: ids, splits, classes if there are any, kind, likeness, mirrored, group."""
        columns = {}
        for number, ids in enumerate(self.pairs.T, start=1):
            columns[f"id_{number}"] = ids
            columns[f"split_{number}"] = np.array(SPLITS)[dataset.split[ids]]
            if dataset.class_names:
                columns[f"class_{number}"] = np.array(dataset.class_names)[dataset.labels[ids]]
        return pd.DataFrame(
            columns
            | {
                "kind": np.where(self.exact, "exact", "near"),
                "likeness": self.likeness,
                "mirrored": self.mirrored,
                "group": self.groups[self.pairs[:, 0]],
            }
        )


def find(
    images: np.ndarray,
    codes: np.ndarray,
    *,
    metric: Metric,
    contents: Sequence[bytes] | None = None,
    watch: Watch = lambda share: None,
) -> Duplicates:
    """Find pairs of images that show one shot: equal, moved, cropped, recoloured, recompressed, mirrored, written on.

    Near duplicates are looked for among the `PROPOSALS` nearest of each image, by its code, by its layout (as it
    is and mirrored) and by its pattern: codes alone propose six to nine of ten. Takes about 5 KB of memory per image.

    Args:
        images: uint8 `(num_images, height, width, 3)`, possibly memory-mapped.
        codes: Codes of the images, `(num_images, latent_dim)`.
        metric: Metric that compares codes.
        contents: Digests that are equal where images are exact duplicates, such as those of their files, one per image.
            Default: digests of their pixels.
        watch: Is called, from time to time, with the share of the work that is done, in [0, 1].
    """
    first_copy = _first_copies(
        (hashlib.sha256(image.tobytes()).digest() for _, piece in pieces(images) for image in piece)
        if contents is None
        else contents
    )
    originals, copies = (np.flatnonzero((first_copy == np.arange(len(images))) == kind) for kind in (True, False))
    grey = image_matching.brightness(images)
    grey = grey[originals] if len(copies) else grey
    near, likeness, recall = _near(images, grey, originals, codes, metric=metric, watch=watch)
    pairs = np.concatenate([np.column_stack([first_copy[copies], copies]), near])
    likeness = np.concatenate([np.tile(np.array([1, -1], np.float32), (len(copies), 1)), likeness])
    exact = np.arange(len(pairs)) < len(copies)
    best = likeness.max(axis=1)
    order = np.lexsort((-best, ~exact))
    mirrored = likeness[:, 1] > likeness[:, 0]
    return Duplicates(pairs[order], best[order], exact[order], mirrored[order], first_copy, recall)


def _nearest(vectors: np.ndarray, queries: np.ndarray, metric: Metric) -> np.ndarray:
    """Find the `PROPOSALS` vectors nearest to the query of each, itself left out, int64 `(num_images, k)`."""
    count = len(vectors)
    return Index(vectors, metric=metric).rank(queries, min(PROPOSALS, count - 1), exclude=np.arange(count))


def _near(
    images: np.ndarray, grey: np.ndarray, originals: np.ndarray, codes: np.ndarray, *, metric: Metric, watch: Watch
) -> tuple[np.ndarray, np.ndarray, float]:
    """Find near duplicates among `originals`: pairs of ids, their likeness as they are and mirrored, and the recall.

    Args:
        images: All images.
        grey: The `originals` from `image_matching.brightness`.
        originals: Ids of images, ascending.
        codes: Codes of all images.
        metric: Metric that compares codes.
        watch: As of `find`.
    """
    count = len(originals)
    if count < 2:
        return np.empty((0, 2), dtype=np.int64), np.empty((0, 2), dtype=np.float32), 1.0
    by_code = np.asarray(codes[originals], np.float32)
    # One kind of vector at a time, made when it is needed: those of hundreds of thousands of images are large.
    kinds: list[Callable[[], tuple[np.ndarray, np.ndarray]]]
    kinds = [lambda: (by_code, by_code), lambda: _layouts(grey), lambda: _mirrored(grey), lambda: _patterns(grey)]
    proposed, recalls = [], []
    for done, vectors_and_queries in enumerate(kinds):
        watch(_LOOKED_UP * done / len(kinds))
        found, recall = _look_up(*vectors_and_queries(), "cosine" if done else metric)
        proposed.append(found)
        recalls.append(recall)
    watch(_LOOKED_UP)
    keys = np.unique(np.concatenate(proposed))
    del proposed
    pairs = _pairs_of(keys, count)
    del keys
    give_back()
    same = same_shot.look_the_same(grey, images, originals, pairs)
    coarse, richness = _coarse_details(grey)

    def coarse_likeness(rows: slice) -> np.ndarray:
        one, other = pairs[rows].T
        fits: np.ndarray = image_matching.fit(coarse[one], coarse[other], image_matching.SHIFT // 2).max(axis=1)
        return fits

    alike = np.concatenate(in_threads(coarse_likeness, image_matching.batches(len(pairs))))
    looked_at = same | (alike >= _COARSE_LIKENESS)
    pairs, same = pairs[looked_at], same[looked_at]
    watch(_FITTED)
    likeness = image_matching.likeness(grey, pairs)
    shown = same_shot.show_the_same(grey, pairs, likeness, richness[pairs].min(axis=1))
    shown |= same
    watch(1.0)
    return originals[pairs[shown]], likeness[shown], float(np.mean(recalls))


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
    return np.concatenate(in_threads(lambda rows: measure(grey[rows]), image_matching.batches(len(grey))))


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


def _look_up(vectors: np.ndarray, queries: np.ndarray, metric: Metric) -> tuple[np.ndarray, float]:
    """Propose pairs, as `_keys`, exactly or, among very many images, approximately; and the recall."""
    if len(vectors) <= _MAX_EXACT:
        return _keys(_nearest(vectors, queries, metric)), 1.0
    found, recall = approximate.rank(vectors, queries, PROPOSALS)
    return _keys(found), recall


def _keys(found: np.ndarray) -> np.ndarray:
    """Pair each row with those found for it, `(num_images, k)`; -1 is nothing.

    Returns:
        A number for each pair, ascending, each once: half the memory of two rows. `_pairs_of` gives the rows.
    """
    count, k = found.shape
    rows, found = np.arange(count).repeat(k), found.ravel()
    keys = np.minimum(rows, found) * count + np.maximum(rows, found)
    return np.unique(keys[found >= 0])


def _pairs_of(keys: np.ndarray, count: int) -> np.ndarray:
    """Return the pairs of rows, of `count`, that these keys are of: `(num_pairs, 2)`, the smaller row first."""
    pairs = np.empty((len(keys), 2), dtype=np.int64)
    np.divmod(keys, count, out=(pairs[:, 0], pairs[:, 1]))
    return pairs


def _first_copies(contents: Iterable[bytes]) -> np.ndarray:
    """Find for each image the row of the first one with the same content, int64 `(num_images,)`."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(content, row) for row, content in enumerate(contents)], dtype=np.int64)
