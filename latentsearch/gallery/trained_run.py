"""Trained runs: the network, the images that it was built for, and their codes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentsearch import data, records
from latentsearch.config import EncoderPrecision, Fit
from latentsearch.data import ImageSet
from latentsearch.gallery import gallery
from latentsearch.gallery.gallery import Gallery
from latentsearch.models.encoder import Autoencoder
from latentsearch.runs import Run


@dataclass(frozen=True)
class TrainedRun:
    """A run whose best weights are loaded.

    Args:
        run: Paths of the files.
        dataset: The images that it was built for.
        autoencoder: The network with its best weights.
        gallery: Codes of all images of the dataset.
        gallery_was_built: Whether they were made now; False when they were kept from before.
    """

    run: Run
    dataset: ImageSet
    autoencoder: Autoencoder
    gallery: Gallery
    gallery_was_built: bool

    @property
    def gallery_origin(self) -> str:
        """One line on the codes, for the terminal."""
        how = "made now" if self.gallery_was_built else "kept from before"
        return f"gallery: {len(self.gallery.ids):,} codes, {how} ({self.run.gallery})"


def open_trained(root: Path, name: str, *, precision: EncoderPrecision = "float32") -> TrainedRun:
    """Open a trained run; encode its dataset unless the codes are kept from before.

    Raises:
        InputError: if the run is not trained, its dataset is not prepared or has changed, or a file is damaged.
    """
    run, autoencoder = open_autoencoder(root, name, precision=precision)
    dataset = data.load_for(run)
    return TrainedRun(
        run, dataset, autoencoder, *gallery.open_or_build(run.gallery, dataset, autoencoder, progress=True)
    )


def open_autoencoder(root: Path, name: str, *, precision: EncoderPrecision = "float32") -> tuple[Run, Autoencoder]:
    """Open the network of a trained run, for images of any origin: its dataset need not be there.

    Raises:
        InputError: if the run is not trained, or its file is damaged.
    """
    run = Run(root, name)
    return run, Autoencoder(run.require(run.best_model, "TrainAutoencoder.py"), precision=precision)


def fit_of(run: Run) -> Fit:
    """Return how images of other proportions were fitted when the dataset of a run was prepared.

    Raises:
        InputError: if the record of the run is missing or damaged.
    """
    return records.read_build(run).dataset.fit or "crop"  # sources of images that are all square record none
