"""Which encoder knows photographs: the runs and a colour histogram, on photographs of many kinds and on CIFAR-10.

    python -m benchmarks.encoders --runs photos cifar10 --root ROOT --shots ~/Photos

Asks each for the neighbours of validation images of two datasets, of which labels tell what is right, and of shots of
one scene: each photograph of a folder five times, cropped, brighter or darker, more or less coloured, the last one
mirrored, among test images of the first dataset. Prints a table and writes benchmarks/encoders.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks import timing
from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT, Metric
from latentsearch.data import ImageSet
from latentsearch.evaluation.scorecard import Labelled

_SHOTS = 5
_SIDE = 32
_OTHERS = 1000  # images that are of no scene
_ENDINGS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    runs: tuple[str, ...] = ("photos", "cifar10")
    """Trained runs."""

    datasets: tuple[str, ...] = ("photos32", "cifar10")
    """Prepared datasets of 32 x 32 pixels with labels. The first gives the images beside the shots."""

    shots: tuple[Path, ...] = ()
    """Folders of photographs whose shots are looked for, beside the two of scikit-learn."""

    seed: int = 0
    """Of what becomes of the shots."""

    root: Path = ROOT
    """Folder that holds data/ and models/."""


def main(config: BenchmarkConfig) -> None:
    """Measures the runs that `config` names."""
    with quiet_libraries():
        from latentsearch import data
        from latentsearch.evaluation.scorecard import score

    datasets = {name: data.load(config.root, name) for name in config.datasets}
    shots, scenes = _scenes(config, datasets[config.datasets[0]])
    rows: list[dict[str, Any]] = []
    for method in (*config.runs, "colour histogram"):
        metric: Metric = "manhattan" if method == "colour histogram" else "cosine"
        row: dict[str, Any] = {"method": method}
        for name, dataset in datasets.items():
            parts = [dataset.ids(split) for split in ("train", "validation")]
            both = [Labelled(_vectors(config.root, method, dataset.images[ids]), dataset.labels[ids]) for ids in parts]
            found = score(method, both[0], both[1], dataset.class_names, metric=metric).overall
            row |= {f"{name} {key}": round(found[key].value, 4) for key in ("P@1", "P@10", "kNN@10")}
        row["shots found"] = _shots_found(_vectors(config.root, method, shots), scenes, metric)
        rows.append(row)
        print(row, flush=True)
    print_table(rows)
    timing.save("encoders", rows=rows, scenes=int(scenes.max() + 1), others=_OTHERS, shots=_SHOTS)


def _vectors(root: Path, method: str, images: np.ndarray) -> np.ndarray:
    """Encode images by a run, with its default share of look, or compute their colour histograms."""
    from latentsearch.evaluation.baselines import colour_histograms
    from latentsearch.gallery.trained_run import open_autoencoder
    from latentsearch.gallery.two_codes import DEFAULT_LOOK, weighted

    ids = np.arange(len(images))
    if method == "colour histogram":
        return colour_histograms(_AsDataset(images), ids)  # type: ignore[arg-type]
    _, autoencoder = open_autoencoder(root, method)
    return weighted(autoencoder.encode(images, ids), autoencoder.kind_dim, DEFAULT_LOOK)


@dataclass(frozen=True)
class _AsDataset:
    """Images where a dataset is expected."""

    images: np.ndarray


def _scenes(config: BenchmarkConfig, others: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Make shots of scenes, and take images that are of none.

    Returns:
        Images uint8 `(num_images, 32, 32, 3)`, and the scene of each, -1 for none.
    """
    from sklearn.datasets import load_sample_images

    from latentsearch.data.resizing import upright

    rng = np.random.default_rng(config.seed)
    photos = [Image.fromarray(image) for image in load_sample_images().images]
    for folder in config.shots:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
        photos += [Image.open(path).convert("RGB") for path in paths]
    made = []
    for photo in photos:
        for number in range(_SHOTS):
            size = [max(1, int(side * rng.uniform(0.82, 0.97))) for side in photo.size]
            left, top = (int(rng.integers(0, side - part + 1)) for side, part in zip(photo.size, size, strict=True))
            shot = photo.crop((left, top, left + size[0], top + size[1]))
            shot = ImageEnhance.Brightness(shot).enhance(rng.uniform(0.85, 1.15))
            shot = ImageEnhance.Color(shot).enhance(rng.uniform(0.8, 1.2))
            if number == _SHOTS - 1:
                shot = ImageOps.mirror(shot)
            made.append(np.asarray(upright(shot, (_SIDE, _SIDE, 3), "crop")[0]))
    rest = others.images[rng.permutation(others.ids("test"))[:_OTHERS]]
    scenes = np.repeat(np.arange(len(photos)), _SHOTS)
    return np.concatenate([np.stack(made), rest]), np.concatenate([scenes, np.full(len(rest), -1)])


def _shots_found(vectors: np.ndarray, scenes: np.ndarray, metric: Metric) -> float:
    """Compute the share of the other shots of a scene that are among as many nearest images, over all shots."""
    from latentsearch.gallery.index import Index

    asked = np.flatnonzero(scenes >= 0)
    found = Index(vectors, metric=metric).rank(vectors[asked], _SHOTS - 1, exclude=asked)
    return round(float((scenes[found] == scenes[asked][:, None]).mean()), 4)


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
