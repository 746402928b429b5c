"""The gallery of a folder: what was added, changed, moved, removed; never half of one, never of another encoder."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from fuzzing.colours import MeanColours
from latentsearch.errors import InputError
from latentsearch.gallery import folder as folder_gallery
from latentsearch.gallery import sync as folder_sync
from latentsearch.gallery.folder import gallery_path, open_kept
from latentsearch.gallery.sync import sync
from tests.conftest import REPOSITORY
from tests.gallery.galleries import codes_by_path, names


def test_codes_are_those_of_the_files_and_a_second_look_codes_nothing(folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    first, changes = sync(path, folder, autoencoder)
    assert str(changes) == "0 unchanged, 12 added, 0 changed, 0 moved, 0 removed, 0 skipped"
    assert codes_by_path(first)["b/c/4.png"] == [80, 100, 175]
    coded, inode = autoencoder.num_coded, path.stat().st_ino
    second, changes = sync(path, folder, autoencoder)
    assert str(changes) == "12 unchanged, 0 added, 0 changed, 0 moved, 0 removed, 0 skipped"
    assert autoencoder.num_coded == coded
    assert path.stat().st_ino == inode  # nothing was written
    assert codes_by_path(second) == codes_by_path(first)
    assert second.files == first.files == open_kept(path, folder, autoencoder).files


def test_every_kind_of_change_is_seen_and_ids_stay_with_contents(folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    before = names(sync(path, folder, autoencoder)[0])
    id_of = {name: number for number, name in before.items()}
    Image.new("RGB", (20, 10), "white").save(folder / "a/1.png")  # changed
    (folder / "a/3.png").rename(folder / "moved.png")
    (folder / "a/5.png").unlink()
    os.utime(folder / "a/7.png", (1, 1))  # touched
    shutil.copy(folder / "a/9.png", folder / "copy.png")
    Image.new("RGB", (20, 10), "black").save(folder / "new.png")
    (folder / "bad.jpg").write_bytes(b"\xff\xd8 no image")
    (folder / "notes.txt").write_text("text")
    autoencoder.num_coded = 0
    found, changes = sync(path, folder, autoencoder)
    assert str(changes) == "9 unchanged, 2 added, 1 changed, 1 moved, 1 removed, 2 skipped"
    after = {name: number for number, name in names(found).items()}
    assert after["moved.png"] == id_of["a/3.png"]
    assert after["a/7.png"] == id_of["a/7.png"]
    assert not {after["a/1.png"], after["copy.png"], after["new.png"]} & set(before)
    codes = codes_by_path(found)
    assert codes["a/1.png"] == [255, 255, 255]
    assert codes["moved.png"] == [60, 100, 195]
    assert codes["copy.png"] == codes["a/9.png"] == [180, 100, 75]
    copies = 2 * len(found.files)
    assert autoencoder.num_coded == 2 + copies  # a/1.png and new.png; the copies that tell what distances mean
    assert {(skipped.path, skipped.reason) for skipped in found.skipped} == {
        ("bad.jpg", "not an image"),
        ("notes.txt", "another type of file"),
    }
    again, changes = sync(path, folder, autoencoder)
    assert str(changes) == "13 unchanged, 0 added, 0 changed, 0 moved, 0 removed, 2 skipped"
    assert codes_by_path(again) == codes


def test_an_id_is_not_given_twice(folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    first, _ = sync(path, folder, autoencoder)
    last = folder / first.files[-1].path
    content = last.read_bytes()
    last.unlink()
    sync(path, folder, autoencoder)
    last.write_bytes(content)
    again, changes = sync(path, folder, autoencoder)
    assert changes.added == 1
    assert max(again.gallery.ids) == 12


def test_a_bad_file_is_looked_at_again_when_it_changes(folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    whole = (folder / "a/1.png").read_bytes()
    (folder / "a/1.png").write_bytes(whole[:40])
    found, changes = sync(path, folder, autoencoder)
    assert (changes.added, changes.skipped, len(found.files)) == (11, 1, 11)
    (folder / "a/1.png").write_bytes(whole)
    found, changes = sync(path, folder, autoencoder)
    assert (changes.added, changes.skipped, len(found.files)) == (1, 0, 12)
    (folder / "a/1.png").write_bytes(whole[:40])
    found, changes = sync(path, folder, autoencoder)
    assert (changes.removed, changes.skipped, len(found.files)) == (1, 1, 11)


def test_codes_of_another_encoder_are_refused_and_made_anew(folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    with pytest.raises(InputError, match="no gallery yet"):
        open_kept(path, folder, autoencoder)
    sync(path, folder, autoencoder)
    autoencoder.fingerprint = "another"
    with pytest.raises(InputError, match="another encoder"):
        open_kept(path, folder, autoencoder)
    _, changes = sync(path, folder, autoencoder)
    assert changes.added == 12
    with pytest.raises(InputError, match="fitted otherwise"):
        open_kept(path, folder, autoencoder, fit="stretch")
    assert sync(path, folder, autoencoder, fit="stretch")[1].added == 12


def test_names_of_any_bytes_come_back(folder, tmp_path):
    strange = [os.fsdecode(b"\xff\xfe.png"), "line\nbreak.png", "\u732b \u00e9.png"]
    for name in strange:
        shutil.copy(folder / "a/1.png", folder / name)
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    sync(path, folder, autoencoder)
    kept = open_kept(path, folder, autoencoder)
    assert set(strange) <= {file.path for file in kept.files}
    assert sync(path, folder, autoencoder)[1].unchanged == 15


@pytest.mark.parametrize("content", ["nothing", "bad"])
def test_a_folder_without_an_image_is_refused_and_the_gallery_stays(content, folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    sync(path, folder, autoencoder)
    before = path.read_bytes()
    shutil.rmtree(folder)
    folder.mkdir()
    if content == "bad":
        (folder / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="it is empty" if content == "nothing" else "1 x empty"):
        sync(path, folder, autoencoder)
    assert path.read_bytes() == before


@pytest.mark.parametrize("keep", [0, 100, -30])
def test_a_damaged_gallery_is_made_anew(keep, folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    whole, _ = sync(path, folder, autoencoder)
    path.write_bytes(path.read_bytes()[:keep])
    assert folder_gallery.load(path) is None
    again, changes = sync(path, folder, autoencoder)
    assert changes.added == 12
    assert codes_by_path(again) == codes_by_path(whole)


@pytest.mark.parametrize("changes", [{"fit": "bend"}, {"next_id": "12"}, {"next_id": None}, {"folder": 5}])
def test_a_gallery_whose_record_cannot_be_is_made_anew(changes, folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    whole, _ = sync(path, folder, autoencoder)
    damaged = dataclasses.replace(whole.gallery, origin={**whole.gallery.origin, **changes})
    folder_gallery.save(path, dataclasses.replace(whole, gallery=damaged))
    assert folder_gallery.load(path) is None
    assert sync(path, folder, autoencoder)[1].added == 12


PROGRAM = """
import sys
from unittest import mock
from pathlib import Path
from fuzzing.colours import MeanColours
from tests.photos import sync
KILL_HERE
sync(Path({path!r}), Path({folder!r}), MeanColours())
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_old_gallery_or_the_new(folder, tmp_path, killed_at):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    old, _ = sync(path, folder, autoencoder)
    Image.new("RGB", (20, 10), "black").save(folder / "new.png")
    before, number = path.read_bytes(), 0
    while killed_at(number, PROGRAM.format(path=str(path), folder=str(folder))):
        kept = open_kept(path, folder, autoencoder)
        assert len(kept.files) in (12, 13)
        path.write_bytes(before)
        number += 1
    assert number >= 2  # before the file is on disk, and before it is renamed
    assert len(open_kept(path, folder, autoencoder).files) == 13
    assert codes_by_path(open_kept(path, folder, autoencoder)).items() >= codes_by_path(old).items()


@pytest.mark.slow
def test_readers_go_on_while_writers_take_turns(folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    sync(path, folder, autoencoder)
    source = PROGRAM.format(path=str(path), folder=str(folder)).replace("KILL_HERE", "")
    Image.new("RGB", (20, 10), "black").save(folder / "new.png")
    writers = [subprocess.Popen([sys.executable, "-c", source], cwd=REPOSITORY) for _ in range(2)]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        seen.add(len(open_kept(path, folder, autoencoder).files))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen <= {12, 13}
    assert len(open_kept(path, folder, autoencoder).files) == 13
    assert folder_sync.sync(path, folder, autoencoder)[1].unchanged == 13
