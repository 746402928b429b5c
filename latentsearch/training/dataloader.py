"""Batches of a training, which depend on seed, epoch and step alone."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from latentsearch.data import read_rows, to_float
from latentsearch.data.augmentation import augment, views
from latentsearch.training.settings import Settings


def training_ids(ids: np.ndarray, settings: Settings) -> np.ndarray:
    """Returns the ids of the training images that are used, ascending: all, or a subset drawn by the seed.

    Drawn, and not the first ones, as images may be stored class by class.
    """
    if settings.subset is None:
        return ids
    return np.sort(np.random.default_rng(settings.seed).permutation(ids)[: settings.subset])


def training_batches(
    images: np.ndarray,
    ids: np.ndarray,
    settings: Settings,
    *,
    first_epoch: int = 0,
    neighbours: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Makes endless batches in a new order each epoch, from `first_epoch` on.

    Order and augmentation depend on seed, epoch and step alone, so a resumed training sees what an
    uninterrupted one sees. What does not fill a last batch is left out of that epoch.

    Args:
        images: uint8 `(num_images, height, width, 3)`, memory-mapped: only the rows of a batch are read, and held.
        ids: Rows to use, at least as many as a batch has.
        settings: Of the training.
        first_epoch: 0 for a new training.
        neighbours: For each of `ids`, positions in `ids` of images whose views count as its own, int `(len(ids), k)`.
            Half of the views are of one of them then, and the projection tells them apart. Of two codes only.

    Returns:
        (image, image), float32, moved and mirrored, if the similarity weight is 0. Otherwise (views, targets): two
        views of each image, `(2 * batch_size, height, width, 3)`, all first views before all second ones, and targets
        by the name of the output: the images as they are, and for "code" and "projection" which image of the batch
        a view is of, `(2 * batch_size, 1)`. Where two codes are learnt, (inputs, targets): "views"
        `(batch_size, views, height, width, 3)` and "images" as they are to be drawn, moved and mirrored; which image
        a view is of, `(batch_size, views)`.
    """
    batch_size, seed = settings.batch_size, settings.seed
    side = settings.view_side
    shape = (side, side) if side else images.shape[1:3]
    steps, half = len(ids) // batch_size, settings.views // 2

    @functools.lru_cache(maxsize=1)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng([seed, epoch]).permutation(ids)

    def batch(number: np.int64) -> tuple[np.ndarray, np.random.Generator]:  # rows of images, ascending
        epoch, step = divmod(int(number), steps)
        # In the order of the file: fewer jumps on disk.
        rows = np.sort(order(epoch)[step * batch_size : (step + 1) * batch_size])
        return rows, np.random.default_rng([seed, epoch, step])

    def corrupted(number: np.int64) -> np.ndarray:
        rows, rng = batch(number)
        return to_float(augment(read_rows(images, rows), shift=settings.shift, flip=settings.flip, rng=rng))

    def two_views(number: np.int64) -> tuple[np.ndarray, np.ndarray]:
        rows, rng = batch(number)
        originals = read_rows(images, rows)
        looks = [look(originals, rng) for _ in range(2)]
        return np.concatenate(looks), np.tile(to_float(originals), (2, 1, 1, 1))

    def many_views(number: np.int64) -> tuple[np.ndarray, np.ndarray]:
        rows, rng = batch(number)
        originals = read_rows(images, rows)
        moved = augment(originals, shift=settings.shift, flip=settings.flip, rng=rng)
        shown = [originals] * settings.views
        if neighbours is not None:
            near = neighbours[np.searchsorted(ids, rows)]  # (batch_size, k)
            one = read_rows(images, ids[near[np.arange(batch_size), rng.integers(near.shape[1], size=batch_size)]])
            shown[settings.views - half :] = [one] * half
        return np.stack([look(originals, rng) for originals in shown], axis=1), to_float(moved)

    def look(originals: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return views(
            originals, shape=shape, flip=settings.flip, rng=rng, noise=settings.noise, noise_share=settings.noise_share
        )

    def with_targets(number: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        looks, moved = tf.numpy_function(many_views, [number], (tf.float32, tf.float32))
        looks = tf.ensure_shape(looks, (batch_size, settings.views, *shape, 3))
        moved = tf.ensure_shape(moved, (batch_size, *images.shape[1:]))
        of = np.tile(np.arange(batch_size, dtype=np.float32)[:, None], (1, settings.views))
        targets = {"reconstruction": moved, "code": of}
        if settings.projection:
            # One in four neighbours is of another kind: the code can be taught by them, features would lose by it.
            apart = of + batch_size * (np.arange(settings.views) >= settings.views - half)
            targets["projection"] = apart.astype(np.float32) if neighbours is not None and half > 1 else of
        return {"views": looks, "images": moved}, targets

    which = np.tile(np.arange(batch_size, dtype=np.float32), 2)[:, None]

    def pair(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | dict[str, tf.Tensor]]:
        if not settings.similarity_weight:
            originals = tf.numpy_function(corrupted, [number], tf.float32)
            originals = tf.ensure_shape(originals, (batch_size, *images.shape[1:]))
            return originals, originals
        looks, originals = tf.numpy_function(two_views, [number], (tf.float32, tf.float32))
        looks = tf.ensure_shape(looks, (2 * batch_size, *shape, 3))
        originals = tf.ensure_shape(originals, (2 * batch_size, *images.shape[1:]))
        targets = {"reconstruction": originals, "code": which}
        return looks, targets | ({"projection": which} if settings.projection else {})

    return tf.data.Dataset.counter(first_epoch * steps).map(with_targets if settings.look else pair).prefetch(4)
