"""Files of our own: recorded, whole, and the only ones that are overwritten or deleted."""

from __future__ import annotations

import ast
import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsearch import files, locks, ownership
from latentsearch.errors import InputError
from tests.conftest import REPOSITORY

DELETING = {"unlink", "rmtree", "rmdir", "removedirs", "remove_tree", "truncate", "move"}
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 120
)


def deletions(path: Path) -> list[str]:
    """Calls in a source file that could delete or replace a file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, owner = node.func.attr, node.func.value
        of_os = isinstance(owner, ast.Name) and owner.id in ("os", "shutil")
        one_path = len(node.args) == 1 and not node.keywords
        renames = name in ("rename", "replace") and (of_os or one_path)  # not str.replace, dataclasses.replace
        if name in DELETING or renames or (of_os and name == "remove"):
            found.append(f"{path.name}:{node.lineno} {name}")
    return found


def test_one_module_owns_every_deletion():
    sources = [*(REPOSITORY / "latentsearch").rglob("*.py"), *REPOSITORY.glob("*.py")]
    assert len(sources) > 60
    elsewhere = [line for path in sources if path.name != "files.py" for line in deletions(path)]
    # An interrupted preparation cuts what it wrote itself back to the last whole chunk.
    assert [line for line in elsewhere if not line.endswith("truncate")] == []
    assert len(elsewhere) == 2
    assert len(deletions(REPOSITORY / "latentsearch" / "files.py")) > 4


def stranger(path: Path, kind: str, outside: Path) -> None:
    """Put something at `path` that is not ours; links point to `outside`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
        (path / "inner.txt").write_text("mine")
    else:
        targets = {"link to a file": "file.txt", "link to a folder": "folder", "dangling link": "nothing"}
        path.symlink_to(outside / targets[kind])


KINDS = ("file", "folder", "link to a file", "link to a folder", "dangling link")


def an_outside(folder: Path) -> Path:
    """A folder that links point to, with the names that latentsearch writes."""
    for name in ("file.txt", "folder/best.keras", "folder/notes.txt", "folder/images.npy"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    return folder


def tree(folder: Path) -> dict[str, str]:
    """Everything below a folder, links not followed: its kind, and its content or target."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        else:
            found[name] = "folder" if path.is_dir() else path.read_bytes().hex()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_ours_is_neither_written_over_nor_deleted(kind, tmp_path):
    outside = an_outside(tmp_path / "outside")
    path = tmp_path / "models" / "best.keras"
    stranger(path, kind, outside)
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"best\.keras"), files.replacing(path) as temporary:
        temporary.write_text("ours")
    with pytest.raises(InputError, match=r"best\.keras"):
        files.claim(path)
    files.remove(path, within=tmp_path)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_name_of_ours_that_became_something_else_is_left(kind, tmp_path):
    outside = an_outside(tmp_path / "outside")
    path = tmp_path / "models" / "best.keras"
    with files.replacing(path) as temporary:
        temporary.write_text("ours")
    path.unlink()
    stranger(path, kind, outside)
    before = tree(tmp_path)
    files.remove(path, within=tmp_path)
    assert tree(tmp_path) == before


@given(
    ours=st.sets(NAMES, min_size=1, max_size=4),
    theirs=st.dictionaries(NAMES, st.sampled_from(KINDS), max_size=4),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_remove_deletes_what_was_written_and_nothing_else(ours, theirs, data, tmp_path_factory):
    root = tmp_path_factory.mktemp("any")
    outside = an_outside(root / "outside")
    taken = {ownership.RECORD, *theirs}
    folders = [root / "models", root / "models" / "run", root / "models" / "run" / "inner"]
    written = []
    for name in ours - taken:
        path = data.draw(st.sampled_from(folders)) / name
        if name not in ("run", "inner"):
            with files.replacing(path) as temporary:
                temporary.write_text("ours")
            written.append(path)
    for folder in folders:
        for name, kind in theirs.items():
            if not os.path.lexists(folder / name) and name not in ("run", "inner", ownership.RECORD):
                stranger(folder / name, kind, outside)
    mine = {
        path: tree(path.parent)[path.name] for folder in folders for path in folder.glob("*") if path.name in theirs
    }
    around = tree(outside)
    files.remove(*(path for folder in folders for path in files.written(folder)), within=root)
    assert not [path for path in written if os.path.lexists(path)]
    assert {path: tree(path.parent)[path.name] for path in mine} == mine
    assert tree(outside) == around


def test_a_folder_of_ours_goes_with_its_content_unless_somebody_put_something_in(tmp_path):
    top = files.make_folder(tmp_path / "models" / "run")
    for name in ("a", "b"):
        with files.replacing(top / name / "codes.npz") as temporary:
            temporary.write_text("ours")
    (top / "b" / "notes.txt").write_text("mine")
    (top / "mine").mkdir()
    files.remove(*files.written(top), within=tmp_path)
    assert {path.name for path in top.glob("[!.]*")} == {"b", "mine"}
    assert [path.name for path in (top / "b").glob("[!.]*")] == ["notes.txt"]


def test_a_name_is_recorded_once(tmp_path):
    files.make_folder(tmp_path / "run" / "exported")
    before = (tmp_path / "run" / files.RECORD).read_bytes()
    (tmp_path / "run" / "exported" / files.RECORD).unlink()
    (tmp_path / "run" / "exported").rmdir()
    files.claim(tmp_path / "run" / "exported" / "encoder.tflite")
    assert (tmp_path / "run" / files.RECORD).read_bytes() == before


def test_nothing_is_deleted_through_a_link_above_it(tmp_path):
    for name in ("best.keras", "inner/codes.npz"):
        with files.replacing(tmp_path / "elsewhere" / "run" / name) as temporary:
            temporary.write_text("ours")
    (tmp_path / "models").symlink_to(tmp_path / "elsewhere")
    before = tree(tmp_path / "elsewhere")
    folder = tmp_path / "models" / "run"
    files.remove(folder, *files.written(folder), within=tmp_path)
    assert tree(tmp_path / "elsewhere") == before
    files.check_removable(folder / "not there", within=tmp_path)
    with pytest.raises(InputError, match=r"(?s)best\.keras would be replaced, but a link leads to it.*--root"):
        files.check_removable(folder / "best.keras", within=tmp_path)


def test_a_copy_of_a_folder_of_ours_beside_it_is_left(tmp_path):
    parent = tmp_path / "data" / "photos"
    with files.replacing(parent / "abc" / "images.npy") as temporary:
        temporary.write_text("ours")
    (parent / "backup").mkdir()
    for path in (parent / "abc").iterdir():
        (parent / "backup" / path.name).write_bytes(path.read_bytes())
    files.remove(*files.written(parent), within=tmp_path)
    assert [path.name for path in parent.glob("[!.]*")] == ["backup"]
    assert (parent / "backup" / "images.npy").read_text() == "ours"


@pytest.mark.parametrize(
    "record", [b"", b"\xff\xfe", b"[" * 10_000, b'["+", "../outside/file.txt"]\n', b'["+", "a/b"]\n["+", 3]\n{}\nnull']
)
def test_a_record_that_was_damaged_or_changed_gives_no_power(record, tmp_path):
    outside = an_outside(tmp_path / "outside")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / ownership.RECORD).write_bytes(record)
    (folder / "a").mkdir()
    (folder / "a" / "b").write_text("mine")
    before = tree(outside) | tree(folder / "a")
    assert files.written(folder) == []
    files.remove(folder / "../outside/file.txt", folder / "a", within=tmp_path)
    assert tree(outside) | tree(folder / "a") == before
    files.claim(folder / "new")
    assert files.written(folder) == []  # not there yet
    (folder / "new").write_text("ours")
    assert files.written(folder) == [folder / "new"]


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_record_that_is_none_is_not_written_to(kind, tmp_path):
    outside = an_outside(tmp_path / "outside")
    stranger(tmp_path / "models" / ownership.RECORD, kind, outside)
    before = tree(tmp_path)
    with pytest.raises(InputError, match="written-by-latentsearch"):
        files.claim(tmp_path / "models" / "best.keras")
    assert tree(tmp_path) == before


def claim_many(folder: Path, letter: str) -> None:
    for number in range(100):
        files.claim(folder / f"{letter}{number}").write_text("ours")


def test_processes_record_side_by_side(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=claim_many, args=(tmp_path / "run", letter)) for letter in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(files.written(tmp_path / "run")) == 300


def test_leftovers_of_killed_processes_are_swept_and_those_of_others_are_not(tmp_path):
    path = tmp_path / "run" / "history.csv"
    ours = files.temporary_for(path)
    dead = ours.with_name(ours.name.replace(f"-{os.getpid()}.", f"-{2**22 + 1}."))
    alive = ours.with_name(ours.name.replace(f"-{os.getpid()}.", f"-{os.getppid()}."))
    foreign = path.with_name(f".12345678.aaaaaaaa-{dead.name.split('-')[1]}-{2**22 + 1}.tmp.csv")
    for one in (dead, alive, foreign):
        one.write_text("half")
    files._swept.clear()
    with files.replacing(path) as temporary:
        temporary.write_text("whole")
    assert not dead.exists()
    assert alive.exists()
    assert foreign.exists()


def test_a_second_process_is_refused_and_told_who_holds_the_lock(tmp_path):
    path = tmp_path / "run" / ".lock"
    with (
        locks.locked(path, "run 'a'"),
        pytest.raises(InputError, match=rf"run 'a' is in use by process {os.getpid()}"),
        locks.locked(path, "run 'a'"),
    ):
        pass
    with locks.locked(path, "run 'a'"):
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_lock_does_not_write_over_what_is_not_ours(kind, tmp_path):
    outside = an_outside(tmp_path / "outside")
    stranger(tmp_path / "run" / ".lock", kind, outside)
    before = tree(tmp_path)
    with pytest.raises(InputError, match="lock"), locks.locked(tmp_path / "run" / ".lock", "run 'a'"):
        pass
    assert tree(tmp_path) == before


@pytest.mark.parametrize("source", ["data/photos", "data", "models/x", "reports", ".", "link", "above", "logs"])
def test_sources_that_overlap_our_folders_are_refused(source, tmp_path):
    root = tmp_path / "root"
    for name in ("data/photos", "models/x", "reports", "logs"):
        (root / name).mkdir(parents=True)
    (root / "link").symlink_to(root / "data" / "photos")
    (root / "above").symlink_to(tmp_path)
    with pytest.raises(InputError, match="which latentsearch writes to"):
        ownership.refuse_overlap(root / source, root, "--source")


def test_sources_beside_our_folders_are_taken(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    ownership.refuse_overlap(tmp_path / "photos", tmp_path, "--source")
    ownership.refuse_overlap(tmp_path / "data-of-mine", tmp_path, "--source")
    (tmp_path / "disk").mkdir()
    with pytest.raises(InputError, match="lies in"):
        ownership.refuse_overlap(tmp_path / "disk" / "photos", tmp_path, "--source")
