"""Codes to points on a plane, for pictures."""

from __future__ import annotations

import warnings

import numpy as np

_MIN_IMAGES = 6


def project(codes: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """UMAP of codes in two dimensions, float32 `(num_images, 2)`; codes of one or two dimensions stay as they are.

    So do the first two dimensions of fewer than six different codes: UMAP needs some neighbours.

    Distances on the plane tell who is near whom, not how far the groups are from each other.

    Args:
        codes: `(num_images, latent_dim)`.
        seed: Makes it repeatable.
    """
    if codes.shape[1] <= 2 or len(np.unique(codes, axis=0)) < _MIN_IMAGES:
        return np.pad(codes[:, :2], ((0, 0), (0, max(2 - codes.shape[1], 0)))).astype(np.float32)
    import umap  # slow to import, as it compiles

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed means one thread
        mapper = umap.UMAP(n_components=2, n_neighbors=min(15, len(codes) - 1), random_state=seed)
        return mapper.fit_transform(codes).astype(np.float32)
