"""What looks like this? A page on this machine to click through a corpus: drop an image, or click one.

    python -m latentsearch.page                        the dataset of the run
    python -m latentsearch.page --gallery ~/Photos     a folder of images
    python -m latentsearch.page --store http://host:19530 --collection photos

Needs what is in requirements-page.txt. The page is for this machine alone and asks nothing of any other, but for a
--store. Reads models/<run>/best.keras, and data/<dataset>/ unless there is a --gallery or a --collection; writes
models/<run>/gallery.npz or models/<run>/galleries/, and models/<run>/maps/.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from latentsearch.cli import quiet_libraries, run_script
from latentsearch.errors import InputError
from latentsearch.page.config import PageConfig, check_flags

if TYPE_CHECKING:
    from latentsearch.search.corpus import Corpus


def main(config: PageConfig) -> None:
    """Serve the page until Ctrl-C."""
    check_flags(config)
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"the page needs {' and '.join(missing)}, not installed here: pip install -r requirements-page.txt"
        )
    with quiet_libraries():
        from latentsearch.page import app, code_map

    with app.listen(config.port) as socket:  # a port that is taken is told before the long opening
        corpus, lines = _open(config)
        print(*lines, sep="\n")
        path = code_map.map_path(corpus.run, config.gallery, config.collection)
        app.serve(corpus, lines[1:], code_map.CodeMap(path, corpus.gallery), socket)


def _open(config: PageConfig) -> tuple[Corpus, list[str]]:
    """Open what the flags name, with lines to say about it, of which the first names the run."""
    from latentsearch import runs
    from latentsearch.gallery.published import PublishedStore
    from latentsearch.search.open import open_corpus, open_published

    if config.collection is not None and config.store is not None:
        store = PublishedStore(config.store, config.collection, look=config.look)
        corpus, lines = open_published(config.root, config.run, store)
        return corpus, [*lines, f"store: {store}"]
    for_folder = config.gallery is not None
    name = runs.choose(config.root, config.run, for_folder=for_folder)
    corpus, lines = open_corpus(
        config.root, name, config.gallery, sync=config.sync, look=config.look, precision=config.encoder_precision
    )
    return corpus, [runs.in_words(name, config.run, for_folder=for_folder), *lines]


if __name__ == "__main__":
    run_script(main, PageConfig, __doc__, name="python -m latentsearch.page")
