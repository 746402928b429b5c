"""A trained run with all that checks and answers need: images, network, codes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from latentsearch import datasets, gallery
from latentsearch.datasets import ImageSet
from latentsearch.encoding import Autoencoder
from latentsearch.errors import InputError
from latentsearch.gallery import Gallery
from latentsearch.runs import Run


@dataclass(frozen=True)
class TrainedRun:
    """A run whose best weights are loaded.

    Args:
        run: Where its files lie.
        dataset: The images that it was built for.
        autoencoder: With its best weights.
        gallery: Codes of all images of the dataset.
    """

    run: Run
    dataset: ImageSet
    autoencoder: Autoencoder
    gallery: Gallery

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch of its training.

        Raises:
            InputError: if history.csv is missing or damaged.
        """
        path = self.run.require(self.run.history, "TrainAutoencoder.py")
        try:
            return pd.read_csv(path)
        except (ValueError, OSError) as error:
            raise InputError(f"{path} cannot be read ({error}). Restore your copy of it, or train again.") from None


def open_trained(root: Path, name: str) -> TrainedRun:
    """Opens a trained run; codes its dataset if the codes kept are missing or of another encoder or dataset.

    Raises:
        InputError: if the run is not trained, its dataset is not prepared or another one, or a file is damaged.
    """
    run = Run(root, name)
    path = run.require(run.best_model, "TrainAutoencoder.py")
    dataset = datasets.load_for(run)
    autoencoder = Autoencoder(path)
    codes, built = gallery.open_or_build(run.gallery, dataset, autoencoder, progress=True)
    print(f"gallery: {len(codes.ids):,} codes, {'made now' if built else 'kept from before'} ({run.gallery})")
    return TrainedRun(run, dataset, autoencoder, codes)
