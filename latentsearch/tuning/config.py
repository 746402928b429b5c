"""Flags of a search for settings, with their defaults and help; see `config`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentsearch.config import ROOT, Goal, Searched
from latentsearch.recipes import Architecture


@dataclass(frozen=True)
class TuneConfig:
    """Flags of TuneAutoencoder.py."""

    run: str = "tuned"
    """Name of the run: its trials are the runs <run>/tuning/000, <run>/tuning/001, ..."""

    dataset: str = "cifar10"
    """Prepared dataset that the trials train on."""

    architecture: Searched = "custom"
    """Settings that are searched: custom, network and training of a small autoencoder; kind-look, the training of the
    network with two codes."""

    trials: int = 30
    """Trials in all, those before a --resume included."""

    epochs: int = 5
    """Epochs of each trial."""

    subset: int | None = 10_000
    """Training images of each trial, at most, drawn by the seed."""

    objective: Goal = "retrieval"
    """Objective, without labels: codes that find corrupted copies of an image (retrieval), that and codes with the
    neighbours of the features below them (kinds; kind-look alone), a small reconstruction error (reconstruction), or it
    and corrupted copies (balanced)."""

    latent_dims: tuple[int, ...] = (10,)
    """Numbers in a code: more than one, to search among them."""

    shift: int = 3
    """Largest shift of training images in pixels, in a trial without similarity."""

    flip: bool = True
    """--no-flip does not mirror training images: for those whose left and right mean something, such as digits."""

    max_seconds: float = 900
    """A trial is ended after the epoch in which it takes longer; at twice that, its process is killed."""

    max_weights: int = 10_000_000
    """A trial whose network has more is not trained, and recorded as failed."""

    patience: int | None = None
    """End the search after so many trials without a better one. Default: after --trials."""

    mark: tuple[Architecture, ...] = ("compact", "deep", "reference")
    """Architectures that are trained for as many epochs on the same images, to be marked in the figures."""

    seed: int = 0
    """Seed of suggestions, and of weights, order and augmentation in all trials."""

    spark: str | None = None
    """Try several settings at a time on Apache Spark, at this address, such as spark://host:7077, or
    local-cluster[2,1,1024] for two processes of this machine. It needs requirements-spark.txt and Java. All machines
    must share --root, the code and its environment at the same paths."""

    parallel: int | None = None
    """Trials at a time with --spark: the fewer, the more each learns from those before. Default: the cores of the
    cluster."""

    resume: bool = False
    """Go on with an interrupted search, or with more --trials; begin if there is none."""

    overwrite: bool = False
    """Begin anew although there are trials, and delete those."""

    root: Path = ROOT
    """Folder that holds data/, models/, logs/ and reports/. Default: $LATENTSEARCH_ROOT, or the current folder."""
