"""Recognition of a file that is an image of the corpus already."""

from __future__ import annotations

import numpy as np

from latentsearch.search.corpus import Corpus

_NUM_CANDIDATES = 8
_NEAR = 1e-4  # cosine distance below which two codes may be of equal pixels: encoding rounds


def find_itself(corpus: Corpus, image: np.ndarray, code: np.ndarray, name: str) -> int | None:
    """Find the image of the corpus with the same pixels as the encoder takes them; None if there is none.

    Args:
        corpus: The corpus.
        image: The image as the encoder takes it, uint8 `(height, width, 3)`.
        code: Its code, `(1, latent_dim)`.
        name: Name of its file: of several equal images, the one of this name is chosen.
    """
    most, weighed = min(_NUM_CANDIDATES, corpus.num_images), corpus.weigh(code)
    if corpus.searcher is not None:
        found = corpus.searcher.search(weighed, most, metric=corpus.metrics[0])
    else:
        found = corpus.compared.ask(weighed, most)
    near = [image_id for image_id, far in zip(found.ids[0].tolist(), found.distances[0], strict=True) if far <= _NEAR]
    equal = [image_id for image_id in near if np.array_equal(corpus.images(np.array([image_id]))[0], image)]

    def is_other(image_id: int) -> bool:
        path = corpus.path_of(image_id)
        return path is None or path.name != name

    return min(equal, key=is_other, default=None)
