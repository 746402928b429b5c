"""Trained runs: the network, the images that it was built for, and their codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from latentsearch import data, records
from latentsearch.config import EncoderPrecision, Fit
from latentsearch.data import ImageSet
from latentsearch.gallery import gallery
from latentsearch.gallery.gallery import Gallery
from latentsearch.models.encoder import Autoencoder, open_as_kept
from latentsearch.recipes import Architecture
from latentsearch.runs import Run

# Architectures of which int8 was seen to cost at most 0.001 of P@10: benchmarks/precision.json.
FINE_IN_INT8: tuple[Architecture, ...] = ("kind-look", "compact", "deep")


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


def open_for_files(run: Run, asked: EncoderPrecision | None, is_kept: Callable[[str], bool]) -> Autoencoder:
    """Open the network of a trained run for a folder of images, or for a publication.

    Codes in different arithmetics are not compared, and many images take hours: unless the user asks for another
    arithmetic, codes that are kept go on with theirs.

    Args:
        run: The run.
        asked: Arithmetic of the encoder that the user asked for, if any.
        is_kept: Function that tells of the fingerprint of an encoder whether codes by it are kept.

    Raises:
        InputError: if the run is not trained, or its file or record is damaged.
    """
    path = run.require(run.best_model, "TrainAutoencoder.py")
    if asked:
        return Autoencoder(path, precision=asked)
    return open_as_kept(path, usual_precision(run), is_kept)


def usual_precision(run: Run) -> EncoderPrecision:
    """Return the arithmetic of the encoder in folders and publications, unless the user asks for another.

    Prepared datasets are encoded in float32, so that scorecards can be compared.

    Raises:
        InputError: if the record of the run is missing or damaged.
    """
    return "int8" if records.read_build(run).config.architecture in FINE_IN_INT8 else "float32"


def kept_in_words(run: Run, autoencoder: Autoencoder, asked: EncoderPrecision | None) -> list[str]:
    """Return a line on codes that are kept in another arithmetic than the usual one, which the user did not ask for."""
    usual, kept = usual_precision(run), autoencoder.precision
    if asked or kept == usual:
        return []
    return [f"codes stay in {kept}, as before; --encoder-precision {usual} encodes all anew"]


def fit_of(run: Run) -> Fit:
    """Return how images of other proportions were fitted when the dataset of a run was prepared.

    Raises:
        InputError: if the record of the run is missing or damaged.
    """
    return records.read_build(run).dataset.fit or "crop"  # sources of images that are all square record none
