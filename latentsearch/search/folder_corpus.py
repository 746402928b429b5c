"""The corpus of a search in a folder of images."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

from latentsearch.data.image_files import ImageFileError
from latentsearch.data.scan import inode_of
from latentsearch.gallery.folder import FolderGallery, gallery_path
from latentsearch.models.encoder import Encoder
from latentsearch.runs import Run
from latentsearch.search.corpus import GREY, Corpus
from latentsearch.text import printable


class FolderCorpus(Corpus):
    """A folder of images, encoded by a trained run."""

    def __init__(self, run: Run, autoencoder: Encoder, content: FolderGallery, *, look: float | None = None) -> None:
        self.content, self.folder = content, content.folder
        self._files = dict(zip(content.gallery.ids.tolist(), content.files, strict=True))
        super().__init__(
            run, autoencoder, content.gallery, fit=content.origin.fit, name=printable(content.folder), look=look
        )

    @property
    def examples(self) -> np.ndarray:
        return self.gallery.ids

    def images(self, ids: np.ndarray) -> np.ndarray:
        return np.stack([self._image(int(image_id), self.read) for image_id in ids])

    def picture(self, image_id: int, side: int) -> np.ndarray:
        return self._image(image_id, functools.partial(self.read_larger, side=side))

    @property
    def store_name(self) -> str:
        return self._stored(f"{self.run.name}/{gallery_path(self.run.folder_galleries, self.content.folder).stem}")

    def path_of(self, image_id: int) -> Path | None:
        path: Path = self.content.folder / self._files[image_id].path
        return path

    def id_of(self, path: Path) -> int | None:
        named = self._id_at.get(path.resolve())
        return next(iter(self._ids_of(path)), None) if named is None else named

    def same_file(self, image_id: int) -> frozenset[int]:
        return super().same_file(image_id) | frozenset(self._ids_of(self.content.folder / self._files[image_id].path))

    def _ids_of(self, path: Path) -> list[int]:
        inode = inode_of(path)
        candidates = self._ids_of_inode.get(inode[1], []) if inode else []
        return [number for number in candidates if inode_of(self.content.folder / self._files[number].path) == inode]

    @cached_property
    def _ids_of_inode(self) -> dict[int, list[int]]:
        """Images by the inode of their files at the last synchronisation."""
        found = defaultdict(list)
        for image_id, file in self._files.items():
            found[file.inode].append(image_id)
        return found

    @cached_property
    def _id_at(self) -> dict[Path, int]:
        return {self.content.folder / file.path: image_id for image_id, file in self._files.items()}

    def _image(self, image_id: int, read: Callable[[Path], np.ndarray]) -> np.ndarray:
        try:
            return read(self.content.folder / self._files[image_id].path)
        except ImageFileError:  # gone or changed since it was encoded
            return np.full(self.autoencoder.image_shape, GREY, np.uint8)
