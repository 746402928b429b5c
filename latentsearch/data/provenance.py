"""What a dataset was prepared from and how, as dataset.json keeps it, and the command that does it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentsearch import runs
from latentsearch.config import BuildConfig, PrepareConfig

SCRIPT = "DataPreperation.py"
KINDS = ("cifar10", "digits")
# Flags that mean something for a folder only.
FOLDER_FLAGS = ("image_size", "fit", "labels", "test_fraction")


def prepare_command(root: Path, name: str, record: Mapping[str, Any]) -> str:
    """The command that prepares a dataset again, for messages.

    Args:
        root: Folder that holds data/.
        name: Of the dataset.
        record: With kind, seed and validation_fraction, and of a folder source and its flags; others are not looked at.
    """
    source = record["kind"] if record["kind"] in KINDS else record.get("source", "PATH")
    config = PrepareConfig(
        source=source,
        dataset=None if name == source else name,
        validation_fraction=record["validation_fraction"],
        seed=record["seed"],
        root=root,
        **{flag: record[flag] for flag in FOLDER_FLAGS if flag in record},
    )
    return runs.command_line(SCRIPT, config)


def build_command(root: Path, name: str) -> str:
    """Return the command that builds a run for a dataset: the default run for the default one, else of its name.

    Args:
        root: Folder that holds data/.
        name: Of the dataset.
    """
    run = BuildConfig.run if name == BuildConfig.dataset else name
    return runs.command_line("BuildingAutoencoder.py", BuildConfig(dataset=name, run=run, root=root))
