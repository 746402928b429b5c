"""Ingestion of image files into one array on disk, in chunks: an interruption costs one chunk at most."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from latentsearch import files
from latentsearch.bounds import check_size
from latentsearch.config import Fit
from latentsearch.data.image_files import TRANSIENT, ImageFileError, Reason
from latentsearch.data.images import Decoded, read_file
from latentsearch.data.scan import Skipped
from latentsearch.failures import check_damage

IMAGES_FILE = "images.npy"
JOURNAL_FILE = "journal.jsonl"

_CHUNK = 512  # files
_NUM_THREADS = min(os.cpu_count() or 1, 8)  # each may hold a large picture


def decode_files(
    source: Path, paths: Sequence[str], folder: Path, *, listing: str, image_size: int, fit: Fit
) -> tuple[int, dict[int, Skipped], dict[str, int]]:
    """Read image files into `folder`/images.npy, going on where an interrupted call for the same listing stopped.

    Args:
        source: Folder that the paths are relative to.
        paths: Paths of the files.
        folder: Folder of the result: images.npy, uint8 `(num_images, image_size, image_size, 3)` of the files that
            can be used, in the order of `paths`, and the journal of the finished chunks.
        listing: Hash of the paths, the content of the files and the form of the images; another one has all
            read anew.
        image_size: Side of the images in pixels.
        fit: See `images.read_image`.

    Returns:
        The number of images, the other files by their position in `paths`, and the number of images that were scaled by
        their own range, by the kind of their pixels.
    """
    shape = (image_size, image_size, 3)

    def read(path: str) -> Decoded | Skipped:
        try:
            return read_file(source / path, shape, fit=fit)
        except ImageFileError as error:
            return Skipped(path, error.reason, error.detail)

    journal = _Journal(folder, listing, shape)
    # Pillow decodes without holding Python's lock, so threads share the work.
    with (
        ThreadPoolExecutor(_NUM_THREADS) as pool,
        tqdm(total=len(paths), initial=journal.num_files, desc="reading images", unit=" files") as bar,
    ):
        for start in range(journal.num_files, len(paths), _CHUNK):
            results = []
            for result in pool.map(read, paths[start : start + _CHUNK]):
                results.append(result)
                bar.update()
            journal.append(results)
    journal.finish()
    skipped = {number: Skipped(paths[number], *why) for number, why in journal.skipped.items()}
    return journal.num_images, skipped, dict(journal.by_range.most_common())


class _Journal:
    """The images of the finished chunks, and a line for each chunk, written when its images are on disk.

    Args:
        folder: Folder of both files. Those of another listing are deleted.
        listing: See `decode_files`.
        image_shape: Shape of one image.

    Attributes:
        num_files: Number of files that were read so far.
        num_images: Number of images among them.
        skipped: Reason and detail of the other files, by position.
        by_range: Number of images that were scaled by their own range, by the kind of their pixels.
    """

    def __init__(self, folder: Path, listing: str, image_shape: tuple[int, int, int]) -> None:
        self._images, self._lines = folder / IMAGES_FILE, folder / JOURNAL_FILE
        self._shape = image_shape
        self.num_files = self.num_images = 0
        self.skipped: dict[int, tuple[Reason, str]] = {}
        self.by_range: Counter[str] = Counter()
        try:
            self._go_on(listing)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # not there, or damaged
            check_damage(error)
            self.num_files, self.num_images, self.skipped, self.by_range = 0, 0, {}, Counter()
            files.remove(folder, within=folder.parent)
            with files.writing(files.claim(self._images)):
                self._images.write_bytes(self._header())
            with files.writing(files.claim(self._lines)):
                self._lines.write_text(json.dumps({"listing": listing}) + "\n")

    def _go_on(self, listing: str) -> None:
        """Take over the chunks that are whole, and cut off what comes after them."""
        check_size(self._lines)
        first, *lines = self._lines.read_bytes().splitlines(keepends=True)
        if json.loads(first) != {"listing": listing}:
            raise ValueError("the journal is of other files")
        length = len(first)
        for line in lines:
            if not line.endswith(b"\n"):  # cut short by a kill
                break
            chunk = json.loads(line)
            if any(reason in TRANSIENT for _, reason, _ in chunk["skipped"]):  # to be tried again
                break
            self.num_files, self.num_images = chunk["files"], chunk["images"]
            self.skipped |= {number: (reason, detail) for number, reason, detail in chunk["skipped"]}
            self.by_range = Counter({str(kind): int(count) for kind, count in chunk["by_range"].items()})
            length += len(line)
        size = self._offset_of(self.num_images)
        if self._images.stat().st_size < size:
            raise ValueError("images are missing")
        os.truncate(self._images, size)
        os.truncate(self._lines, length)

    def append(self, results: Sequence[Decoded | Skipped]) -> None:
        """Append a chunk."""
        images = [result for result in results if not isinstance(result, Skipped)]
        skipped = [
            (number, result.reason, result.detail)
            for number, result in enumerate(results, start=self.num_files)
            if isinstance(result, Skipped)
        ]
        self.num_files += len(results)
        self.num_images += len(images)
        self.by_range.update(image.by_range for image in images if image.by_range)
        self.skipped |= {number: (reason, detail) for number, reason, detail in skipped}
        with files.writing(self._images, needed=self._offset_of(self.num_images)):
            with open(self._images, "ab") as file:
                file.writelines(image.pixels.tobytes() for image in images)
            files.flush(self._images)
        chunk = {"files": self.num_files, "images": self.num_images, "skipped": skipped, "by_range": self.by_range}
        with files.writing(self._lines):
            with open(self._lines, "a", encoding="utf-8") as file:
                file.write(json.dumps(chunk) + "\n")
            files.flush(self._lines)

    def finish(self) -> None:
        """Complete the header of the .npy file with the number of images."""
        with files.writing(self._images):
            with open(self._images, "r+b") as file:
                file.write(self._header())
            files.flush(self._images)

    def _header(self) -> bytes:
        """Make the header of the .npy file; NumPy leaves room for the first axis, so its length is always the same."""
        buffer = io.BytesIO()
        content = {"descr": "|u1", "fortran_order": False, "shape": (self.num_images, *self._shape)}
        np.lib.format.write_array_header_1_0(buffer, content)
        return buffer.getvalue()

    def _offset_of(self, num_images: int) -> int:
        return len(self._header()) + num_images * int(np.prod(self._shape))
