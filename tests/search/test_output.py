"""Search results: ranks, scores, no match, JSON, copies of files."""

from __future__ import annotations

import json
import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from fuzzing.colours import MeanColours, make_photos
from latentsearch.config import METRICS
from latentsearch.errors import InputError
from latentsearch.gallery.gallery import build
from latentsearch.runs import Run
from latentsearch.search import figures, output
from latentsearch.search.config import RetrieveConfig
from latentsearch.search.corpus import DatasetCorpus
from latentsearch.search.queries import find_queries
from latentsearch.search.results import search
from tests.data.folders import prepare
from tests.photos import photo_corpus


@pytest.fixture
def corpus(tmp_path):
    """Thirty files of one colour each: image n looks most like n - 1 and n + 1."""
    return photo_corpus(tmp_path, num_images=30)


def ask(corpus, numbers, **options):
    files = tuple(str(corpus.path_of(number)) for number in numbers)
    queries, _ = find_queries(RetrieveConfig(query=files), corpus)
    return search(queries, corpus, **{"k": 4, "metrics": ("euclidean",)} | options)


def number_of(corpus, image_id):
    return int(corpus.path_of(image_id).stem)


def test_neighbours_are_the_nearest_and_never_the_query_itself(corpus):
    numbers = [0, 11]
    ids = [image_id for image_id in corpus.gallery.ids.tolist() if number_of(corpus, image_id) in numbers]
    results = ask(corpus, ids)
    for row, image_id in enumerate(ids):
        hits = results.hits["euclidean"][row]
        found = [number_of(corpus, hit.id) for hit in hits]
        own = number_of(corpus, image_id)
        assert {abs(number - own) for number in found} == ({1, 2, 3, 4} if own == 0 else {1, 2})
        assert [hit.rank for hit in hits] == [1, 2, 3, 4]
        assert hits == sorted(hits, key=lambda hit: hit.distance)
        assert all(0 <= hit.copy_score <= 100 and 0 < hit.score < 100 for hit in hits)


def test_weak_hits_are_left_out_on_demand(corpus, monkeypatch):
    query = [corpus.gallery.ids[0]]
    farthest = ask(corpus, query, k=29).hits["euclidean"][0][-1].distance
    monkeypatch.setattr(corpus.scale("euclidean"), "recognised", np.linspace(0, farthest, 100))
    every = ask(corpus, query, k=29).hits["euclidean"][0]
    strong = ask(corpus, query, k=29, weak=False).hits["euclidean"][0]
    assert 0 < len(strong) < len(every)
    assert strong == [hit for hit in every if hit.likeness != "weak"]
    assert {hit.likeness for hit in every[len(strong) :]} == {"weak"}


def test_what_is_not_close_enough_is_no_match(corpus, tmp_path):
    Image.new("RGB", (9, 9), (0, 255, 0)).save(tmp_path / "green.png")  # far from all
    near = str(corpus.path_of(5))
    config = RetrieveConfig(query=(str(tmp_path / "green.png"), near), min_score=50)
    queries, _ = find_queries(config, corpus)
    results = search(queries, corpus, k=4, metrics=("euclidean",), min_score=50)
    assert results.hits["euclidean"][0] == []
    assert len(results.hits["euclidean"][1]) == 4
    record = output.as_record(results, corpus, config)
    assert [query["match"] for query in record["queries"]] == [False, True]
    rows = output.for_terminal(results, corpus)
    assert rows[0]["neighbour"] == "no match"
    assert "is a" not in rows[0]
    assert len(output.table(results, corpus)) == 4


def test_the_record_is_what_scripts_need(corpus):
    config = RetrieveConfig(run="photos", k=4, metric="all")
    results = ask(corpus, [3, 8], metrics=METRICS)
    record = json.loads(json.dumps(output.as_record(results, corpus, config)))
    assert [(query["query"], query["metric"]) for query in record["queries"]] == [
        (str(corpus.path_of(number)), metric) for number in (3, 8) for metric in METRICS
    ]
    neighbour = record["queries"][0]["neighbours"][0]
    assert set(neighbour) == {"rank", "id", "path", "class", "distance", "score", "copy_score", "likeness"}
    assert neighbour["path"] == str(corpus.path_of(neighbour["id"]))


def test_files_are_written_and_neighbours_copied(corpus, tmp_path):
    results = ask(corpus, [3, 8])
    config = RetrieveConfig(explain=True)
    paths = output.write(results, corpus, config)
    assert [path.name for path in paths] == ["neighbours.csv", "neighbours.json", "neighbours.png", "explanation.png"]
    assert all(path.stat().st_size for path in paths)
    assert len(output.write(results, corpus, RetrieveConfig(figure=False))) == 2
    assert not any(path.exists() for path in paths[2:])  # they would be of an earlier query
    assert all(
        round(hit[name], 4) == hit[name]
        for query in json.loads(paths[1].read_text())["queries"]
        for hit in query["neighbours"]
        for name in ("score", "copy_score")
    )
    assert output.copy_to(tmp_path / "hits", results, corpus) == (tmp_path / "hits/neighbours-001", 8)
    first = results.hits["euclidean"][0][0]
    copy = tmp_path / "hits/neighbours-001" / f"query001_euclidean_001_{corpus.path_of(first.id).name}"
    assert copy.read_bytes() == corpus.path_of(first.id).read_bytes()
    assert copies(tmp_path / "hits") == {"neighbours-001": 8}
    assert output.copy_to(tmp_path / "hits", ask(corpus, [3]), corpus)[1] == 4
    assert copies(tmp_path / "hits") == {"neighbours-001": 8, "neighbours-002": 4}  # a folder of its own each time


def test_an_explanation_shows_the_pixels_of_the_files(corpus, tmp_path):
    Image.new("RGB", (90, 90), (1, 100, 254)).save(tmp_path / "new.png")
    queries, _ = find_queries(RetrieveConfig(query=(str(tmp_path / "new.png"), str(corpus.path_of(3)))), corpus)
    results = search(queries, corpus, k=4, metrics=METRICS)
    (axes,) = figures.explanations(results, corpus).axes
    texts = [text.get_text() for text in axes.texts]
    titles = [text for text in texts if text.startswith("Nearest neighbour: ")]
    assert [title.split()[-3] for title in titles] == [*METRICS] * 2
    assert texts.count("query\nnew.png") == 3
    shapes = [image.get_array().shape for image in axes.images]
    assert shapes.count((88, 88, 3)) == 3  # of the new file, under each metric: a whole multiple of 8 pixels
    assert any(text.startswith("number ") and text.endswith("of the distance") for text in texts)
    (tmp_path / "new.png").unlink()
    (axes,) = figures.explanations(results, corpus).axes
    assert (88, 88, 3) not in [image.get_array().shape for image in axes.images]
    assert any(np.array_equal(image.get_array(), queries.images[0]) for image in axes.images)


def test_where_nothing_matches_nothing_is_explained(corpus, tmp_path):
    Image.new("RGB", (9, 9), (0, 255, 0)).save(tmp_path / "green.png")
    queries, _ = find_queries(RetrieveConfig(query=(str(tmp_path / "green.png"),)), corpus)
    results = search(queries, corpus, k=4, metrics=("euclidean",), min_score=50)
    assert figures.explanations(results, corpus).texts[0].get_text() == "no match, nothing to explain"


def copies(folder):
    """Folders that are seen in it, with the number of files that are seen in each."""
    return {
        path.name: sum(not file.name.startswith(".") for file in path.iterdir())
        for path in folder.iterdir()
        if not path.name.startswith(".written")
    }


@pytest.mark.parametrize("length", [200, 229, 255])
@pytest.mark.parametrize("letter", ["n", "\u00e9", "\u732b"])
def test_long_names_are_shortened_and_all_are_copied(letter, length, tmp_path):
    make_photos(tmp_path / "photos", 4)
    size = len(letter.encode())
    name = letter * ((length - 4) // size) + "n" * ((length - 4) % size) + ".png"
    (tmp_path / "photos" / "a" / "1.png").rename(tmp_path / "photos" / name)
    corpus = photo_corpus(tmp_path, num_images=0)
    query = corpus.id_of(tmp_path / "photos" / "a" / "3.png")
    folder, count = output.copy_to(tmp_path / "hits", ask(corpus, [query], k=3), corpus)
    assert count == 3
    found = [path for path in folder.iterdir() if letter * 50 in path.name]
    assert len(found) == 1
    assert found[0].suffix == ".png"
    assert found[0].read_bytes() == (tmp_path / "photos" / name).read_bytes()


@pytest.mark.parametrize("below", ["", "hits", "a/hits", "link/hits"])
def test_copies_do_not_go_where_they_would_be_searched(below, corpus, tmp_path):
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "photos" / "a")
    folder = tmp_path / "photos" / below
    for name in (folder, tmp_path / "photos" / "a" / ".." / below):
        with pytest.raises(InputError, match="which is searched: the copies would become images"):
            output.copy_to(name, ask(corpus, [3]), corpus)
    assert sum(path.is_file() for path in (tmp_path / "photos").rglob("*")) == 30


def test_by_default_there_are_as_many_neighbours_as_can_answer(tmp_path):
    for count in (1, 2, 3, 9, 10, 11, 12):
        corpus = photo_corpus(tmp_path / str(count), num_images=count)
        outside = tmp_path / f"outside{count}"
        make_photos(outside, 1)
        queries, _ = find_queries(RetrieveConfig(query=(str(outside / "b/c/0.png"),)), corpus)
        results = search(queries, corpus, metrics=("euclidean",))
        assert len(results.hits["euclidean"][0]) == min(count, 10)
        assert output.as_record(results, corpus, RetrieveConfig())["k"] == min(count, 10)
        if count == 1:
            with pytest.raises(InputError, match="no image but the query"):
                ask(corpus, [0], k=None)
        else:
            assert len(ask(corpus, [0], k=None).hits["euclidean"][0]) == min(count - 1, 10)


def test_the_figure_of_many_is_capped_and_json_draws_none(tmp_path):
    corpus = photo_corpus(tmp_path, num_images=70)
    results = ask(corpus, list(range(60)), k=30)
    figure = figures.neighbours(results, corpus)
    assert len(figure.axes) == 1
    assert len(figure.axes[0].images) == 50 * 21
    note = figure.axes[0].texts[-1].get_text()
    assert note == "Drawn: the first 50 of 60 rows, the nearest 20 of 30; neighbours.csv has all"
    few = ask(corpus, [0])
    drawn = [len(output.write(few, corpus, RetrieveConfig(json=True, json_figure=wanted))) for wanted in (False, True)]
    assert drawn == [2, 3]


def test_a_neighbour_that_is_gone_leaves_a_grey_picture_and_is_told_when_copied(corpus, tmp_path):
    results = ask(corpus, [3])
    gone = corpus.path_of(results.hits["euclidean"][0][0].id)
    gone.unlink()
    output.write(results, corpus, RetrieveConfig(explain=True))
    assert (corpus.images(np.array([results.hits["euclidean"][0][0].id])) == 128).all()
    with pytest.raises(InputError, match=r"no longer there\. Give the command again"):
        output.copy_to(tmp_path / "hits", results, corpus)
    with pytest.raises(InputError, match=r"no longer there\. Leave out --no-sync"):
        output.copy_to(tmp_path / "hits", results, corpus, synced=False)
    assert copies(tmp_path / "hits") == {}  # all or none


def test_names_of_any_bytes_are_written(tmp_path):
    make_photos(tmp_path / "photos", 30)
    strange = os.fsdecode(b"\xff\n.png")
    (tmp_path / "photos" / "a" / "3.png").rename(tmp_path / "photos" / strange)
    corpus = photo_corpus(tmp_path, num_images=3)
    results = ask(corpus, [5], k=29)
    output.write(results, corpus, RetrieveConfig(explain=True))
    assert "\\xff\\n.png" in (corpus.run.reports / "retrieval" / "neighbours.csv").read_text()
    record = json.loads((corpus.run.reports / "retrieval" / "neighbours.json").read_text())
    assert any(neighbour["path"].endswith(strange) for neighbour in record["queries"][0]["neighbours"])
    assert output.copy_to(tmp_path / "hits", results, corpus)[1] == 29


@pytest.mark.parametrize(
    ("options", "message"), [({"k": 0}, "--k 0"), ({"k": 30}, "1 to 29"), ({"min_score": 101}, "--min-score 101")]
)
def test_what_cannot_be_asked_is_refused(options, message, corpus):
    with pytest.raises(InputError, match=message):
        ask(corpus, [0], **options)


def test_all_images_can_answer_what_lies_outside(corpus, tmp_path):
    Image.new("RGB", (9, 9), (0, 255, 0)).save(tmp_path / "green.png")
    queries, _ = find_queries(RetrieveConfig(query=(str(tmp_path / "green.png"),)), corpus)
    hits = search(queries, corpus, k=30, metrics=("cosine",)).hits["cosine"][0]
    assert len({hit.id for hit in hits}) == 30


def test_a_class_that_the_query_is_not_of_can_answer_as_a_whole(tmp_path):
    composed, apart = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    make_photos(tmp_path / "source", 24)
    for before, after in (("a", apart), ("b", "tea")):
        (tmp_path / "source" / before).rename(tmp_path / "source" / after)
    dataset = prepare(tmp_path / "source")
    corpus = DatasetCorpus(Run(tmp_path, "photos"), MeanColours(), build(dataset, MeanColours()), dataset)
    query = int(np.flatnonzero(corpus.labels == corpus.labels_of(("tea",))[0])[0])
    queries, _ = find_queries(RetrieveConfig(query=(str(corpus.path_of(query)),)), corpus)
    for name in (composed, apart):
        of_class = int(np.sum(corpus.labels == corpus.labels_of((name,))[0]))
        assert of_class > 1
        hits = search(queries, corpus, k=of_class, metrics=("cosine",), only=(name,)).hits["cosine"][0]
        assert len({hit.id for hit in hits}) == of_class
    with pytest.raises(InputError, match=f"1 to {of_class},"):
        search(queries, corpus, k=of_class + 1, metrics=("cosine",), only=(composed,))


@pytest.mark.parametrize(("metric", "expected"), [("all", METRICS), ("manhattan", ("manhattan",))])
def test_all_means_every_metric(metric, expected):
    assert output.metrics_of(RetrieveConfig(metric=metric)) == expected


def test_paths_in_the_folder_are_short_in_the_terminal_and_whole_in_files(tmp_path):
    corpus = photo_corpus(tmp_path, num_images=8)
    folder = corpus.content.folder
    elsewhere = tmp_path / "elsewhere.png"
    Image.new("RGB", (20, 10), "red").save(elsewhere)
    asked = next(path for path in sorted(folder.rglob("*.png")))
    queries, _ = find_queries(RetrieveConfig(query=(str(asked), str(elsewhere))), corpus)
    results = search(queries, corpus, k=2, metrics=("cosine",))
    rows = output.for_terminal(results, corpus)
    assert [row["query"] for row in rows] == [str(asked.relative_to(folder)), "", str(elsewhere), ""]
    assert [row["path"] for row in output.table(results, corpus)] == [str(folder / row["neighbour"]) for row in rows]
