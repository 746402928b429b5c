"""Prepared images on disk: `prepare` writes data/<dataset>/ from a source, `load` opens it."""

from __future__ import annotations

import hashlib
import tempfile
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentsearch import runs
from latentsearch.config import PrepareConfig
from latentsearch.datasets import cifar10, digits
from latentsearch.datasets.source import SourceImages
from latentsearch.errors import InputError

SPLITS = ("train", "validation", "test")
KINDS = ("cifar10", "digits")

_SCRIPT = "DataPreperation.py"
_HASHES = ("fingerprint", "content")


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
        provenance: What it was prepared from and how: kind, seed, validation_fraction, origin.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    class_names: tuple[str, ...]
    fingerprint: str
    content: str
    provenance: dict[str, Any]

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

    Arrays go into a new folder; dataset.json, written last, points to it. So a failure or a crash at any moment
    leaves what was prepared before as it was. One preparation of a dataset may run at a time.

    Raises:
        InputError: if the source cannot be had or is not what it should be, or did not arrive intact.
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
    parent = config.root / "data" / name
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{fingerprint[:12]}-", dir=parent))
    try:
        for key, array in arrays.items():
            np.save(folder / f"{key}.npy", array, allow_pickle=False)
            runs.flush(folder / f"{key}.npy")
        folder.chmod(0o755)
        record = {
            "folder": folder.name,
            "fingerprint": fingerprint,
            "content": _content_fingerprint(keys, arrays, source.class_names),
            "class_names": list(source.class_names),
            "kind": source.kind,
            "origin": source.origin,
            "validation_fraction": config.validation_fraction,
            "seed": config.seed,
            "environment": runs.environment(),
        }
        verify(_open(config.root, name, record))
        runs.write_json(parent / "dataset.json", record)
    except BaseException:
        runs.remove(folder)
        raise
    runs.remove(*(path for path in parent.iterdir() if path not in (folder, parent / "dataset.json")))
    return load(config.root, name)


def load(root: Path, name: str) -> ImageSet:
    """Opens data/<name>/ without reading the images into memory.

    Raises:
        InputError: if it was not prepared, or its files are damaged.
    """
    path = root / "data" / runs.check_name(name, "--dataset") / "dataset.json"
    source = name if name in KINDS else "cifar10"
    mend = runs.command_line(_SCRIPT, PrepareConfig(source=source, dataset=None if name == source else name, root=root))
    record = runs.read_json(path, mend, ("folder", "fingerprint", "content", "class_names", "kind"))
    try:
        return _open(root, name, record)
    except (OSError, ValueError, TypeError, OverflowError, tokenize.TokenError) as error:
        raise InputError(f"dataset '{name}' in {path.parent} is damaged ({error}).\nPrepare it again: {mend}") from None


def load_for(run: runs.Run) -> ImageSet:
    """Opens the dataset that a run was built for.

    Raises:
        InputError: if it is not there, or holds other images or splits than when the run was built.
    """
    keys = ("name", "content", "kind", "seed", "validation_fraction")
    mend = run.command("BuildingAutoencoder.py")
    record = runs.read_json(run.build_record, mend, tuple(f"dataset.{key}" for key in keys))
    if not isinstance(record["dataset"]["name"], str):
        raise InputError(f"{run.build_record} does not name a dataset.\nMake it again: {mend}")
    dataset = load(run.root, record["dataset"]["name"])
    if dataset.content != record["dataset"]["content"]:
        raise InputError(
            f"run '{run.name}' was built for other images, or another split, than data/{dataset.name} now holds.\n"
            f"Prepare those again: {prepare_command(run.root, dataset.name, record['dataset'])}\n"
            "or build another run (--run) for the images that are there now."
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
                    f"dataset '{dataset.name}': images {start} to {start + len(images)} of {title} changed on the way."
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


def prepare_command(root: Path, name: str, record: Mapping[str, Any]) -> str:
    """The command that prepares a dataset again, for messages.

    Args:
        root: Folder that holds data/.
        name: Of the dataset.
        record: With kind, seed and validation_fraction; others are not looked at.
    """
    config = PrepareConfig(
        source=record["kind"],
        dataset=None if name == record["kind"] else name,
        validation_fraction=record["validation_fraction"],
        seed=record["seed"],
        root=root,
    )
    return runs.command_line(_SCRIPT, config)


def _open(root: Path, name: str, record: Mapping[str, Any]) -> ImageSet:
    """The dataset that a record describes; ValueError, TypeError or OSError if its files are not that."""
    folder = root / "data" / name / record["folder"]
    names = record["class_names"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in [*names, *map(record.get, _HASHES)]):
        raise ValueError("names of classes and fingerprints are not texts")
    images, labels, split = (
        np.lib.format.open_memmap(folder / f"{key}.npy", mode="r") for key in ("images", "labels", "split")
    )
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(f"images are {images.dtype} {images.shape}, expected uint8 (num_images, height, width, 3)")
    for array, dtype, count in ((labels, np.int64, len(names)), (split, np.uint8, len(SPLITS))):
        if array.dtype != dtype or array.shape != images.shape[:1] or not (array >= 0).all() or array.max() >= count:
            raise ValueError(f"expected {len(images)} numbers below {count}, found {array.dtype} {array.shape}")
    provenance = {key: record.get(key) for key in ("kind", "seed", "validation_fraction", "origin")}
    return ImageSet(name, images, labels, split, tuple(names), record["fingerprint"], record["content"], provenance)


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
        key + b"%d %d;" % (label, split)
        for key, label, split in zip(keys, arrays["labels"], arrays["split"], strict=True)
    )
    return hashlib.sha256(repr(class_names).encode() + b"".join(rows)).hexdigest()
