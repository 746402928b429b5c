"""The readers of outside data, each with whole files to be damaged. Another one is another function in READERS."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
from PIL import Image

from latentsearch import data as datasets
from latentsearch import environment, files, recipes
from latentsearch.config import PrepareConfig, TrainConfig
from latentsearch.data import cifar10
from latentsearch.data import images as imagefiles
from latentsearch.errors import InputError
from latentsearch.gallery import novelty
from latentsearch.gallery.sync import sync
from latentsearch.runs import Run
from tests import fuzzing
from tests.fuzzing import Reader
from tests.photos import MeanColours, make_photos

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

    return Reader(corpus, read, (*fuzzing.BYTES, *(fuzzing.png,) * 3))


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

    return Reader([path.read_bytes()], read, (*fuzzing.BYTES, *(fuzzing.values,) * 20))


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
        (inside / f"{name}.npy").unlink()  # it may be mapped still
        (inside / f"{name}.npy").write_bytes(content)
        datasets.class_counts(datasets.load(folder, "digits"))

    return Reader([arrays["labels"], arrays["split"], small.getvalue()], read)


def build_records(folder: Path) -> Reader:
    """build.json, which says what a run was built for."""
    dataset = datasets.prepare(PrepareConfig(source="digits", root=folder))
    run = Run(folder, "digits")
    record = {"config": {"architecture": "compact"}, "num_weights": 5, "environment": environment.environment()}
    files.write_json(
        run.build_record, record | {"dataset": {"name": "digits", "content": dataset.content, **dataset.provenance}}
    )

    def read(content: bytes) -> None:
        run.build_record.write_bytes(content)
        assert datasets.load_for(run).fingerprint == dataset.fingerprint

    return Reader([run.build_record.read_bytes()], read, (*fuzzing.BYTES, *(fuzzing.values,) * 20))


def training_records(folder: Path) -> Reader:
    """training.json of a training that is to go on."""
    from latentsearch.training import settings

    dataset = datasets.prepare(PrepareConfig(source="digits", root=folder))
    run = Run(folder, "digits")
    run.models.mkdir(parents=True)
    run.initial_model.write_bytes(b"weights")
    config = TrainConfig(run="digits", root=folder, resume=True)
    chosen = settings.choose(config, run, dataset, recipes.RECIPES["deep"])
    files.write_json(run.training_record, {"settings": asdict(chosen), "finished": False})

    def read(content: bytes) -> None:
        run.training_record.write_bytes(content)
        record = files.read_json(run.training_record, "again", ("settings",))
        resumed = settings.resumed(config, run, dataset, chosen, record["settings"])
        for field in dataclasses.fields(resumed):
            kinds = {type(getattr(chosen, field.name)), int} if field.name != "view_side" else {int, type(None)}
            assert type(getattr(resumed, field.name)) in kinds, field.name

    return Reader([run.training_record.read_bytes()], read, (*fuzzing.BYTES, *(fuzzing.values,) * 20))


def histories(folder: Path) -> Reader:
    """history.csv of a training."""
    from latentsearch.training.train import read_history

    run = Run(folder, "digits")
    run.models.mkdir(parents=True)
    measures = "loss,accuracy,val_loss,val_accuracy,val_mse,learning_rate,seconds"
    lines = [f"epoch,{measures}", *(f"{epoch},0.2,0.5,0.3,0.4,0.3,0.001,1.5" for epoch in range(1, 9))]

    def read(content: bytes) -> None:
        run.history.write_bytes(content)
        assert read_history(run).mean().size >= 7

    return Reader(["\n".join(lines).encode()], read)


def backups(folder: Path) -> Reader:
    """rows.json in the backup of an interrupted training."""
    from latentsearch.training.callbacks import Backup

    path = folder / "epoch-00002" / "rows.json"
    path.parent.mkdir()

    def read(content: bytes) -> None:
        path.write_bytes(content)
        rows = Backup(folder).latest().rows
        assert min(row["val_loss"] for row in rows) is not None

    rows = [{"epoch": epoch, "loss": 0.2, "val_loss": 0.3, "val_mse": 0.3} for epoch in (1, 2)]
    return Reader([json.dumps(rows).encode()], read, (*fuzzing.BYTES, *(fuzzing.values,) * 20))


def weights(folder: Path) -> Reader:
    """A .keras file: a zip archive of JSON and HDF5."""
    import keras

    from latentsearch.models.encoder import Autoencoder

    path, images = folder / "best.keras", keras.Input((8, 8, 3))
    layers = [keras.layers.Flatten(), keras.layers.Dense(2)]
    encoder = keras.Sequential([keras.Input((8, 8, 3)), *layers], name="encoder")
    layers = [keras.layers.Dense(192), keras.layers.Reshape((8, 8, 3))]
    decoder = keras.Sequential([keras.Input((2,)), *layers], name="decoder")
    keras.Model(images, decoder(encoder(images))).save(path)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        keras.backend.clear_session()
        Autoencoder(path)

    return Reader([path.read_bytes()], read, (*fuzzing.BYTES, *(fuzzing.archive,) * 20))


def galleries(folder: Path) -> Reader:
    """gallery.npz: made anew when it is damaged."""
    from latentsearch.gallery import gallery

    encoder = MeanColours()
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    dataset = SimpleNamespace(images=images, fingerprint="images")
    path = folder / "gallery.npz"
    whole, _ = gallery.open_or_build(path, dataset, encoder)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        opened, _ = gallery.open_or_build(path, dataset, encoder)
        assert opened.ask(whole.codes, 3).ids.shape == (30, 3)

    return Reader([path.read_bytes()], read, (*fuzzing.BYTES, *(fuzzing.archive,) * 10))


def folder_galleries(folder: Path) -> Reader:
    """The gallery of a folder: made anew when it is damaged."""
    make_photos(folder / "photos", 12)
    path = folder / "photos.npz"
    sync(path, folder / "photos", MeanColours())

    def read(content: bytes) -> None:
        path.write_bytes(content)
        opened, _ = sync(path, folder / "photos", MeanColours())
        assert len(opened.entries()) == 12

    return Reader([path.read_bytes()], read, (*fuzzing.BYTES, *(fuzzing.archive,) * 10))


def profiles(folder: Path) -> Reader:
    """profile.json."""
    run = Run(folder, "run")
    novelty.save(run, novelty.Profile("encoder", 0.02, 1.5, np.eye(20, 3, dtype=np.float32)))

    def read(content: bytes) -> None:
        run.profile.write_bytes(content)
        assert novelty.load(run, "encoder").codes.ndim == 2

    return Reader([run.profile.read_bytes()], read)


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


READERS: dict[str, Callable[[Path], Reader]] = {
    "image files": image_files,
    "CIFAR-10 batches": cifar_batches,
    "dataset.json": dataset_records,
    "arrays of a dataset": dataset_arrays,
    "build.json": build_records,
    "training.json": training_records,
    "history.csv": histories,
    "rows.json": backups,
    "weights": weights,
    "gallery.npz": galleries,
    "galleries of folders": folder_galleries,
    "profile.json": profiles,
}
