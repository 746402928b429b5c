"""Figures of results call files by their names, and by their folders where the names are not enough."""

from __future__ import annotations

import shutil

import pytest
from PIL import Image

from fuzzing.colours import make_photos
from latentsearch.search import figures
from latentsearch.search.config import RetrieveConfig
from latentsearch.search.duplicates import Copy, Groups
from latentsearch.search.queries import find_queries
from latentsearch.search.results import search
from tests.photos import photo_corpus

FOLDERS = ("gravel", "grass", "a/shore/with/a/long/name", "page", "b")


@pytest.fixture
def scenes(tmp_path):
    """Five folders with a file of the same name in each."""
    make_photos(tmp_path / "made", len(FOLDERS))
    for folder, path in zip(FOLDERS, sorted((tmp_path / "made").rglob("*.png")), strict=True):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        shutil.move(path, tmp_path / "photos" / folder / "shot0.png")
    return photo_corpus(tmp_path, num_images=0)


def first_lines(figure):
    return [text.get_text().split("\n")[0] for text in figure.axes[0].texts if text.get_text()]


def found_for(corpus, *paths):
    queries, _ = find_queries(RetrieveConfig(query=tuple(map(str, paths))), corpus)
    return first_lines(figures.neighbours(search(queries, corpus, k=4, metrics=("euclidean",)), corpus))


def test_neighbours_of_one_name_are_told_apart_by_their_folders(scenes):
    query, *found = found_for(scenes, scenes.content.folder / "b" / "shot0.png")
    assert query == "b/shot0.png"
    whole = {"gravel/shot0.png", "grass/shot0.png", "page/shot0.png"}
    (cut,) = set(found) - whole
    assert whole < set(found)
    assert cut.startswith("a/shore")
    assert "\u2026" in cut
    assert cut.endswith("shot0.png")


def test_a_query_from_elsewhere_is_called_by_its_own_folder(scenes, tmp_path):
    elsewhere = tmp_path / "new" / "shot0.png"
    elsewhere.parent.mkdir()
    Image.new("RGB", (9, 9), (0, 250, 0)).save(elsewhere)
    assert found_for(scenes, elsewhere)[0] == "new/shot0.png"


def test_duplicates_of_one_name_are_told_apart_by_their_folders(scenes):
    ids = [scenes.id_of(scenes.content.folder / folder / "shot0.png") for folder in ("gravel", "page")]
    group = [Copy(ids[0], "first", None, 1.0, 1), Copy(ids[1], "exact", ids[0], 1.0, 1)]
    figure = figures.duplicate_groups(Groups(scenes, [group], 5, []))
    assert first_lines(figure) == ["gravel/shot0.png", "page/shot0.png"]


def test_folders_are_shown_where_a_file_that_is_not_drawn_has_the_name(tmp_path):
    corpus = photo_corpus(tmp_path, num_images=9)
    folder = corpus.content.folder
    assert found_for(corpus, folder / "a" / "1.png")[0] == "1.png"
    shutil.copy(folder / "a" / "1.png", folder / "a" / "other.png")
    far = folder / "far" / "1.png"
    far.parent.mkdir()
    Image.new("RGB", (9, 9), (0, 255, 0)).save(far)
    shutil.rmtree(tmp_path / "models")
    query, *found = found_for(photo_corpus(tmp_path, num_images=0), folder / "a" / "1.png")
    assert query == "a/1.png"
    assert "far/1.png" not in found
    assert all("/" in name for name in found)


def test_files_of_different_names_are_called_by_them(tmp_path):
    corpus = photo_corpus(tmp_path, num_images=9)
    found = found_for(corpus, corpus.path_of(0))
    assert len(found) == len(set(found)) == 5
    assert not any("/" in name for name in found)


def test_word_and_number_of_a_neighbour_stand_on_lines_of_their_own(tmp_path):
    corpus = photo_corpus(tmp_path, num_images=9)
    queries, _ = find_queries(RetrieveConfig(query=(str(corpus.path_of(0)),)), corpus)
    results = search(queries, corpus, k=4, metrics=("euclidean",))
    shown = [text.get_text().split("\n")[1:] for text in figures.neighbours(results, corpus).axes[0].texts[1:5]]
    assert shown == [[hit.likeness, f"{hit.distance:.3g}"] for hit in results.hits["euclidean"][0]]
