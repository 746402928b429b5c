"""How much of the time of encoding a folder of photographs goes into decoding their files?

    python -m benchmarks.photographs --photos DIR

Makes a folder of crops of the photographs in DIR (scikit-learn's china.jpg and flower.jpg, scikit-image's `data`), of
many sizes, as JPEG and PNG, encodes it in a process of its own, and writes benchmarks/photographs.json.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT
from latentsearch.errors import InputError

RESULTS = ROOT / "benchmarks" / "photographs.json"
_SIDES = (200, 4000)  # pixels of the longer side, drawn evenly by its logarithm
_LEAST_SHARE = 0.3  # of the sides of a photograph that a crop keeps
_PNG_SHARE = 0.1


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    photos: Path
    """Folder of photographs to crop from."""

    files: int = 1000
    """Number of crops."""

    run: str = "photos"
    """Trained run whose encoder encodes them."""

    keep: Path | None = None
    """Folder to keep the crops in, or to take them from where it is there already. Default: they are deleted."""

    seed: int = 0
    """Seed of the crops."""


def main(config: BenchmarkConfig) -> None:
    """Time the gallery of such a folder, and the decoding of its files alone."""
    from benchmarks.timing import apart
    from latentsearch import environment

    with tempfile.TemporaryDirectory() as temporary:
        folder = config.keep or Path(temporary) / "photos"
        if not folder.exists():
            apart(_write, config.photos, folder, config.files, config.seed)
        if (found := sum(1 for _ in folder.iterdir())) != config.files:
            raise InputError(f"--keep {folder}: expected {config.files} files, found {found}.")
        pixels = apart(_pixels, folder)
        path = Path(temporary) / "gallery.npz"
        rows = [apart(_decode, config.run, folder)]
        rows += [apart(_sync, config.run, folder, path, precision) for precision in ("float32", "int8")]
    decoding, *galleries = (row["processor seconds"] for row in rows)
    shares = [round(decoding / seconds, 3) for seconds in galleries]
    record = {"files": config.files, "megapixels": round(pixels / 1e6), "run": config.run, "rows": rows}
    record |= {"shares of decoding": shares, "environment": environment.environment()}
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print_table(rows)
    told = f"{shares[0]:.0%} of the processor's seconds, with int8 {shares[1]:.0%}"
    print(f"{record['megapixels']} million pixels; decoding takes {told}.")


def _write(source: Path, folder: Path, files: int, seed: int) -> None:
    """Write the crops."""
    import numpy as np
    from PIL import Image

    photos = [Image.open(path).convert("RGB") for path in sorted(source.iterdir())]
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for number in range(files):
        photo = photos[number % len(photos)]
        width, height = (int(side * rng.uniform(_LEAST_SHARE, 1)) for side in photo.size)
        left, top = int(rng.integers(photo.width - width + 1)), int(rng.integers(photo.height - height + 1))
        scale = np.exp(rng.uniform(*np.log(_SIDES))) / max(width, height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = photo.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
        name = folder / f"{number % len(photos):02}-{number:04}"
        if rng.random() < _PNG_SHARE:
            image.save(name.with_suffix(".png"), compress_level=1)
        else:
            image.save(name.with_suffix(".jpg"), quality=int(rng.integers(75, 96)))


def _pixels(folder: Path) -> int:
    """Count the pixels of the images in a folder."""
    from PIL import Image

    images = (Image.open(path) for path in folder.iterdir())
    return sum(image.width * image.height for image in images)


def _sync(run: str, folder: Path, path: Path, precision: Any) -> dict[str, Any]:
    """Encode the folder; return the seconds."""
    with quiet_libraries():
        from latentsearch.gallery.sync import sync
        from latentsearch.models.encoder import Autoencoder
    from latentsearch.runs import Run

    path.unlink(missing_ok=True)
    autoencoder = Autoencoder(Run(ROOT, run).best_model, precision=precision)
    begin, worked = time.perf_counter(), time.process_time()
    sync(path, folder, autoencoder)
    return _row(f"gallery of the folder, {precision}", begin, worked)


def _decode(run: str, folder: Path) -> dict[str, Any]:
    """Read each file once; return the seconds."""
    with quiet_libraries():
        from latentsearch.data.images import read_image
        from latentsearch.models.encoder import Autoencoder
    from concurrent.futures import ThreadPoolExecutor

    from latentsearch.runs import Run

    shape = Autoencoder(Run(ROOT, run).best_model).image_shape
    paths = sorted(folder.iterdir())
    begin, worked = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor() as readers:
        list(readers.map(lambda path: read_image(path, shape), paths))
    return _row("decoding of its files", begin, worked)


def _row(what: str, begin: float, worked: float) -> dict[str, Any]:
    seconds, processor = time.perf_counter() - begin, time.process_time() - worked
    return {"what": what, "seconds": round(seconds, 2), "processor seconds": round(processor, 2)}


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
