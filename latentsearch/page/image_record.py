"""What the page tells of an image everywhere."""

from __future__ import annotations

from typing import Any

from latentsearch.search.corpus import Corpus
from latentsearch.text import printable

_EXACT = 2**53  # up to which a browser holds whole numbers


def id_for_browser(image_id: int) -> int | str:
    """Return an id as JSON can hold it for a browser: as text where it is too large for its numbers."""
    return image_id if image_id < _EXACT else str(image_id)


def image_record(corpus: Corpus, image_id: int) -> dict[str, Any]:
    """Return id, name, class, path, and place below the folder of an image, as JSON values; null without a file."""
    path, folder = corpus.path_of(image_id), corpus.folder
    place = path.relative_to(folder) if path and folder and path.is_relative_to(folder) else None
    return {
        "id": id_for_browser(image_id),
        "name": printable(path.name if path else corpus.name_of(image_id)),
        "path": printable(path) if path else None,
        "place": printable(place) if place else None,
        "class": corpus.class_of(image_id),
    }
