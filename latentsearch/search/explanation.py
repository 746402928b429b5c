"""Explanation of a hit: the share of each number of the code in the distance, and decoded images between the codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentsearch.config import Metric
from latentsearch.models.encoder import Encoder

_NUM_STEPS = 5  # pictures on the way from one code to the other, both ends included


@dataclass(frozen=True)
class Explanation:
    """The parts of the distance of a query and a neighbour.

    Args:
        metric: Metric of the distance.
        query: Image of the query, uint8 `(height, width, 3)`.
        neighbour: Image of the neighbour, uint8 `(height, width, 3)`.
        shares: Share of each number of the code in the distance, `(latent_dim,)`; they add up to 1, or are all 0 where
            the distance is.
        path: Images decoded from the code of the query, from steps on the straight line, and from the code of the
            neighbour: float32 in [0, 1], `(5, height, width, 3)`.
    """

    metric: Metric
    query: np.ndarray
    neighbour: np.ndarray
    shares: np.ndarray
    path: np.ndarray


def explain(
    query: np.ndarray,
    query_code: np.ndarray,
    neighbour: np.ndarray,
    neighbour_code: np.ndarray,
    *,
    metric: Metric,
    autoencoder: Encoder,
    weights: np.ndarray | None = None,
) -> Explanation:
    """Explain the distance of one pair of images.

    Args:
        query: Image of the query, uint8 `(height, width, 3)`.
        query_code: Code of the query, `(latent_dim,)`.
        neighbour: Image of the neighbour, uint8 `(height, width, 3)`.
        neighbour_code: Code of the neighbour, `(latent_dim,)`.
        metric: Metric of the distance.
        autoencoder: The encoder that made the codes, with its decoder.
        weights: Factor of each number before codes are compared, `(latent_dim,)`. Default: 1.
    """
    factors = np.ones_like(query_code) if weights is None else weights
    steps = np.linspace(0, 1, _NUM_STEPS, dtype=np.float32)[:, None]
    path = autoencoder.decode((1 - steps) * query_code + steps * neighbour_code).clip(0, 1)
    parts = shares(query_code * factors, neighbour_code * factors, metric=metric)
    return Explanation(metric, query, neighbour, parts, path)


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
