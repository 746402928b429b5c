"""Prepared datasets on disk, opened without reading the images into memory."""

from __future__ import annotations

import dataclasses
import tokenize
from pathlib import Path

import numpy as np

from latentsearch import records, runs
from latentsearch.config import PrepareConfig
from latentsearch.data.imageset import PATHS_FILE, SPLITS, ImageSet
from latentsearch.data.source import KINDS, SCRIPT, prepare_command
from latentsearch.errors import InputError
from latentsearch.failures import check_damage
from latentsearch.records import BuiltDataset, DatasetRecord, Provenance


def load(root: Path, name: str, *, mend: str | None = None) -> ImageSet:
    """Open data/<name>/, also while another process replaces it: the dataset before or after.

    Args:
        root: Folder that holds data/.
        name: Name of the dataset.
        mend: The command that prepares it, if it is known.

    Raises:
        InputError: if it was not prepared, or its files are damaged.
    """
    path = root / "data" / runs.check_name(name, "--dataset") / "dataset.json"
    if mend is None:
        source = name if name in KINDS else "PATH"
        config = PrepareConfig(source=source, dataset=None if name == source else name, root=root)
        mend = runs.command_line(SCRIPT, config)
    record = records.read(path, DatasetRecord, mend)
    while True:
        try:
            return open_record(root, name, record)
        except (OSError, ValueError, TypeError, OverflowError, tokenize.TokenError) as error:
            check_damage(error)
            # A preparation replaces the record and then deletes the arrays that it named before.
            before, record = record, records.read(path, DatasetRecord, mend)
            if record == before:
                mend = prepare_command(root, name, record)
                raise InputError(
                    f"dataset '{name}' in {path.parent} is damaged ({error}).\nPrepare it again: {mend}"
                ) from None


def load_for(run: runs.Run) -> ImageSet:
    """Open the dataset that a run was built for.

    Raises:
        InputError: if it is not there, or holds other images or splits than when the run was built.
    """
    built_for = records.read_build(run).dataset
    mend = prepare_command(run.root, built_for.name, built_for)
    _check_source(run, built_for)
    dataset = load(run.root, built_for.name, mend=mend)
    if dataset.content != built_for.content:
        raise InputError(
            f"run '{run.name}' was built for other images, or another split, than data/{dataset.name} now holds.\n"
            f"Prepare those again: {mend}\n"
            "or build another run (--run) for the images that are there now."
        )
    return dataset


def _check_source(run: runs.Run, built_for: BuiltDataset) -> None:
    """Raise an InputError if a shipped run learnt from images of a folder that is not here: no command prepares it."""
    is_prepared = (run.root / "data" / built_for.name / "dataset.json").exists()
    if is_prepared or not run.is_shipped or built_for.kind in KINDS:
        return
    raise InputError(
        f"the images that run '{run.name}' learnt from, '{built_for.name}', are not here, and are not shipped.\n"
        f"It searches any folder of images: python RetrieveSimilar.py --run {run.name} --gallery FOLDER"
    )


def open_record(root: Path, name: str, record: DatasetRecord) -> ImageSet:
    """Open the dataset that a dataset.json describes.

    Raises:
        OSError, ValueError, TypeError: if its files hold something else.
    """
    folder = root / "data" / name / record.folder
    # Before the arrays: where they are open, it is not missing because it was replaced.
    listing = folder / PATHS_FILE
    mapped = np.memmap(listing, np.uint8, mode="r") if record.kind == "folder" and listing.is_file() else None
    images, labels, split = (
        np.lib.format.open_memmap(folder / f"{key}.npy", mode="r") for key in ("images", "labels", "split")
    )
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(f"images are {images.dtype} {images.shape}, expected uint8 (num_images, height, width, 3)")
    class_names = record.class_names
    lowest = 0 if class_names else -1
    for array, dtype, low, count in (
        (labels, np.int64, lowest, len(class_names)),
        (split, np.uint8, 0, len(SPLITS)),
    ):
        if array.dtype != dtype or array.shape != images.shape[:1] or array.min() < low or array.max() >= count:
            raise ValueError(f"expected {len(images)} numbers below {count}, found {array.dtype} {array.shape}")
    provenance = Provenance(**{one.name: getattr(record, one.name) for one in dataclasses.fields(Provenance)})
    return ImageSet(
        name, images, labels, split, class_names, record.fingerprint, record.content, provenance, folder, mapped
    )
