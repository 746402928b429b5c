"""The corpus of a search in what was published to Milvus: no gallery is at hand, only the encoder."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from latentsearch import files
from latentsearch.data.image_files import ImageFileError
from latentsearch.data.scan import inode_of
from latentsearch.errors import InputError
from latentsearch.gallery.manifest import COMMAND, id_of, path_of
from latentsearch.gallery.published import PublishedStore
from latentsearch.models.encoder import Encoder
from latentsearch.runs import Run
from latentsearch.search.corpus import GREY, Corpus

_NUM_EXAMPLES = 500


class PublishedCorpus(Corpus):
    """Images whose codes, paths and classes are in Milvus; its gallery is the sample that was published with them.

    Args:
        run: The run of the encoder.
        autoencoder: The encoder.
        store: What was published.

    Raises:
        InputError: if it was published by another encoder.
    """

    def __init__(self, run: Run, autoencoder: Encoder, store: PublishedStore) -> None:
        manifest = store.manifest
        if manifest.encoder != autoencoder.fingerprint:
            raise InputError(
                f"--collection {manifest.publication} is of another encoder, that of run {manifest.run} then "
                f"({manifest.encoder[:12]}); run {run.name} has {autoencoder.fingerprint[:12]}.\nName the run that "
                f"published it by --run, or publish it again: {COMMAND} --help."
            )
        self._store = self.searcher = store
        self.metrics = store.metrics
        super().__init__(
            run, autoencoder, store.sample, fit=manifest.fit, name=f"collection {store.place}", look=store.look
        )

    def with_look(self, look: float) -> Self:
        if look != self.look:
            raise InputError(f"{self.name} is shown for a look of {self.look:g}.\nGive another by --look.")
        return self

    @property
    def num_images(self) -> int:
        return self._store.manifest.num_codes

    def holds(self, image_id: int) -> bool:
        return bool(self._store.rows([image_id]))

    def look_up(self, ids: Sequence[int]) -> None:
        self._store.rows(ids)

    def answering(self, labels: tuple[int, ...], ids: np.ndarray) -> tuple[int, bool]:
        return self._store.count(labels), any(
            not labels or self.class_of(image_id) in {self.class_names[label] for label in labels}
            for image_id in self._store.rows(ids[ids >= 0].tolist())
        )

    def code_of(self, image_id: int) -> np.ndarray:
        code: np.ndarray = self.autoencoder.encode(self.images(np.array([image_id])))[0]  # Milvus has it scaled
        return code

    @property
    def examples(self) -> np.ndarray:
        return self.gallery.ids[:_NUM_EXAMPLES]

    def images(self, ids: np.ndarray) -> np.ndarray:
        return np.stack([self._image(int(image_id), self.read) for image_id in ids])

    def picture(self, image_id: int, side: int) -> np.ndarray:
        return self._image(image_id, functools.partial(self.read_larger, side=side))

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._store.manifest.classes

    @property
    def labels(self) -> np.ndarray:
        numbers = {name: number for number, name in enumerate(self.class_names)}
        self.look_up(self.gallery.ids.tolist())
        return np.array([numbers.get(self.class_of(image_id), -1) for image_id in self.gallery.ids.tolist()], np.int64)

    @property
    def store_name(self) -> str:
        return self._stored(self._store.manifest.publication)

    def class_of(self, image_id: int) -> str:
        return str(self._store.rows([image_id]).get(image_id, {}).get("label", ""))

    def path_of(self, image_id: int) -> Path | None:
        row = self._store.rows([image_id]).get(image_id)
        return path_of(row["path"]) if row else None

    def id_of(self, path: Path) -> int | None:
        for name in (path.resolve(), path.absolute()):
            number = id_of(os.fsencode(name))
            if self.path_of(number) == name:
                return number
        try:
            digest = files.file_fingerprint(path)
        except OSError:
            return None
        return next(iter(self._of_file(path, digest)), None)  # it may be published under another name

    def same_file(self, image_id: int) -> frozenset[int]:
        row = self._store.rows([image_id]).get(image_id)
        others = self._of_file(path_of(row["path"]), row["digest"]) if row else []
        return super().same_file(image_id) | frozenset(others)

    def _of_file(self, path: Path, digest: str) -> list[int]:
        """List the images that are other names of a file: their content is equal."""
        inode = inode_of(path)
        rows = self._store.of_content(digest) if inode else []
        return [int(row["id"]) for row in rows if inode_of(path_of(row["path"])) == inode]

    def _image(self, image_id: int, read: Callable[[Path], np.ndarray]) -> np.ndarray:
        path = self.path_of(image_id)
        try:
            if path is not None:
                return read(path)
        except ImageFileError:  # gone or changed since it was encoded, or on storage that is not seen from here
            pass
        return np.full(self.autoencoder.image_shape, GREY, np.uint8)
