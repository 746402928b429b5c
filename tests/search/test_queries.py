"""Which images are asked about."""

from __future__ import annotations

import io
import json
import os
import shutil

import numpy as np
import pytest

from latentsearch.errors import InputError
from latentsearch.gallery.gallery import build
from latentsearch.runs import Run
from latentsearch.search import output
from latentsearch.search.config import RetrieveConfig
from latentsearch.search.corpus import DatasetCorpus
from latentsearch.search.queries import check_flags, find_queries
from latentsearch.search.results import search
from tests.data.folders import prepare
from tests.photos import MeanColours, make_photos, photo_corpus


@pytest.fixture
def corpus(tmp_path):
    """Thirty files of one colour each."""
    return photo_corpus(tmp_path, num_images=30)


def test_random_queries_are_distinct_and_follow_the_seed(corpus):
    first, problems = find_queries(RetrieveConfig(seed=0), corpus)
    again, _ = find_queries(RetrieveConfig(seed=0), corpus)
    other, _ = find_queries(RetrieveConfig(seed=1), corpus)
    assert not problems
    assert len(set(first.ids)) == 20
    assert set(first.ids) <= set(corpus.examples)
    np.testing.assert_array_equal(first.ids, again.ids)
    assert set(first.ids) != set(other.ids)
    np.testing.assert_array_equal(first.images, corpus.images(first.ids))


def test_files_keep_their_order_and_bad_ones_are_told(corpus, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    files = [str(corpus.path_of(number)) for number in (7, 3)]
    config = RetrieveConfig(query=(str(tmp_path / "bad.png"), files[0], "nowhere.png", "http://a.b/c.png", files[1]))
    queries, problems = find_queries(config, corpus)
    np.testing.assert_array_equal(queries.ids, [7, 3])  # files of the corpus are known by their path
    np.testing.assert_array_equal(queries.images, corpus.images(np.array([7, 3])))
    assert queries.names == files
    assert [line.split("/")[-1] for line in problems[:2]] == [
        "bad.png: the file is empty.",
        "nowhere.png: there is no such file.",
    ]
    assert problems[2] == "http://a.b/c.png: a URL is not fetched; download the image and give its path."


def standard_input(monkeypatch, content):
    """As a process has it whose encoding is strict UTF-8."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", errors="strict"))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_paths_can_come_from_standard_input(end, corpus, monkeypatch):
    files = [str(corpus.path_of(number)) for number in (7, 3)]
    standard_input(monkeypatch, end.join([*map(os.fsencode, files), b"", b"gone.png"]))
    queries, problems = find_queries(RetrieveConfig(query=("-",)), corpus)
    assert queries.names == files
    assert len(problems) == 1


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\0"])
def test_standard_input_without_a_path_is_told(content, corpus, monkeypatch):
    standard_input(monkeypatch, content)
    with pytest.raises(InputError, match="no path came on standard input"):
        find_queries(RetrieveConfig(query=("-",)), corpus)


def test_names_in_another_encoding_come_and_go_as_bytes(corpus, tmp_path, monkeypatch):
    latin, lines = os.fsencode(tmp_path) + b"/caf\xe9.png", os.fsencode(tmp_path) + b"/two\nlines.png"
    for name in (latin, lines):
        shutil.copy(corpus.path_of(7), os.fsdecode(name))
    standard_input(monkeypatch, b"\0".join([latin, lines, os.fsencode(tmp_path) + b"/gone\xe9.png"]))
    queries, problems = find_queries(RetrieveConfig(query=("-",)), corpus)
    assert [os.fsencode(name) for name in queries.names] == [latin, lines]
    assert [line.split("/")[-1] for line in problems] == [r"gone\xe9.png: there is no such file."]
    results = search(queries, corpus, k=3, metrics=("cosine",))
    record = json.loads(json.dumps(output.as_record(results, corpus, RetrieveConfig())))
    assert [os.fsencode(query["query"]) for query in record["queries"]] == [latin, lines]


def test_a_leading_tilde_is_the_home_folder(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(corpus.path_of(7), tmp_path / "x.png")
    standard_input(monkeypatch, b"~/x.png\n~nobody-of-that-name/x.png\n")
    queries, problems = find_queries(RetrieveConfig(query=("~/x.png", "-")), corpus)
    assert queries.names == [str(tmp_path / "x.png")] * 2
    assert len(problems) == 1
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~").mkdir()
    shutil.copy(corpus.path_of(3), tmp_path / "~" / "x.png")
    assert find_queries(RetrieveConfig(query=("~/x.png",)), corpus)[0].names == ["~/x.png"]  # what is there, is it


def ways_to_name(path, elsewhere):
    """Paths of one file: through links of files and folders, as it is, and by a second name of it."""
    (elsewhere / "file.png").symlink_to(path)
    (elsewhere / "folder").symlink_to(path.parent)
    (elsewhere / "again").symlink_to(elsewhere / "folder")
    (elsewhere / "second.png").hardlink_to(path)
    return [elsewhere / "file.png", elsewhere / "folder" / path.name, elsewhere / "again" / path.name,
            elsewhere / "second.png", path.parent / ".." / path.parent.name / path.name]  # fmt: skip


def asked(corpus, paths):
    queries, problems = find_queries(RetrieveConfig(query=tuple(map(str, paths))), corpus)
    assert not problems
    return search(queries, corpus, k=4, metrics=("euclidean",)).hits["euclidean"]


def test_an_image_never_answers_itself_however_it_is_named(corpus, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    paths = ways_to_name(corpus.path_of(7), tmp_path / "elsewhere")
    for hits in asked(corpus, paths):
        assert 7 not in [hit.id for hit in hits]
        assert len(hits) == 4


def test_nor_when_the_gallery_holds_links_to_what_lies_elsewhere(tmp_path):
    make_photos(tmp_path / "store", 12)
    (tmp_path / "photos").mkdir()
    for number, path in enumerate(sorted((tmp_path / "store").rglob("*.png"))):
        (tmp_path / "photos" / f"link-{number}.png").symlink_to(path)
    (tmp_path / "photos" / "all").symlink_to(tmp_path / "store")
    (tmp_path / "photos" / "second.png").hardlink_to(tmp_path / "store" / "a" / "1.png")
    corpus = photo_corpus(tmp_path, num_images=0)
    assert len(corpus.gallery.ids) == 25
    own = corpus.same_file(corpus.id_of(tmp_path / "store" / "a" / "1.png"))
    assert len(own) == 3
    queries = [tmp_path / "store/a/1.png", tmp_path / "photos/second.png", tmp_path / "photos/all/a/1.png"]
    for hits in asked(corpus, queries):
        assert not own & {hit.id for hit in hits}
        assert [hit.rank for hit in hits] == [1, 2, 3, 4]
        assert hits[0].distance > 0


def test_nor_in_a_dataset(tmp_path):
    make_photos(tmp_path / "source", 24)
    dataset = prepare(tmp_path / "source")
    autoencoder = MeanColours()
    corpus = DatasetCorpus(Run(tmp_path, "photos"), autoencoder, build(dataset, autoencoder), dataset)
    path = tmp_path / "source" / "a" / "7.png"
    own = corpus.id_of(path)
    assert corpus.path_of(own) == path
    (tmp_path / "elsewhere").mkdir()
    for way in ways_to_name(path, tmp_path / "elsewhere"):
        assert corpus.id_of(way) == own
    shutil.copy(path, tmp_path / "copy.png")
    assert corpus.id_of(tmp_path / "copy.png") is None  # another file, though the same picture


def test_test_images_are_asked_by_their_number(corpus):
    queries, problems = find_queries(RetrieveConfig(query_index=(2, -1, 0, 99)), corpus)
    np.testing.assert_array_equal(queries.ids, corpus.examples[[2, 0]])
    assert [line.split(":")[0] for line in problems] == ["--query-index -1", "--query-index 99"]


def test_what_cannot_be_asked_is_told_before_anything_is_encoded(tmp_path):
    (tmp_path / "there.png").touch()
    for query in (("-",), ("http://here/1.png",), (str(tmp_path / "there.png"), "gone.png")):
        check_flags(RetrieveConfig(query=query))
    with pytest.raises(InputError, match=r"--query gone\.png: there is no such file"):
        check_flags(RetrieveConfig(query=("gone.png", "lost.png")))
    with pytest.raises(InputError, match=r"--query-index .* leave out --gallery"):
        check_flags(RetrieveConfig(query_index=(0,), gallery=tmp_path))
    with pytest.raises(InputError, match=r"--look 2: expected 0 \(kind alone\) to 1"):
        check_flags(RetrieveConfig(look=2))
    with pytest.raises(InputError, match="--k 0: expected at least 1"):
        check_flags(RetrieveConfig(k=0))


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--encoder-precision", "float32"), ("--encoder-precision", "int8"), ("--verify", True), ("--no-sync", False)],
)
def test_a_collection_takes_no_flag_of_a_gallery(flag, value):
    name = flag.removeprefix("--").removeprefix("no-").replace("-", "_")
    with pytest.raises(InputError, match=f"with no gallery: leave out {flag}"):
        check_flags(RetrieveConfig(store="http://127.0.0.1:1", collection="photos", **{name: value}))


def test_a_folder_that_is_a_link_to_itself_is_refused_in_words(in_process, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    refused = in_process("RetrieveSimilar.py", "--gallery", tmp_path / "loop", "--root", tmp_path)
    assert refused.returncode == 2
    assert "loop: a link leads to itself. Give another path, or remove the link." in refused.stderr.replace("'", "")
