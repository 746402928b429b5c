"""Prepared images on disk: `prepare` writes data/<dataset>/ from a source, `load` opens it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from latentsearch import runs
from latentsearch.config import ROOT, PrepareConfig
from latentsearch.datasets import cifar10, digits
from latentsearch.datasets.source import SourceImages
from latentsearch.errors import InputError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class ImageSet:
    """A prepared dataset. The id of an image is its row, in every array of the project.

    Args:
        name: Folder below data/.
        images: uint8 `(num_images, height, width, 3)`, memory-mapped.
        labels: int64 `(num_images,)`, positions in `class_names`.
        split: uint8 `(num_images,)`, positions in `SPLITS`.
        class_names: One name a class.
        fingerprint: SHA-256 of all of the above, in this order of the images.
        content: SHA-256 that does not depend on the order of the images: two copies of one data set that
            store it in different orders share it, and their images fall into the same splits.
        command: The command that prepares it again.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    class_names: tuple[str, ...]
    fingerprint: str
    content: str
    command: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, 3)`."""
        return self.images.shape[1:]

    def ids(self, *splits: str) -> np.ndarray:
        """Ids of the images in any of the named splits, ascending, int64 `(num_images,)`."""
        return np.flatnonzero(np.isin(self.split, [SPLITS.index(name) for name in splits]))

    def gallery_ids(self) -> np.ndarray:
        """Ids of the images that test images are compared with: all that are not test."""
        return self.ids("train", "validation")


def to_float(images: np.ndarray) -> np.ndarray:
    """uint8 images as the network sees them: float32 in [0, 1], same shape.

    Raises:
        ValueError: if `images` is not uint8.
    """
    if images.dtype != np.uint8:
        raise ValueError(f"Expected uint8 images, received {images.dtype}.")
    return images.astype(np.float32) / np.float32(255)


def prepare(config: PrepareConfig) -> ImageSet:
    """Reads the source, splits it, writes data/<dataset>/, and opens what it wrote.

    Arrays go into a folder named after their fingerprint; dataset.json, written last, points to it. So a
    failure or a crash at any moment leaves what was prepared before as it was.

    Raises:
        InputError: if the source cannot be had or is not what it should be.
    """
    name, read = _source(config)
    runs.check_name(name, "--dataset")
    if not 0 < config.validation_fraction < 1:
        raise InputError(f"--validation-fraction {config.validation_fraction}: expected more than 0 and less than 1.")
    source = read()
    keys = _content_keys(source.images, config.seed)
    arrays = {
        "images": source.images,
        "labels": source.labels.astype(np.int64),
        "split": _split(source, keys, config),
    }
    fingerprint = _fingerprint(arrays, source.class_names)
    folder = config.root / "data" / name
    _write_arrays(folder / fingerprint[:12], arrays)
    record = {
        "dataset": name,
        "folder": fingerprint[:12],
        "fingerprint": fingerprint,
        "content": _content_fingerprint(keys, arrays, source.class_names),
        "class_names": list(source.class_names),
        "origin": source.origin,
        "config": {**asdict(config), "root": None},
        "environment": runs.environment(),
    }
    runs.write_json(folder / "dataset.json", record)
    runs.remove(*(path for path in folder.iterdir() if path.is_dir() and path.name != record["folder"]))
    return load(config.root, name)


def load(root: Path, name: str) -> ImageSet:
    """Opens data/<name>/ without reading the images into memory.

    Raises:
        InputError: if it was not prepared, or its files are damaged.
    """
    folder = root / "data" / runs.check_name(name, "--dataset")
    mend = _command(root, name, {})
    record = runs.read_json(folder / "dataset.json", mend)
    try:
        files = folder / record["folder"]
        arrays = {key: np.load(files / f"{key}.npy", mmap_mode="r") for key in ("images", "labels", "split")}
        return ImageSet(
            name,
            **arrays,
            class_names=tuple(record["class_names"]),
            fingerprint=record["fingerprint"],
            content=record["content"],
            command=_command(root, name, record["config"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"data set '{name}' in {folder} is damaged ({error!r}).\nPrepare it again: {mend}") from None


def load_for(run: runs.Run) -> ImageSet:
    """Opens the dataset that a run was built for.

    Raises:
        InputError: if it is not there, or holds other images or splits than when the run was built.
    """
    record = runs.read_json(run.build_record, run.command("BuildingAutoencoder.py"))
    dataset = load(run.root, record["dataset"]["name"])
    if dataset.content != record["dataset"]["content"]:
        raise InputError(
            f"run '{run.name}' was built for other images, or another split, than data/{dataset.name} now holds.\n"
            f"Prepare those again: {record['dataset']['command']}\n"
            f"or build a run for these: {runs.Run(run.root, run.name + '-new').command('BuildingAutoencoder.py')}"
        )
    return dataset


def verify(dataset: ImageSet) -> list[str]:
    """Proves that the images reach the network as they should, and says so line by line.

    Raises:
        InputError: if a converted image is not finite, not in [0, 1] or not exactly its uint8 original.
    """
    lines = []
    for title, ids in (
        ("train + validation", dataset.gallery_ids()),
        *((name, dataset.ids(name)) for name in SPLITS),
    ):
        low, high = np.inf, -np.inf
        for start in range(0, len(ids), 4096):
            original = dataset.images[ids[start : start + 4096]]
            images = to_float(original)
            if not np.isfinite(images).all() or not np.array_equal(np.rint(images * 255), original):
                raise InputError(
                    f"data set '{dataset.name}': images {start} to {start + len(images)} of {title} changed on the way."
                )
            low, high = min(low, images.min()), max(high, images.max())
        lines.append(f"{title}: {(len(ids), *dataset.image_shape)} {images.dtype} in [{low:.3f}, {high:.3f}], no NaN")
    return lines


def class_counts(dataset: ImageSet) -> dict[str, dict[str, int]]:
    """Images per class and split: `{class name: {split: count}}`."""
    return {
        class_name: {
            split: int(np.sum((dataset.labels == label) & (dataset.split == index)))
            for index, split in enumerate(SPLITS)
        }
        for label, class_name in enumerate(dataset.class_names)
    }


def _command(root: Path, name: str, config: Mapping[str, Any]) -> str:
    """The command that prepares the dataset `name` with the given flags."""
    # A copy of CIFAR-10 is named as cifar10: where it lay on one machine is of no use on another.
    source = name if name in ("cifar10", "digits") else f"PATH --dataset {name}"
    flags = [f"--source {source}"]
    for field in fields(PrepareConfig):
        value = config.get(field.name, field.default)
        if field.name in ("validation_fraction", "seed") and value != field.default:
            flags.append(f"--{field.name.replace('_', '-')} {value}")
    if root != ROOT:
        flags.append(f"--root {root}")
    return f"python DataPreperation.py {' '.join(flags)}"


def _source(config: PrepareConfig) -> tuple[str, Callable[[], SourceImages]]:
    """The name of the dataset and the function that reads it."""
    path = Path(config.source)
    if config.source == "cifar10":
        name, read = "cifar10", cifar10.download
    elif config.source == "digits":
        name, read = "digits", digits.read
    elif cifar10.is_copy(path):
        name, read = "cifar10", lambda: cifar10.read(path)
    else:
        raise InputError(
            f"--source {config.source}: expected cifar10, digits, or the path of a cifar-10-batches-py folder or of "
            f"{cifar10.ARCHIVE}; {'this is something else' if path.exists() else 'nothing is there'}."
        )
    return name if config.dataset is None else config.dataset, read


def _content_keys(images: np.ndarray, seed: int) -> list[bytes]:
    """SHA-256 of each image with the seed, 32 bytes each: what decides its split, wherever it stands."""
    return [hashlib.sha256(b"%d:" % seed + image.tobytes()).digest() for image in images]


def _split(source: SourceImages, keys: list[bytes], config: PrepareConfig) -> np.ndarray:
    """Splits by content: of each class, those with the smallest keys are held out."""
    split = np.where(source.is_test, SPLITS.index("test"), SPLITS.index("train")).astype(np.uint8)
    for label in range(len(source.class_names)):
        ids = np.flatnonzero((source.labels == label) & ~source.is_test)
        held_out = sorted(ids, key=keys.__getitem__)[: round(len(ids) * config.validation_fraction)]
        split[held_out] = SPLITS.index("validation")
    counts = np.bincount(split, minlength=len(SPLITS))
    if not counts.all():
        sizes = ", ".join(f"{count} {name}" for count, name in zip(counts, SPLITS, strict=True))
        raise InputError(
            f"{len(split)} images make {sizes}: every split needs at least one. Change --validation-fraction."
        )
    return split


def _fingerprint(arrays: Mapping[str, np.ndarray], class_names: tuple[str, ...]) -> str:
    digest = hashlib.sha256(repr(class_names).encode())
    for key, array in arrays.items():
        digest.update(f"{key} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _content_fingerprint(keys: list[bytes], arrays: Mapping[str, np.ndarray], class_names: tuple[str, ...]) -> str:
    rows = sorted(
        key + bytes((label, split)) for key, label, split in zip(keys, arrays["labels"], arrays["split"], strict=True)
    )
    return hashlib.sha256(repr(class_names).encode() + b"".join(rows)).hexdigest()


def _write_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes one .npy a key; the folder appears with all of them or not at all."""
    if folder.exists():  # named after its content, so it holds just this, unless somebody damaged it
        runs.remove(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder.parent))
    try:
        for key, array in arrays.items():
            np.save(temporary / f"{key}.npy", array, allow_pickle=False)
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
