"""A page of a small folder of images, without Keras, for the tests of the page."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from fuzzing.colours import MeanColours
from latentsearch.gallery.sync import sync
from latentsearch.page.api import Handlers
from latentsearch.page.app import make_app
from latentsearch.page.code_map import CodeMap
from latentsearch.runs import Run
from latentsearch.search.folder_corpus import FolderCorpus

ASK = {"k": 3, "metric": "euclidean", "min_score": 0}


def png(colour, size=(20, 10)):
    """The bytes of an image of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def pixels(content):
    """The image that is in these bytes."""
    return np.asarray(Image.open(io.BytesIO(content)))


class RedAndBlue(MeanColours):
    """Stands for an autoencoder: the code of an image is its mean red and blue."""

    latent_dim, fingerprint = 2, "red and blue"

    def encode(self, images):
        return super().encode(images)[:, ::2]

    def decode(self, codes):
        return super().decode(np.stack([codes[:, 0], codes[:, 1], codes[:, 1]], axis=1))


class ByFolder(FolderCorpus):
    """A folder whose images are of the class that their folder names."""

    class_names = ("blue", "red")

    def class_of(self, image_id):
        return self.path_of(image_id).parent.name


def make_images(folder: Path) -> None:
    """Thirty images from blue to red, in two folders."""
    for number in range(30):
        path = folder / ("blue" if number < 15 else "red") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (number * 8, 90, 240 - number * 8)).save(path)


def make_page(root: Path, folder: Path):
    """The corpus, its map, and the application."""
    run, autoencoder = Run(root, "colours"), RedAndBlue()
    content, _ = sync(root / "gallery.npz", folder, autoencoder)
    corpus = ByFolder(run, autoencoder, content)
    code_map = CodeMap(root / "map.npz", corpus.gallery)
    return corpus, code_map, make_app(Handlers(corpus, ["these images are known"], code_map), code_map)
