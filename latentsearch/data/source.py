"""Images from a source, and the commands that prepare a dataset again or build a run for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from latentsearch import runs
from latentsearch.config import BuildConfig, PrepareConfig
from latentsearch.data.scan import Skipped
from latentsearch.records import Provenance

SCRIPT = "DataPreperation.py"
KINDS = ("cifar10", "digits")
# Flags that mean something for a folder only.
FOLDER_FLAGS = ("image_size", "fit", "labels", "test_fraction")


@dataclass(frozen=True)
class SourceImages:
    """The images of a source, before any are held out.

    Args:
        images: uint8 `(num_images, height, width, 3)`, in memory, or memory-mapped from the file that is to be kept.
        labels: int `(num_images,)`, positions in `class_names`; all -1 if there are none.
        split: uint8 `(num_images,)`, positions in `SPLITS`. A split without images is held out of train.
        class_names: One name per class; () for images without labels.
        kind: "cifar10", "digits" or "folder".
        origin: Where the images came from, in words.
        details: Further fields of dataset.json, by name.
        paths: Paths of the files of the images, below the folder; () if they are not from files.
        skipped: The files that could not be used.
    """

    images: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    class_names: tuple[str, ...]
    kind: str
    origin: str
    details: Mapping[str, Any] = field(default_factory=dict)
    paths: Sequence[str] = ()
    skipped: Sequence[Skipped] = ()


def prepare_command(root: Path, name: str, provenance: Provenance) -> str:
    """Return the command that prepares a dataset again, for messages.

    Args:
        root: Folder that holds data/.
        name: Name of the dataset.
        provenance: The source of the dataset, and how it was prepared.
    """
    source = provenance.kind if provenance.kind in KINDS else provenance.source or "PATH"
    flags = {flag: getattr(provenance, flag) for flag in FOLDER_FLAGS}
    config = PrepareConfig(
        source=source,
        dataset=None if name == source else name,
        validation_fraction=provenance.validation_fraction,
        seed=provenance.seed,
        root=root,
        **{flag: value for flag, value in flags.items() if value is not None},
    )
    return runs.command_line(SCRIPT, config)


def build_command(root: Path, name: str) -> str:
    """Return the command that builds a run for a dataset: the default run for the default one, else of its name.

    Args:
        root: Folder that holds data/.
        name: Name of the dataset.
    """
    run = BuildConfig.run if name == BuildConfig.dataset else name
    is_taken = runs.Run(root, run).is_shipped or runs.dataset_of(root, run) not in (None, name)
    run += "-own" if is_taken else ""
    return runs.command_line("BuildingAutoencoder.py", BuildConfig(dataset=name, run=run, root=root))
