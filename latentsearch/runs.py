"""Paths of the artefacts of a run, and the commands that make what is missing."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsearch import files, ownership
from latentsearch.config import OWN_RUN, PHOTOS_RUN, ROOT, SHIPPED_RUNS
from latentsearch.errors import InputError

TUNING = "tuning"  # folder of the trials of a run, below models/<run>/, logs/<run>/ and reports/<run>/
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Run:
    """The folders and files of one autoencoder.

    Args:
        root: Folder that holds models/, logs/ and reports/.
        name: Name of the run: letters, digits, dot, dash and underscore. A trial of a search is a run of its own, with
            the name of the run that it was searched for before it: <name>/tuning/<trial>.

    Raises:
        InputError: if the name could not be that of a folder.
    """

    root: Path
    name: str

    def __post_init__(self) -> None:
        for part in self.name.split(f"/{TUNING}/", maxsplit=1):
            check_name(part, "--run")

    @property
    def models(self) -> Path:
        return self.root / "models" / self.name

    @property
    def logs(self) -> Path:
        return self.root / "logs" / self.name

    @property
    def reports(self) -> Path:
        return self.root / "reports" / self.name

    @property
    def build_record(self) -> Path:
        return self.models / "build.json"

    @property
    def initial_model(self) -> Path:
        return self.models / "initial.keras"

    @property
    def diagram(self) -> Path:
        return self.models / "architecture.png"

    @property
    def training_record(self) -> Path:
        return self.models / "training.json"

    @property
    def best_model(self) -> Path:
        return self.models / "best.keras"

    @property
    def exported(self) -> Path:
        return self.models / "exported"

    @property
    def history(self) -> Path:
        return self.models / "history.csv"

    @property
    def backup(self) -> Path:
        return self.models / "backup"

    @property
    def profile(self) -> Path:
        return self.models / "profile.json"

    @property
    def gallery(self) -> Path:
        return self.models / "gallery.npz"

    @property
    def folder_galleries(self) -> Path:
        return self.models / "galleries"

    @property
    def maps(self) -> Path:
        return self.models / "maps"

    @property
    def tuning(self) -> Path:
        return self.models / TUNING

    @property
    def trial_record(self) -> Path:
        return self.models / "trial.json"

    @property
    def suggestion_record(self) -> Path:
        return self.models / "suggestion.json"

    def trial(self, name: str) -> Run:
        """Return the run of a trial of the search for this run, such as 003."""
        return Run(self.root, f"{self.name}/{TUNING}/{name}")

    @property
    def lock(self) -> Path:
        return self.models / ".lock"

    def own(self, folder: Path) -> list[Path]:
        """List what latentsearch wrote to one of the run's folders, without its trials."""
        return files.written(folder, but=(TUNING,))

    def own_events(self) -> frozenset[Path]:
        """List the event files of TensorFlow in the run's logs, without those of its trials."""
        trials = self.logs / TUNING
        return frozenset(path for path in ownership.event_files(self.logs) if trials not in path.parents)

    @property
    def is_shipped(self) -> bool:
        """Whether the network came with latentsearch: it has a shipped run's name, and was not built here."""
        shipped = self.name.lower() in (*SHIPPED_RUNS, PHOTOS_RUN)  # of many file systems, either case is one name
        return shipped and self.best_model.is_file() and not self.initial_model.is_file()

    @property
    def learnt(self) -> tuple[Path, ...]:
        """The files that a training leaves, without logs and reports; first those that make a run a trained one."""
        networks = (self.best_model, self.exported, self.history, self.profile)
        galleries = (self.gallery, self.folder_galleries, self.maps)
        return (self.training_record, self.backup, *networks, *galleries)

    def require(self, path: Path, script: str) -> Path:
        """Return `path` if it is there, else raise an error that names the script which makes it.

        Raises:
            InputError: if there is no file at `path`.
        """
        if path.is_file():
            return path
        if self.build_record.is_file():
            raise InputError(f"run '{self.name}' has no {path.name} ({path}).\nMake it first: {self.command(script)}")
        commands = dict.fromkeys(self.command(name) for name in ("BuildingAutoencoder.py", script))
        trained = trained_runs(self.root)
        near = difflib.get_close_matches(self.name, trained, n=1)
        elsewhere = "by --root, $LATENTSEARCH_ROOT or, in Python, root="
        there = f"Trained runs there: {', '.join(trained) or 'none'}." + (f" Did you mean {near[0]}?" if near else "")
        lines = [
            f"there is no run '{self.name}' in {self.root / 'models'}. {there}",
            f"Make it first: {', then '.join(commands)}",
        ]
        if self.name in (*SHIPPED_RUNS, PHOTOS_RUN):
            lines[1:] = [f"It comes with the repository of latentsearch: name that folder {elsewhere}."]
        elif not trained:
            lines.append(f"If it lies elsewhere, name that folder {elsewhere}.")
        raise InputError("\n".join(lines))

    def command(self, script: str, *flags: str) -> str:
        """Return the command line that applies `script` to this run, for messages."""
        run = () if self.name == OWN_RUN else ("--run", self.name)
        root = () if self.root.absolute() == ROOT.absolute() else ("--root", str(self.root))
        return shlex.join(["python", script, *run, *root, *flags])


def trained_runs(root: Path) -> list[str]:
    """List the names of the trained runs below `root`, without the trials of a search."""
    names = (path.parent.name for path in (root / "models").glob("*/best.keras"))
    return sorted(name for name in names if _NAME.fullmatch(name))


def choose(root: Path, name: str | None, *, for_folder: bool = False) -> str:
    """Return `name`; where it is None, the user's default run if it is trained, else a shipped run.

    Where the dataset of a run is searched and that of no shipped one is prepared, a trained run whose dataset is comes
    first. Where none is trained, it is the user's default run, so that an error says how to make it.

    Args:
        root: Folder that holds models/.
        name: Name that the user gave.
        for_folder: Whether a folder of images is searched, not the dataset of the run.
    """
    trained = trained_runs(root)
    shipped = (PHOTOS_RUN, *SHIPPED_RUNS) if for_folder else (*SHIPPED_RUNS, PHOTOS_RUN)
    known = [run for run in (OWN_RUN, *shipped) if run in trained]
    if name or for_folder or known[:1] == [OWN_RUN]:
        return name or next(iter(known), OWN_RUN)
    return next((run for run in (*known, *trained) if has_dataset(root, run)), next(iter(known), OWN_RUN))


def in_words(name: str, asked: str | None, *, for_folder: bool = False) -> str:
    """Return a line that names the run which `choose` chose, and says why where that may surprise."""
    shipped = (*SHIPPED_RUNS, PHOTOS_RUN)
    if asked is not None or name in shipped or (name == OWN_RUN and not for_folder):
        return f"run: {name}"
    if name == OWN_RUN:
        return f"run: {name} (yours; the shipped one: --run {PHOTOS_RUN})"
    return f"run: {name} (its dataset is prepared, that of no shipped run is)"


def has_dataset(root: Path, name: str) -> bool:
    """Tell whether the dataset that a run was built for is prepared."""
    dataset = dataset_of(root, name)
    return dataset is not None and (root / "data" / dataset / "dataset.json").is_file()


def dataset_of(root: Path, name: str) -> str | None:
    """Read the name of the dataset that a run was built for; None if it is not built."""
    try:
        return str(json.loads(Run(root, name).build_record.read_text(encoding="utf-8"))["dataset"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_name(name: str, flag: str) -> str:
    """Return `name` if it can safely name a folder below the root.

    Raises:
        InputError: if it is empty, has a path separator, or starts with a dot.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{flag} {name!r}: expected letters, digits, '.', '_' and '-', starting with a letter or digit."
        )
    return name


def command_line(script: str, config: Any) -> str:
    """Return the command line that gives `config`, a dataclass of flags, to `script`, for messages."""
    return shlex.join(["python", script, *_flags(config)])


def _flags(config: Any, prefix: str = "--") -> list[str]:
    words = []
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), field.name.replace("_", "-")
        flag = f"{prefix}{name}"
        if value == field.default:
            continue
        if dataclasses.is_dataclass(value):
            words += _flags(value, f"{flag}.")
        elif isinstance(value, tuple):
            words += [flag, *map(str, value)]
        elif isinstance(value, bool):
            words.append(flag if value else f"{prefix}no-{name}")
        else:
            words += [flag, str(value)]
    return words
