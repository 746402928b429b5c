"""Duplicates of a folder and of a dataset: groups, kinds, sizes, links, names, files that are gone."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

import RetrieveSimilar
from latentsearch.errors import InputError
from latentsearch.gallery import same_shot
from latentsearch.search import duplicates, duplicates_output, figures
from latentsearch.search.config import RetrieveConfig
from latentsearch.search.queries import check_flags
from tests.gallery.test_image_matching import scenes
from tests.photos import photo_corpus


def shots(folder, count=12):
    """Photographs of their own, as large PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(scenes(count, side=96)):
        Image.fromarray(image).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(autouse=True)
def fewer_pairs(monkeypatch):
    """Chance is told from fewer pairs, which is faster."""
    monkeypatch.setattr(same_shot, "_CHANCE_PAIRS", 100)


@pytest.fixture
def photos(tmp_path):
    return shots(tmp_path / "photos")


def jpeg(source, target, mirrored=False):
    with Image.open(source) as image:
        (image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else image).save(target, "JPEG", quality=60)


def found_in(tmp_path):
    return duplicates.find_groups(photo_corpus(tmp_path, num_images=0))


def told(found):
    """Of each group the names, kinds, and what they are a copy of."""
    rows = duplicates_output.table(found)
    assert [row["path"] for row in rows] == [found.corpus.name_of(copy.id) for g in found.groups for copy in g]
    of = [Path(row["of"]).name if row["of"] else None for row in rows]
    return [(row["group"], Path(row["path"]).name, row["kind"], name) for row, name in zip(rows, of, strict=True)]


def test_groups_tell_exact_near_and_mirrored_copies(photos, tmp_path):
    shutil.copy(photos / "03.png", photos / "copy.png")
    jpeg(photos / "03.png", photos / "near.jpg")
    jpeg(photos / "03.png", photos / "turned.jpg", mirrored=True)
    shutil.copy(photos / "near.jpg", photos / "near again.jpg")
    shutil.copy(photos / "05.png", photos / "five.png")
    found = found_in(tmp_path)
    group = told(found)
    assert group[0] == (1, "03.png", "first", None)
    assert set(group[1:5]) == {
        (1, "copy.png", "exact", "03.png"),
        (1, "near again.jpg", "near", "03.png"),
        (1, "near.jpg", "exact", "near again.jpg"),
        (1, "turned.jpg", "mirrored", "03.png"),
    }
    assert group[5:] == [(2, "05.png", "first", None), (2, "five.png", "exact", "05.png")]
    sizes = [(photos / name).stat().st_size for name in ("03.png", "near.jpg", "05.png")]
    assert found.exact_bytes == sum(sizes)
    likeness = [copy.likeness for group in found.groups for copy in group]
    assert min(likeness) > 0.8
    assert max(likeness) == 1
    words = duplicates_output.in_words(found)
    assert words == [
        f"2 groups of duplicates: 7 of 17 images; exact copies take {sum(sizes):,} bytes. Nothing was deleted."
    ]
    assert sum(path.is_file() for path in photos.iterdir()) == 17


def test_the_largest_file_is_the_first_and_a_chain_stays_one_group(photos, tmp_path):
    jpeg(photos / "03.png", photos / "00 small.jpg")
    with Image.open(photos / "03.png") as image:
        image.resize((300, 300)).save(photos / "zz large.png")
    (group,) = found_in(tmp_path).groups
    assert group[0].size == (photos / "zz large.png").stat().st_size
    assert group[0].kind == "first"
    assert {copy.of for copy in group[1:]} == {group[0].id}


def test_none_are_told_in_words(photos, tmp_path):
    found = found_in(tmp_path)
    assert found.groups == []
    assert duplicates_output.in_words(found) == ["No duplicates among 12 images."]
    paths = duplicates_output.write(found, RetrieveConfig())
    assert [path.name for path in paths] == ["duplicates.csv", "duplicates.json", "duplicates.png"]
    assert json.loads(paths[1].read_text())["groups"] == []
    assert len(duplicates_output.write(found, RetrieveConfig(figure=False))) == 2
    assert not paths[2].exists()  # it would be of an earlier call


def test_a_file_with_several_names_is_no_duplicate_of_itself(photos, tmp_path):
    outside = shots(tmp_path / "outside", 1)
    (photos / "00 link.png").symlink_to(photos / "03.png")
    os.link(photos / "04.png", photos / "hard.png")
    (photos / "far.png").symlink_to(outside / "00.png")
    (photos / "00.png").unlink()  # what "far" shows
    jpeg(photos / "03.png", photos / "near.jpg")
    found = found_in(tmp_path)
    assert found.num_images == 13
    assert [row[1] for row in told(found)] == ["03.png", "near.jpg"]  # not by the name of the link


def test_files_that_are_gone_or_changed_are_left_out_and_named(photos, tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        shutil.copy(photos / "03.png", photos / name)
    corpus = photo_corpus(tmp_path, num_images=0)
    (photos / "a.png").unlink()
    jpeg(photos / "05.png", photos / "b.png")
    done = []
    found = duplicates.find_groups(corpus, watch=done.append)
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 1)
    assert [row[1:3] for row in told(found)] == [("03.png", "first"), ("c.png", "exact")]
    assert found.num_images == 13
    assert [line.split(":")[1].strip() for line in duplicates_output.in_words(found)[:2]] == ["a.png", "b.png"]
    assert [file["path"] for file in duplicates_output.as_record(found)["left_out"]] == ["a.png", "b.png"]


def test_names_of_any_bytes_are_written(photos, tmp_path):
    strange = os.fsdecode(b"=\xff\n$a^$.png")
    shutil.copy(photos / "03.png", photos / strange)
    found = found_in(tmp_path)
    table, record, picture = duplicates_output.write(found, RetrieveConfig())
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert len(rows) == 2
    assert any("\\xff\\n$a^$.png" in row["path"] for row in rows)
    paths = [file["path"] for file in json.loads(record.read_text())["groups"][0]]
    assert sorted(map(os.fsencode, paths)) == sorted(os.fsencode(photos / name) for name in ("03.png", strange))
    assert picture.stat().st_size
    assert all(row["image"].isprintable() for row in duplicates_output.for_terminal(found))


def test_the_figure_is_capped_and_left_out_on_demand(photos, tmp_path, monkeypatch):
    for number in range(4):
        for copy in range(number + 1):
            shutil.copy(photos / f"{number:02}.png", photos / f"{number:02} {copy}.png")
    found = found_in(tmp_path)
    assert [len(group) for group in found.groups] == [5, 4, 3, 2]
    monkeypatch.setattr(figures, "_MAX_ROWS", 3)
    monkeypatch.setattr(figures, "_MAX_NEIGHBOURS", 2)
    (axes,) = figures.duplicate_groups(found).axes
    assert len(axes.images) == 9
    assert axes.texts[-1].get_text() == (
        "Drawn: the first 3 of 4 groups, the first 3 of up to 5 images; duplicates.csv has all"
    )
    options = ({"figure": False}, {"json": True}, {"json": True, "json_figure": True})
    assert [len(duplicates_output.write(found, RetrieveConfig(**option))) for option in options] == [2, 2, 3]
    monkeypatch.setattr(duplicates_output, "_SHOWN", 6)
    assert len(duplicates_output.for_terminal(found)) == 6
    assert "Shown: 6 of 14 images; duplicates.csv has all." in duplicates_output.in_words(found)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("query", ("a.png",)),
        ("query_index", (0,)),
        ("k", 3),
        ("copy_to", Path("x")),
        ("weak", False),
        ("metric", "manhattan"),
        ("explain", True),
    ],
)
def test_flags_of_a_search_are_refused_beside_duplicates(flag, value):
    if flag != "query":  # that file is not there
        check_flags(RetrieveConfig(**{flag: value}))
    with pytest.raises(InputError, match=f"leave out --(no-)?{flag.replace('_', '-')}"):
        RetrieveSimilar.main(RetrieveConfig(duplicates=True, **{flag: value}))
