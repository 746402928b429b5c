"""Projection of codes onto a plane, for figures."""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

import numpy as np

_MIN_IMAGES = 6


def project(codes: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Project codes by UMAP to two dimensions, float32 `(num_images, 2)`; those of one or two dimensions stay.

    Of fewer than six different codes, the first two dimensions are returned: UMAP needs some neighbours.

    Distances on the plane show which codes are near, not how far groups are from each other.

    Args:
        codes: `(num_images, latent_dim)`.
        seed: Seed of the layout.
    """
    if codes.shape[1] <= 2 or len(np.unique(codes, axis=0)) < _MIN_IMAGES:
        return np.pad(codes[:, :2], ((0, 0), (0, max(2 - codes.shape[1], 0)))).astype(np.float32)
    umap = _import_umap()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed means one thread
        mapper = umap.UMAP(n_components=2, n_neighbors=min(15, len(codes) - 1), random_state=seed)
        points: np.ndarray = mapper.fit_transform(codes).astype(np.float32)
    return points


def _import_umap() -> Any:
    """Import umap, which is slow, as it compiles; without its neural variant, which would load TensorFlow."""
    name = "umap.parametric_umap"
    is_missing = name not in sys.modules
    modules: dict[str, Any] = sys.modules
    if is_missing:
        modules[name] = None  # makes its import fail, for which umap is prepared
    try:
        return importlib.import_module("umap")
    finally:
        if is_missing:
            del modules[name]
