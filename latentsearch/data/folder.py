"""A folder of image files as a source: its usable images, and their classes and splits by the names of folders."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from latentsearch.config import LabelSource, PrepareConfig
from latentsearch.data import cifar10
from latentsearch.data.image_files import SYSTEM_FOLDER
from latentsearch.data.imageset import SPLITS
from latentsearch.data.ingest import IMAGES_FILE, decode_files
from latentsearch.data.scan import Skipped, find_images
from latentsearch.data.source import SourceImages
from latentsearch.errors import InputError
from latentsearch.text import printable

# Names of splits as people write them, in any case: those that Hugging Face's image folders know.
_SPLIT_OF_FOLDER = (
    dict.fromkeys(("train", "training"), "train")
    | dict.fromkeys(("validation", "valid", "val", "dev"), "validation")
    | dict.fromkeys(("test", "testing", "eval", "evaluation"), "test")
)
_SIDE_MULTIPLE = 8  # the networks halve an image three times
_MAX_SIDE = 1024
_NUM_ENDINGS = 5  # of names, told of files that are skipped


def check_side(side: int) -> None:
    """Refuse a side of images, in pixels, that networks do not take.

    Raises:
        InputError: if it is not a multiple of 8, or too small or large.
    """
    if side % _SIDE_MULTIPLE or not _SIDE_MULTIPLE <= side <= _MAX_SIDE:
        raise InputError(
            f"--image-size {side}: expected a multiple of {_SIDE_MULTIPLE}, from {_SIDE_MULTIPLE} to {_MAX_SIDE}."
        )


def read(config: PrepareConfig, unfinished: Path) -> SourceImages:
    """Read the images of the files in a folder and all folders below it.

    Splits: if every image lies in a folder train, validation (or valid, val, dev) or test (or eval) of the source, in
    any case, and train has some, those are the splits. Labels: if every image lies in a sub-folder (of the source, or
    of its split) and there are at least two such, the names of these first sub-folders are the classes; else there are
    no labels.
    `config.labels` overrides: "folders" refuses what cannot be labelled, "none" takes no labels.

    Args:
        config: The flags.
        unfinished: Folder that images are written to while they are read; see `decode_files`.

    Raises:
        InputError: if it is not a folder, has no image that can be used, or lacks the labels that the flags ask for.
    """
    side = config.image_size
    source = Path(config.source).expanduser().resolve()
    paths, skipped, listing = _listed(source, f"{side} {config.fit}")
    num_images, unusable, by_range = decode_files(
        source, paths, unfinished, listing=listing, image_size=side, fit=config.fit
    )
    skipped += unusable.values()
    if not num_images:
        found = "\n".join(skipped_in_words(count_endings(skipped))) or "there are no files"
        copies = [source / name for name in (cifar10.FOLDER, cifar10.ARCHIVE) if (source / name).exists()]
        found += "".join(f"\nFor the copy of CIFAR-10 there, give --source {printable(path)}." for path in copies[:1])
        raise InputError(f"--source {printable(source)}: no image that can be used.\n{found}")
    usable = [path for number, path in enumerate(paths) if number not in unusable]
    split, below = _splits(usable)
    class_names, labels, told = _labels(below, config.labels)
    given = [name for number, name in enumerate(SPLITS) if (split == number).any()]
    return SourceImages(
        images=np.load(unfinished / IMAGES_FILE, mmap_mode="r"),
        labels=labels,
        split=split,
        class_names=class_names,
        kind="folder",
        origin=f"folder {printable(source)}, {told}" + (f"; given as {', '.join(given)}" if len(given) > 1 else ""),
        details={
            "source": str(source),
            "image_size": side,
            "fit": config.fit,
            "labels": config.labels,
            "test_fraction": config.test_fraction,
            "num_images": num_images,
            "skipped": count_reasons(skipped),
            "skipped_endings": count_endings(skipped),
            "scaled_by_range": by_range,
        },
        paths=usable,
        skipped=skipped,
    )


def count_reasons(skipped: Iterable[Skipped]) -> dict[str, int]:
    """Count skipped files by reason, the most frequent first."""
    return dict(Counter(file.reason for file in skipped).most_common())


def count_endings(skipped: Sequence[Skipped]) -> dict[str, dict[str, int]]:
    """Count skipped files by reason and by the ends of their names, the most frequent first."""
    return {
        reason: dict(Counter(sorted(file.ending for file in skipped if file.reason == reason)).most_common())
        for reason in count_reasons(skipped)
    }


def skipped_in_words(endings: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Describe skipped files, a line for each reason.

    Args:
        endings: See `count_endings`.
    """
    lines = []
    for reason, counts in endings.items():
        parts = [f"{count:,} {printable(ending) or 'without ending'}" for ending, count in counts.items()]
        more = [f"{len(parts) - _NUM_ENDINGS} other endings"] if len(parts) > _NUM_ENDINGS else []
        total = sum(counts.values())
        several = "s" if total != 1 else ""
        what = f"file{several}, {reason}" if reason != SYSTEM_FOLDER else f"folder{several} of the system"
        lines.append(f"skipped: {total:,} {what}: {', '.join(parts[:_NUM_ENDINGS] + more)}")
    return lines


def _listed(source: Path, form: str) -> tuple[list[str], list[Skipped], str]:
    """List the files that may be images, and the other ones; return a hash of names, sizes, times and `form` too."""
    paths, skipped = [], []
    digest = hashlib.sha256(form.encode())
    for found in tqdm(find_images(source), desc="looking for images", unit=" files"):
        if isinstance(found, Skipped):
            skipped.append(found)
        else:
            paths.append(found.path)
            digest.update(os.fsencode(found.path) + b"\0%d %d %d %d\0" % found[1:])
    return paths, skipped, digest.hexdigest()


def _splits(paths: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Derive splits from the first folders, uint8 `(num_images,)`, and return the paths below those."""
    tops = [path.partition("/") for path in paths]
    names = {_SPLIT_OF_FOLDER.get(top.casefold()) if slash else None for top, slash, _ in tops}
    if "train" not in names or None in names:
        return np.zeros(len(paths), dtype=np.uint8), list(paths)
    split = np.array([SPLITS.index(_SPLIT_OF_FOLDER[top.casefold()]) for top, _, _ in tops], dtype=np.uint8)
    return split, [below for _, _, below in tops]


def _labels(paths: Sequence[str], labels: LabelSource) -> tuple[tuple[str, ...], np.ndarray, str]:
    """Derive class names and labels, int64 `(num_images,)`, from sub-folders, with a word on the reason.

    Args:
        paths: Paths below the folder of the split.
        labels: The flag.

    Raises:
        InputError: if "folders" is asked for and there are no sub-folders to go by.
    """
    loose = next((path for path in paths if "/" not in path), None)
    # macOS writes an accent as a letter of its own: the same name, though of other bytes.
    class_of_image = [unicodedata.normalize("NFC", printable(path.partition("/")[0])) for path in paths]
    names = tuple(sorted(set(class_of_image)))
    if labels == "none":
        why_not = "as --labels none says"
    elif loose is not None:
        why_not = f"{printable(loose)} lies in no folder of a class"
    elif len(names) < 2:
        why_not = f"all lie in one folder, {names[0]}"
    else:
        number_of = {name: number for number, name in enumerate(names)}
        numbers = np.array([number_of[name] for name in class_of_image], dtype=np.int64)
        warning = ""
        if any(_SPLIT_OF_FOLDER.get(name.casefold()) == "train" for name in names):
            warning = f"; WARNING: a split is taken for a class, as {', '.join(names)} are not all names of splits"
        return names, numbers, f"labelled by its {len(names)} sub-folders{warning}"
    if labels == "folders":
        raise InputError(
            f"--labels folders: expected every image in the folder of its class, and at least two of these, but "
            f"{why_not}. Move it, or leave out the flag."
        )
    return (), np.full(len(paths), -1, dtype=np.int64), f"without labels: {why_not}"
