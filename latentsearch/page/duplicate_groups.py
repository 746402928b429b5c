"""The groups of duplicates as the page shows them."""

from __future__ import annotations

import threading
from typing import Any

from latentsearch.page.image_record import image_record
from latentsearch.search.corpus import Corpus

_MAX_GROUPS, _MAX_COPIES = 200, 20  # that are shown


class DuplicateGroups:
    """The groups of duplicates of a corpus, looked for when first asked for.

    Args:
        corpus: The corpus.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._looking = threading.Lock()
        self._found: dict[str, Any] | None = None

    def as_record(self) -> dict[str, Any]:
        """Return at most 200 groups of 20 images each, and how many there are."""
        with self._looking:  # who asks meanwhile waits for the same answer
            if self._found is None:
                self._found = self._find()
            return self._found

    def _find(self) -> dict[str, Any]:
        from latentsearch.search import duplicates, duplicates_output  # slow to import

        found = duplicates.find_groups(self._corpus)
        groups = [
            {
                "num_images": len(group),
                "images": [
                    {
                        **image_record(self._corpus, copy.id),
                        "kind": copy.kind,
                        "likeness": copy.likeness,
                        "bytes": copy.size,
                    }
                    for copy in group[:_MAX_COPIES]
                ],
            }
            for group in found.groups[:_MAX_GROUPS]
        ]
        return {"words": duplicates_output.in_words(found)[-1], "num_groups": len(found.groups), "groups": groups}
