"""What the page tells of an image everywhere."""

from __future__ import annotations

from typing import Any

from latentsearch.search.corpus import Corpus
from latentsearch.text import printable


def image_record(corpus: Corpus, image_id: int) -> dict[str, Any]:
    """Return id, name, path and class of an image, as JSON values; no path where there is no file."""
    path = corpus.path_of(image_id)
    return {
        "id": image_id,
        "name": printable(path.name if path else corpus.name_of(image_id)),
        "path": printable(path) if path else None,
        "class": corpus.class_of(image_id),
    }
