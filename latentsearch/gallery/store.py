"""Stores of codes for searching: their interface, and the one within this process."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from latentsearch.config import Metric
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.index import Neighbours


@dataclass(frozen=True)
class Changes:
    """Numbers of codes that a store had already, and that it got or lost."""

    unchanged: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{count:,} {name}" for name, count in asdict(self).items())


class Searcher(Protocol):
    """Codes that can be searched for those nearest to a query."""

    @property
    def place(self) -> str:
        """Place of the codes, for the terminal; empty for a store that ends with this process."""

    def search(
        self,
        codes: np.ndarray,
        k: int,
        *,
        metric: Metric,
        exclude: np.ndarray | None = None,
        only: tuple[int, ...] = (),
    ) -> Neighbours:
        """Find the `k` images whose codes are nearest to each of `codes`; see `index.Index.search`.

        Args:
            codes: Codes of the queries, `(num_queries, latent_dim)`, finite.
            k: Neighbours of each query, from 1 to the number of images searched (less one when `exclude` is given).
            metric: Metric of the search.
            exclude: Id to leave out of the results of each query, such as its own, int `(num_queries,)`.
            only: Labels that results are restricted to; (): all images.

        Raises:
            ValueError: if a shape, a value or k is not as stated.
            InputError: if the store does not respond.
        """

    def close(self) -> None:
        """End the use of the store; its content stays."""


class Store(Searcher, Protocol):
    """A store of the codes of one gallery, which follows the gallery."""

    def sync(
        self, name: str, gallery: Gallery, labels: np.ndarray, *, compare: bool = True, verify: bool = False
    ) -> Changes:
        """Bring the store up to date with a gallery, which it searches from then on.

        A call after any interruption completes it: no code twice, none missing, none of another encoder.

        Args:
            name: Name of the gallery; codes under other names are left alone.
            gallery: The gallery, of at least one code.
            labels: Class of each image, int64 `(num_images,)`; -1 where there is none.
            compare: Compare the codes that are kept from before, where they may have changed; False: only count them.
            verify: Compare every one of them.

        Raises:
            InputError: if the store does not respond, or without `compare` holds something else.
        """

    def ids(self, *, metric: Metric) -> np.ndarray:
        """List the ids of the codes, int64, ascending."""


class EmbeddedStore:
    """A store that searches the gallery itself, in this process."""

    place = ""

    def sync(
        self, name: str, gallery: Gallery, labels: np.ndarray, *, compare: bool = True, verify: bool = False
    ) -> Changes:
        """See `Store.sync`; only the file of the gallery outlasts the process."""
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
