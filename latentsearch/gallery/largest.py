"""The largest numbers of each row, of many: the places of the nearest in a matrix of products."""

from __future__ import annotations

import numpy as np

GROUP = 64  # values of which the largest is looked for first, at most
_LEAST_GROUP = 16
_SAMPLED = 16  # one value in so many tells about where the largest begin


def largest(values: np.ndarray, num_columns: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the columns of the `count` largest values of each row, `(num_rows, count)`, and the least of them.

    Args:
        values: float32 `(num_rows, num_columns + GROUP)`; no value is smaller than the last ones.
        num_columns: Number of columns that count.
        count: Number of values, at most `num_columns`.
    """
    size = min(int(np.sqrt(num_columns / count)), GROUP)
    if size < _LEAST_GROUP:  # almost every group would have one of the largest
        columns = np.empty((len(values), count), np.int64)
        for number, row in enumerate(values[:, :num_columns]):
            columns[number] = _largest_of_row(row, count)
        return columns, np.take_along_axis(values, columns, axis=1).min(axis=1)
    # Each of the groups with the largest maxima has one value at least that no value of another group exceeds.
    num_groups = -(-num_columns // size)
    grouped = values[:, : size * num_groups]
    maxima = grouped.reshape(len(values), size, num_groups).max(axis=1)
    best = np.argpartition(maxima, num_groups - count, axis=1)[:, num_groups - count :]
    columns = (best[:, None] + num_groups * np.arange(size)[:, None]).reshape(len(values), -1)
    found = np.take_along_axis(grouped, columns, axis=1)
    chosen = np.argpartition(found, found.shape[1] - count, axis=1)[:, found.shape[1] - count :]
    return np.take_along_axis(columns, chosen, axis=1), np.take_along_axis(found, chosen, axis=1).min(axis=1)


def _largest_of_row(values: np.ndarray, count: int) -> np.ndarray:
    """Find the places of the `count` largest of many values, `(count,)`."""
    sample = values[::_SAMPLED]
    rank = len(sample) - min(len(sample), int(1.25 * count / _SAMPLED) + 8)
    likely = np.flatnonzero(values >= np.partition(sample, rank)[rank])
    if len(likely) < count:
        likely = np.arange(len(values))
    return likely[np.argpartition(values[likely], len(likely) - count)[len(likely) - count :]]
