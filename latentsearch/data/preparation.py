"""Preparation of data/<dataset>/ from a source: read, split, verify, and write whole or not at all."""

from __future__ import annotations

import json
import re
import secrets
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latentsearch import environment, files, locks, ownership, records, runs
from latentsearch.config import PHOTOS_RUN, PrepareConfig
from latentsearch.data import cifar10, digits, folder
from latentsearch.data.imageset import PATHS_FILE, SPLITS, ImageSet, pieces, to_float
from latentsearch.data.ingest import IMAGES_FILE, JOURNAL_FILE
from latentsearch.data.scan import Skipped
from latentsearch.data.source import FOLDER_FLAGS, KINDS, SCRIPT, SourceImages
from latentsearch.data.splits import content_fingerprint, content_keys, fingerprint, split_images
from latentsearch.data.storage import load, open_record
from latentsearch.errors import InputError
from latentsearch.records import DatasetRecord
from latentsearch.text import printable, write_csv

SKIPPED_FILE = "skipped.csv"
FEW_IMAGES = 2000  # training images below which our advice is a shipped encoder

_UNFINISHED = "unfinished"
_HEADER = 128  # bytes, of an .npy file


def prepare(config: PrepareConfig) -> ImageSet:
    """Read the source, split it, write data/<dataset>/, and open the result.

    Arrays go into a folder "unfinished", which is renamed when it is complete; dataset.json, written last, points to
    it. So a failure or a crash at any moment leaves what was prepared before as it was. Image files that were read
    before it are kept there for the next call. One preparation of a dataset may run at a time.

    Raises:
        InputError: if the source cannot be read or holds something else, or its images did not arrive intact.
    """
    name, read = _source(config)
    runs.check_name(name, "--dataset")
    for split in ("validation", "test"):
        fraction = getattr(config, f"{split}_fraction")
        if not 0 < fraction < 1:
            raise InputError(f"--{split}-fraction {fraction}: expected more than 0 and less than 1.")
    parent = config.root / "data" / name
    files.check_free(*(parent / part for part in ("dataset.json", SKIPPED_FILE, _UNFINISHED)))
    with locks.locked(parent / ".lock", f"dataset '{name}'"):
        return _prepare(name, read, config)


def _prepare(name: str, read: Callable[[Path], SourceImages], config: PrepareConfig) -> ImageSet:
    parent = config.root / "data" / name
    unfinished = parent / _UNFINISHED
    source = read(unfinished)
    if source.kind != "folder":
        files.remove(unfinished, within=config.root)  # of another preparation that was stopped
    try:
        record = _write(source, unfinished, config)
        mend = runs.command_line(SCRIPT, config)
        verify(open_record(config.root, name, records.convert(record, DatasetRecord, parent / "dataset.json", mend)))
        if source.kind == "folder":
            _write_skipped(parent / SKIPPED_FILE, source.skipped)
        folder = f"{record['fingerprint'][:12]}-{secrets.token_hex(4)}"
        record["folder"] = folder
        final = files.rename_folder(unfinished, parent / folder)
        files.write_json(parent / "dataset.json", record)
    except BaseException:
        if source.kind != "folder":
            files.remove(unfinished, within=config.root)
        raise
    kept = (".lock", "dataset.json", final.name) + ((SKIPPED_FILE,) if source.kind == "folder" else ())
    files.remove(final / JOURNAL_FILE, *files.written(parent, but=kept), within=config.root)
    return load(config.root, name)


def verify(dataset: ImageSet) -> list[str]:
    """Verify that the images reach the network unchanged, and return a line on each split.

    Raises:
        InputError: if a converted image is not finite, not in [0, 1] or not exactly its uint8 original.
    """
    low, high = (np.empty(len(dataset.images), dtype=np.float32) for _ in range(2))  # of each image
    for start, original in pieces(dataset.images):
        images = to_float(original)
        stop = start + len(images)
        if not np.isfinite(images).all() or not np.array_equal(np.rint(images * 255), original):
            raise InputError(f"dataset '{dataset.name}': images {start} to {stop} changed on the way.")
        low[start:stop], high[start:stop] = images.min(axis=(1, 2, 3)), images.max(axis=(1, 2, 3))
    parts = {"train + validation": dataset.gallery_ids()} | {name: dataset.ids(name) for name in SPLITS}
    return [
        f"{title}: {(len(ids), *dataset.image_shape)} {images.dtype} in [{low[ids].min():.3f}, {high[ids].max():.3f}], "
        "no NaN"
        for title, ids in parts.items()
    ]


def class_counts(dataset: ImageSet) -> dict[str, dict[str, int]]:
    """Count images by class and split: `{class name: {split: count}}`; one class "all" if there are no labels."""
    classes = enumerate(dataset.class_names) if dataset.is_labelled else [(-1, "all")]
    return {
        class_name: {
            split: int(np.sum((dataset.labels == label) & (dataset.split == index)))
            for index, split in enumerate(SPLITS)
        }
        for label, class_name in classes
    }


def advice(dataset: ImageSet) -> list[str]:
    """Return lines of advice where images are few."""
    count = len(dataset.ids("train"))
    if count >= FEW_IMAGES or dataset.provenance.source is None:
        return []
    folder = shlex.quote(dataset.provenance.source)
    return [
        f"{count:,} training images are few: below about {FEW_IMAGES:,} we advise a shipped encoder, "
        "which needs no training:",
        f"  python RetrieveSimilar.py --run {PHOTOS_RUN} --gallery {folder}",
    ]


def advice_in_short(dataset: ImageSet) -> list[str]:
    """Return one line of advice where images are few, for what comes after the preparation."""
    lines = advice(dataset)
    few = f"{len(dataset.ids('train')):,} training images are few; a shipped encoder needs no training:"
    return [f"{few} {lines[-1].strip()}"] if lines else []


def _source(config: PrepareConfig) -> tuple[str, Callable[[Path], SourceImages]]:
    """Choose the name of the dataset and the function that reads it, given a folder to write to."""
    path = Path(config.source).expanduser()
    if config.source not in KINDS and path.exists():
        ownership.refuse_overlap(path, config.root, "--source")
    if config.source not in KINDS and path.is_dir() and not cifar10.is_copy(path):
        folder.check_side(config.image_size)
        return _name_of(path, config), lambda unfinished: folder.read(config, unfinished)
    for flag in FOLDER_FLAGS:
        if getattr(config, flag) != getattr(PrepareConfig, flag):
            raise InputError(
                f"--{flag.replace('_', '-')} is for folders of images; --source {config.source} is not one."
            )
    if config.source == "cifar10":
        name, read = "cifar10", lambda _: cifar10.download()
    elif config.source == "digits":
        name, read = "digits", lambda _: digits.read()
    elif cifar10.is_copy(path):
        name, read = "cifar10", lambda _: cifar10.read(path)
    else:
        raise InputError(
            f"--source {printable(path)}: expected cifar10, digits, the path of a folder of images, or that of a "
            f"cifar-10-batches-py folder or of {cifar10.ARCHIVE}; "
            f"{'this is something else' if path.exists() else 'nothing is there'}."
        )
    return name if config.dataset is None else config.dataset, read


def _name_of(path: Path, config: PrepareConfig) -> str:
    """Name the dataset of a folder: by the flag, or as the folder, without characters that names may not have."""
    if config.dataset is not None:
        return config.dataset
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.resolve().name).strip("-._")
    if not name or name in KINDS:
        raise InputError(f"--source {printable(path)}: give the dataset a name of its own with --dataset NAME.")
    return name


def _write(source: SourceImages, unfinished: Path, config: PrepareConfig) -> dict[str, Any]:
    """Write the arrays of a dataset to a folder, and return the content of its dataset.json."""
    keys = content_keys(source.images, config.seed)
    fractions = {"test": config.test_fraction, "validation": config.validation_fraction}
    split = split_images(source, keys, fractions)
    arrays = {"images": source.images, "labels": source.labels.astype(np.int64), "split": split}
    files.make_folder(unfinished)
    for key, array in arrays.items():
        path = unfinished / f"{key}.npy"
        if not (isinstance(array, np.memmap) and path.name == IMAGES_FILE):  # those are in their place
            with files.writing(files.claim(path), needed=_HEADER + array.nbytes):
                np.save(path, array, allow_pickle=False)
                files.flush(path)
    if source.paths:
        listing = json.dumps({"paths": list(source.paths)}).encode()
        path = files.claim(unfinished / PATHS_FILE)
        with files.writing(path, needed=len(listing)):
            path.write_bytes(listing)
            files.flush(path)
    return {
        "folder": unfinished.name,
        "fingerprint": fingerprint(arrays, source.class_names),
        "content": content_fingerprint(keys, arrays["labels"], split, source.class_names),
        "class_names": list(source.class_names),
        "kind": source.kind,
        "origin": source.origin,
        "validation_fraction": config.validation_fraction,
        "seed": config.seed,
        **source.details,
        "environment": environment.environment(),
    }


def _write_skipped(path: Path, skipped: Sequence[Skipped]) -> None:
    with files.replacing(path) as temporary:
        write_csv(temporary, ("path", "reason", "detail"), [(one.path, one.reason, one.detail) for one in skipped])
