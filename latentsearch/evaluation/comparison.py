"""The same queries asked with each kind of vector: searches that checks, tables and figures share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentsearch.config import Metric
from latentsearch.data import ImageSet
from latentsearch.evaluation.baselines import Vectors
from latentsearch.evaluation.scorecard import AP_DEPTH, Score, score_neighbours
from latentsearch.metrics import precision_at_k

_MAX_ASKED = 10_000  # validation images that choose the metric of codes
_MAX_ASKED_OF_RIVALS = 1000
_MAX_SEARCHED = 50_000  # training images among which the metric is chosen
_MAX_ASKED_OF_LONG = 4000  # test images that long vectors are asked with
_CHOSEN_BY = 10  # neighbours


@dataclass(frozen=True)
class Comparison:
    """Gallery and queries of an evaluation, and what the vectors of images find there.

    Args:
        dataset: The images, with labels.
        gallery_ids: Ids of the gallery, ascending, `(num_gallery,)`.
        query_ids: Ids of the queries, `(num_queries,)`.
        seed: Seed of the bootstrap and of samples.
    """

    dataset: ImageSet
    gallery_ids: np.ndarray
    query_ids: np.ndarray
    seed: int

    @property
    def depth(self) -> int:
        """Number of neighbours that are scored."""
        return min(AP_DEPTH, len(self.gallery_ids))

    def score(self, method: str, rows: np.ndarray, metric: Metric, positions: np.ndarray | None = None) -> Score:
        """Score neighbours; see `scorecard.Score`.

        Args:
            method: Name for the table.
            rows: Rows of the gallery, closest first, `(num_asked, depth)`.
            metric: Metric that compared vectors.
            positions: Positions in `query_ids` of what was asked. Default: all.
        """
        labels = self.dataset.labels
        asked = self.query_ids if positions is None else self.query_ids[positions]
        found = labels[self.gallery_ids[rows]]
        return score_neighbours(method, found, labels[asked], self.dataset.class_names, metric=metric, seed=self.seed)

    def rival(self, method: str, vectors: Vectors) -> Score:
        """Search with the vectors of a rival under the metric that suits them best, and score what they find.

        Long vectors are asked with a sample of at most 4,000 of the queries.
        """
        metric = self.best_metric(vectors, _MAX_ASKED_OF_RIVALS)
        positions = np.arange(len(self.query_ids))
        if vectors.is_long:
            positions = self._sample(positions, _MAX_ASKED_OF_LONG)
        return self.score(method, vectors.rank(self.depth, metric, vectors.queries[positions]), metric, positions)

    def best_metric(self, vectors: Vectors, most: int = _MAX_ASKED) -> Metric:
        """Choose the metric with the highest P@10 of validation images among training images, without test images.

        The first one where no image is held out.

        Args:
            vectors: Vectors of the gallery.
            most: Validation images that are asked about, at most.
        """
        searched, asked = (
            np.flatnonzero(np.isin(self.gallery_ids, self.dataset.ids(split))) for split in ("train", "validation")
        )
        if not len(asked) or not len(searched) or len(vectors.metrics) == 1:
            return vectors.metrics[0]
        searched, asked = self._sample(searched, _MAX_SEARCHED), self._sample(asked, most)
        labels = self.dataset.labels[self.gallery_ids]
        among = Vectors(vectors.gallery[searched], vectors.gallery[asked], vectors.metrics)
        k = min(_CHOSEN_BY, len(searched))

        def precision(metric: Metric) -> float:
            relevant = labels[searched][among.rank(k, metric)] == labels[asked][:, None]
            return float(precision_at_k(relevant, k).mean())

        return max(vectors.metrics, key=precision)

    def _sample(self, rows: np.ndarray, most: int) -> np.ndarray:
        return np.sort(np.random.default_rng(self.seed).permutation(rows)[:most])
