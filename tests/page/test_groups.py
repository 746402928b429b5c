"""Groups of the map: classes, or the sub-folders in which paths first differ."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from latentsearch.page.groups import MOST, group


def corpus_of(*paths, class_names=(), folder="/photos"):
    return SimpleNamespace(
        class_names=class_names,
        folder=folder and Path(folder),
        path_of=lambda image_id: Path("/photos", paths[image_id]),
        class_of=lambda image_id: paths[image_id],
    )


def grouped(*paths, **options):
    found = group(corpus_of(*paths, **options), range(len(paths)))
    return found.by, [found.names[number] if number >= 0 else None for number in found.numbers]


def test_classes_go_before_folders():
    assert grouped("cat", "dog", "", class_names=("dog", "cat")) == ("class", ["cat", "dog", None])
    assert grouped("cat", folder=None) == ("class", [None])


def test_sub_folders_are_those_in_which_paths_first_differ():
    assert grouped("a/x/1.png", "a/2.png", "b/3.png") == ("sub-folder", ["a", "a", "b"])
    assert grouped("2025/a/1.png", "2025/b/c/2.png") == ("sub-folder", ["a", "b"])
    assert grouped("2025/a/1.png", "2025/2.png") == ("sub-folder", ["a", "(not in a sub-folder)"])


def test_one_folder_is_no_group():
    assert grouped("1.png", "2.png") == ("sub-folder", [None, None])
    assert grouped("a/b/1.png", "a/b/2.png") == ("sub-folder", [None, None])
    assert group(corpus_of(), []) == ("sub-folder", [], [])


def test_of_many_sub_folders_the_largest_are_told_apart():
    paths = [f"{number:02}/{copy}.png" for number in range(50) for copy in range(1 + (number >= 20))]
    _, names = grouped(*paths)
    assert len(set(names)) == MOST
    assert names[1] == "(other sub-folders)"
    assert "30" in names


def test_names_of_any_bytes_are_told():
    assert grouped("a\n/1.png", "\udcff/2.png")[1] == ["a\\n", "\\xff"]
