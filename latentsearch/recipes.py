"""Architectures, and the recipes that train them unless flags say otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Architecture = Literal["kind-look", "compact", "deep", "reference", "custom"]
Activation = Literal["relu", "elu", "gelu"]
Optimizer = Literal["adam", "muon"]
Precision = Literal["float32", "bfloat16"]
Keep = Literal["best", "last"]


@dataclass(frozen=True)
class Recipe:
    """The settings that train an architecture unless flags say otherwise.

    Args:
        batch_size: Images per step.
        learning_rate: The optimizer's learning rate, or its peak when the schedule is "cosine".
        schedule: "constant", or "cosine": half an epoch of linear warm-up, then cosine decay to 0.
        optimizer: "adam", or "muon": see `optimizers.Muon`.
        epochs: Passes over the training images.
        steps: Least number of steps: few images get more passes, at most 300.
        shift: Move every training image by up to as many pixels each way (when similarity_weight is 0).
        flip: Mirror every training image left to right with probability 1/2.
        similarity_weight: Weight of the contrastive loss beside the reconstruction error; 0 leaves it out.
        temperature: Temperature of the contrastive loss: lower values weight hard negatives more.
        projection: Whether the contrastive loss is also applied to a projection of the features below the code.
        view_side: Side of the views in pixels; None for that of the images.
        views: Number of views of each image in a batch.
        look: Learn two codes: that of the kind from the views, that of the look from the image itself, moved by
            `shift`. Of the architecture kind-look.
        neighbours: From an epoch on, half of the views are of images that were among so many nearest training images
            (by features, at most a fiftieth of all), and count as views of the same; 0: never.
        neighbours_from: Share of the epochs before that one, 0 to 1.
        keep: The weights that a training leaves: "best", of the epoch with the smallest val_loss, or "last".
        noise: Standard deviation, at most, of the Gaussian noise on some of the views (of values in [0, 1]).
        noise_share: Share of the views that are noisy.
        denoiser_epochs: Passes over the training images in which the denoiser learns, when all else is trained; 0: the
            encoder has none that does anything. Of the architecture kind-look.
        precision: What layers are computed in; weights are float32 in any case. bfloat16 gives way to float32 on a
            processor without it.
    """

    batch_size: int
    learning_rate: float
    schedule: Literal["constant", "cosine"]
    shift: int
    flip: bool
    optimizer: Optimizer = "adam"
    epochs: int = 100
    steps: int = 0
    similarity_weight: float = 0.0
    temperature: float = 0.5
    projection: bool = True
    view_side: int | None = None
    views: int = 2
    look: bool = False
    neighbours: int = 0
    neighbours_from: float = 0.6
    keep: Keep = "best"
    noise: float = 0.0
    noise_share: float = 0.5
    denoiser_epochs: int = 0
    precision: Precision = "float32"


RECIPES: dict[Architecture, Recipe] = {
    "kind-look": Recipe(
        batch_size=256,
        learning_rate=2e-2,
        schedule="cosine",
        shift=3,
        flip=True,
        optimizer="muon",
        epochs=24,
        steps=1000,
        similarity_weight=1.0,
        view_side=24,
        views=4,
        look=True,
        neighbours=20,
        keep="last",
        noise=0.15,
        noise_share=0.15,
        denoiser_epochs=5,
        precision="bfloat16",
    ),
    "compact": Recipe(batch_size=128, learning_rate=4e-3, schedule="cosine", shift=3, flip=True),
    "deep": Recipe(
        batch_size=512,
        learning_rate=2e-2,
        schedule="cosine",
        shift=3,
        flip=True,
        optimizer="muon",
        similarity_weight=1.0,
        view_side=24,
        precision="bfloat16",
    ),
    "reference": Recipe(batch_size=256, learning_rate=1e-3, schedule="constant", shift=0, flip=False),
    "custom": Recipe(batch_size=128, learning_rate=2e-3, schedule="cosine", shift=3, flip=True),
}


@dataclass(frozen=True)
class Network:
    """The encoder of the architecture custom: blocks of convolution and 2x2 max-pool, then two dense layers.

    Or an autoencoder that a function of the user's builds.
    """

    filters: int = 32
    """Filters of the first block; each further block has twice as many as the one before."""

    depth: int = 3
    """Number of blocks; each halves the sides of the image."""

    dense_units: int = 256
    """Units of the dense layer before the code."""

    activation: Activation = "relu"
    """Activation after each convolution, and after the dense layer."""

    normalisation: bool = True
    """Normalise batches before each activation."""

    build: str | None = None
    """MODULE:FUNCTION of your own that builds the autoencoder in the place of these blocks; see docs/extending.md.
    Default: none."""
