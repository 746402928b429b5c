"""Rotation and whitening of codes, so that single numbers mean something and weigh the same."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from latentsearch import files
from latentsearch.data import ImageSet, drawn, read_rows, to_float
from latentsearch.models.architectures import TOWERS, TURNED
from latentsearch.models.export import load_model
from latentsearch.runs import Run

_MAX_IMAGES = 10_000
_BATCH = 500
_MAX_ITERATIONS = 1000
_TOLERANCE = 1e-9
_LEAST_VARIANCE = 1e-3  # of a direction, as a share of the mean variance: below, whitening would enlarge noise


def varimax(codes: np.ndarray) -> np.ndarray:
    """Finds the rotation that makes few numbers of each code large and the others small.

    It maximises the variance of the squares of each number over the codes: Kaiser, "The varimax criterion for analytic
    rotation in factor analysis" (1958), by the iteration of singular value decompositions that is usual today.

    Args:
        codes: `(num_codes, dim)`.

    Returns:
        Orthogonal matrix float64 `(dim, dim)`, for `codes @ matrix`. Of the new numbers, those that stand out most (by
        kurtosis) come first, and the longer tail of each is its positive end.
    """
    codes = np.asarray(codes, np.float64)
    num_codes, dim = codes.shape
    matrix, before = np.eye(dim), 0.0
    for _ in range(_MAX_ITERATIONS):
        turned = codes @ matrix
        slope = codes.T @ (turned**3 - turned * np.mean(turned**2, axis=0)) / num_codes
        left, values, right = np.linalg.svd(slope)
        matrix = left @ right
        if values.sum() <= before * (1 + _TOLERANCE):
            break
        before = values.sum()
    turned = codes @ matrix
    centred = turned - turned.mean(axis=0)
    spread = np.maximum(np.mean(centred**2, axis=0), 1e-12)
    kurtosis = np.mean(centred**4, axis=0) / spread**2
    signs = np.where(np.mean(centred**3, axis=0) < 0, -1.0, 1.0)
    return (matrix * signs)[:, np.argsort(-kurtosis, kind="stable")]


def whitening(codes: np.ndarray) -> np.ndarray:
    """Finds the symmetric matrix that gives codes a variance of 1 in every direction ("ZCA").

    Directions in which codes hardly vary stay small: those of dead numbers, say, which hold nothing but noise.

    Args:
        codes: `(num_codes, dim)`.

    Returns:
        Symmetric, invertible matrix float64 `(dim, dim)`, for `codes @ matrix`.
    """
    codes = np.asarray(codes, np.float64)
    centred = codes - codes.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(codes))
    least = max(_LEAST_VARIANCE * variances.mean(), np.finfo(np.float64).tiny)
    result: np.ndarray = axes / np.sqrt(variances.clip(min=least)) @ axes.T
    return result


def turn_run(run: Run, dataset: ImageSet, ids: np.ndarray) -> keras.Model:
    """Turns the codes of the trained autoencoder of a run, in its file; see `turn`.

    Args:
        run: Trained.
        dataset: Its images.
        ids: Of the training images; at most 10,000 are encoded.

    Returns:
        The autoencoder, as the file holds it now.
    """
    autoencoder = load_model(run.best_model)
    chosen = np.sort(drawn(ids, _MAX_IMAGES))
    if turn(autoencoder, lambda: _encode(autoencoder.get_layer("encoder"), dataset.images, chosen)):
        with files.replacing(run.best_model) as temporary:
            autoencoder.save(temporary)
    return autoencoder


def _encode(encoder: keras.Model, images: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Encode images by Keras: what is turned next is worth neither an export to LiteRT nor a graph."""
    batches = (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))
    codes = [encoder(to_float(read_rows(images, batch)), training=False) for batch in batches]
    return np.concatenate([keras.ops.convert_to_numpy(some) for some in codes])


def turn(autoencoder: keras.Model, encode: Callable[[], np.ndarray]) -> bool:
    """Turns both codes of an autoencoder by varimax, and scales each to mean square distance 1 between two images.

    The kind code is turned alone, which changes no distance but by the scale. The look code is whitened first: learnt
    by reconstruction, most of its variance is that of a few numbers (brightness, above all), which would decide every
    distance. The turned codes come from the last layer of each tower; the first layer of the decoder turns them back,
    so what is drawn stays the same. Nothing changes where it was done before.

    Args:
        autoencoder: Of the architecture kind-look.
        encode: Gives codes of training images, `(num_images, 2 * latent_dim)`, as they are now.

    Returns:
        Whether they were turned now.
    """
    layers = [autoencoder.get_layer("encoder").get_layer(tower).get_layer(TURNED) for tower in TOWERS]
    dim = layers[0].kernel.shape[0]
    if not all(np.array_equal(layer.get_weights()[0], np.eye(dim)) for layer in layers):
        return False
    codes = encode()
    first = next(layer for layer in autoencoder.get_layer("decoder").layers if layer.weights)
    kernel, bias = first.get_weights()
    for part, (tower, layer) in enumerate(zip(TOWERS, layers, strict=True)):
        own = slice(part * dim, (part + 1) * dim)
        before = codes[:, own].astype(np.float64)
        matrix = whitening(before) if tower == "look" else np.eye(dim)
        matrix = matrix @ varimax(before @ matrix)
        # Of two images drawn at random, the mean square distance is twice the sum of the variances.
        matrix /= np.sqrt(max(2 * (before @ matrix).var(axis=0).sum(), 1e-12))
        layer.set_weights([matrix])
        kernel[own] = np.linalg.inv(matrix) @ kernel[own].astype(np.float64)
    first.set_weights([kernel, bias])
    return True
