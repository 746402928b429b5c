"""Galleries of given codes."""

from __future__ import annotations

import numpy as np

from latentsearch.gallery.gallery import Gallery


def gallery_of(
    codes: np.ndarray, ids: np.ndarray | None = None, copies: np.ndarray | None = None, encoder: str = "encoder"
) -> Gallery:
    """Make a gallery of codes.

    Args:
        codes: Codes `(num_images, latent_dim)`.
        ids: Their ids `(num_images,)`. Default: their rows.
        copies: Codes of images and of corrupted copies `(num_copies, 2, latent_dim)`. Default: none.
        encoder: Fingerprint of the encoder.
    """
    codes = np.asarray(codes, np.float32)
    ids = np.arange(len(codes)) if ids is None else ids
    copies = np.zeros((0, 2, codes.shape[1]), np.float32) if copies is None else copies
    return Gallery(codes, ids, copies, np.zeros(0, np.float32), encoder, {})


def names(found):
    """Path of the file of each image, by its id."""
    return {found.gallery.ids[row]: file.path for row, file in enumerate(found.files)}


def codes_by_path(found):
    """Code of each image, by the path of its file."""
    return {file.path: code.tolist() for file, code in zip(found.files, found.gallery.codes, strict=True)}
