"""How many images a second are coded: from memory and from a folder of JPEG files, by us, by Keras, one at a time?

    python -m benchmarks.coding

"Keras, batches" is `predict` on the whole array; "Keras, one at a time" is how the project's source document codes a
query. Each round is a new process, in which all come in turn, beside what a large float32 matrix product reaches there.
Keras runs the encoder without its denoiser, which clean images do not pass through. Writes benchmarks/coding.json.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT

_SIDE = 4096  # of the matrices
_SINGLE = "one at a time"
_PRODUCT = "GFLOP/s of a float32 matrix product"


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    runs: tuple[str, ...] = ("cifar10", "cifar10-deep", "cifar10-compact")
    """Trained runs."""

    images: int = 10_000
    """Test images that are coded, at most."""

    single: int = 200
    """Of these, coded one at a time."""

    side: int = 128
    """Of the JPEG files in pixels: enlarged images of the dataset."""

    repeats: int = 5
    """Rounds."""


def main(config: BenchmarkConfig) -> None:
    """Times the encoders in turn."""
    with quiet_libraries():
        from benchmarks import timing
    rows = [row for run in config.runs for row in _rows(config, run)]
    path = timing.save("coding", side=config.side, rows=rows)
    print_table([{name: value for name, value in row.items() if name != "rounds"} for row in rows])
    print(f"Written: {path}")


def _rows(config: BenchmarkConfig, name: str) -> list[dict[str, Any]]:
    from benchmarks import timing

    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        timing.apart(_write_photos, config, photos)
        rates = timing.in_processes(_rates, config, name, photos, repeats=config.repeats)
    operations, differences = timing.apart(_operations_and_differences, config, name)
    peak = timing.spread(rates.pop(_PRODUCT))["median"]
    rows = []
    for way, found in rates.items():
        spread = timing.spread(found)
        row = {"run": name, "how": way, **{f"{kind} images/s": rate for kind, rate in spread.items()}}
        row |= {"share of the matrix product": round(operations * spread["median"] / peak, 3)}
        rows.append(row | {"largest difference from Keras": differences.get(way), "rounds": found})
    return rows


def _write_photos(config: BenchmarkConfig, photos: Path) -> None:
    import numpy as np
    from PIL import Image

    from latentsearch import data

    dataset = data.load(ROOT, "cifar10")
    photos.mkdir()
    for number, image in enumerate(np.asarray(dataset.images[dataset.ids("test")[: config.images]])):
        large = Image.fromarray(image).resize((config.side, config.side), Image.Resampling.BICUBIC)
        large.save(photos / f"{number:05}.jpg")


def _rates(config: BenchmarkConfig, name: str, photos: Path) -> dict[str, float]:
    """Images a second of each way, in this process, after a few images that do not count."""
    with quiet_libraries():
        import numpy as np
        import tensorflow as tf

        from latentsearch import data
        from latentsearch.gallery.sync import sync
        from latentsearch.models.architectures import take_apart
        from latentsearch.models.encoder import Autoencoder
        from latentsearch.models.export import load_model
        from latentsearch.runs import Run
    path, dataset = Run(ROOT, name).best_model, data.load(ROOT, "cifar10")
    images = np.asarray(dataset.images[dataset.ids("test")[: config.images]])
    few = images[: config.single]
    keras = take_apart(load_model(path).get_layer("encoder"))[0]
    ours, int8 = Autoencoder(path), Autoencoder(path, precision="int8")
    matrix = tf.random.uniform((_SIDE, _SIDE))
    product = lambda _: tf.linalg.matmul(matrix, matrix).numpy()  # noqa: E731

    def predicted(batch_size: int) -> Callable[[np.ndarray], object]:
        return lambda images: keras.predict(data.to_float(images), batch_size=batch_size, verbose=0)

    def one_by_one(encode: Callable[[np.ndarray], object]) -> Callable[[np.ndarray], object]:
        return lambda images: [encode(image[None]) for image in images]

    with tempfile.TemporaryDirectory() as folder:
        ways: dict[str, tuple[Callable[[np.ndarray], object], np.ndarray]] = {
            _PRODUCT: (product, few),
            "latentsearch, from memory": (ours.encode, images),
            "Keras, batches of 32": (predicted(32), images),
            "Keras, batches of 1000": (predicted(1000), images),
            "latentsearch in int8, from memory": (int8.encode, images),
            f"latentsearch, {_SINGLE}": (one_by_one(ours.encode), few),
            f"Keras, {_SINGLE}": (one_by_one(predicted(32)), few),
            "latentsearch in int8, JPEG files to a gallery": (
                lambda _: sync(Path(folder) / "gallery.npz", photos, int8), images,
            ),
        }  # fmt: skip
        rates = {}
        for way, (encode, asked) in ways.items():
            if "JPEG" not in way:
                encode(asked[: 1000 if "1000" in way else 32])
            begin = time.perf_counter()
            encode(asked)
            seconds = time.perf_counter() - begin
            rates[way] = 2 * _SIDE**3 / 1e9 / seconds if way == _PRODUCT else len(asked) / seconds
    return rates


def _operations_and_differences(config: BenchmarkConfig, name: str) -> tuple[float, dict[str, float]]:
    """GFLOP of a clean image in the encoder, and by how much our codes differ from those of Keras at most."""
    with quiet_libraries():
        import numpy as np

        from benchmarks.training_profile import flops
        from latentsearch import data
        from latentsearch.models.architectures import take_apart
        from latentsearch.models.encoder import Autoencoder
        from latentsearch.models.export import load_model
        from latentsearch.runs import Run
    path, dataset = Run(ROOT, name).best_model, data.load(ROOT, "cifar10")
    images = np.asarray(dataset.images[dataset.ids("test")[: config.images]])
    encoder = load_model(path).get_layer("encoder")
    codes = encoder.predict(data.to_float(images), batch_size=1000, verbose=0)
    found = {}
    for way, precision in (("latentsearch", "float32"), ("latentsearch in int8", "int8")):
        difference = np.abs(Autoencoder(path, precision=precision).encode(images) - codes).max()
        found[f"{way}, from memory"] = float(f"{difference:.2g}")
    return sum(flops(take_apart(encoder)[0], 1)) / 1e9, found


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
