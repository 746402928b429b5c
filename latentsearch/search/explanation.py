"""Why are two images neighbours? The share of each number of the code, and what the decoder sees between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentsearch.config import Metric
from latentsearch.models.encoder import Encoder

_NUM_STEPS = 5  # pictures on the way from one code to the other, both ends included


@dataclass(frozen=True)
class Explanation:
    """What makes a query and a neighbour near or far.

    Args:
        metric: How their codes are compared.
        query: Image, uint8 `(height, width, 3)`.
        neighbour: Likewise.
        shares: Share of each number of the code in the distance, `(latent_dim,)`; they add up to 1, or are all 0 where
            the distance is.
        path: Pictures decoded from the code of the query, from steps on the straight line, and from the code of the
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
    """Explains one pair of images.

    Args:
        query: uint8 `(height, width, 3)`.
        query_code: `(latent_dim,)`.
        neighbour: Likewise.
        neighbour_code: Likewise.
        metric: How the codes are compared.
        autoencoder: What made the codes; its decoder draws.
        weights: Factor of each number before codes are compared, `(latent_dim,)`. Default: 1.
    """
    factors = np.ones_like(query_code) if weights is None else weights
    steps = np.linspace(0, 1, _NUM_STEPS, dtype=np.float32)[:, None]
    path = autoencoder.decode((1 - steps) * query_code + steps * neighbour_code).clip(0, 1)
    parts = shares(query_code * factors, neighbour_code * factors, metric=metric)
    return Explanation(metric, query, neighbour, parts, path)


def shares(first: np.ndarray, second: np.ndarray, *, metric: Metric) -> np.ndarray:
    """Share of each dimension in the distance of two codes.

    manhattan: |a - b|; euclidean: (a - b)², whose sum is the square of the distance; cosine: likewise of the codes at
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
