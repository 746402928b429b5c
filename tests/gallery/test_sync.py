"""What a file says of itself when a gallery is synchronised: unreadable for now, replaced, of one size and time."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import shutil
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from fuzzing.colours import MeanColours
from latentsearch.data.scan import FoundFile
from latentsearch.errors import InputError
from latentsearch.gallery import folder as folder_gallery
from latentsearch.gallery import sync as folder_sync
from latentsearch.gallery.folder import gallery_path
from latentsearch.gallery.sync import sync
from tests.gallery.galleries import codes_by_path, names


@pytest.fixture
def unreadable(monkeypatch):
    """Paths whose files, or folders, the system does not let us read: chmod does nothing to root."""
    names, opened, scanned = set(), open, os.scandir

    def guarded_open(path, *arguments, **options):
        if str(path) in names:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    def guarded_scandir(path):
        if str(path) in names:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return scanned(path)

    monkeypatch.setattr("builtins.open", guarded_open)
    monkeypatch.setattr(os, "scandir", guarded_scandir)
    return names


def test_what_could_not_be_read_keeps_its_code_and_is_tried_again(folder, tmp_path, unreadable):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    whole, _ = sync(path, folder, autoencoder)
    os.utime(folder / "a/1.png", (1, 1))
    unreadable.add(str(folder / "a/1.png"))
    found, changes = sync(path, folder, autoencoder)
    assert (changes.unchanged, changes.skipped, changes.removed) == (12, 1, 0)
    assert codes_by_path(found) == codes_by_path(whole)
    assert names(found) == names(whole)
    assert [why.detail for why in found.bad.values()] == ["Permission denied; the code of before is kept"]
    Image.new("RGB", (20, 10), "white").save(tmp_path / "white.png")
    (tmp_path / "white.png").replace(folder / "a/1.png")
    assert codes_by_path(sync(path, folder, autoencoder)[0]) == codes_by_path(whole)
    unreadable.clear()
    found, changes = sync(path, folder, autoencoder)
    assert (changes.changed, changes.skipped) == (1, 0)
    assert codes_by_path(found)["a/1.png"] == [255, 255, 255]


def test_a_new_file_that_could_not_be_read_is_tried_again_though_nothing_of_it_changed(folder, tmp_path, unreadable):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    unreadable.add(str(folder / "a/1.png"))
    assert sync(path, folder, autoencoder)[1].skipped == 1
    unreadable.clear()
    found, changes = sync(path, folder, autoencoder)
    assert (changes.added, changes.skipped, len(found.files)) == (1, 0, 12)


class FailingFile(io.FileIO):
    """A file on a disk that fails."""

    def __init__(self, path, mode, buffering):
        super().__init__(path, mode)

    def readinto(self, buffer):
        raise OSError(errno.EIO, "Input/output error")

    def readall(self):
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("error", [MemoryError, OSError])
def test_errors_of_the_moment_are_no_verdicts_on_content(error, folder, tmp_path, monkeypatch):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    with monkeypatch.context() as patch:
        if error is MemoryError:
            patch.setattr("latentsearch.data.images.upright", mock.Mock(side_effect=error))
        else:
            patch.setattr("latentsearch.data.image_files.open", FailingFile, raising=False)
        with pytest.raises(InputError, match=r"12 x (too little memory|unreadable)"):
            sync(path, folder, autoencoder)
    os.utime(folder / "a/1.png", (1, 1))
    assert sync(path, folder, autoencoder)[1].added == 12
    with monkeypatch.context() as patch:
        patch.setattr("latentsearch.data.images.upright", mock.Mock(side_effect=MemoryError))
        Image.new("RGB", (20, 10), "white").save(folder / "a/1.png")
        found, changes = sync(path, folder, autoencoder)
        assert (changes.unchanged, changes.skipped) == (12, 1)
        assert codes_by_path(found)["a/1.png"] == [20, 100, 235]
    assert sync(path, folder, autoencoder)[1].changed == 1


def test_a_folder_that_cannot_be_read_keeps_its_codes(folder, tmp_path, unreadable):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    whole, _ = sync(path, folder, autoencoder)
    (folder / "a/1.png").unlink()
    unreadable.add(str(folder / "b"))
    found, changes = sync(path, folder, autoencoder)
    assert (changes.unchanged, changes.removed, changes.skipped) == (11, 1, 1)
    assert codes_by_path(found).items() <= codes_by_path(whole).items()
    unreadable.clear()
    assert sync(path, folder, autoencoder)[1].unchanged == 11


def test_a_link_to_a_file_that_is_gone_is_no_image_but_a_disk_may_come_back(folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    away, disk = tmp_path / "away.png", tmp_path / "disk"
    (folder / "a/1.png").rename(away)
    (folder / "a/link.png").symlink_to(away)
    (disk / "photos").mkdir(parents=True)
    (folder / "b").rename(disk / "photos/b")
    (folder / "b").symlink_to(disk / "photos/b")
    (folder / "a/3.png").rename(disk / "photos/3.png")
    (folder / "a/3.png").symlink_to("../../disk/photos/3.png")
    whole, _ = sync(path, folder, autoencoder)
    away.unlink()
    disk.rename(tmp_path / "unmounted")
    found, changes = sync(path, folder, autoencoder)
    assert (changes.removed, changes.skipped) == (1, 3)
    assert codes_by_path(found).keys() == codes_by_path(whole).keys() - {"a/link.png"}
    (tmp_path / "unmounted").rename(disk)
    assert sync(path, folder, autoencoder)[1].unchanged == len(found.files)


@pytest.mark.parametrize("way", ["replaced", "swapped"])
def test_files_of_one_size_and_time_are_told_apart(way, folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    one, other = folder / "a/1.png", folder / "a/3.png"
    for file in (one, other):
        content = file.read_bytes()
        file.write_bytes(content + bytes(1000 - len(content)))
        os.utime(file, (1, 1))
    before = codes_by_path(sync(path, folder, autoencoder)[0])
    if way == "replaced":
        shutil.copy2(other, tmp_path / "copy.png")
        (tmp_path / "copy.png").replace(one)  # as `mv` of what `cp -p` made
    else:
        one.rename(tmp_path / "kept.png")
        other.rename(one)
        (tmp_path / "kept.png").rename(other)
    after = codes_by_path(sync(path, folder, autoencoder)[0])
    assert after["a/1.png"] == before["a/3.png"]
    assert after["a/3.png"] == before["a/3.png" if way == "replaced" else "a/1.png"]


def test_contents_are_compared_when_that_is_asked_for(folder, tmp_path, monkeypatch):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    first, _ = sync(path, folder, autoencoder)
    for other in ("a/1.png", "a/3.png"):  # as where a file system tells nothing of changes
        content = (folder / other).read_bytes()
        (folder / other).write_bytes(content + bytes(1000 - len(content)))
    stale = [FoundFile(file.path, 1000, 1, 1, 1) for file in first.files]
    monkeypatch.setattr(folder_sync, "find_images", lambda folder: iter(stale))
    sync(path, folder, autoencoder)
    content = (folder / "a/1.png").read_bytes()
    (folder / "a/1.png").write_bytes((folder / "a/3.png").read_bytes())
    (folder / "a/3.png").write_bytes(content)
    assert sync(path, folder, autoencoder)[1].unchanged == 12
    autoencoder.num_coded = 0
    found, changes = sync(path, folder, autoencoder, verify=True)
    assert (changes.unchanged, changes.changed) == (10, 2)
    assert codes_by_path(found)["a/1.png"] == [60, 100, 195]
    assert autoencoder.num_coded == 24  # the copies that tell what distances mean; no image is coded again
    assert sync(path, folder, autoencoder, verify=True)[1].unchanged == 12


def test_a_gallery_of_an_older_version_is_read_once_and_not_coded_again(folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    whole, _ = sync(path, folder, autoencoder)
    folder_gallery.save(path, dataclasses.replace(whole, files=[FoundFile(*file[:3]) for file in whole.files]))
    autoencoder.num_coded = 0
    found, changes = sync(path, folder, autoencoder)
    assert (changes.unchanged, changes.added) == (12, 0)
    assert names(found) == names(whole)
    assert autoencoder.num_coded == 24


def test_a_new_gallery_decodes_each_file_once_and_examines_what_it_would_decode_again(folder, tmp_path, monkeypatch):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    with mock.patch.object(folder_sync, "read_image", side_effect=AssertionError("decoded again")):
        once, _ = sync(path, folder, autoencoder)
    path.unlink()
    monkeypatch.setattr(folder_sync, "_MOST_PIXELS", 0)
    with mock.patch.object(folder_sync, "read_image", side_effect=folder_sync.read_image) as read:
        again, _ = sync(path, folder, autoencoder)
    assert read.call_count == len(again.files) > 0
    np.testing.assert_array_equal(again.gallery.copies, once.gallery.copies)
    np.testing.assert_array_equal(again.gallery.errors, once.gallery.errors)


def test_a_gallery_of_another_fit_is_made_anew_and_that_is_told(folder, tmp_path):
    path, autoencoder = gallery_path(tmp_path, folder), MeanColours()
    _, changes = sync(path, folder, autoencoder)
    assert not changes.is_anew
    assert "anew" not in str(changes)
    _, changes = sync(path, folder, autoencoder, fit="pad")
    assert changes.is_anew
    assert str(changes).endswith("was made by another run, --encoder-precision or --fit")
