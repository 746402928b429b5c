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
from latentsearch.gallery import image_matching, proposals, same_shot

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

    Near duplicates are looked for among the nearest of each image, by its code, by its layout (as it is and mirrored)
    and by its pattern (see `proposals`): codes alone propose six to nine of ten. Takes about 5 KB
    of memory per image, 3 KB of hundreds of thousands.

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
    if len(originals) < 2:
        return np.empty((0, 2), dtype=np.int64), np.empty((0, 2), dtype=np.float32), 1.0
    keys, recall = proposals.propose(
        grey, codes[originals], metric=metric, watch=lambda share: watch(_LOOKED_UP * share)
    )
    watch(_LOOKED_UP)
    pairs, same, richness = proposals.choose(images, grey, originals, keys)
    del keys
    watch(_FITTED)
    likeness = image_matching.likeness(grey, pairs)
    shown = same_shot.show_the_same(grey, pairs, likeness, richness) | same
    watch(1.0)
    return originals[pairs[shown]], likeness[shown], recall


def _first_copies(contents: Iterable[bytes]) -> np.ndarray:
    """Find for each image the row of the first one with the same content, int64 `(num_images,)`."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(content, row) for row, content in enumerate(contents)], dtype=np.int64)
