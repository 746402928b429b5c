"""API handlers of the page: plain values for JSON, and pictures as PNG."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from latentsearch.config import METRICS, Metric
from latentsearch.data import images
from latentsearch.errors import InputError
from latentsearch.page.code_map import CodeMap
from latentsearch.search import explanation
from latentsearch.search.corpus import Corpus
from latentsearch.search.percentiles import nearer_pairs
from latentsearch.search.queries import NOT_IN_CORPUS, Queries
from latentsearch.search.results import search
from latentsearch.text import printable

MAX_NEIGHBOURS = 200
NUM_EXAMPLES = 24
_LOOK_STEPS = 20  # positions of the slider between kind and look
_MAX_GROUPS, _MAX_COPIES = 200, 20  # of duplicates that are shown
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
    """

    query: Queries
    code: np.ndarray
    picture: np.ndarray


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
        if len(corpus.gallery.ids) < 2:
            raise InputError(f"{corpus.name} holds one image; expected two or more to search among.")
        self._corpus, self._lines, self._map = corpus, list(lines), code_map
        self._ids = frozenset(corpus.gallery.ids.tolist())
        self._by_look = {corpus.look: corpus}
        self._looking = threading.Lock()
        self._duplicates: dict[str, Any] | None = None
        self.max_k = min(MAX_NEIGHBOURS, len(self._ids) - 1)

    def about(self) -> dict[str, Any]:
        """Describe the corpus, and the options of a query."""
        return {
            "run": self._corpus.run.name,
            "name": self._corpus.name,
            "num_images": len(self._ids),
            "latent_dim": self._corpus.autoencoder.latent_dim,
            "classes": list(self._corpus.class_names),
            "lines": self._lines,
            "metrics": list(METRICS),
            "look": None if self._corpus.autoencoder.kind_dim is None else self._corpus.look,
            "max_k": self.max_k,
        }

    def examples(self, seed: int) -> list[dict[str, Any]]:
        """Choose some images to begin with."""
        ids = self._corpus.examples
        chosen = np.random.default_rng(seed).permutation(len(ids))[:NUM_EXAMPLES]
        return [self._image(int(ids[position])) for position in chosen]

    def picture(self, image_id: int) -> bytes:
        """Draw an image of the corpus as PNG.

        Raises:
            UnknownImageError: if there is no such image.
        """
        return _png(self._corpus.picture(self._known(image_id), _SIDE))

    def ask_about(self, image_id: int) -> Asked:
        """Make an image of the corpus a query.

        Raises:
            UnknownImageError: if there is no such image.
        """
        ids = np.array([self._known(image_id)])
        query = Queries([self._corpus.name_of(image_id)], self._corpus.images(ids), ids)
        return Asked(query, self._corpus.gallery.code_of(ids), self._corpus.picture(image_id, _SIDE))

    def ask_about_file(self, content: bytes, name: str) -> Asked:
        """Make the content of an image file a query; it is kept nowhere.

        Raises:
            ImageFileError: if it is not an image that can be read.
        """
        shape, fit = self._corpus.autoencoder.image_shape, self._corpus.fit
        image = images.decode(content, shape, fit=fit, name=name)
        picture = images.decode_larger(content, shape, _SIDE, fit=fit, name=name)
        code = self._corpus.autoencoder.encode(image[None])
        return Asked(Queries([name], image[None], np.array([NOT_IN_CORPUS])), code, picture)

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
                {**self._image(hit.id), **hit._asdict(), "pairs": nearer_pairs(hit.score)}
                for hit in results.hits[metric][0]
            ],
            "place": self._place(asked, metric),
        }  # fmt: skip

    def explanation(self, asked: Asked, neighbour: int, *, metric: Metric, look: float | None = None) -> dict[str, Any]:
        """Explain why an image is near the query.

        Raises:
            UnknownImageError: if there is no image `neighbour`.
        """
        ids = np.array([self._known(neighbour)])
        image, code = self._corpus.images(ids)[0], self._corpus.gallery.code_of(ids)[0]
        autoencoder = self._corpus.autoencoder
        found = explanation.explain(
            asked.query.images[0],
            asked.code[0],
            image,
            code,
            metric=metric,
            autoencoder=autoencoder,
            weights=self._at(look).weights,
        )
        decoded = (found.path * 255).round().astype(np.uint8)
        return {
            "query": self._query(asked),
            "neighbour": self._image(neighbour),
            "seen": [_data_url(found.query), _data_url(found.neighbour)],
            "path": [_data_url(step) for step in decoded],
            "shares": found.shares.tolist(),
            "codes": [asked.code[0].tolist(), code.tolist()],
        }

    def map(self) -> dict[str, Any]:
        """Return the map of the codes, or its progress."""
        points = self._map.points
        if points is None:
            return {"state": self._map.state}
        number = {name: position for position, name in enumerate(self._corpus.class_names)}
        x, y = points.places.astype(float).round(4).T.tolist()
        ids = points.ids.tolist()
        classes = [number.get(self._corpus.class_of(image_id), -1) for image_id in ids]
        names = [self._image(image_id)["name"] for image_id in ids]
        return {"state": "ready", "ids": ids, "x": x, "y": y, "classes": classes, "names": names}

    def duplicates(self) -> dict[str, Any]:
        """The groups of duplicates, looked for when first asked; at most 200 groups of 20 images are shown."""
        with self._looking:  # who asks meanwhile waits for the same answer
            if self._duplicates is None:
                self._duplicates = self._find_duplicates()
            return self._duplicates

    def _find_duplicates(self) -> dict[str, Any]:
        from latentsearch.search import duplicates, duplicates_output  # slow to import

        found = duplicates.find_groups(self._corpus)
        groups = [
            {
                "num_images": len(group),
                "images": [
                    {**self._image(copy.id), "kind": copy.kind, "likeness": copy.likeness, "bytes": copy.size}
                    for copy in group[:_MAX_COPIES]
                ],
            }
            for group in found.groups[:_MAX_GROUPS]
        ]
        return {"words": duplicates_output.in_words(found)[-1], "num_groups": len(found.groups), "groups": groups}

    def _image(self, image_id: int) -> dict[str, Any]:
        path = self._corpus.path_of(image_id)
        return {
            "id": image_id,
            "name": printable(path.name if path else self._corpus.name_of(image_id)),
            "path": printable(path) if path else None,
            "class": self._corpus.class_of(image_id),
        }

    def _query(self, asked: Asked) -> dict[str, Any]:
        image_id = int(asked.query.ids[0])
        if image_id == NOT_IN_CORPUS:
            image = {"id": None, "name": printable(asked.query.names[0]), "path": None, "class": ""}
        else:
            image = self._image(image_id)
        return {**image, "picture": _data_url(asked.picture)}

    def _place(self, asked: Asked, metric: Metric) -> int | None:
        """Find the image on the map whose code is nearest."""
        points = self._map.points
        if points is None:
            return None
        on_map = self._corpus.gallery.only(points.ids)
        return int(on_map.ask(asked.code, 1, metric=metric).ids[0, 0])

    def _at(self, look: float | None) -> Corpus:
        """Return the corpus with this share of the look code, rounded to a twentieth: so few are kept ready."""
        if look is None:
            return self._corpus
        look = round(look * _LOOK_STEPS) / _LOOK_STEPS
        if look not in self._by_look:
            self._by_look[look] = self._corpus.with_look(look)
        return self._by_look[look]

    def _known(self, image_id: int) -> int:
        if image_id not in self._ids:
            raise UnknownImageError(f"There is no image {image_id} in this corpus.")
        return image_id


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _data_url(image: np.ndarray) -> str:
    return "data:image/png;base64," + base64.b64encode(_png(image)).decode()
