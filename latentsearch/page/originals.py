"""The files behind the images of a corpus: their sizes, large pictures of them, and the files themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from latentsearch.data import image_files, images, originals
from latentsearch.data.image_files import ImageFileError
from latentsearch.search.corpus import Corpus
from latentsearch.text import printable

_SIDE = 1600  # most pixels of a large picture
_BLOCK = 2**18  # bytes that are held of a large file while it is served
_CHECKED = (32, 32, 3)  # pixels at which a file is decoded before it is served: all of it must be an image


class Original(NamedTuple):
    """An image file as it is.

    Args:
        content: Its bytes, in blocks.
        media_type: Media type of its content.
        name: Name of the file.
    """

    content: Iterator[bytes]
    media_type: str
    name: str


def describe(corpus: Corpus, image_id: int) -> dict[str, Any]:
    """Tell the sizes of the file of an image, or why it cannot be read; of an image without a file, its own."""
    path = corpus.path_of(image_id)
    if path is None:
        height, width = corpus.images(np.array([image_id]))[0].shape[:2]
        return {"width": width, "height": height, "bytes": None, "type": None, "problem": None}
    try:
        with image_files.opened(path) as content:
            found = originals.measure(content, str(path))
    except ImageFileError as error:
        return {"width": None, "height": None, "bytes": None, "type": None, "problem": str(error)}
    kind = found.media_type.rpartition("/")[2].upper()
    return {"width": found.width, "height": found.height, "bytes": found.size, "type": kind, "problem": None}


def large(corpus: Corpus, image_id: int) -> np.ndarray:
    """Read an image for a large view, uint8: whole, at most 1,600 pixels long; grey where the file is gone."""
    path = corpus.path_of(image_id)
    if path is not None:
        try:
            with image_files.opened(path) as content:
                return originals.decode_whole(content, _SIDE, str(path))
        except ImageFileError:
            pass
    return corpus.picture(image_id, _SIDE)


def read(corpus: Corpus, image_id: int) -> Original | None:
    """Open the file of an image, once all of it is known to be one; None where there is no file.

    Raises:
        ImageFileError: if it is gone, too large, or no longer an image.
    """
    path = corpus.path_of(image_id)
    if path is None:
        return None
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(image_files.opened(path))
        found = originals.measure(stream, str(path))
        images.decode(stream, _CHECKED, name=path)
        # The open file is what is served: a link that leads elsewhere in the meantime shows nothing else.
        return Original(_blocks(stream, stack.pop_all()), found.media_type, printable(path.name))


def _blocks(stream: BinaryIO, files: contextlib.ExitStack) -> Iterator[bytes]:
    """Read an open file in blocks; one that changes meanwhile ends early."""
    with contextlib.suppress(ImageFileError, OSError), files:
        stream.seek(0)
        while block := stream.read(_BLOCK):
            yield block
