"""The objective of a search for settings: one number from the measures of validation, without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from latentsearch.config import Goal
from latentsearch.data import ImageSet, read_rows, to_float
from latentsearch.metrics import squared_error
from latentsearch.recipes import Keep
from latentsearch.training.held_out import validation_ids

_BATCH = 1000  # images in memory at a time
# How the ingredients are weighed; see `Criterion.ingredients`. The health of the code counts a quarter of copy-recall:
# it tells apart codes that find copies equally well, and hardly ever outweighs finding them.
WEIGHTS: dict[Goal, dict[str, float]] = {
    "retrieval": {"copy_recall": 0.8, "health": 0.2},
    # Neighbours as positives pull images of a kind together, so that copies are told apart less well.
    "kinds": {"copy_recall": 0.4, "agreement": 0.4, "health": 0.2},
    "reconstruction": {"explained": 1.0},
    "balanced": {"copy_recall": 0.4, "health": 0.1, "explained": 0.5},
}


@dataclass(frozen=True)
class Criterion:
    """A score of trainings by the measures of their epochs; see `validation.Validator`.

    Args:
        goal: A key of `WEIGHTS`.
        mean_mse: Mean squared error of the mean training image, in place of every validation image.
        latent_dim: Numbers in a code.
        keep: Which epoch's weights the trainings keep.
    """

    goal: Goal
    mean_mse: float
    latent_dim: int
    keep: Keep = "best"

    def ingredients(self, row: Mapping[str, float]) -> dict[str, float]:
        """Compute the parts of the score, each at most 1.

        - copy_recall: share of corrupted copies that find their original.
        - agreement: share of the neighbours by features that are neighbours by code; 0 where it was not measured.
        - health: share of the dimensions of the code that are used.
        - explained: share of the variance of the images that reconstructions explain; below 0 where the mean image
          would be a better reconstruction.

        Args:
            row: Measures of an epoch.
        """
        return {
            "copy_recall": row["val_copy_recall"],
            "agreement": row.get("val_agreement", 0.0),
            "health": row["val_effective_rank"] / self.latent_dim,
            "explained": 1 - row["val_mse"] / self.mean_mse,
        }

    def score(self, row: Mapping[str, float]) -> float:
        """Compute the score of an epoch, at most 1; higher is better."""
        found = self.ingredients(row)
        return float(sum(weight * found[name] for name, weight in WEIGHTS[self.goal].items()))

    def so_far(self, rows: Sequence[Mapping[str, float]]) -> float:
        """Compute the score of the epoch whose weights are kept after these epochs."""
        return self.score(kept(rows, self.keep))


def kept(rows: Sequence[Mapping[str, float]], keep: Keep = "best") -> Mapping[str, float]:
    """Select the row of the epoch whose weights a training keeps: the first with the smallest val_loss, or the last."""
    return rows[-1] if keep == "last" else min(rows, key=lambda row: row["val_loss"])


def mean_image_error(dataset: ImageSet) -> float:
    """Compute the mean squared error of the mean training image, in place of the validation images of a training."""
    total, ids = np.zeros(dataset.image_shape), dataset.ids("train")
    for start in range(0, len(ids), _BATCH):
        total += to_float(read_rows(dataset.images, ids[start : start + _BATCH])).sum(axis=0, dtype=np.float64)
    mean, error, asked = total / len(ids), 0.0, np.sort(validation_ids(dataset))
    for start in range(0, len(asked), _BATCH):
        error += squared_error(to_float(read_rows(dataset.images, asked[start : start + _BATCH])), mean).sum()
    return float(error / len(asked))
