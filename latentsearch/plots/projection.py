"""Projection of codes onto a plane, for figures."""

from __future__ import annotations

import numpy as np

_MIN_IMAGES = 6
_PERPLEXITY = 30  # neighbours that a point keeps near, about


def project(codes: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Project codes to two dimensions by t-SNE (van der Maaten and Hinton 2008), from the first two of a PCA on.

    Codes of one or two dimensions stay as they are. So do the first two dimensions of fewer than six different codes:
    t-SNE needs some neighbours. Distances on the plane tell who is near whom, not how far the groups are from each
    other.

    Args:
        codes: `(num_images, latent_dim)`.
        seed: Makes it repeatable.

    Returns:
        float32 `(num_images, 2)`.
    """
    if codes.shape[1] <= 2 or len(np.unique(codes, axis=0)) < _MIN_IMAGES:
        return np.pad(codes[:, :2], ((0, 0), (0, max(2 - codes.shape[1], 0)))).astype(np.float32)
    from sklearn.manifold import TSNE  # slow to import
    from threadpoolctl import ThreadpoolController

    perplexity = min(_PERPLEXITY, (len(codes) - 1) / 3)
    mapper = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    # Threads that share a step wait for each other: they cost more than they bring, many times more on a busy machine.
    limited = ThreadpoolController().select(user_api="openmp").limit(limits=1)  # others may use BLAS meanwhile
    try:
        points: np.ndarray = mapper.fit_transform(codes).astype(np.float32)
    finally:
        limited.restore_original_limits()
    return points
