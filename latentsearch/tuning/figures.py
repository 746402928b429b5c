"""A figure of the best trials side by side: reconstructions, pairs of dimensions, neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from latentsearch import data, files
from latentsearch.data import ImageSet
from latentsearch.gallery.index import Index
from latentsearch.models.encoder import Autoencoder
from latentsearch.plots import image_grids
from latentsearch.plots.saving import save
from latentsearch.runs import Run

_NUM_IMAGES = 5000
_NUM_ROWS, _NUM_COLUMNS = 5, 8
_NUM_DOTS = 1000


def write_comparison(path: Path, run: Run, titles: Mapping[str, str]) -> Path:
    """Draw trials of a run side by side, on validation images, with the same queries for each.

    Args:
        path: The PNG file.
        run: The run of the search.
        titles: Titles by the name of the trial.

    Returns:
        `path`.
    """
    columns = {
        title: _pictures(data.load_for(run.trial(name)), Autoencoder(run.trial(name).best_model))
        for name, title in titles.items()
    }
    with files.replacing(path) as temporary:
        save(image_grids.side_by_side(columns), temporary)
    return path


def _pictures(dataset: ImageSet, autoencoder: Autoencoder) -> dict[str, np.ndarray]:
    ids = dataset.ids("validation")[:_NUM_IMAGES]
    codes, labels = autoencoder.encode(dataset.images, ids), dataset.labels[ids]
    num_rows, num_columns = min(_NUM_ROWS, len(ids)), min(_NUM_COLUMNS, len(ids) - 1)
    originals = dataset.images[ids[:num_columns]]
    decoded = np.rint(autoencoder.decode(codes[:num_columns]).clip(0, 1) * 255).astype(np.uint8)
    drawn = np.stack([originals, decoded])
    found = Index(codes).rank(codes[:num_rows], num_columns, exclude=np.arange(num_rows))
    results = np.concatenate([dataset.images[ids[:num_rows]][:, None], dataset.images[ids[found]]], axis=1)
    same = dataset.same_class(ids[:num_rows], ids[found])
    return {
        "images, reconstructions": image_grids.tiles(drawn, np.full(drawn.shape[:2], -1)),
        "dimensions in pairs": image_grids.pairs(codes[:_NUM_DOTS], labels[:_NUM_DOTS]),
        "queries, neighbours": image_grids.tiles(results, np.column_stack([np.full(num_rows, -1), same])),
    }
