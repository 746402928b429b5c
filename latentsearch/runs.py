"""Where each artefact lies, how it is written, and what to say when it is missing."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsearch.bounds import check_size
from latentsearch.config import ROOT
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
        """A trial of the search for this run, such as 003."""
        return Run(self.root, f"{self.name}/{TUNING}/{name}")

    def own(self, folder: Path) -> list[Path]:
        """What one of its folders holds, but for its trials."""
        return [path for path in folder.iterdir() if path.name != TUNING] if folder.is_dir() else []

    @property
    def learnt(self) -> tuple[Path, ...]:
        """All that a training leaves, but for logs and reports; first what makes a run a trained one."""
        models = (self.best_model, self.exported, self.history, self.profile)
        models += (self.gallery, self.folder_galleries, self.maps)
        return (self.training_record, self.backup, *models)

    def require(self, path: Path, script: str) -> Path:
        """Returns `path`, or says which script of this run makes it.

        Raises:
            InputError: if there is no file at `path`.
        """
        if not path.is_file():
            raise InputError(f"run '{self.name}' has no {path.name} ({path}).\nMake it first: {self.command(script)}")
        return path

    def command(self, script: str, *flags: str) -> str:
        """The command line that applies `script` to this run, for messages."""
        root = () if self.root == ROOT else ("--root", str(self.root))
        return shlex.join(["python", script, "--run", self.name, *root, *flags])


def check_name(name: str, flag: str) -> str:
    """Returns `name` if it can safely name a folder below the root.

    Raises:
        InputError: if it is empty, has a path separator, or starts with a dot.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{flag} {name!r}: expected letters, digits, '.', '_' and '-', starting with a letter or digit."
        )
    return name


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to, and renames it to `path` when the block ends well.

    A crash at any moment leaves either what was at `path` before or all of the new file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last because Keras, NumPy and Matplotlib choose the format by it.
    temporary = path.with_name(f".{path.stem}.{platform.node()}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Returns when the file is on disk, so that what is written after it cannot survive it."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes `content` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, mend: str, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """Reads a JSON object that latentsearch wrote.

    Args:
        path: The file.
        mend: The command that writes it, for the error message.
        keys: What it must hold; "a.b" stands for b in the object a.

    Raises:
        InputError: if it is missing, not a JSON object, or without one of `keys`.
    """
    try:
        check_size(path)
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing.\nMake it first: {mend}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}).\nMake it again: {mend}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, expected a JSON object.\nMake it again: {mend}")
    for key in keys:
        inner: Any = content
        for part in key.split("."):
            inner = inner.get(part) if isinstance(inner, dict) else None
        if inner is None:
            raise InputError(f"{path} has no {key}.\nMake it again: {mend}")
    return content


def remove(*paths: Path) -> None:
    """Deletes files and folders that are there."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def file_fingerprint(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(content: bytes) -> str:
    """SHA-256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def command_line(script: str, config: Any) -> str:
    """The command line that gives `config`, a dataclass of flags, to `script`, for messages."""
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
        elif field.type == "bool":
            words.append(flag if value else f"{prefix}no-{name}")
        else:
            words += [flag, str(value)]
    return words
