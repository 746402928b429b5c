"""Prepared images on disk: `prepare` writes data/<dataset>/ from a source, `load` opens it."""

from latentsearch.data.deep_grey import in_words as scaled_in_words
from latentsearch.data.folder import skipped_in_words
from latentsearch.data.imageset import SPLITS, ImageSet, drawn, is_grey, read_rows, to_float
from latentsearch.data.preparation import (
    FEW_IMAGES,
    SKIPPED_FILE,
    advice,
    advice_in_short,
    class_counts,
    prepare,
    verify,
)
from latentsearch.data.source import KINDS, build_command, prepare_command
from latentsearch.data.storage import load, load_for

__all__ = [
    "FEW_IMAGES",
    "KINDS",
    "SKIPPED_FILE",
    "SPLITS",
    "ImageSet",
    "advice",
    "advice_in_short",
    "build_command",
    "class_counts",
    "drawn",
    "is_grey",
    "load",
    "load_for",
    "prepare",
    "prepare_command",
    "read_rows",
    "scaled_in_words",
    "skipped_in_words",
    "to_float",
    "verify",
]
