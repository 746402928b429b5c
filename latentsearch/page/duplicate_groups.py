"""The groups of duplicates as the page shows them."""

from __future__ import annotations

import threading
from typing import Any

from latentsearch.page.image_record import image_record
from latentsearch.search.corpus import Corpus

_MAX_GROUPS, _MAX_COPIES = 200, 20  # that are shown
_SOON = 0.5  # seconds that an answer waits for the groups


class DuplicateGroups:
    """The groups of duplicates of a corpus, looked for when first asked for.

    Args:
        corpus: The corpus.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._starting = threading.Lock()
        self._search: threading.Thread | None = None
        self._share = 0.0  # of the work that is done
        self._found: dict[str, Any] | None = None
        self._error: Exception | None = None

    def as_record(self) -> dict[str, Any]:
        """Return at most 200 groups of 20 images each, and how many there are; or the share of the work that is done.

        Raises:
            Exception: that ended the search. The next one who asks begins it anew.
        """
        with self._starting:
            if self._search is None:
                self._share, self._error = 0.0, None
                self._search = threading.Thread(target=self._look, daemon=True)  # Ctrl-C waits for a few blocks
                self._search.start()
            search = self._search
        search.join(_SOON)
        if self._found is not None:
            return self._found
        if self._error is not None:
            self._search = None
            raise self._error
        return {"share": round(self._share, 3)}

    def _look(self) -> None:
        try:
            self._found = self._find()
        except Exception as error:
            self._error = error

    def _tell(self, share: float) -> None:
        self._share = share

    def _find(self) -> dict[str, Any]:
        from latentsearch.search import duplicates, duplicates_output  # slow to import

        found = duplicates.find_groups(self._corpus, watch=self._tell)
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
