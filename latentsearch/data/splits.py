"""Splits of images by their content, and fingerprints of datasets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from latentsearch.data.imageset import SPLITS, pieces
from latentsearch.data.source import SourceImages
from latentsearch.errors import InputError


def content_keys(images: np.ndarray, seed: int) -> np.ndarray:
    """Compute the SHA-256 of each image with the seed, "S32" `(num_images,)`, which decides its split."""
    keys = np.empty(len(images), dtype="S32")
    for start, piece in pieces(images):
        for row, image in enumerate(piece, start=start):
            keys[row] = hashlib.sha256(b"%d:" % seed + image.tobytes()).digest()
    return keys


def split_images(source: SourceImages, keys: np.ndarray, fractions: Mapping[str, float]) -> np.ndarray:
    """Split the images: as the source does; splits that it lacks are held out of its train images.

    Args:
        source: The images.
        keys: See `content_keys`.
        fractions: Shares of the train images to hold out, by the name of the split, in this order.

    Returns:
        uint8 `(num_images,)`, positions in `SPLITS`.

    Raises:
        InputError: if a split is left without an image.
    """
    split = source.split.astype(np.uint8)
    for name, fraction in fractions.items():
        if not (split == SPLITS.index(name)).any():
            candidates = np.flatnonzero(split == SPLITS.index("train"))
            split[candidates[_held_out(keys[candidates], source.labels[candidates], fraction)]] = SPLITS.index(name)
    counts = np.bincount(split, minlength=len(SPLITS))
    if not counts.all():
        sizes = ", ".join(f"{count} {name}" for count, name in zip(counts, SPLITS, strict=True))
        flags = " or ".join(f"--{name}-fraction" for name in fractions)
        raise InputError(
            f"{len(split)} image{'s' * (len(split) != 1)}, {len(np.unique(keys))} of them different, make {sizes}: "
            f"every split needs at least one. Give more images, or change {flags}.\n"
            "A few images can be searched without a training: python RetrieveSimilar.py --gallery DIR"
        )
    return split


def _held_out(keys: np.ndarray, labels: np.ndarray, fraction: float) -> np.ndarray:
    """Find the rows with the smallest keys of each class, as many as the fraction says; equal images go together.

    Classes that are too small for one are taken together. A group of equal images that would be too many stays.
    Equal images of different classes count for the first of these. Where that makes none, it is a single image.
    """
    sizes = {label: int(np.sum(labels == label)) for label in np.unique(labels)}
    small = [label for label, size in sizes.items() if round(size * fraction) == 0]
    stratum = np.where(np.isin(labels, small), -2, labels)
    _, group, group_sizes = np.unique(keys, return_inverse=True, return_counts=True)  # in the order of the keys
    home = np.full(len(group_sizes), np.iinfo(np.int64).max)
    np.minimum.at(home, group, stratum)
    chosen = np.zeros(len(group_sizes), dtype=bool)
    for one in np.unique(stratum):
        left = round(int(np.sum(stratum == one)) * fraction)
        for number in np.flatnonzero(home == one):
            if not left:
                break
            if group_sizes[number] <= left:
                chosen[number] = True
                left -= group_sizes[number]
    single = np.flatnonzero(group_sizes == 1)
    if not chosen.any() and len(single) and len(labels) > 1:  # of a handful, a tenth is none
        chosen[single[0]] = True
    return np.flatnonzero(chosen[group])


def fingerprint(arrays: Mapping[str, np.ndarray], class_names: tuple[str, ...]) -> str:
    """Compute the SHA-256 of arrays, in their order, and class names, as 64 hexadecimal digits."""
    digest = hashlib.sha256(repr(class_names).encode())
    for key, array in arrays.items():
        digest.update(f"{key} {array.dtype} {array.shape}".encode())
        for _, piece in pieces(array):
            digest.update(np.ascontiguousarray(piece).data)
    return digest.hexdigest()


def content_fingerprint(keys: np.ndarray, labels: np.ndarray, split: np.ndarray, class_names: tuple[str, ...]) -> str:
    """Compute the SHA-256 of images, labels and splits in any order, as 64 hexadecimal digits."""
    content = keys.tobytes()  # an element of the array would lose zeros at its end
    rows = sorted(
        content[32 * row : 32 * (row + 1)] + b"%d %d;" % (label, part)
        for row, (label, part) in enumerate(zip(labels, split, strict=True))
    )
    return hashlib.sha256(repr(class_names).encode() + b"".join(rows)).hexdigest()
