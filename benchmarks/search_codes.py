"""Codes to search among, as many as wanted: of CIFAR-10's images, and of other views of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from latentsearch.cli import quiet_libraries
from latentsearch.config import ROOT

_BATCH = 1000
_SEED = 0


def gallery_and_queries(run: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes by the encoder of `run`, kept in data/search-codes/ (git ignores it) once they are made.

    The gallery is the 50,000 images of training and validation, then views of them (a random part of each, mirrored,
    in other colours: `augmentation.views`), image by image, as often as needed; smaller galleries are the head of
    larger ones. The queries are the 10,000 test images: no view of them is in the gallery.

    Args:
        run: A trained run on data/cifar10.
        size: Codes in the gallery.

    Returns:
        float32 `(size, latent_dim)` and `(10000, latent_dim)`.
    """
    path = kept_as(run, ".npz")
    gallery = queries = None
    if path.exists():
        with np.load(path) as file:
            gallery, queries = file["gallery"], file["queries"]
    if gallery is None or len(gallery) < size:
        gallery, queries = _coded(run, size, gallery, queries)
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, gallery=gallery, queries=queries)
        temporary.replace(path)
    return gallery[:size], queries


def kept_as(run: str, ending: str) -> Path:
    """A file in data/search-codes/, another one after the run is trained anew."""
    folder = ROOT / "data" / "search-codes"
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256((ROOT / "models" / run / "best.keras").read_bytes()).hexdigest()
    return folder / f"{run}-{digest[:8]}{ending}"


def _coded(
    run: str, size: int, gallery: np.ndarray | None, queries: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Adds to the codes that are there already (None: none)."""
    with quiet_libraries():
        from tqdm import tqdm

        from latentsearch import data
        from latentsearch.data import augmentation
        from latentsearch.models.encoder import Autoencoder
        from latentsearch.runs import Run

        autoencoder = Autoencoder(Run(ROOT, run).best_model)
    dataset = data.load(ROOT, "cifar10")
    ids = np.concatenate([dataset.ids("train"), dataset.ids("validation")])
    if gallery is None or queries is None:
        gallery, queries = (autoencoder.encode(dataset.images, rows) for rows in (ids, dataset.ids("test")))
    parts = [gallery[: len(gallery) // _BATCH * _BATCH]]
    for start in tqdm(range(len(parts[0]), size, _BATCH), desc="coding views", unit=f" x {_BATCH}"):
        rows = ids[np.arange(start, start + _BATCH) % len(ids)]
        rng = np.random.default_rng([_SEED, start])
        views = augmentation.views(dataset.images[rows], shape=autoencoder.image_shape[:2], flip=True, rng=rng)
        parts.append(autoencoder.encode(np.rint(views * 255).astype(np.uint8)))
    return np.concatenate(parts), queries
