"""Novelty of images for an encoder, by their reconstruction errors and codes beside those of its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from latentsearch import files, records
from latentsearch.data import ImageSet
from latentsearch.errors import InputError
from latentsearch.gallery.gallery import Gallery, reconstruction_errors
from latentsearch.gallery.index import Index
from latentsearch.models.encoder import Encoder
from latentsearch.runs import Run

_LARGEST = 1e30  # magnitude of a number in a code
Finite = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]

UNUSUAL = 0.95  # share of the validation images that are less unusual than an unusual image
PARTLY, HARDLY = 0.15, 0.5  # shares of unusual images, where 1 - UNUSUAL are expected
_NUM_KNOWN = _NUM_HELD_OUT = 2000
_SCRIPT = "TrainAutoencoder.py"


@dataclass(frozen=True)
class Profile:
    """The range of errors and codes that an encoder is used to.

    Args:
        encoder: Fingerprint of the encoder.
        error: Reconstruction error that a share of `UNUSUAL` of the validation images stay below.
        distance: Euclidean distance to the nearest of `codes` that a share of `UNUSUAL` of them stay below.
        codes: Codes of (at most 2,000) training images, float32 `(num_codes, latent_dim)`.
    """

    encoder: str
    error: float
    distance: float
    codes: np.ndarray


@dataclass(frozen=True)
class _Record:
    """The content of profile.json; see `Profile`."""

    encoder: str
    error: Finite
    distance: Finite
    codes: Annotated[list[list[Finite]], Meta(min_length=1)]

    def __post_init__(self) -> None:
        if len({len(code) for code in self.codes}) != 1:
            raise ValueError("expected codes of equal length")


@dataclass(frozen=True)
class Novelty:
    """Shares of images that are unusual for an encoder: 0.05 for images such as it was trained on.

    Args:
        by_error: Share that is reconstructed worse than 95 % of the validation images, of a sample.
        by_distance: Share whose code is farther from known codes than that of 95 % of the validation images.
    """

    by_error: float
    by_distance: float

    @property
    def verdict(self) -> Literal["known", "partly known", "hardly known"]:
        """The novelty in a word."""
        worst = max(self.by_error, self.by_distance)
        return "hardly known" if worst >= HARDLY else "partly known" if worst >= PARTLY else "known"

    def __str__(self) -> str:
        return (
            f"{self.verdict}: {self.by_error:.0%} are reconstructed worse, and {self.by_distance:.0%} lie farther from "
            f"known codes, than {UNUSUAL:.0%} of the images of its kind do ({1 - UNUSUAL:.0%} would be usual)"
        )


def measure(dataset: ImageSet, autoencoder: Encoder) -> Profile:
    """Measure the profile of `autoencoder`, which was trained on the training images of `dataset`."""
    rng = np.random.default_rng(0)
    known, held_out = (
        np.sort(rng.permutation(dataset.ids(split))[:most])
        for split, most in (("train", _NUM_KNOWN), ("validation", _NUM_HELD_OUT))
    )
    codes, others = autoencoder.encode(dataset.images, known), autoencoder.encode(dataset.images, held_out)
    errors = reconstruction_errors(dataset.images[held_out], others, autoencoder)
    error, distance = (float(np.quantile(values, UNUSUAL)) for values in (errors, _nearest(others, codes)))
    return Profile(autoencoder.fingerprint, error, distance, codes)


def save(run: Run, profile: Profile) -> None:
    """Write models/<run>/profile.json."""
    codes = [[float(f"{number:.6g}") for number in code] for code in profile.codes.tolist()]
    record = {"encoder": profile.encoder, "error": profile.error, "distance": profile.distance, "codes": codes}
    files.write_json(run.profile, record)


def load(run: Run, encoder: str) -> Profile:
    """Read models/<run>/profile.json.

    Raises:
        InputError: if it is missing, damaged, or of another encoder than the one with this fingerprint.
    """
    mend = run.command(_SCRIPT, "--overwrite")
    record = records.read(run.profile, _Record, mend)
    if record.encoder != encoder:
        raise InputError(f"{run.profile} is of another encoder than {run.best_model}.\nTrain again: {mend}")
    return Profile(encoder, record.error, record.distance, np.array(record.codes, np.float32))


def compare(gallery: Gallery, profile: Profile) -> Novelty:
    """Measure how unusual the images of `gallery` are for the encoder of `profile`."""
    by_error = float(np.mean(gallery.errors > profile.error))
    return Novelty(by_error, float(np.mean(_nearest(gallery.codes, profile.codes) > profile.distance)))


def _nearest(codes: np.ndarray, known: np.ndarray) -> np.ndarray:
    return Index(known, metric="euclidean").search(codes, 1).distances[:, 0]
