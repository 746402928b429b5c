"""The records of a search for settings and of its trials on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict

from latentsearch import environment, files, records
from latentsearch.errors import InputError
from latentsearch.runs import Run
from latentsearch.tuning.trials import SCRIPT, Search, Trial


def save(run: Run, trial: Trial) -> None:
    """Write the record of a trial of a run."""
    files.write_json(run.trial(trial.name).trial_record, asdict(trial))


def load(run: Run) -> list[Trial]:
    """Read the trials of a run, in order; one that was begun beside others and has not ended may be missing.

    Raises:
        InputError: if one is damaged, or another one is missing.
    """
    folders = run.tuning.iterdir() if run.tuning.is_dir() else ()
    names = [folder.name for folder in folders if folder.name.isdecimal() and (folder / "trial.json").exists()]
    names.sort(key=int)
    for missing in sorted(set(range(int(names[-1]) if names else 0)) - {int(name) for name in names}):
        if not run.trial(f"{missing:03}").suggestion_record.exists():
            after = next(name for name in names if int(name) > missing)
            raise InputError(
                f"{run.tuning} has trial {after} but not trial {missing:03}: what came after depends on it.\n"
                f"Restore your copy of it, or begin anew: {run.command(SCRIPT, '--overwrite')}"
            )
    return [load_one(run, name) for name in names]


def load_one(run: Run, name: str) -> Trial:
    """Read the trial of this name.

    Raises:
        InputError: if there is none, or its record is damaged.
    """
    path, mend = run.trial(name).trial_record, run.command(SCRIPT, "--overwrite")
    trial = records.read(path, Trial, mend)
    if trial.name != name:
        raise InputError(f"{path}: name: expected {name}, found {trial.name:.50}.\nMake it again: {mend}")
    return trial


@contextlib.contextmanager
def saving_search(run: Run, search: Search) -> Iterator[None]:
    """Write models/<run>/tuning/search.json: to disk before the block runs, and in its place after it."""
    with files.replacing(run.tuning / "search.json") as temporary:
        content = files.as_json(asdict(search) | {"environment": environment.environment()})
        temporary.write_text(content, encoding="utf-8")
        files.flush(temporary)
        yield


def load_search(run: Run) -> Search:
    """Read the search of a run.

    Raises:
        InputError: if there was none, or its record is damaged.
    """
    return records.read(run.tuning / "search.json", Search, run.command(SCRIPT, "--overwrite"))
