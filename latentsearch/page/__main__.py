"""What looks like this? A page on this machine to click through a corpus: drop an image, or click one.

    python -m latentsearch.page                        the dataset of the run
    python -m latentsearch.page --gallery ~/Photos     a folder of images

Needs what is in requirements-page.txt. The page is for this machine alone and asks nothing of any other. Reads
models/<run>/best.keras, and data/<dataset>/ unless there is a --gallery; writes models/<run>/gallery.npz or
models/<run>/galleries/, and models/<run>/maps/.
"""

from __future__ import annotations

import importlib.util

from latentsearch.cli import quiet_libraries, run_script
from latentsearch.errors import InputError
from latentsearch.page.config import PageConfig


def main(config: PageConfig) -> None:
    """Serve the page until Ctrl-C."""
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"the page needs {' and '.join(missing)}, not installed here: pip install -r requirements-page.txt"
        )
    with quiet_libraries():
        from latentsearch import runs
        from latentsearch.page import app, code_map
        from latentsearch.search.open import open_corpus

    with app.listen(config.port) as socket:  # a port that is taken is told before the long opening
        name = runs.choose(config.root, config.run, for_folder=config.gallery is not None)
        corpus, lines = open_corpus(
            config.root, name, config.gallery, sync=config.sync, look=config.look, precision=config.encoder_precision
        )
        print(runs.in_words(name, config.run, for_folder=config.gallery is not None), *lines, sep="\n")
        path = code_map.map_path(corpus.run, config.gallery)
        app.serve(corpus, lines, code_map.CodeMap(path, corpus.gallery), socket)


if __name__ == "__main__":
    run_script(main, PageConfig, __doc__, name="python -m latentsearch.page")
