"""What do the kind codes of runs know, by the size at which images are encoded, and does a number mean something?

    python -m benchmarks.codes --runs cifar10 cifar10-deep --sides 32 40 48

Asks the kind tower of each run (of deep, its encoder) for the neighbours of the 5,000 validation images among the
45,000 training images, or of the test images, see --split. Label-free measures stand beside those that look at labels.
Adds its rows to benchmarks/codes.json and prints them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT

RESULTS = ROOT / "benchmarks" / "codes.json"
_ENDS = 500  # codes at one end of a number
_BATCH = 250


@dataclass(frozen=True)
class CodesConfig:
    """Flags of this benchmark."""

    runs: tuple[str, ...] = ("cifar10", "cifar10-deep")
    """Trained runs, of the architectures kind-look and deep."""

    sides: tuple[int, ...] = (32, 36, 40, 44, 48)
    """Pixels that images are brought to before they are encoded."""

    split: Literal["validation", "test"] = "validation"
    """Images that are asked about; test images among all others, once, when nothing is left to choose."""

    root: Path = ROOT
    """Folder that holds data/ and models/."""


def main(config: CodesConfig) -> None:
    """Measures the runs that `config` names."""
    with quiet_libraries():
        from latentsearch import environment

    rows = []
    for run in config.runs:
        for side in config.sides:
            rows.append(
                {"run": run, "side": side, "queries": config.split, **measure(config.root, run, side, config.split)}
            )
            print_table([{name: value for name, value in row.items() if name != "ends"} for row in rows])
    before = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.exists() else []
    new = {(row["run"], row["side"], row["queries"]) for row in rows}
    rows = [row for row in before if (row["run"], row["side"], row["queries"]) not in new] + rows
    result = {"rows": rows, "environment": environment.environment()}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def measure(root: Path, name: str, side: int, split: str) -> dict[str, Any]:
    """Measures the kind codes of a run whose images are encoded at `side` pixels."""
    import keras

    from latentsearch import data
    from latentsearch.data import augmentation, corruptions
    from latentsearch.evaluation.scorecard import Labelled, score
    from latentsearch.metrics import recall_at_k
    from latentsearch.models.architectures import kind_dim
    from latentsearch.models.export import load_model
    from latentsearch.runs import Run

    dataset = data.load(root, "cifar10")
    encoder = load_model(Run(root, name).best_model).get_layer("encoder")
    tower = encoder.get_layer("kind") if kind_dim(encoder) else encoder
    free = keras.models.clone_model(tower, input_tensors=keras.Input((None, None, 3)))
    free.set_weights(tower.get_weights())
    model = keras.Model(free.input, [free.output, free.get_layer("features").output])
    resize = keras.layers.Resizing(side, side)

    def encode(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = []
        for start in range(0, len(images), _BATCH):
            batch = data.to_float(images[start : start + _BATCH])
            parts.append(model.predict_on_batch(batch if side == batch.shape[1] else resize(batch)))
        codes, features = (np.concatenate(some) for some in zip(*parts, strict=True))
        return codes / np.linalg.norm(codes, axis=1, keepdims=True), features

    asked = dataset.ids(split)
    train = dataset.ids("train")
    if split == "test":
        train = np.sort(np.concatenate([train, dataset.ids("validation")]))
    (gallery, known), (codes, features) = encode(dataset.images[train]), encode(dataset.images[asked])
    by_labels = {
        vectors: score("", *both, dataset.class_names, metric="cosine").overall
        for vectors, both in {
            "": [Labelled(gallery, dataset.labels[train]), Labelled(codes, dataset.labels[asked])],
            "features ": [
                Labelled(known - known.mean(axis=0), dataset.labels[train]),
                Labelled(features - known.mean(axis=0), dataset.labels[asked]),
            ],
        }.items()
    }
    rng, some = np.random.default_rng(0), dataset.images[asked][:2000]
    copies = augmentation.views(some, shape=some.shape[1:3], flip=True, rng=rng)
    copies = (copies * 255).round().astype(np.uint8)
    found = {"views": encode(copies)[0]}
    found |= {title: encode(corrupt(some[:600], 0))[0] for title, corrupt in corruptions.CORRUPTIONS.items()}
    recalls = {
        f"copy-recall, {title}": recall_at_k(_nearest(codes, queries), np.arange(len(queries)), 10).mean()
        for title, queries in found.items()
    }
    measures = {f"{kind}{key}": interval.value for kind, of in by_labels.items() for key, interval in of.items()}
    measures |= {"agreement": _agreement(codes, features - known.mean(axis=0)), **recalls}
    rounded = {key: round(float(value), 4) for key, value in measures.items()}
    return rounded | {"ends": ends(gallery, dataset.labels[train], dataset.class_names)}


def ends(codes: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """What lies at both ends of each number: the most frequent class of the 500 codes there, and its share."""
    rows = []
    for number, values in enumerate(codes.T):
        order = np.argsort(values, kind="stable")
        row: dict[str, Any] = {"number": number}
        for end, some in (("low", order[:_ENDS]), ("high", order[-_ENDS:])):
            counts = np.bincount(labels[some], minlength=len(names))
            row |= {end: names[int(counts.argmax())], f"{end} share": round(float(counts.max() / len(some)), 3)}
        rows.append(row)
    return rows


def _nearest(gallery: np.ndarray, queries: np.ndarray) -> np.ndarray:
    from latentsearch.gallery.index import Index

    return Index(gallery).rank(queries, 10)


def _agreement(codes: np.ndarray, features: np.ndarray) -> float:
    from latentsearch.gallery.index import Index

    ids = np.arange(len(codes))
    first, second = (Index(vectors).rank(vectors, 10, exclude=ids) for vectors in (codes, features))
    return float((first[:, :, None] == second[:, None, :]).any(axis=2).mean())


if __name__ == "__main__":
    run_script(main, CodesConfig, __doc__)
