"""Which copies of photographs are found, and what is taken for one: our finder against perceptual hashes.

    python -m benchmarks.duplicates
    python -m benchmarks.duplicates --photos ~/Photos --files 2000

Writes folders of photographs of which a share are copies of others, finds the pairs in turn by
`RetrieveSimilar.py --duplicates` and by pHash and dHash (64 bits, pairs up to 10 bits apart, the defaults of
imagededup; by the package imagehash), and writes benchmarks/duplicates.json. The photographs are tiles of
scikit-learn's two, and of a folder that is named, where they are large.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from benchmarks import timing
from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT
from latentsearch.errors import InputError

RATES = (0.01, 0.1, 0.5)
_TILE = 64  # pixels
_BITS = 10
_FLAT = 12.0  # grey levels, standard deviation: skies are no photographs of their own
Photo = Image.Image
Pairs = set[tuple[str, str]]


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    files: int = 100
    """Images in a folder, copies included."""

    photos: tuple[Path, ...] = ()
    """Folders of photographs to draw from too."""

    run: str = "cifar10"
    """Trained run whose encoder makes the codes."""

    seed: int = 0
    """Of the choice of photographs and of what becomes of copies."""


def main(config: BenchmarkConfig) -> None:
    """Measure at each rate, and write the results."""
    with quiet_libraries():
        from latentsearch.gallery.trained_run import open_autoencoder

        run, autoencoder = open_autoencoder(ROOT, config.run)
    rng = np.random.default_rng(config.seed)
    photos = _photographs(config, rng)
    if len(photos) < config.files:
        raise InputError(f"--files {config.files}: {len(photos)} photographs; add some by --photos, or ask for fewer.")
    methods: dict[str, Callable[[Path], Pairs]] = {
        "latentsearch": partial(_ours, run, autoencoder),
        "pHash": partial(_hashes, "phash"),
        "dHash": partial(_hashes, "dhash"),
    }
    _warm(methods, photos[:20])
    rows: list[dict[str, Any]] = []
    by_kind: list[dict[str, Any]] = []
    for rate in RATES:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "photos"
            kind_of = _write(folder, photos, round(rate * config.files), config.files, rng)
            for name, find in methods.items():
                start, spent = time.perf_counter(), time.process_time()
                found = find(folder)
                seconds, spent = time.perf_counter() - start, time.process_time() - spent
                right = found & set(kind_of)
                rows.append({
                    "copies": rate, "method": name, "pairs": len(kind_of), "found": len(right),
                    "false": len(found - right), "recall": round(len(right) / len(kind_of), 4),
                    "precision": round(len(right) / max(len(found), 1), 4), "seconds": round(seconds, 2),
                    "processor_seconds": round(spent, 2),
                })  # fmt: skip
                every, ok = Counter(kind_of.values()), Counter(kind_of[pair] for pair in right)
                by_kind += [
                    {"copies": rate, "method": name, "kind": kind, "pairs": count, "found": ok[kind]}
                    for kind, count in sorted(every.items())
                ]
                print(rows[-1], flush=True)
    print_table(rows)
    timing.save("duplicates", files=config.files, run=config.run, tiles=not config.photos, rows=rows, by_kind=by_kind)


def _photographs(config: BenchmarkConfig, rng: np.random.Generator) -> list[Photo]:
    """Photographs that share nothing, shuffled: small ones whole, large ones in tiles."""
    from sklearn.datasets import load_sample_images

    pictures = [Image.fromarray(image) for image in load_sample_images().images]
    for folder in config.photos:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        for position in sorted(rng.permutation(len(paths))[: 2 * config.files].tolist()):
            pictures.append(Image.open(paths[position]).convert("RGB"))
    tiles = []
    for picture in pictures:
        if min(picture.size) < 2 * _TILE:
            tiles.append(picture)
            continue
        for left in range(0, picture.width - _TILE + 1, _TILE):
            for top in range(0, picture.height - _TILE + 1, _TILE):
                tiles.append(picture.crop((left, top, left + _TILE, top + _TILE)))
    rich = [tile for tile in tiles if np.asarray(tile.convert("L")).std() >= _FLAT]
    return [rich[position] for position in rng.permutation(len(rich))]


def _write(
    folder: Path, photos: list[Photo], copies: int, count: int, rng: np.random.Generator
) -> dict[tuple[str, str], str]:
    """Write photographs and copies of some; return the kind of copy by the pair of names."""
    folder.mkdir()
    originals = count - copies
    for number in range(originals):
        photos[number].save(folder / f"{number:05}.png")
    names, kind_of = list(KINDS), {}
    for number in range(copies):
        kind, source = names[number % len(names)], number % originals
        name = f"{originals + number:05}.jpg"
        quality = int(rng.integers(30, 91)) if kind == "re-saved" else 92
        KINDS[kind](photos[source], rng).save(folder / name, quality=quality)
        kind_of[f"{source:05}.png", name] = kind
    return kind_of


def _cropped(photo: Photo, rng: np.random.Generator) -> Photo:
    """Cut off up to a tenth of each dimension, not evenly."""
    width, height = photo.size
    left, top, right, bottom = rng.uniform(0, 0.05, 4)
    return photo.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


def _resized(photo: Photo, rng: np.random.Generator) -> Photo:
    factor = rng.choice([0.5, 0.75, 1.5, 2])
    return photo.resize((round(photo.width * factor), round(photo.height * factor)), Image.Resampling.BICUBIC)


def _recoloured(photo: Photo, rng: np.random.Generator) -> Photo:
    gain, offset = rng.uniform(0.6, 1.0, 3), rng.uniform(0, 40, 3)
    return Image.fromarray((np.asarray(photo) * gain + offset).clip(0, 255).astype(np.uint8))


def _with_text(photo: Photo, rng: np.random.Generator) -> Photo:
    """Write a line of a tenth to a sixth of the height at some height."""
    copy = photo.copy()
    size = photo.height * rng.uniform(0.1, 1 / 6)
    place = (photo.width * 0.05, rng.uniform(0.05, 0.8) * photo.height)
    ImageDraw.Draw(copy).text(place, "May 2026", fill="white", stroke_fill="black", stroke_width=1, font_size=size)
    return copy


KINDS: dict[str, Callable[[Photo, np.random.Generator], Photo]] = {
    "re-saved": lambda photo, rng: photo,
    "resized": _resized,
    "cropped": _cropped,
    "recoloured": _recoloured,
    "mirrored": lambda photo, rng: ImageOps.mirror(photo),
    "text over": _with_text,
    "rotated by 90": lambda photo, rng: photo.rotate(90, expand=True),
}
"""What is done to copies; all but the first are saved as JPEG of quality 92, the first at 30 to 90."""


def _ours(run: Any, autoencoder: Any, folder: Path) -> Pairs:
    """All pairs within each group, from files that were never seen before."""
    from latentsearch.gallery import sync
    from latentsearch.search.duplicates import find_groups
    from latentsearch.search.folder_corpus import FolderCorpus

    content, _ = sync.sync(folder.parent / "gallery.npz", folder, autoencoder)
    corpus = FolderCorpus(run, autoencoder, content)
    groups = [sorted(Path(corpus.name_of(copy.id)).name for copy in group) for group in find_groups(corpus).groups]
    return {pair for group in groups for pair in combinations(group, 2)}


def _hashes(kind: str, folder: Path) -> Pairs:
    """Pairs whose hashes differ in 10 of 64 bits at most."""
    import imagehash

    paths = sorted(folder.iterdir())
    bits = []
    for path in paths:
        with Image.open(path) as image:
            bits.append(getattr(imagehash, kind)(image).hash.ravel())
    packed = np.packbits(np.array(bits), axis=1).view(np.uint64).ravel()
    apart = np.bitwise_count(packed[:, None] ^ packed)
    one, other = np.nonzero(np.triu(apart <= _BITS, 1))
    return {(paths[i].name, paths[j].name) for i, j in zip(one.tolist(), other.tolist(), strict=True)}


def _warm(methods: dict[str, Callable[[Path], Pairs]], photos: list[Photo]) -> None:
    """Run each method once, so that none pays for what is loaded at first use."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        _write(folder, photos, 7, len(photos), np.random.default_rng(0))
        for find in methods.values():
            find(folder)


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
