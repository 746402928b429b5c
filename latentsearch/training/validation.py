"""Measures of a network in training on validation images. Labels are for display, never for a choice."""

from __future__ import annotations

import keras
import numpy as np

from latentsearch.data import ImageSet, read_rows, to_float
from latentsearch.data.augmentation import views
from latentsearch.gallery.index import Index
from latentsearch.metrics import (
    effective_rank,
    precision_at_k,
    recall_at_k,
    squared_error,
    strongest_channel_accuracy,
)
from latentsearch.models import own_loss
from latentsearch.models.architectures import kind_dim, with_features
from latentsearch.models.losses import NTXent
from latentsearch.training.held_out import num_copied, validation_ids
from latentsearch.training.settings import Settings

_BATCH = 500
_DEPTH = 10


class Validator:
    """Measures autoencoders on the same validation images, and the same corrupted copies of them, each time.

    Args:
        dataset: Its `validation_ids` are looked at.
        settings: Of the training.
    """

    def __init__(self, dataset: ImageSet, settings: Settings) -> None:
        self._settings = settings
        ids = validation_ids(dataset, how=settings.validation)
        self._labels = dataset.labels[ids] if dataset.is_labelled else None
        self._images = read_rows(dataset.images, ids)
        self._measured: tuple[keras.Model, keras.Model | None] | None = None
        rng = np.random.default_rng([settings.seed, 0])
        originals = self._images[: num_copied(dataset)]
        self._views = [views(originals, shape=dataset.image_shape[:2], flip=settings.flip, rng=rng) for _ in range(2)]

    def __call__(self, autoencoder: keras.Model) -> dict[str, float]:
        """Returns measures by name; those of codes are of the kind code where there are two.

        - val_mse, val_accuracy: of reconstructions.
        - val_similarity: the similarity loss of the codes of two views, 500 images at a time (only with a weight).
        - val_own_loss: of reconstructions, by a loss of the user's (only with one).
        - val_loss: val_mse, or val_own_loss, + similarity_weight * val_similarity; the best epoch is that of the
          smallest.
        - val_copy_recall: share of views (2,000 at most) with their original among the 10 nearest validation images.
        - val_effective_rank: dimensions that the codes use, from 1 to latent_dim; see `metrics.effective_rank`.
        - val_agreement: share of the 10 nearest validation images by features that are so by code: how much of what the
          network knows of kinds the code has (only of two codes).
        - val_precision: share of the 10 nearest validation images that are of the same class: the one measure that
          looks at labels, shown and never used (only if there are labels).
        """
        encoder, decoder = (autoencoder.get_layer(name) for name in ("encoder", "decoder"))
        knowing = self._with_features(encoder)
        codes, features, errors, hits, own = [], [], 0.0, 0.0, 0.0
        for start in range(0, len(self._images), _BATCH):
            images = to_float(self._images[start : start + _BATCH])
            code = encoder.predict_on_batch(images) if knowing is None else knowing.predict_on_batch(images)
            if knowing is not None:
                code, known = code
                features.append(known)
            codes.append(code[:, : kind_dim(encoder)])
            reconstructions = decoder.predict_on_batch(code)
            errors += squared_error(images, reconstructions).sum()
            if self._settings.loss is not None:
                own += own_loss.total(self._settings.loss, images, reconstructions)
            hits += strongest_channel_accuracy(images, reconstructions) * len(images)
        measures = {"val_mse": errors / len(self._images), "val_accuracy": hits / len(self._images)}
        if self._settings.loss is not None:
            measures["val_own_loss"] = own / len(self._images)
        measures["val_loss"] = measures.get("val_own_loss", measures["val_mse"])
        first = self._encode(encoder, self._views[0])
        if self._settings.similarity_weight:
            second = self._encode(encoder, self._views[1])
            measures["val_similarity"] = _similarity(first, second, self._settings.temperature)
            measures["val_loss"] += self._settings.similarity_weight * measures["val_similarity"]
        measures |= self._retrieval(np.concatenate(codes), first)
        if features and "val_copy_recall" in measures:
            measures["val_agreement"] = _agreement(np.concatenate(codes), np.concatenate(features))
        return {name: float(value) for name, value in measures.items()}

    def _with_features(self, encoder: keras.Model) -> keras.Model | None:
        """Kept, as what is measured is the same network after each epoch, and a new model would be traced anew."""
        if self._measured is None or self._measured[0] is not encoder:
            self._measured = encoder, with_features(encoder) if kind_dim(encoder) else None
        return self._measured[1]

    def _retrieval(self, codes: np.ndarray, copies: np.ndarray) -> dict[str, float]:
        if not (np.isfinite(codes).all() and np.isfinite(copies).all()):  # the loss tells
            measures = {"val_copy_recall": 0.0, "val_effective_rank": 0.0}
            return measures | ({} if self._labels is None else {"val_precision": 0.0})
        depth = min(_DEPTH, len(codes) - 1)
        if not depth:
            return {}  # a single image has no neighbours
        ids = np.arange(len(codes))
        index = Index(codes, metric="cosine")
        measures = {
            "val_copy_recall": recall_at_k(index.rank(copies, depth), ids[: len(copies)], depth).mean(),
            "val_effective_rank": effective_rank(codes),
        }
        if self._labels is not None:
            relevant = self._labels[index.rank(codes, depth, exclude=ids)] == self._labels[:, None]
            measures["val_precision"] = precision_at_k(relevant, depth).mean()
        return measures

    @staticmethod
    def _encode(encoder: keras.Model, images: np.ndarray) -> np.ndarray:
        batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
        return np.concatenate([encoder.predict_on_batch(batch)[:, : kind_dim(encoder)] for batch in batches])


def _agreement(codes: np.ndarray, features: np.ndarray) -> float:
    """Computes the share of nearest neighbours by centred features that are among those by code; 0 if not finite."""
    if not (np.isfinite(codes).all() and np.isfinite(features).all()):
        return 0.0
    depth, ids = min(_DEPTH, len(codes) - 1), np.arange(len(codes))
    by_code, by_features = (
        Index(vectors, metric="cosine").rank(vectors, depth, exclude=ids)
        for vectors in (codes, features - features.mean(axis=0))
    )
    return float((by_code[:, :, None] == by_features[:, None, :]).any(axis=2).mean())


def _similarity(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """Computes the mean NT-Xent loss of pairs of codes `(num_images, latent_dim)`, in batches of 500 images."""
    loss = NTXent(temperature)
    values = []
    for start in range(0, len(first), _BATCH):
        pair = [codes[start : start + _BATCH] for codes in (first, second)]
        which = np.tile(np.arange(len(pair[0])), 2)
        values.append(float(loss(which, np.concatenate(pair))) * len(pair[0]))
    return sum(values) / len(first)
