"""API handlers of the page: plain values for JSON, and pictures as PNG."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from latentsearch import runs
from latentsearch.config import Metric
from latentsearch.data import images
from latentsearch.errors import InputError
from latentsearch.page import originals
from latentsearch.page.code_map import CodeMap
from latentsearch.page.duplicate_groups import DuplicateGroups
from latentsearch.page.groups import group
from latentsearch.page.image_record import id_for_browser, image_record
from latentsearch.page.originals import Original
from latentsearch.page.recognition import find_itself
from latentsearch.search.corpus import Corpus
from latentsearch.search.explanation import End, Explainer
from latentsearch.search.percentiles import nearer_pairs
from latentsearch.search.queries import NOT_IN_CORPUS, Queries
from latentsearch.search.results import search
from latentsearch.text import csv_text, printable

MAX_NEIGHBOURS = 200
NUM_EXAMPLES = 24
_LOOK_STEPS = 20  # positions of the slider between kind and look
_SIDE = 192  # pixels of a thumbnail, where there are as many


class UnknownImageError(InputError):
    """An error for an id that no image of the corpus has."""


@dataclass(frozen=True)
class Asked:
    """One query of the page.

    Args:
        query: The query, a single one.
        code: Code of the image, `(1, latent_dim)`.
        picture: Picture for the viewer, uint8 `(height, width, 3)`.
        is_known: Whether it came as a file whose image is in the corpus: the query is that image then.
    """

    query: Queries
    code: np.ndarray
    picture: np.ndarray
    is_known: bool = False


class Handlers:
    """The handlers of the requests of the page, for one corpus.

    Args:
        corpus: Corpus of at least two images.
        lines: Lines to show about it.
        code_map: Map of its codes.

    Raises:
        InputError: if there are fewer images.
    """

    def __init__(self, corpus: Corpus, lines: Sequence[str], code_map: CodeMap) -> None:
        if corpus.num_images < 2:
            raise InputError(f"{corpus.name} holds one image; expected two or more to search among.")
        self._corpus, self._lines, self._map = corpus, list(lines), code_map
        self._by_look = {corpus.look: corpus}
        # What is published elsewhere is not at hand as a whole.
        self._duplicates = None if corpus.searcher is not None else DuplicateGroups(corpus)
        self.max_k, self.metrics = min(MAX_NEIGHBOURS, corpus.num_images - 1), corpus.metrics

    def about(self) -> dict[str, Any]:
        """Describe the corpus, and the options of a query."""
        run = self._corpus.run
        return {
            "run": run.name,
            "name": self._corpus.name,
            "num_images": self._corpus.num_images,
            "latent_dim": self._corpus.autoencoder.latent_dim,
            "classes": list(self._corpus.class_names),
            "lines": self._lines,
            "check_command": run.command("SanityChecks.py") if runs.has_dataset(run.root, run.name) else None,
            "metrics": list(self.metrics),
            "look": self._corpus.look if self._corpus.looks_vary else None,
            "has_duplicates": self._duplicates is not None,
            "max_k": self.max_k,
        }

    def examples(self, seed: int) -> list[dict[str, Any]]:
        """Choose some images to begin with."""
        ids = np.random.default_rng(seed).permutation(self._corpus.examples)[:NUM_EXAMPLES].tolist()
        self._corpus.look_up(ids)
        return [self._image(one) for one in ids if self._corpus.holds(one)]  # some may be published no more

    def picture(self, image_id: int) -> bytes:
        """Draw an image of the corpus as PNG.

        Raises:
            UnknownImageError: if there is no such image.
        """
        return _png(self._corpus.picture(self._known(image_id), _SIDE))

    def large_picture(self, image_id: int) -> bytes:
        """Draw an image of the corpus large and whole, as PNG.

        Raises:
            UnknownImageError: if there is no such image.
        """
        return _png(originals.large(self._corpus, self._known(image_id)))

    def details(self, image_id: int) -> dict[str, Any]:
        """Tell what the file of an image is.

        Raises:
            UnknownImageError: if there is no such image.
        """
        return {**self._image(self._known(image_id)), **originals.describe(self._corpus, image_id)}

    def original(self, image_id: int) -> Original:
        """Read the file of an image; its pixels as PNG where there is no file.

        Raises:
            InputError: if there is no such image, or its file cannot be served.
        """
        found = originals.read(self._corpus, self._known(image_id))
        return found or Original(iter([self.picture(image_id)]), "image/png", f"{image_id}.png")

    def images(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """Name images, their files and classes.

        Raises:
            UnknownImageError: if there is no such image.
        """
        self._corpus.look_up(ids)
        return [self._image(self._known(image_id)) for image_id in ids]

    def list_as_csv(self, ids: Sequence[int]) -> str:
        """Write a list of images as CSV: path, empty where there is no file, id and class.

        Raises:
            UnknownImageError: if there is no such image.
        """
        rows = [(image["path"] or "", image["id"], image["class"]) for image in self.images(ids)]
        return csv_text(("path", "id", "class"), rows)

    def ask_about(self, image_id: int) -> Asked:
        """Make an image of the corpus a query.

        Raises:
            UnknownImageError: if there is no such image.
        """
        ids = np.array([self._known(image_id)])
        query = Queries([self._corpus.name_of(image_id)], self._corpus.images(ids), ids)
        return Asked(query, self._corpus.code_of(image_id)[None], self._corpus.picture(image_id, _SIDE))

    def ask_about_file(self, content: bytes, name: str) -> Asked:
        """Make the content of an image file a query; it is kept nowhere. An image of the corpus is known as itself.

        Raises:
            ImageFileError: if it is not an image that can be read.
        """
        shape, fit = self._corpus.autoencoder.image_shape, self._corpus.fit
        image = images.decode(content, shape, fit=fit, name=name)
        picture = images.decode_larger(content, shape, _SIDE, fit=fit, name=name)
        code = self._corpus.autoencoder.encode(image[None])
        known = find_itself(self._corpus, image, code, name)
        ids = np.array([NOT_IN_CORPUS if known is None else known])
        return Asked(Queries([name], image[None], ids), code, picture, is_known=known is not None)

    def neighbours(
        self, asked: Asked, *, k: int, metric: Metric, min_score: float, look: float | None = None
    ) -> dict[str, Any]:
        """Find the images nearest to the query, and the nearest point of the map.

        Raises:
            InputError: if a share of the look code is given and the run has a single code.
        """
        corpus = self._at(look)
        results = search(asked.query, corpus, k=k, metrics=(metric,), min_score=min_score, codes=asked.code)
        return {
            "query": self._query(asked),
            "neighbours": [
                {**hit._asdict(), **self._image(hit.id), "pairs": nearer_pairs(hit.score)}
                for hit in results.hits[metric][0]
            ],
            "place": self._place(asked, metric),
        }  # fmt: skip

    def explanation(self, asked: Asked, neighbour: int, *, metric: Metric, look: float | None = None) -> dict[str, Any]:
        """Explain why an image is near the query.

        Raises:
            UnknownImageError: if there is no image `neighbour`.
        """
        codes = asked.code[0], self._corpus.code_of(self._known(neighbour))
        corpus = self._at(look)
        found = Explainer(corpus, metric).explain(int(asked.query.ids[0]), codes[0], neighbour, codes[1])
        decoded = (found.decoded * 255).round().astype(np.uint8)
        return {
            "query": self._query(asked),
            "neighbour": self._image(neighbour),
            "decoded": [_data_url(image) for image in decoded],
            "alike": [
                {"name": one.name, "end": self._end(one.end), "beyond": [100 * share for share in one.beyond]}
                for one in found.alike
            ],
            "apart": [
                {"name": one.name, "share": one.share, "places": one.places, "ends": list(map(self._end, one.ends))}
                for one in found.apart
            ],
            "names": found.names,
            "shares": found.shares.tolist(),
            "codes": [code.tolist() for code in codes],
        }

    def _end(self, end: End) -> dict[str, Any]:
        words = "high end" if end.is_high else "low end"
        return {"words": words, "classes": end.of_class.in_words, "images": self.images(end.ids)}

    def map(self) -> dict[str, Any]:
        """Return the map of the codes, or its progress."""
        points = self._map.points
        if points is None:
            return {"state": self._map.state}
        x, y = points.places.astype(float).round(4).T.tolist()
        ids = points.ids.tolist()
        self._corpus.look_up(ids)
        grouped = group(self._corpus, ids)
        names = [self._image(image_id)["name"] for image_id in ids]
        return {
            "state": "ready",
            "ids": list(map(id_for_browser, ids)),
            "x": x,
            "y": y,
            "names": names,
            "grouped_by": grouped.by,
            "groups": grouped.names,
            "group_of": grouped.numbers,
        }

    def duplicates(self) -> dict[str, Any]:
        """Return the groups of duplicates, looked for when first asked for, or the share of that work that is done.

        Raises:
            InputError: if the images are published elsewhere.
        """
        if self._duplicates is None:
            raise InputError(f"Duplicates are not looked for in {self._corpus.name}.")
        return self._duplicates.as_record()

    def _image(self, image_id: int) -> dict[str, Any]:
        return image_record(self._corpus, image_id)

    def _query(self, asked: Asked) -> dict[str, Any]:
        image_id = int(asked.query.ids[0])
        if image_id == NOT_IN_CORPUS:
            image = {"id": None, "name": printable(asked.query.names[0]), "path": None, "place": None, "class": ""}
        else:
            image = self._image(image_id)
        return {**image, "is_known": asked.is_known, "picture": _data_url(asked.picture)}

    def _place(self, asked: Asked, metric: Metric) -> int | str | None:
        """Find the image on the map whose code is nearest."""
        points = self._map.points
        if points is None:
            return None
        on_map = self._corpus.gallery.only(points.ids)
        return id_for_browser(int(on_map.ask(asked.code, 1, metric=metric).ids[0, 0]))

    def _at(self, look: float | None) -> Corpus:
        """Return the corpus with this share of the look code, rounded to a twentieth: so few are kept ready."""
        if look is None:
            return self._corpus
        look = round(look * _LOOK_STEPS) / _LOOK_STEPS
        if look not in self._by_look:
            self._by_look[look] = self._corpus.with_look(look)
        return self._by_look[look]

    def _known(self, image_id: int) -> int:
        if not self._corpus.holds(image_id):
            raise UnknownImageError(f"There is no image {image_id} in this corpus.")
        return image_id


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _data_url(image: np.ndarray) -> str:
    return "data:image/png;base64," + base64.b64encode(_png(image)).decode()
