"""Logs of a training for TensorBoard: curves, graph, codes, reconstructions, and a map of test codes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.plugins import projector
from tensorboard.plugins.hparams import api as hparams

from latentsearch import files, ownership
from latentsearch.data import SPLITS, ImageSet, drawn, read_rows, to_float
from latentsearch.gallery.two_codes import number_names
from latentsearch.models.architectures import kind_dim
from latentsearch.models.encoder import Autoencoder
from latentsearch.plots import image_grids
from latentsearch.plots.saving import DPI
from latentsearch.text import printable
from latentsearch.training.held_out import validation_ids
from latentsearch.training.history import hidden
from latentsearch.training.settings import Settings

# What Keras calls accuracy: no share of images, and no measure of retrieval.
ACCURACY = "share of pixels with the right strongest channel"

_NUM_PICTURES = 6  # in a card of a few hundred pixels their labels can be read
_NUM_HISTOGRAM_IMAGES = 1000
_NOT_COMPARED = frozenset(("images", "initial_model", "loss_file"))  # settings that stand in Text alone
_MAX_POINTS = 10_000
_MAX_SPRITE_SIDE = 8192  # pixels: larger textures are refused by browsers


def callbacks(
    logs: Path, autoencoder: keras.Model, dataset: ImageSet, settings: Settings, *, every: int, trial: bool = False
) -> list[keras.callbacks.Callback]:
    """Builds the callbacks that write to `logs`.

    Args:
        logs: Folder of the run below logs/.
        autoencoder: With sub-models "encoder" and "decoder", given the weights learnt by `callbacks.Validation`.
        dataset: Its validation images are shown.
        settings: Settings of the training, for the pages Text and HParams.
        every: Epochs between two reconstruction grids.
        trial: Leave out the settings: a search writes those of its trials.
    """
    for name in ("train", "validation", "codes"):
        files.make_folder(logs / name)
    return [
        *([] if trial else [_Settings(logs, settings, dataset)]),
        _Curves(logs, hidden(dataset)),
        _CodesAndPictures(logs / "codes", autoencoder, dataset, every),
    ]


def events_path(logs: Path) -> Path:
    """Returns a name, for messages, of the event files of this process in `logs`; TensorFlow chooses the whole name."""
    return logs / "events.out.tfevents"


def write_projector(logs: Path, dataset: ImageSet, autoencoder: Autoencoder) -> None:
    """Writes test codes with labels, files and thumbnails for TensorBoard's Embedding Projector.

    Args:
        logs: Folder of the run below logs/.
        dataset: Its test images are encoded, at most 10,000.
        autoencoder: The trained one.
    """
    height, width, _ = dataset.image_shape
    across, down = _MAX_SPRITE_SIDE // width, _MAX_SPRITE_SIDE // height
    ids = np.sort(drawn(dataset.ids("test"), min(_MAX_POINTS, across * down)))
    folder = logs / "codes"
    codes = autoencoder.encode(dataset.images, ids)
    with files.replacing(folder / "codes.tsv") as temporary:
        np.savetxt(temporary, codes, delimiter="\t", fmt="%.6g")
    # Names may hold anything, tabs and line breaks included, which `printable` writes as escapes.
    columns = {"id": ids, "file": [printable(dataset.paths[i]) for i in ids] if dataset.paths else [""] * len(ids)}
    if dataset.is_labelled:
        columns = {"class": [printable(name) for name in dataset.class_of(ids)]} | columns
    lines = ["\t".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    header = "\t".join(columns)
    with files.replacing(folder / "metadata.tsv") as temporary:
        temporary.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    with files.replacing(folder / "sprite.png") as temporary:
        Image.fromarray(_sprite(read_rows(dataset.images, ids))).save(temporary)
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add(
        tensor_name="codes of test images", tensor_path="codes.tsv", metadata_path="metadata.tsv"
    )
    embedding.sprite.image_path = "sprite.png"
    embedding.sprite.single_image_dim.extend([width, height])
    with files.replacing(folder / "projector_config.pbtxt") as temporary:
        temporary.write_text(str(config), encoding="utf-8")


def write_trial(logs: Path, parameters: Mapping[str, Any], measures: Mapping[str, float], names: Sequence[str]) -> None:
    """Writes a trial of a search for TensorBoard's HParams, beside the other trials.

    Args:
        logs: Folder of the trial below logs/.
        parameters: What was tried, by name: numbers, strings and booleans.
        measures: What came of it, by name; the same names for all trials.
        names: Of all parameters that any trial of the search may have.
    """
    before = ownership.event_files(logs.parent)
    with files.writing(events_path(logs)):
        _write_trial(logs, parameters, measures, names)
    ownership.record_events(logs.parent, before)


def _write_trial(
    logs: Path, parameters: Mapping[str, Any], measures: Mapping[str, float], names: Sequence[str]
) -> None:
    if not any(logs.parent.glob("events*")):  # once for all trials: what HParams shows of them
        with tf.summary.create_file_writer(str(logs.parent)).as_default():
            metrics = [hparams.Metric(f"trial/{name}", display_name=name) for name in measures]
            hparams.hparams_config([hparams.HParam(name) for name in names], metrics)
    with tf.summary.create_file_writer(str(logs)).as_default():
        hparams.hparams(dict(parameters), trial_id=logs.name)
        for name, value in measures.items():
            tf.summary.scalar(f"trial/{name}", value, step=0)


def _sprite(images: np.ndarray) -> np.ndarray:
    """Arranges thumbnails row by row in one square image for the projector: uint8 `(side, side, 3)`."""
    across = int(np.ceil(np.sqrt(len(images))))
    height, width, channels = images.shape[1:]
    grid = np.zeros((across * across, height, width, channels), dtype=np.uint8)
    grid[: len(images)] = images
    grid = grid.reshape(across, across, height, width, channels).swapaxes(1, 2)
    return grid.reshape(across * height, across * width, channels)


def _as_pixels(figure: Figure) -> np.ndarray:
    """Draw a figure, uint8 `(height, width, 3)`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))


class _Curves(keras.callbacks.TensorBoard):
    """The measures of each epoch.

    Args:
        logs: Folder of the run below logs/.
        hidden: Names of measures that are left out.
    """

    def __init__(self, logs: Path, hidden: frozenset[str]) -> None:
        # Keras 3 writes a conceptual graph alone, which TensorBoard's Graphs page fails to open at first.
        super().__init__(logs, histogram_freq=0, write_graph=False)
        self._hidden = hidden

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        shown = {name: value for name, value in (logs or {}).items() if name not in self._hidden}
        for before, part in (("accuracy", ""), ("val_accuracy", "val_")):
            if before in shown:
                shown[f"{part}{ACCURACY}"] = shown.pop(before)
        super().on_epoch_end(epoch, shown)


class _Settings(keras.callbacks.Callback):
    """The settings of a training as text, and where HParams compares runs by them.

    Args:
        logs: Folder of the run below logs/.
        settings: The settings.
        dataset: The dataset.
    """

    def __init__(self, logs: Path, settings: Settings, dataset: ImageSet) -> None:
        super().__init__()
        self._logs = logs
        counts = ", ".join(f"{len(dataset.ids(name)):,} {name}" for name in SPLITS)
        self._values = {"dataset": dataset.name, "images": counts} | {
            name: value for name, value in asdict(settings).items() if value is not None and name != "dataset"
        }
        self._is_written = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._is_written:  # in an earlier part of this training
            return
        self._is_written = True
        rows = [f"| {name} | {printable(str(value))} |" for name, value in self._values.items()]
        text = "\n".join(["| setting | value |", "| --- | --- |", *rows])
        measures = {"loss": "validation loss", "mse": "validation MSE", "copy_recall": "copy-recall"}
        metrics = [hparams.Metric(f"epoch_{name}", group="validation", display_name=m) for name, m in measures.items()]
        with tf.summary.create_file_writer(str(self._logs)).as_default():
            tf.summary.text("settings", text, step=0)
            known = {name: value for name, value in self._values.items() if name not in _NOT_COMPARED}
            hparams.hparams_config([hparams.HParam(name) for name in known], metrics)
            hparams.hparams(known, trial_id=self._logs.name)


class _CodesAndPictures(keras.callbacks.Callback):
    """Writes the graph, histograms of the codes each epoch, and reconstructions every few epochs."""

    def __init__(self, logs: Path, autoencoder: keras.Model, dataset: ImageSet, every: int) -> None:
        super().__init__()
        self._logs = logs
        self._autoencoder = autoencoder
        self._encoder = autoencoder.get_layer("encoder")
        self._every = max(every, 1)
        self._images = to_float(read_rows(dataset.images, validation_ids(dataset, _NUM_HISTOGRAM_IMAGES, item_bytes=4)))
        self._has_graph = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._writer = tf.summary.create_file_writer(str(self._logs))  # anew in each part of a training
        if self._has_graph:
            return
        signature = tf.TensorSpec((None, *self._images.shape[1:]), tf.float32, name="image")
        forward = tf.function(self._autoencoder, autograph=False).get_concrete_function(signature)
        with self._writer.as_default(step=0):
            tf.summary.graph(forward.graph)
        self._has_graph = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with self._writer.as_default(step=epoch):
            codes = self._encoder.predict_on_batch(self._images)
            for name, values in zip(number_names(codes.shape[1], kind_dim(self._encoder)), codes.T, strict=True):
                tf.summary.histogram(f"code/{name}", values)
            if epoch % self._every == 0 or epoch == self.params["epochs"] - 1:
                originals = self._images[:_NUM_PICTURES]
                decoded = self._autoencoder.predict_on_batch(originals).clip(0, 1)
                figure = image_grids.image_rows({"image": originals, "decoded": decoded})
                tf.summary.image("images and reconstructions", _as_pixels(figure)[None])
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._writer.close()
