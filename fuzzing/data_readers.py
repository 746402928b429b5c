"""Readers of images and datasets, each with whole files to be damaged."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from fuzzing import damage
from fuzzing.damage import Reader
from fuzzing.raw_files import dng
from latentsearch import data as datasets
from latentsearch import files
from latentsearch.config import PrepareConfig
from latentsearch.data import cifar10
from latentsearch.data import images as imagefiles
from latentsearch.errors import InputError

_IMAGES_PER_BATCH = 20
_SHAPE = (32, 32, 3)


def image_files(folder: Path) -> Reader:
    """JPEG, PNG, WebP, GIF, BMP and TIFF files of many modes."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (12, 20, 3), dtype=np.uint8)).resize((40, 24))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"  # turned, and a text
    modes = {
        "JPEG": ("L", "RGB", "CMYK"),
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
        "WEBP": ("RGB", "RGBA"),
        "GIF": ("L", "P"),
        "BMP": ("1", "L", "P", "RGB", "RGBA"),
        "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "LAB"),
    }
    corpus = []
    for kind, names in modes.items():
        for mode in names:
            image = Image.fromarray(np.arange(960, dtype=np.uint16).reshape(24, 40) * 64) if mode == "I;16" else colour
            ways = [{}, {"exif": exif}] if kind in ("JPEG", "PNG", "WEBP") else [{}]
            if kind == "TIFF" and mode not in ("I;16", "I", "F", "LAB"):
                ways = [{"compression": name} for name in ("raw", "tiff_lzw", "tiff_adobe_deflate")]
            if kind == "TIFF" and mode == "1":
                ways.append({"compression": "group4"})
            if kind == "JPEG":
                ways.append({"progressive": True, "subsampling": 0} if mode == "RGB" else {"optimize": True})
            if kind == "GIF":
                ways.append({"save_all": True, "append_images": [Image.new(mode, (40, 24))], "transparency": 0})
            corpus += [_saved(image if mode == "I;16" else _converted(image, mode), kind, way) for way in ways]
    path = folder / "image.jpg"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        image = imagefiles.read_image(path, _SHAPE, fit=("crop", "pad", "stretch")[len(content) % 3])
        assert image.shape == _SHAPE
        assert image.dtype == np.uint8

    return Reader(corpus, read, (*damage.BYTES, *(damage.png,) * 3))


def raw_files(folder: Path) -> Reader:
    """Raw files of cameras, read by rawpy; see requirements-raw.txt."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)).resize((120, 72))
    corpus = [dng(picture.rotate(angle, expand=True), orientation=turn) for angle, turn in ((0, 1), (90, 6), (0, 8))]
    path = folder / "image.dng"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        assert imagefiles.read_image(path, _SHAPE).shape == _SHAPE

    return Reader(corpus, read)


def cifar_batches(folder: Path) -> Reader:
    """A batch of CIFAR-10 among whole ones, prepared over a dataset that must stay as it was if it is refused."""
    source, contents = folder / cifar10.FOLDER, []
    source.mkdir()
    for number, name in enumerate(cifar10.OFFICIAL_MD5):
        rng = np.random.default_rng(number)
        labels = [int(label) for label in rng.permutation(np.arange(_IMAGES_PER_BATCH) % 10)]
        data = rng.integers(0, 256, (_IMAGES_PER_BATCH, cifar10.IMAGE_BYTES), dtype=np.uint8)
        contents.append({b"batch_label": b"testing", b"labels": labels, b"data": data})
        (source / name).write_bytes(pickle.dumps(contents[-1], protocol=2))
    config = PrepareConfig(source=str(source), root=folder, validation_fraction=0.2)
    small = mock.patch.object(cifar10, "IMAGES_PER_BATCH", _IMAGES_PER_BATCH)
    with small:
        before = [datasets.prepare(config)]

    def read(content: bytes) -> None:
        (source / "data_batch_2").write_bytes(content)
        try:
            with small:
                before[0] = datasets.prepare(config)
        except InputError:
            assert datasets.load(folder, "cifar10").fingerprint == before[0].fingerprint
            raise

    # Without its images a batch is short, and what is damaged is its structure more often.
    bare = {b"labels": contents[1][b"labels"], b"data": np.zeros((2, 3), np.uint8)}
    corpus = [pickle.dumps(batch, protocol=protocol) for protocol in range(5) for batch in (contents[1], bare)]
    return Reader(corpus, read)


def dataset_records(folder: Path) -> Reader:
    """dataset.json, which says what a prepared dataset holds."""
    dataset = datasets.prepare(PrepareConfig(source="digits", root=folder))
    path = folder / "data" / "digits" / "dataset.json"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        opened = datasets.load(folder, "digits")
        assert opened.images.shape == dataset.images.shape
        datasets.class_counts(opened)
        json.dumps([opened.class_names, opened.fingerprint, opened.content])

    return Reader([path.read_bytes()], read, (*damage.BYTES, *(damage.values,) * 20))


def dataset_arrays(folder: Path) -> Reader:
    """The arrays of a prepared dataset."""
    datasets.prepare(PrepareConfig(source="digits", root=folder))
    inside = next(path for path in (folder / "data" / "digits").iterdir() if path.is_dir())
    arrays = {name: (inside / f"{name}.npy").read_bytes() for name in ("images", "labels", "split")}
    small = io.BytesIO()
    np.savez(small, images=np.zeros(3))

    def read(content: bytes) -> None:
        for name, whole in arrays.items():
            (inside / f"{name}.npy").write_bytes(whole)
        name = min(arrays, key=lambda name: abs(len(arrays[name]) - len(content)))
        with files.replacing(inside / f"{name}.npy") as temporary:  # the old one may be mapped still
            temporary.write_bytes(content)
        datasets.class_counts(datasets.load(folder, "digits"))

    return Reader([arrays["labels"], arrays["split"], small.getvalue()], read)


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if mode != "LAB":
        return image.convert(mode)
    from PIL import ImageCms

    return ImageCms.applyTransform(
        image,
        ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"),
    )


def _saved(image: Image.Image, kind: str, way: dict[str, object]) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **way)
    return file.getvalue()
