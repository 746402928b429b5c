"""Neighbours of training images by features, which count as views of each other."""

from __future__ import annotations

import itertools

import keras
import numpy as np

from latentsearch.data import read_rows, to_float
from latentsearch.gallery.index import Index
from latentsearch.training.settings import Settings

_BATCH = 250
_REFRESHED_EVERY = 3  # epochs


def periods(settings: Settings, num_images: int) -> list[tuple[int, int]]:
    """Lists the parts of a training, between which neighbours are found anew, as (first epoch, epoch after the last).

    Args:
        settings: Of the training.
        num_images: That it uses.
    """
    bounds = [0, *_starts(settings, num_images), settings.epochs]
    return [(begin, end) for begin, end in itertools.pairwise(bounds) if begin < end]


def find(
    model: keras.Model,
    autoencoder: keras.Model,
    images: np.ndarray,
    ids: np.ndarray,
    *,
    settings: Settings,
    epoch: int,
) -> np.ndarray | None:
    """Finds the nearest neighbours of training images by cosine of their features, where the settings ask for them.

    Features tell kinds better than codes do, and their neighbours can teach the codes (Van Gansbeke et al., "SCAN",
    2020; Dwibedi et al., "With a little help from my friends", 2021).

    Args:
        model: In training, with the model "kind".
        autoencoder: What it was made from: its encoder enlarges images for the tower of the kind.
        images: uint8 `(num_images, height, width, 3)`.
        ids: Rows of the images.
        settings: Of the training.
        epoch: That begins.

    Returns:
        Positions in `ids`, int32 `(len(ids), k)`, the nearest first, never the image itself; None before the epoch from
        which neighbours are used.
    """
    if epoch not in _starts(settings, len(ids)):
        return None
    features = features_of(model.get_layer("kind"), autoencoder, images, ids)
    k = _number(settings.neighbours, len(ids))
    return Index(features).rank(features, k, exclude=np.arange(len(ids))).astype(np.int32)


def features_of(kind: keras.Model, autoencoder: keras.Model, images: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Computes centred features of whole images, float32 `(len(ids), num_features)`.

    Args:
        kind: As in training: gives code and features.
        autoencoder: Likewise.
        images: uint8 `(num_images, height, width, 3)`.
        ids: Rows of the images.
    """
    enlarge = autoencoder.get_layer("encoder").get_layer("enlarged")
    parts = []
    for start in range(0, len(ids), _BATCH):
        batch = enlarge(to_float(read_rows(images, ids[start : start + _BATCH])))
        # Called, not asked to predict: trained on several devices, each of them would answer.
        parts.append(keras.ops.convert_to_numpy(kind(batch, training=False)[1]).astype(np.float32))
    features = np.concatenate(parts)
    features -= features.mean(axis=0)
    return features


def _starts(settings: Settings, num_images: int) -> range:
    first = round(settings.neighbours_from * settings.epochs)
    return range(first, settings.epochs if _number(settings.neighbours, num_images) else first, _REFRESHED_EVERY)


def _number(wanted: int, num_images: int) -> int:
    """Returns how many neighbours of an image are taken: a fiftieth of few images, 0 of fewer than 50 images."""
    return min(wanted, num_images // 50)
