"""The measurements of a trained run, for checks, figures and metrics.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from latentsearch.config import Metric
from latentsearch.data import ImageSet, is_grey, read_rows
from latentsearch.evaluation.baselines import LinearReconstruction
from latentsearch.evaluation.kind_and_look import SliderPoint
from latentsearch.evaluation.pca import batches
from latentsearch.evaluation.scorecard import Score, best_of
from latentsearch.gallery import number_ends, two_codes
from latentsearch.gallery.duplicates import Duplicates
from latentsearch.gallery.number_ends import NO_CLASS, ClassOfEnd
from latentsearch.metrics import Interval, enough_queries, rank_correlation, too_few
from latentsearch.training.history import shown

_SHOWN = 5  # images of an end


class NumberEnd(NamedTuple):
    """An end of a number of the code.

    Args:
        ids: Ids of at most 5 test images there, of different shots, the outermost first.
        of_class: Class of most of the outermost hundredth of the test images.
    """

    ids: list[int]
    of_class: ClassOfEnd


@dataclass(frozen=True)
class Evaluation:
    """Measurements of one run on the test split of its dataset.

    Args:
        name: Name of the run.
        encoder: Fingerprint of the encoder.
        seed: Seed of all random draws.
        dataset: The images.
        history: One row per epoch of training.
        gallery_ids: Ids of the training and validation images that are searched, at most 200,000, int64
            `(num_gallery,)`.
        test_ids: Ids of the test images, the queries, at most 10,000, int64 `(num_test,)`.
        codes: Codes of the test images, float32 `(num_test, latent_dim)`.
        errors: Mean squared error of each test image, `(num_test,)`.
        accuracy: Share of test pixels whose strongest channel is right.
        train_mse: Mean squared error of (at most 5,000) training images.
        linear: Reconstruction by a PCA with as many numbers as the code.
        linear_rival: Reconstruction by a PCA with as many numbers as learn from reconstruction: all of a single code,
            the look code of two.
        chance: P@k of neighbours drawn at random, for each test image, `(num_test,)`; empty without labels.
        metric: The metric that suits the codes best, by P@10 of validation images among training images; without
            labels cosine or euclidean, by recall@10 of corrupted copies.
        scores: The scorecard: the run under every metric first, then the baselines and the other runs, each under the
            metric that suits it best by P@10 of validation images. Empty without labels.
        parts: Score of each of two codes alone, by cosine. Empty for a single code, or without labels.
        slider: Neighbours by the share of the look code. Empty for a single code.
        kind_dim: Numbers of the kind code, the first ones of two codes; None for a single code.
        compared: Ids of the test images whose neighbours are compared, `(num_compared,)`.
        neighbours: Ids of their neighbours, `(num_compared, depth)`, by method: the baselines first, then the other
            runs, then the run itself.
        copy_recall: recall@1 and @10 of corrupted copies: `{corruption: {metric: {k: interval}}}`.
        copies: A few originals and their corrupted copies, uint8, by name.
        examples: Ids and reconstructions of the first, best and worst test images, by name.
        points: t-SNE of `projected` rows of the test codes, `(num_projected, 2)`.
        projected: Positions of these rows in `test_ids`.
        duplicates: Images of the dataset that show the same shot.
        leakless_score: Score of the run under its metric, for test images without a duplicate in the gallery alone;
            None where there are no labels, or no such images.
    """

    name: str
    encoder: str
    seed: int
    dataset: ImageSet
    history: pd.DataFrame
    gallery_ids: np.ndarray
    test_ids: np.ndarray
    codes: np.ndarray
    errors: np.ndarray
    accuracy: float
    train_mse: float
    linear: LinearReconstruction
    linear_rival: LinearReconstruction
    chance: np.ndarray
    metric: Metric
    scores: list[Score]
    compared: np.ndarray
    neighbours: dict[str, np.ndarray]
    copy_recall: dict[str, dict[Metric, dict[int, Interval]]]
    copies: dict[str, np.ndarray]
    examples: dict[str, tuple[np.ndarray, np.ndarray]]
    points: np.ndarray
    projected: np.ndarray
    duplicates: Duplicates
    leakless_score: Score | None
    parts: list[Score] = field(default_factory=list)
    slider: list[SliderPoint] = field(default_factory=list)
    kind_dim: int | None = None

    @property
    def leaked(self) -> np.ndarray:
        """Whether each test image has an exact or near duplicate in the gallery, bool `(num_test,)`."""
        leaked: np.ndarray = self.duplicates.with_duplicate_among(self.dataset.gallery_ids())[self.test_ids]
        return leaked

    @property
    def labels(self) -> np.ndarray:
        """Labels of the test images, int64 `(num_test,)`."""
        labels: np.ndarray = self.dataset.labels[self.test_ids]
        return labels

    @property
    def class_of_image(self) -> np.ndarray:
        """Class names of the test images, `(num_test,)`; "" without labels."""
        return self.dataset.class_of(self.test_ids)

    @property
    def number_names(self) -> list[str]:
        """Names of the numbers of a code; see `two_codes.number_names`."""
        return two_codes.number_names(self.codes.shape[1], self.kind_dim)

    @cached_property
    def number_ends(self) -> list[tuple[NumberEnd, NumberEnd]]:
        """The low and the high end of each number of a code."""
        groups = self.duplicates.groups
        return [(self._end(values, False, groups), self._end(values, True, groups)) for values in self.codes.T]

    def _end(self, values: np.ndarray, is_high: bool, groups: np.ndarray) -> NumberEnd:
        rows = number_ends.outermost(values, is_high=is_high)
        ids = self.test_ids[rows]
        _, first_of_shot = np.unique(groups[ids], return_index=True)
        shown = ids[np.sort(first_of_shot)][:_SHOWN].tolist()
        if not self.is_labelled or len(values) < number_ends.LEAST_IMAGES:
            return NumberEnd(shown, NO_CLASS)
        return NumberEnd(shown, number_ends.class_of_most(self.class_of_image[rows].tolist()))

    @property
    def is_labelled(self) -> bool:
        """Whether the class of each image is known."""
        return self.dataset.is_labelled

    @property
    def shown_history(self) -> pd.DataFrame:
        """The history without measures that mean nothing for these images."""
        return shown(self.history, self.dataset)

    @property
    def too_few_for_copies(self) -> str:
        """Why shares of copies that find their original mean nothing; "" where they do."""
        count = len(self.dataset.gallery_ids())
        return "" if enough_queries(count) else too_few(count, "gallery image")

    @property
    def is_for_similarity(self) -> bool:
        """Whether the training had a contrastive loss beside the reconstruction error."""
        return "val_similarity" in self.history

    @property
    def criterion_tracking(self) -> dict[str, float]:
        """Rank correlation of measures without labels with P@10 of validation images, by name.

        Spearman's, over the epochs: 1 for the same order; losses with their sign turned. Empty without these measures,
        or for fewer than two epochs.
        """
        signs = {"val_loss": -1, "val_mse": -1, "val_copy_recall": 1}
        if len(self.history) < 2 or not {"val_precision", *signs} <= set(self.history):
            return {}
        return {
            name: rank_correlation(sign * self.history[name].to_numpy(), self.history["val_precision"].to_numpy())
            for name, sign in signs.items()
        }

    @property
    def own_score(self) -> Score:
        """The score of the run under its metric."""
        return next(score for score in self.scores if (score.method, score.metric) == (self.name, self.metric))

    def rival_score(self, method: str) -> Score:
        """Select the score of a baseline, or another run."""
        return best_of(self.scores, method)

    @property
    def error_by_class(self) -> dict[str, float]:
        """Mean squared error of the test images of each class that has any."""
        classes = self.class_of_image
        return {
            name: float(self.errors[classes == name].mean())
            for name in self.dataset.class_names
            if (classes == name).any()
        }

    @property
    def is_grey(self) -> bool:
        """Whether no test image has colour: then the strongest channel of a pixel says nothing."""
        images = self.dataset.images
        return all(is_grey(read_rows(images, ids)) for ids in batches(self.test_ids))

    @property
    def baseline_names(self) -> list[str]:
        """Names of the baselines, and of the other runs, in the scorecard."""
        return [name for name in dict.fromkeys(score.method for score in self.scores) if name != self.name]
