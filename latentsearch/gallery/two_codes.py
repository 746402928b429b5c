"""Comparing images by two codes at once: what they show (kind) and how they look."""

from __future__ import annotations

import numpy as np

from latentsearch.errors import InputError

DEFAULT_LOOK = 0.2
"""Share of the look code in a squared distance. Chosen without labels: see docs/codes.md."""


def weighted(codes: np.ndarray, kind_dim: int | None, look: float) -> np.ndarray:
    """Scale codes so that their distance weighs kind and look.

    The squared euclidean distance of two results is (1 - look) times that of the kind codes plus look times that of the
    look codes. Both kinds of code are scaled by the encoder to a mean squared distance of 1 between two images.

    Args:
        codes: float32 `(..., latent_dim)`: the kind code, then the look code.
        kind_dim: Numbers of the kind code; None where there is a single code, which is returned as it is.
        look: Share of the look code, 0 to 1.

    Returns:
        float32 `(..., latent_dim)`; the kind code alone `(..., kind_dim)` where `look` is 0, the look code alone where
        it is 1.
    """
    if kind_dim is None:
        return codes
    kind, appearance = codes[..., :kind_dim], codes[..., kind_dim:]
    if look in (0, 1):
        return np.ascontiguousarray(appearance if look else kind)
    result: np.ndarray = codes * weights(codes.shape[-1], kind_dim, look)
    return result


def weights(latent_dim: int, kind_dim: int | None, look: float) -> np.ndarray:
    """Return the factor of each number of a code in `weighted`, float32 `(latent_dim,)`."""
    if kind_dim is None:
        return np.ones(latent_dim, np.float32)
    return np.repeat(np.sqrt([1 - look, look]), [kind_dim, latent_dim - kind_dim]).astype(np.float32)


def number_names(latent_dim: int, kind_dim: int | None) -> list[str]:
    """Name the numbers of a code: kind 1, kind 2, ... look 1, ..., or number 1, number 2 and so on."""
    if kind_dim is None:
        return [f"number {number + 1}" for number in range(latent_dim)]
    return [
        f"kind {number + 1}" if number < kind_dim else f"look {number - kind_dim + 1}" for number in range(latent_dim)
    ]


def chosen_look(look: float | None, kind_dim: int | None) -> float:
    """Return the share of the look code that a flag asks for, or the default.

    Raises:
        InputError: if it is not between 0 and 1, or there is a single code.
    """
    if look is None:
        return DEFAULT_LOOK
    if not 0 <= look <= 1:
        raise InputError(f"--look {look:g}: expected 0 (kind alone) to 1 (look alone).")
    if kind_dim is None:
        raise InputError(
            f"--look {look:g}: this run has a single code. Leave out --look, or name a run of the architecture "
            "kind-look by --run."
        )
    return look
