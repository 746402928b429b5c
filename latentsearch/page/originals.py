"""The files behind the images of a corpus: their sizes, large pictures of them, and the files themselves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from latentsearch.data import images, originals
from latentsearch.data.images import ImageFileError
from latentsearch.errors import InputError
from latentsearch.search.corpus import Corpus
from latentsearch.text import printable

MAX_BYTES = 100_000_000  # of a file that is served whole
_SIDE = 1600  # most pixels of a large picture
_CHECKED = (32, 32, 3)  # pixels at which a file is decoded before it is served: all of it must be an image


class Original(NamedTuple):
    """An image file as it is.

    Args:
        content: Its bytes.
        media_type: Media type of its content.
        name: Name of the file.
    """

    content: bytes
    media_type: str
    name: str


def describe(corpus: Corpus, image_id: int) -> dict[str, Any]:
    """Tell the sizes of the file of an image, or why it cannot be read; of an image without a file, its own."""
    path = corpus.path_of(image_id)
    if path is None:
        height, width = corpus.images(np.array([image_id]))[0].shape[:2]
        return {"width": width, "height": height, "bytes": None, "type": None, "problem": None}
    try:
        with images.opened(path) as content:
            found = originals.measure(content, str(path))
    except ImageFileError as error:
        return {"width": None, "height": None, "bytes": None, "type": None, "problem": str(error)}
    kind = found.media_type.removeprefix("image/").upper()
    return {"width": found.width, "height": found.height, "bytes": found.size, "type": kind, "problem": None}


def large(corpus: Corpus, image_id: int) -> np.ndarray:
    """Read an image for a large view, uint8: whole, at most 1,600 pixels long; grey where the file is gone."""
    path = corpus.path_of(image_id)
    if path is not None:
        try:
            with images.opened(path) as content:
                return originals.decode_whole(content, _SIDE, str(path))
        except ImageFileError:
            pass
    return corpus.picture(image_id, _SIDE)


def read(corpus: Corpus, image_id: int) -> Original | None:
    """Read the file of an image, once it is known to be one; None where there is no file.

    Raises:
        InputError: if it is larger than 100 MB, gone, or no longer an image.
    """
    path = corpus.path_of(image_id)
    if path is None:
        return None
    with images.opened(path) as stream:
        found = originals.measure(stream, str(path))
        if found.size > MAX_BYTES:
            raise InputError(
                f"{printable(path)} has {found.size:,} bytes; the page shows files of at most {MAX_BYTES:,}. "
                "Open it by its path."
            )
        stream.seek(0)
        content = stream.read(MAX_BYTES + 1)
    # What was read is what is served: a link that changes in the meantime shows nothing else.
    images.decode(content, _CHECKED, name=path)
    return Original(content, found.media_type, printable(path.name))
