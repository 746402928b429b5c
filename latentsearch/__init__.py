"""latentsearch: a small code for every image, learnt without labels, and look-alikes found by it.

    import latentsearch

    run = latentsearch.open_run()                # yours if it is trained, else a shipped one
    codes = run.encode(["cat.jpg", "dog.png"])   # or arrays: float32 (2, latent_dim)
    found = run.search("cat.jpg", k=5)           # a pandas DataFrame

Subpackages: data (images in), models (networks, encoder), training, gallery (codes kept and searched), search (a query
to its ranked results), evaluation (checks, report), tuning, plots, page. Importing it loads none of them.
"""

from __future__ import annotations

from typing import Any

from latentsearch.errors import InputError

__version__ = "0.1.0"
__all__ = ["InputError", "open_run"]


def __getattr__(name: str) -> Any:
    if name == "open_run":
        from importlib import import_module

        return import_module("latentsearch.search.library").open_run
    raise AttributeError(f"module 'latentsearch' has no attribute {name!r}")
