"""Measures of retrieval, reconstruction and codes. Pure NumPy; every formula is in its docstring."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

LEAST_QUERIES = 50  # below that, the share of queries that find something is a matter of chance
_HARDLY = 0.001  # of the largest number in codes: standard deviation of those that count as one


def enough_queries(count: int) -> bool:
    """Tell whether a share of so many queries means something."""
    return count >= LEAST_QUERIES


def too_few(count: int, what: str) -> str:
    """Say that a share of so many queries is not shown.

    Args:
        count: Number of queries.
        what: Name of one of them, such as "validation image".
    """
    return f"{count} {what}{'s' * (count != 1)}: too few images to tell how many copies find their original."


class Interval(NamedTuple):
    """A mean and the interval that holds it with 95 % confidence."""

    value: float
    low: float
    high: float


def precision_at_k(relevant: np.ndarray, k: int) -> np.ndarray:
    """Compute the share of the first `k` neighbours that are relevant (P@k), float64 `(num_queries,)`.

    Args:
        relevant: bool `(num_queries, depth)`, closest first, depth at least `k`.
    """
    _check_depth(relevant, k)
    precision: np.ndarray = relevant[:, :k].mean(axis=1)
    return precision


def average_precision(relevant: np.ndarray, k: int) -> np.ndarray:
    """Compute the average precision within the first `k` neighbours (AP@k), float64 `(num_queries,)`.

        AP@k = sum over ranks r <= k of [neighbour r is relevant] * precision@r
               / number of relevant neighbours among the first k

    and 0 for a query without any. This is the formula of the hashing literature (SPQ, CIBHash, Bi-half); its
    mean over queries is their mAP@1000. Tools that divide by the number of relevant images in the whole gallery
    give far smaller numbers: on CIFAR-10, at most 0.2 for k = 1000.

    Args:
        relevant: bool `(num_queries, depth)`, closest first, depth at least `k`.
    """
    _check_depth(relevant, k)
    hits = relevant[:, :k]
    precision_at_rank = np.cumsum(hits, axis=1) / np.arange(1, k + 1)
    num_hits = hits.sum(axis=1)
    average: np.ndarray = (precision_at_rank * hits).sum(axis=1) / np.maximum(num_hits, 1)
    return average


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Compute Spearman's rank correlation, in [-1, 1]; equal values share the mean of their ranks.

    0 if one of the arrays has a single value: it has no order.

    Args:
        first: `(num_values,)`.
        second: `(num_values,)`.
    """
    ranks = []
    for values in (first, second):
        _, place, count = np.unique(values, return_inverse=True, return_counts=True)
        if len(count) == 1:
            return 0.0
        ranks.append((np.cumsum(count) - (count - 1) / 2)[place])
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def knn_correct(neighbour_labels: np.ndarray, query_labels: np.ndarray, k: int) -> np.ndarray:
    """Tell whether the most frequent label of the first `k` neighbours is the query's, bool `(num_queries,)`.

    Every neighbour has one vote; of labels with as many votes, the one that appears first (closest) wins. The
    mean is the k-NN accuracy.

    Args:
        neighbour_labels: int `(num_queries, depth)`, closest first, depth at least `k`.
        query_labels: int `(num_queries,)`.
    """
    _check_depth(neighbour_labels, k)
    labels = neighbour_labels[:, :k]
    votes = (labels[:, :, None] == labels[:, None, :]).sum(axis=2)  # (num_queries, k): votes of each one's label
    winners = np.take_along_axis(labels, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
    is_right: np.ndarray = winners == query_labels
    return is_right


def recall_at_k(neighbour_ids: np.ndarray, expected_ids: np.ndarray, k: int) -> np.ndarray:
    """Tell whether the one expected id is among the first `k` neighbours, bool `(num_queries,)`.

    Args:
        neighbour_ids: int `(num_queries, depth)`, closest first, depth at least `k`.
        expected_ids: int `(num_queries,)`.
    """
    _check_depth(neighbour_ids, k)
    found: np.ndarray = (neighbour_ids[:, :k] == np.asarray(expected_ids)[:, None]).any(axis=1)
    return found


def bootstrap_means(values: np.ndarray, *, resamples: int = 1000, seed: int = 0) -> list[Interval]:
    """Compute the means of columns, with 95 % percentile bootstrap intervals over the rows.

    The interval tells how much the mean would move with other queries, not with another training.

    Args:
        values: `(num_queries, num_measures)`, at least one row.
        resamples: Number of draws of num_queries rows with replacement.
        seed: Seed of the draws.
    """
    values = np.asarray(values, dtype=np.float64)
    num_queries = len(values)
    means = _resamples(num_queries, resamples, seed) @ values / num_queries  # (resamples, num_measures)
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return [Interval(*map(float, row)) for row in zip(values.mean(axis=0), low, high, strict=True)]


@functools.lru_cache(maxsize=2)  # of all queries, and of those of a class, as there are as many of each in CIFAR-10
def _resamples(num_queries: int, resamples: int, seed: int) -> np.ndarray:
    """Draw how often each query is in each resample, float64 `(resamples, num_queries)`; read it only."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(num_queries, np.full(num_queries, 1 / num_queries), resamples).astype(np.float64)


def squared_error(images: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """Compute the mean squared error of each image, float64 `(num_images,)`.

    Args:
        images: `(num_images, ...)`, in [0, 1].
        reconstructions: `(num_images, ...)`, in [0, 1].
    """
    difference = images.astype(np.float64) - reconstructions
    errors: np.ndarray = np.square(difference).reshape(len(images), math.prod(images.shape[1:])).mean(axis=1)
    return errors


def psnr(mse: float) -> float:
    """Compute the peak signal-to-noise ratio in decibels, -10 log10(mse), of images in [0, 1]."""
    return float(-10 * np.log10(max(mse, 1e-12)))


def strongest_channel_accuracy(images: np.ndarray, reconstructions: np.ndarray) -> float:
    """Compute the share of pixels whose strongest colour channel is right.

    Args:
        images: `(num_images, height, width, 3)`.
        reconstructions: `(num_images, height, width, 3)`.
    """
    return float((images.argmax(axis=-1) == reconstructions.argmax(axis=-1)).mean())


def effective_rank(codes: np.ndarray) -> float:
    """Compute how many dimensions the codes use, from 1 to latent_dim; 0 for fewer than two different codes.

    exp of the Shannon entropy of the normalised eigenvalues of the covariance (Roy and Vetterli 2007, of
    singular values there; of variances here): all dimensions alike and independent give latent_dim.

    Args:
        codes: `(num_images, latent_dim)`.
    """
    if len(codes) < 2 or (codes == codes[0]).all():
        return 0.0
    variances = np.linalg.eigvalsh(np.cov(codes, rowvar=False).reshape(codes.shape[1], -1)).clip(min=0)
    if not variances.sum():
        return 0.0
    shares = variances / variances.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def correlations(codes: np.ndarray) -> np.ndarray:
    """Compute Pearson correlations of the dimensions `(latent_dim, latent_dim)`; 0 where a dimension is constant."""
    centred = codes - codes.mean(axis=0, dtype=np.float64)
    deviations = np.sqrt(np.square(centred).sum(axis=0))
    scaled = np.divide(centred, deviations, out=np.zeros_like(centred), where=deviations > 0)
    matrix: np.ndarray = scaled.T @ scaled
    np.fill_diagonal(matrix, 1)
    return matrix


def pareto_front(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Find the rows that no other row beats, ascending by `first`, int64 `(num_on_front,)`; more is better in both.

    A row beats another if it is at least as good in both and better in one; of equal rows, all are on the front.

    Args:
        first: `(num_rows,)`.
        second: `(num_rows,)`.
    """
    pairs = np.column_stack([first, second])
    at_least, better = (pairs[:, None] >= pairs).all(axis=2), (pairs[:, None] > pairs).any(axis=2)
    rows = np.flatnonzero(~(at_least & better).any(axis=0))
    return rows[np.lexsort([pairs[rows, 1], pairs[rows, 0]])]


def _check_depth(ranked: np.ndarray, k: int) -> None:
    if ranked.ndim != 2 or not 1 <= k <= ranked.shape[1]:
        raise ValueError(f"k = {k} of an array of shape {ranked.shape}: expected (num_queries, at least k), k >= 1.")


def num_distinct(codes: np.ndarray) -> int:
    """Count distinct codes, to 1/100,000 of the largest number in them; 1 where they hardly differ.

    That is where the largest standard deviation of a dimension is at most a thousandth of that number.

    Args:
        codes: At least one code, `(num_images, latent_dim)`.
    """
    scale = np.abs(codes).max() or 1
    if codes.astype(np.float64).std(axis=0).max() <= _HARDLY * scale:
        return 1
    return len(np.unique((codes / scale).round(5), axis=0))
