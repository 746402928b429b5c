"""A sample of the images of a publication, drawn by Spark, which the distances of a search are judged by."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latentsearch.config import Fit
from latentsearch.data.image_files import ImageFileError
from latentsearch.data.images import read_image
from latentsearch.errors import InputError
from latentsearch.gallery import gallery
from latentsearch.models.encoder import Encoder
from latentsearch.publish import storage
from latentsearch.publish.contents import Contents

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NUM_IMAGES = 5000
_NUM_EXAMINED = 500
_MOST_CLASSES = 1000
_FINE = 10**9


@dataclass(frozen=True)
class Sample:
    """Images drawn at random by the hash of their ids, so that each call draws the same ones.

    Args:
        ids: Their ids, int64 `(num_images,)`.
        paths: Their files.
        codes: Their codes, float32 `(num_images, latent_dim)`.
    """

    ids: np.ndarray
    paths: list[Path]
    codes: np.ndarray


def draw(session: SparkSession, contents: Contents) -> Sample:
    """Draw (at most 5,000) images."""
    from pyspark.sql import functions

    number = functions.xxhash64("id", functions.lit("sample"))
    share = min(1.0, 2 * _NUM_IMAGES / contents.num_codes + 0.001)
    rows = storage.read(session, contents.folder).filter("digest is not null").withColumn("number", number)
    few = rows.filter(functions.expr(f"pmod(number, {_FINE}) < {int(share * _FINE)}"))
    found = few.orderBy("number").select("id", "path", "code").limit(_NUM_IMAGES).collect()
    ids = np.array([row[0] for row in found], np.int64)
    paths = [Path(os.fsdecode(bytes(row[1]))) for row in found]
    return Sample(ids, paths, np.array([row[2] for row in found], np.float32))


def corrupted_copies(sample: Sample, autoencoder: Encoder, fit: Fit) -> np.ndarray:
    """Encode corrupted copies of (at most 500) images: see `gallery.Gallery.copies`."""
    rows, images = [], []
    for row, path in enumerate(sample.paths[:_NUM_EXAMINED]):
        try:
            images.append(read_image(path, autoencoder.image_shape, fit=fit))
            rows.append(row)
        except ImageFileError:  # gone in the meantime
            continue
    shape = (len(images), *autoencoder.image_shape)
    return gallery.examined(sample.codes[rows], np.array(images, np.uint8).reshape(shape), autoencoder)[0]


def classes(session: SparkSession, contents: Contents) -> tuple[str, ...]:
    """List the classes of the images.

    Raises:
        InputError: if there are more than 1,000.
    """
    labels = storage.read(session, contents.folder).filter("label is not null and digest is not null")
    names = sorted(row[0] for row in labels.select("label").distinct().limit(_MOST_CLASSES + 1).collect())
    if len(names) > _MOST_CLASSES:
        raise InputError(f"the column label holds more than {_MOST_CLASSES:,} classes. Leave it out.")
    return tuple(names)
