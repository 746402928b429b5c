"""Where codes are kept for searching: what every such store does, and the one that needs nothing but this process."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from latentsearch.config import Metric
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.index import Neighbours


@dataclass(frozen=True)
class Changes:
    """How many codes of a gallery a store had already, and how many it got or lost."""

    unchanged: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{count:,} {name}" for name, count in asdict(self).items())


class Store(Protocol):
    """Holds the codes of one gallery and answers which are nearest to a query."""

    @property
    def place(self) -> str:
        """Where the codes are, for the terminal; empty for a store that lives and ends with this process."""

    def sync(self, name: str, gallery: Gallery, labels: np.ndarray, *, compare: bool = True) -> Changes:
        """Brings the store up to date with a gallery, which it answers from then on.

        Called again after any interruption it ends right: no code twice, none missing, none of another encoder.

        Args:
            name: What the gallery is of: what has another name is left alone.
            gallery: At least one code.
            labels: Class of each of its images, int64 `(num_images,)`; -1 where there is none.
            compare: Look at every code that is kept from before; False: only see that there are as many.

        Raises:
            InputError: if the store does not answer, or without `compare` holds something else.
        """

    def ids(self, *, metric: Metric) -> np.ndarray:
        """Ids of the codes that it holds, int64, ascending."""

    def search(
        self,
        codes: np.ndarray,
        k: int,
        *,
        metric: Metric,
        exclude: np.ndarray | None = None,
        only: tuple[int, ...] = (),
    ) -> Neighbours:
        """The `k` images whose codes are nearest to each of `codes`; see `index.Index.search`.

        Args:
            codes: `(num_queries, latent_dim)`, finite.
            k: At least 1, at most the number of images that can answer (less one when `exclude` is given).
            metric: How codes are compared.
            exclude: int `(num_queries,)`: for each query the id that may not answer, such as its own.
            only: Labels of the images that may answer; none: all images.

        Raises:
            ValueError: if a shape, a value or k is not as stated.
            InputError: if the store does not answer.
        """

    def close(self) -> None:
        """Ends the use of the store; what it holds stays."""


class EmbeddedStore:
    """Answer from the gallery itself, in this process."""

    place = ""

    def sync(self, name: str, gallery: Gallery, labels: np.ndarray, *, compare: bool = True) -> Changes:
        """See `Store.sync`; what is kept from run to run is the file of the gallery."""
        self._gallery, self._labels = gallery, labels
        return Changes(unchanged=len(gallery.ids))

    def ids(self, *, metric: Metric) -> np.ndarray:
        """See `Store.ids`."""
        return np.sort(self._gallery.ids)

    def search(
        self,
        codes: np.ndarray,
        k: int,
        *,
        metric: Metric,
        exclude: np.ndarray | None = None,
        only: tuple[int, ...] = (),
    ) -> Neighbours:
        """See `Store.search`."""
        gallery = self._gallery.only(self._gallery.ids[np.isin(self._labels, only)]) if only else self._gallery
        return gallery.ask(codes, k, metric=metric, exclude=exclude)

    def close(self) -> None:
        """See `Store.close`."""
