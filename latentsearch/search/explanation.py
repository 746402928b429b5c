"""Explanation of a hit: the numbers of the code in which a query and a neighbour are alike, and those that part them.

Each number has two ends. What an end means is shown by the images of the corpus that lie farthest out there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentsearch.config import Metric
from latentsearch.gallery import number_ends, two_codes
from latentsearch.gallery.index import as_compared, distances_between
from latentsearch.gallery.number_ends import NO_CLASS, ClassOfEnd
from latentsearch.search.corpus import Corpus
from latentsearch.search.queries import NOT_IN_CORPUS

_NUM_ALIKE, _NUM_APART = 3, 2
_NUM_SHOWN = 3  # images of an end
_NUM_CANDIDATES = 12  # for them
_OUTER = 2 / 3  # share of the images that an image must be beyond to lie towards an end
_ONE_SHOT = ("same picture", "very like")  # likeness of images of one shot
_AS_NEAR = 99.99  # or score, from which on they look so
_LIMITS = (0.5, 99.5)  # percentiles between which a number is drawn
_MOST = 100_000  # images that ranks are computed among; of more, as many are drawn at random
_SEED = 0


@dataclass(frozen=True)
class End:
    """An end of a number.

    Args:
        is_high: Whether it is the high end.
        ids: At most 3 images there, the outermost first.
        of_class: Class of most of the outermost hundredth of the images.
    """

    is_high: bool
    ids: list[int]
    of_class: ClassOfEnd = NO_CLASS


@dataclass(frozen=True)
class Alike:
    """A number in which both codes lie towards the same end.

    Args:
        name: Name of the number.
        end: The end.
        beyond: Shares of the images that query and neighbour are beyond, 0 to 1.
    """

    name: str
    end: End
    beyond: tuple[float, float]


@dataclass(frozen=True)
class Apart:
    """A number in which the codes differ.

    Args:
        name: Name of the number.
        share: Its share of the distance, 0 to 1.
        places: Places of query and neighbour between the low end, 0, and the high end, 1.
        ends: The low end and the high end.
    """

    name: str
    share: float
    places: tuple[float, float]
    ends: tuple[End, End]


@dataclass(frozen=True)
class Explanation:
    """What makes a query and a neighbour near, and what keeps them apart.

    Args:
        alike: At most 3 numbers in which both lie towards the same end, the one that brings them nearest first.
        apart: The 2 numbers with the largest shares in the distance, at most half of all; none where codes are equal.
        names: Names of all numbers.
        shares: Share of each number in the distance, `(latent_dim,)`; they add up to 1, or are all 0 where the distance
            is.
        decoded: Images decoded from the two codes, float32 in [0, 1], `(2, height, width, 3)`.
    """

    alike: list[Alike]
    apart: list[Apart]
    names: list[str]
    shares: np.ndarray
    decoded: np.ndarray


class Explainer:
    """Explains hits in a corpus under one metric.

    Args:
        corpus: The corpus.
        metric: Metric of the distances.
    """

    def __init__(self, corpus: Corpus, metric: Metric) -> None:
        self._corpus, self._metric = corpus, metric
        gallery = corpus.gallery
        rows = np.arange(len(gallery.ids))
        if len(rows) > _MOST:
            rows = np.sort(np.random.default_rng(_SEED).choice(len(rows), _MOST, replace=False))
        self._ids, self._values = gallery.ids[rows], self._compared(gallery.codes[rows])
        self._names = two_codes.number_names(corpus.autoencoder.latent_dim, corpus.autoencoder.kind_dim)

    def explain(
        self, query_id: int, query_code: np.ndarray, neighbour_id: int, neighbour_code: np.ndarray
    ) -> Explanation:
        """Explain why an image is near a query.

        Args:
            query_id: Id of the query in the corpus; `NOT_IN_CORPUS` for another image.
            query_code: Its code, `(latent_dim,)`.
            neighbour_id: Id of the neighbour.
            neighbour_code: Its code, `(latent_dim,)`.
        """
        codes = np.stack([query_code, neighbour_code])
        pair = self._compared(codes)
        parts = shares(*(codes * self._corpus.weights), metric=self._metric)
        others = self._others([query_id, neighbour_id])
        count = min(_NUM_APART, max(1, len(parts) // 2))  # of two numbers one may be alike
        apart = [number for number in np.argsort(-parts, kind="stable")[:count].tolist() if parts[number] > 0]
        return Explanation(
            self._alike(pair, others, apart),
            [self._apart(number, float(parts[number]), pair, others) for number in apart],
            self._names,
            parts,
            self._corpus.autoencoder.decode(codes).clip(0, 1),
        )

    def _compared(self, codes: np.ndarray) -> np.ndarray:
        return as_compared(codes * self._corpus.weights, metric=self._metric)

    def _others(self, ids: list[int]) -> np.ndarray:
        """Select the rows of the images that are none of these, nor other names of their files."""
        same = [self._corpus.same_file(image_id) for image_id in ids if image_id != NOT_IN_CORPUS]
        return np.flatnonzero(~np.isin(self._ids, list(frozenset().union(*same))))

    def _alike(self, pair: np.ndarray, others: np.ndarray, without: list[int]) -> list[Alike]:
        """Find the numbers in which both are farthest out at the same end.

        What they gain by a number over two images of no likeness is the product of their differences from its mean.
        """
        values = self._values[others]
        if not len(values):
            return []
        below = np.stack([((values < code).mean(axis=0) + (values <= code).mean(axis=0)) / 2 for code in pair])
        gains = np.prod(pair - values.mean(axis=0), axis=0)
        found: list[Alike] = []
        for number in np.argsort(-gains, kind="stable").tolist():
            is_high = below[0, number] > 0.5
            beyond = below[:, number] if is_high else 1 - below[:, number]
            if len(found) < _NUM_ALIKE and number not in without and beyond.min() >= _OUTER:
                end = self._end(number, is_high, pair, others)
                found.append(Alike(self._names[number], end, (float(beyond[0]), float(beyond[1]))))
        return found

    def _apart(self, number: int, share: float, pair: np.ndarray, others: np.ndarray) -> Apart:
        values = self._values[others, number] if len(others) else pair[:, number]
        low, high = np.percentile(values, _LIMITS)
        places = ((pair[:, number] - low) / ((high - low) or 1)).clip(0, 1)
        ends = (self._end(number, False, pair, others), self._end(number, True, pair, others))
        return Apart(self._names[number], share, (float(places[0]), float(places[1])), ends)

    def _end(self, number: int, is_high: bool, pair: np.ndarray, others: np.ndarray) -> End:
        values = self._values[others, number]
        outer = others[number_ends.outermost(values, is_high=is_high, least=_NUM_CANDIDATES)]
        ids = self._shown(outer[: min(_NUM_CANDIDATES, len(others) // 2)], pair)
        if not self._corpus.class_names or len(others) < number_ends.LEAST_IMAGES:
            return End(is_high, ids)
        classes = [self._corpus.class_of(image_id) for image_id in self._ids[outer].tolist()]
        return End(is_high, ids, number_ends.class_of_most(classes))

    def _shown(self, rows: np.ndarray, pair: np.ndarray) -> list[int]:
        """Choose the first 3 of these images that are still there, of different shots and not of the pair, if it can.

        A copy of one of the pair is none of them.
        """
        rows = np.array([row for row in rows.tolist() if self._corpus.is_there(int(self._ids[row]))], np.int64)
        is_copy = (self._values[rows][:, None] == pair).all(axis=2).any(axis=1)
        rows = rows[~is_copy]
        shown: list[int] = []
        close: list[int] = []
        for row in rows.tolist():
            taken = np.concatenate([pair, self._values[shown]])
            (close if self._is_one_shot(self._values[row], taken) else shown).append(row)
        return [int(self._ids[row]) for row in (shown + close)[:_NUM_SHOWN]]

    def _is_one_shot(self, code: np.ndarray, others: np.ndarray) -> bool:
        distances = distances_between(np.tile(code, (len(others), 1)), others, metric=self._metric)
        scale = self._corpus.scale(self._metric)
        return bool((scale.score(distances) >= _AS_NEAR).any() or {*scale.likeness(distances)} & {*_ONE_SHOT})


def shares(first: np.ndarray, second: np.ndarray, *, metric: Metric) -> np.ndarray:
    """Compute the share of each dimension in the distance of two codes.

    manhattan: |a - b|; euclidean: (a - b)², whose sum is the square of the distance; cosine: (a - b)² of codes of
    length 1, because 1 - cos = |a - b|² / 2 there.

    Args:
        first: `(latent_dim,)`.
        second: Same shape.
        metric: "cosine", "euclidean" or "manhattan".

    Returns:
        float64 `(latent_dim,)`, of sum 1, or zeros if the codes are equal.
    """
    first, second = (code.astype(np.float64) for code in (first, second))
    if metric == "cosine":
        first, second = (code / (np.linalg.norm(code) or 1) for code in (first, second))
    parts = np.abs(first - second) if metric == "manhattan" else np.square(first - second)
    return parts / (parts.sum() or 1)
