"""How many images a second are coded: from memory and from a folder of JPEG files, by us, by Keras, one at a time?

    python -m benchmarks.coding

For both shipped runs. "Keras, batches" is `predict` on the whole array; "Keras, one at a time" is how the project's
source document codes a query. All in turn in one process. Writes benchmarks/coding.json.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    runs: tuple[str, ...] = ("cifar10-compact", "cifar10-deep")
    """Trained runs."""

    images: int = 10_000
    """Test images that are coded, at most."""

    single: int = 200
    """Of these, coded one at a time."""

    side: int = 128
    """Of the JPEG files in pixels: enlarged images of the dataset."""

    repeats: int = 3
    """Rounds that count, after one that does not."""


def main(config: BenchmarkConfig) -> None:
    """Times the encoders in turn."""
    with quiet_libraries():
        from benchmarks import timing
    rows = [row for run in config.runs for row in _rows(config, run)]
    path = timing.save("coding", side=config.side, rows=rows)
    print_table(rows)
    print(f"Written: {path}")


def _rows(config: BenchmarkConfig, name: str) -> list[dict[str, Any]]:
    with quiet_libraries():
        import numpy as np
        from PIL import Image

        from benchmarks import timing
        from latentsearch import data
        from latentsearch.gallery.sync import sync
        from latentsearch.models.encoder import Autoencoder
        from latentsearch.models.export import load_model
        from latentsearch.runs import Run
    run, dataset = Run(ROOT, name), data.load(ROOT, "cifar10")
    images = np.asarray(dataset.images[dataset.ids("test")[: config.images]])
    few = images[: config.single]
    ours, keras = Autoencoder(run.best_model), load_model(run.best_model).get_layer("encoder")
    difference = np.abs(ours.encode(images) - keras.predict(data.to_float(images), verbose=0)).max()
    with tempfile.TemporaryDirectory() as folder:
        photos, gallery = Path(folder) / "photos", Path(folder) / "gallery.npz"
        photos.mkdir()
        for number, image in enumerate(images):
            large = Image.fromarray(image).resize((config.side, config.side), Image.Resampling.BICUBIC)
            large.save(photos / f"{number:05}.jpg")

        def from_folder() -> None:
            gallery.unlink(missing_ok=True)
            sync(gallery, photos, ours)

        seconds = timing.in_turn(
            {
                "latentsearch, from memory": lambda: ours.encode(images),
                "Keras, batches of 32": lambda: keras.predict(data.to_float(images), verbose=0),
                "Keras, batches of 1000": lambda: keras.predict(data.to_float(images), batch_size=1000, verbose=0),
                "latentsearch, one at a time": lambda: [ours.encode(image[None]) for image in few],
                "Keras, one at a time": lambda: [keras.predict(data.to_float(image[None]), verbose=0) for image in few],
                "latentsearch, JPEG files to a gallery": from_folder,
            },
            repeats=config.repeats,
        )
    rows = []
    for title, times in seconds.items():
        count = len(few) if "one at" in title else len(images)
        rates = timing.spread([count / one for one in times])
        row = {"run": name, "how": title, "images": count, **{f"{k} images/s": v for k, v in rates.items()}}
        rows.append(row | {"largest difference from Keras": float(f"{difference:.2g}")})
    return rows


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
