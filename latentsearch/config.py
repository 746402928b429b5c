"""Flags of the scripts, with their defaults and help, as dataclasses."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from latentsearch.recipes import Architecture, Network, Optimizer, Precision


def default_root() -> Path:
    """Return the folder of data/, models/, logs/ and reports/: $LATENTSEARCH_ROOT, or the current folder."""
    return Path(os.environ.get("LATENTSEARCH_ROOT") or ".").expanduser()


ROOT = default_root()
OWN_RUN = "mine"
SHIPPED_RUNS = ("cifar10", "cifar10-deep", "cifar10-compact")  # the first there is the default, until OWN_RUN is
PHOTOS_RUN = "photos"  # of photographs of many kinds: the default where a folder is searched

Metric = Literal["cosine", "euclidean", "manhattan"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "manhattan")
Fit = Literal["crop", "pad", "stretch"]
EncoderPrecision = Literal["float32", "int8"]
ENCODER_PRECISIONS: tuple[EncoderPrecision, ...] = ("float32", "int8")
LabelSource = Literal["auto", "folders", "none"]
Goal = Literal["retrieval", "kinds", "reconstruction", "balanced"]
Searched = Literal["custom", "kind-look"]


@dataclass(frozen=True)
class PrepareConfig:
    """Flags of DataPreperation.py."""

    source: str = "cifar10"
    """Source of the images: cifar10 (downloaded once), digits (comes with scikit-learn, works offline), the PATH
    of a folder of image files, or that of a copy of CIFAR-10: a cifar-10-batches-py folder or
    cifar-10-python.tar.gz."""

    dataset: str | None = None
    """Name of the prepared dataset, data/<dataset>/. Default: after the source."""

    image_size: int = 32
    """Side in pixels that the images of a folder are brought to, a multiple of 8."""

    fit: Fit = "crop"
    """Treatment of images of a folder that are not square: crop keeps the centre, pad adds white, stretch distorts."""

    labels: LabelSource = "auto"
    """Whether the names of sub-folders are classes. auto: if every image lies in one and there are two or more.
    Labels are never used in training; they only tell how well it went."""

    test_fraction: float = 0.1
    """Share of the images of a folder that is held out for the final test, if it has no sub-folder test."""

    validation_fraction: float = 0.1
    """Share of the training images of each class that is held out to choose the checkpoint, if the source has no
    validation images of its own."""

    seed: int = 0
    """Seed of the choice of images that are held out."""

    root: Path = ROOT
    """Folder that holds data/, models/, logs/ and reports/. Default: $LATENTSEARCH_ROOT, or the current folder."""


@dataclass(frozen=True)
class BuildConfig:
    """Flags of BuildingAutoencoder.py."""

    architecture: Architecture = "kind-look"
    """kind-look: two codes, one that tells the kind of thing and one that tells the look. compact: small and fast, a
    plain autoencoder, whose code knows the look alone. deep: a convolutional network that is trained for similarity,
    whose code knows the kind. reference: the network of the project's source document. custom: as --network says."""

    network: Network = field(default_factory=Network)
    """The network of the architecture custom."""

    latent_dim: int = 10
    """Numbers in a code; kind-look has two such codes."""

    start_from: str | None = None
    """Trained run whose weights are the initial ones, of the same architecture and image size; of kind-look also one of
    deep, for the tower of the kind. Default: random weights."""

    from_trial: str | None = None
    """Build what a trial of TuneAutoencoder.py tried: best, or its number, such as 3. Network, dataset and numbers in a
    code are those of the trial."""

    tuned: str | None = None
    """Name of the run whose tuning holds that trial. Default: the name of this run."""

    dataset: str = "cifar10"
    """Prepared dataset that the network is for: it fixes the image size."""

    run: str = OWN_RUN
    """Name of the run: models/<run>/, logs/<run>/, reports/<run>/."""

    seed: int = 0
    """Seed of the initial weights."""

    overwrite: bool = False
    """Replace a run of this name that holds a training."""

    root: Path = ROOT
    """Folder that holds data/, models/, logs/ and reports/. Default: $LATENTSEARCH_ROOT, or the current folder."""


@dataclass(frozen=True)
class TrainConfig:
    """Flags of TrainAutoencoder.py."""

    run: str = OWN_RUN
    """Name of the run, built by BuildingAutoencoder.py."""

    epochs: int | None = None
    """Passes over the training images. Default: the recipe of the architecture (kind-look: 24, of fewer images more, as
    many as make 1,000 steps, at most 300; others: 100)."""

    subset: int | None = None
    """Train on so many training images at most, drawn by the seed: for quick tries. Default: all."""

    batch_size: int | None = None
    """Images per step. Default: the recipe of the architecture."""

    learning_rate: float | None = None
    """The optimizer's (peak) learning rate. Default: the recipe of the architecture."""

    similarity_weight: float | None = None
    """Weight of the contrastive loss (two views of one image get nearby codes, other images distant ones) beside the
    reconstruction error; 0: reconstruction alone. Default: the recipe of the architecture (kind-look, deep: 1, others:
    0)."""

    loss: str | None = None
    """MODULE:FUNCTION of your own that computes the error of reconstructions in the place of the mean squared error;
    see docs/extending.md. Default: none."""

    temperature: float | None = None
    """Temperature of the contrastive loss: lower values weight hard negatives more. Default: the recipe."""

    projection: bool | None = None
    """Apply the contrastive loss also to a projection of the features below the code. Default: the recipe (yes)."""

    view_side: int | None = None
    """Side of the views of an image in pixels. Default: the recipe (kind-look and deep: 24, others: that of the
    images)."""

    views: int | None = None
    """Views of each image in a batch, at least 2. Default: the recipe (kind-look: 4, others: always 2)."""

    neighbours: int | None = None
    """Nearest training images that count as views of an image in the last epochs of kind-look, by what the network has
    learnt by then; 0: never. Default: the recipe (20, of few images at most a fiftieth of all)."""

    neighbours_from: float | None = None
    """Share of the epochs before --neighbours count, 0 to 1. Default: the recipe (0.6)."""

    noise: float | None = None
    """Largest standard deviation of the noise on some views, 0 to 1. Default: the recipe (kind-look: 0.15, else 0)."""

    noise_share: float | None = None
    """Share of the views that are noisy, 0 to 1. Default: the recipe (kind-look: 0.15, others: 0.5)."""

    denoiser_epochs: int | None = None
    """Passes at the end in which kind-look learns to take noise away; 0: none. Default: the recipe (5)."""

    optimizer: Optimizer | None = None
    """adam, or muon, which needs fewer epochs for convolutions. Default: the recipe (kind-look, deep: muon, else adam).
    Another one than the recipe's needs a --learning-rate."""

    precision: Precision | None = None
    """Type of the numbers that the network computes with in training; bfloat16 is nearly twice as fast where the
    processor has it. Weights are float32 in any case. Default: the recipe (kind-look, deep: bfloat16 where it is)."""

    shift: int | None = None
    """Largest shift of training images in pixels, if the similarity weight is 0: views are cropped instead.
    Default: the recipe of the architecture."""

    flip: bool | None = None
    """Mirror training images at random. Default: the recipe of the architecture."""

    devices: int | Literal["all"] | None = None
    """GPUs of this machine that share each batch, or all; the loss is that of one up to rounding. Several hosts are
    named by TF_CONFIG instead: see docs/cluster.md. Default: 1, or what a resumed training began with."""

    seed: int = 0
    """Seed of the order of the images and of augmentation. Two CPU runs with one seed are equal."""

    resume: bool = False
    """Go on from the last finished epoch of an interrupted training, with the settings that it began with;
    begin if there is none."""

    overwrite: bool = False
    """Train a run again from its initial weights although it holds a training."""

    pictures_every: int = 5
    """Epochs between two reconstruction grids in TensorBoard."""

    root: Path = ROOT
    """Folder that holds data/, models/, logs/ and reports/. Default: $LATENTSEARCH_ROOT, or the current folder."""


@dataclass(frozen=True)
class CheckConfig:
    """Flags of SanityChecks.py."""

    run: str | None = None
    """Name of the run to check. Default: your run "mine" if it is trained, else a shipped one."""

    compare: tuple[str, ...] = ()
    """Other trained runs of its dataset to compare it with, in scorecard, headline, precision and neighbours."""

    encoder_precision: EncoderPrecision = "float32"
    """Arithmetic of the encoder: int8 is about three times as fast. Codes differ a little: galleries are made anew."""

    strict: bool = False
    """Exit with status 1 when a check fails."""

    seed: int = 0
    """Seed of the bootstrap, the corruptions, the samples and the projection."""

    root: Path = ROOT
    """Folder that holds data/, models/, logs/ and reports/. Default: $LATENTSEARCH_ROOT, or the current folder."""


def expand_home(path: str) -> str:
    """Replace a leading ~ of a path by the home folder, as a shell does where it sees one, unless the path is there."""
    return path if os.path.lexists(path) else os.path.expanduser(path)  # noqa: PTH111 (that of pathlib fails for ~nobody)
