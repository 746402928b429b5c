"""Records on disk: JSON that latentsearch wrote, validated against the dataclass of what it holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from latentsearch import files
from latentsearch.config import BuildConfig, Fit, LabelSource
from latentsearch.errors import InputError
from latentsearch.recipes import Architecture, Network, Recipe
from latentsearch.runs import Run

_MOST = 200  # characters of what is wrong: a value may be as long as its file

T = TypeVar("T")


def read(path: Path, kind: type[T], mend: str) -> T:
    """Read a record.

    Args:
        path: The file.
        kind: The dataclass of its content. Missing fields take their defaults, unknown ones are ignored.
        mend: The command that writes it, for the error message.

    Raises:
        InputError: if it is missing, not a JSON object, or a value is not of the type of its field.
    """
    return convert(files.read_json(path, mend), kind, path, mend)


def convert(content: Any, kind: type[T], path: Path, mend: str) -> T:
    """Validate the content of a record; see `read`.

    Raises:
        InputError: naming the path of the value that is not of the type of its field.
    """
    try:
        return msgspec.convert(content, kind)
    except (ValueError, RecursionError) as error:  # also of halves of characters
        what, _, place = str(error).rpartition(" - at `$")
        place = place.strip("`.")
        raise InputError(
            f"{path}: {f'{place:.{_MOST}}: ' if what else ''}{what or str(error):.{_MOST}}.\nMake it again: {mend}"
        ) from None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The source of a dataset, and how it was prepared.

    Args:
        kind: "cifar10", "digits" or "folder".
        seed: Seed of the images that are held out.
        validation_fraction: Share of the training images that is held out, 0 to 1.
        origin: Where the images came from, in words.
        source: Path of a folder of images; this and the following are of a folder alone.
        image_size: Side of the images in pixels.
        fit: How images that are not square were fitted.
        labels: Whether the names of sub-folders are classes.
        test_fraction: Share of the images that is held out for the test, 0 to 1.
        num_images: Number of images.
        skipped: Number of files that could not be used, by reason.
        skipped_endings: The same, by reason and the ends of their names.
        scaled_by_range: Number of images whose pixels were scaled by their own range, by the kind of the pixels.
    """

    kind: str
    seed: int
    validation_fraction: float
    origin: str | None = None
    source: str | None = None
    image_size: int | None = None
    fit: Fit | None = None
    labels: LabelSource | None = None
    test_fraction: float | None = None
    num_images: int | None = None
    skipped: dict[str, int] | None = None
    skipped_endings: dict[str, dict[str, int]] | None = None
    scaled_by_range: dict[str, int] | None = None

    def as_record(self) -> dict[str, Any]:
        """Return the fields that are known, for JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class DatasetRecord(Provenance):
    """The content of data/<dataset>/dataset.json; see `data.ImageSet`.

    Args:
        folder: Name of the folder of the arrays, beside the record.
        fingerprint: Fingerprint of the images in their order.
        content: Fingerprint of the images in any order.
        class_names: One name a class.
    """

    folder: str
    fingerprint: str
    content: str
    class_names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BuiltDataset(Provenance):
    """The dataset that a run was built for: its name, and the fingerprint of its images in any order."""

    name: str
    content: str


@dataclass(frozen=True, kw_only=True)
class BuildFlags:
    """The flags that a run was built by; see `config.BuildConfig`. What an older version lacked has its default."""

    architecture: Architecture
    network: Network = field(default_factory=Network)
    latent_dim: int = BuildConfig.latent_dim
    start_from: str | None = None
    from_trial: str | None = None
    tuned: str | None = None
    dataset: str = BuildConfig.dataset
    run: str = BuildConfig.run
    seed: int = BuildConfig.seed

    @classmethod
    def of(cls, config: BuildConfig) -> BuildFlags:
        """Select these flags of a configuration."""
        return cls(**{name.name: getattr(config, name.name) for name in fields(cls)})


@dataclass(frozen=True)
class Start:
    """The run whose weights another one began with, and the SHA-256 of its model."""

    run: str
    model: str


@dataclass(frozen=True, kw_only=True)
class BuildRecord:
    """The content of models/<run>/build.json.

    Args:
        config: The flags.
        num_weights: Number of weights of the autoencoder.
        dataset: The images that the run was built for.
        recipe: How it is to be trained; None: by the recipe of its architecture.
        start: The run whose weights are the initial ones; None: random weights.
        initial_model: SHA-256 of the file of the initial weights; None in a record of an older version.
    """

    config: BuildFlags
    num_weights: int
    dataset: BuiltDataset
    recipe: Recipe | None = None
    start: Start | None = None
    initial_model: str | None = None


def read_build(run: Run) -> BuildRecord:
    """Read how a run was built.

    Raises:
        InputError: if the record is missing or damaged.
    """
    return read(run.build_record, BuildRecord, run.command("BuildingAutoencoder.py"))
