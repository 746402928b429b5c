"""All readers of outside data by name. Another one is another function in READERS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fuzzing import data_readers, run_readers
from fuzzing.damage import Reader

READERS: dict[str, Callable[[Path], Reader]] = {
    "image files": data_readers.image_files,
    "raw files": data_readers.raw_files,
    "CIFAR-10 batches": data_readers.cifar_batches,
    "dataset.json": data_readers.dataset_records,
    "arrays of a dataset": data_readers.dataset_arrays,
    "build.json": run_readers.build_records,
    "training.json": run_readers.training_records,
    "history.csv": run_readers.histories,
    "rows.json": run_readers.backups,
    "weights": run_readers.weights,
    "gallery.npz": run_readers.galleries,
    "galleries of folders": run_readers.folder_galleries,
    "profile.json": run_readers.profiles,
    "trial.json": run_readers.trials,
    "search.json": run_readers.searches,
    "suggestion.json": run_readers.suggestions,
}
