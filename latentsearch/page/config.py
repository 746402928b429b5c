"""Flags of the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentsearch.config import ROOT, EncoderPrecision
from latentsearch.errors import InputError
from latentsearch.search.config import check_collection

_NOT_WITH_COLLECTION = ("gallery", "sync", "encoder_precision")


@dataclass(frozen=True)
class PageConfig:
    """Flags of python -m latentsearch.page."""

    run: str | None = None
    """Name of the run that encodes. Default: your run "mine" if it is trained, else a shipped one."""

    gallery: Path | None = None
    """A folder of images to search, nested or not. Default: the dataset of the run."""

    sync: bool = True
    """--no-sync shows the codes of before: it does not look for what was added, changed, moved or removed in that
    folder."""

    encoder_precision: EncoderPrecision | None = None
    """Arithmetic of the encoder; int8 is about three times as fast, and its codes differ a little. Default: in
    folders int8, or that of the codes which are there; float32 in prepared datasets, and of networks other than
    kind-look, compact and deep. All is encoded anew when it changes."""

    store: str | None = None
    """Address of a Milvus server, such as http://localhost:19530: with --collection, shows what was published there."""

    collection: str | None = None
    """Name under which python -m latentsearch.publish put images and codes into --store; it takes no --gallery."""

    look: float | None = None
    """Share of the look beside the kind, of runs with both codes: 0 same kind, 1 same look. Default: 0.2."""

    port: int = 8765
    """Port of this machine (127.0.0.1) at which the page is; 0: any that is free."""

    root: Path = ROOT
    """Folder that holds data/, models/, logs/ and reports/. Default: $LATENTSEARCH_ROOT, or the current folder."""


def check_flags(config: PageConfig) -> None:
    """Refuse flags that do not go together.

    Raises:
        InputError: naming one of them.
    """
    if config.collection is None and config.store is not None:
        raise InputError(
            f"--store {config.store}: the page shows what was published there under a name: give it by --collection. "
            "A folder or a dataset needs no --store."
        )
    check_collection(config, _NOT_WITH_COLLECTION)
