"""What does an encoder in int8 cost and bring? Images a second, and the precision at 10 of its codes, beside float32.

    python -m benchmarks.precision

Encodes validation images and training images of CIFAR-10 in float32, in int8 and by Keras's `predict`, in turn, and
finds the ten nearest training images of each validation image by cosine. Writes benchmarks/precision.json.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT

_K = 10
_PRECISIONS = ("float32", "int8")


@dataclass(frozen=True)
class PrecisionConfig:
    """Flags of this benchmark."""

    runs: tuple[str, ...] = ("cifar10", "photos", "cifar10-deep", "cifar10-compact")
    """Trained runs."""

    gallery: int = 20_000
    """Training images that are searched, at most."""

    timed: int = 2000
    """Images that are encoded in each round."""

    repeats: int = 5
    """Rounds."""

    root: Path = ROOT
    """Folder that holds data/ and models/."""


def main(config: PrecisionConfig) -> None:
    """Measure each run."""
    with quiet_libraries():
        from benchmarks import timing
    rows = [_row(config, name) for name in config.runs]
    path = timing.save("precision", gallery=config.gallery, rows=rows)
    print_table(rows)
    print(f"Written: {path}")


def _row(config: PrecisionConfig, name: str) -> dict[str, Any]:
    with quiet_libraries():
        from benchmarks import timing
        from latentsearch import data
        from latentsearch.gallery import two_codes
        from latentsearch.gallery.index import Index
        from latentsearch.models.architectures import take_apart
        from latentsearch.models.encoder import Autoencoder
        from latentsearch.models.export import load_model
        from latentsearch.runs import Run
    path = Run(config.root, name).best_model
    dataset = data.load(config.root, "cifar10")
    asked = dataset.ids("validation")
    searched = np.sort(np.random.default_rng(0).permutation(dataset.ids("train"))[: config.gallery])
    encoders = {precision: Autoencoder(path, precision=precision) for precision in _PRECISIONS}
    row: dict[str, Any] = {"run": name}
    for precision, encoder in encoders.items():
        gallery, queries = (
            two_codes.weighted(encoder.encode(dataset.images, ids), encoder.kind_dim, two_codes.DEFAULT_LOOK)
            for ids in (searched, asked)
        )
        found = searched[Index(gallery, metric="cosine").rank(queries, _K)]
        right = dataset.labels[found] == dataset.labels[asked][:, None]
        row[f"P@10 {precision}"] = round(float(right.mean()), 4)
    images = np.asarray(dataset.images[asked[: config.timed]])
    clean = take_apart(load_model(path).get_layer("encoder"))[0]
    ways: dict[str, Callable[[], object]] = {
        **{precision: lambda encoder=encoder: encoder.encode(images) for precision, encoder in encoders.items()},
        "Keras": lambda: clean.predict(data.to_float(images), batch_size=1000, verbose=0),
    }
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(config.repeats + 1):
        for way, encode in ways.items():
            start = time.process_time()
            encode()
            if number:  # the first of each does not count
                spent[way].append(time.process_time() - start)
    for way, seconds in spent.items():
        rates = timing.spread([len(images) / one for one in seconds])
        row |= {f"{way}, {kind} images a processor second": rate for kind, rate in rates.items()}
    return row


if __name__ == "__main__":
    run_script(main, PrecisionConfig, __doc__, name="python -m benchmarks.precision")
