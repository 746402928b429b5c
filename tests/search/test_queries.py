"""Which images are asked about."""

from __future__ import annotations

import io

import numpy as np
import pytest

from latentsearch.config import RetrieveConfig
from latentsearch.errors import InputError
from latentsearch.search.corpus import FolderCollection
from latentsearch.search.queries import find_queries
from tests.photos import photo_collection


@pytest.fixture
def collection(tmp_path):
    """Thirty files of one colour each."""
    return photo_collection(tmp_path, num_images=30)


def test_random_queries_are_distinct_and_follow_the_seed(collection):
    first, problems = find_queries(RetrieveConfig(seed=0), collection)
    again, _ = find_queries(RetrieveConfig(seed=0), collection)
    other, _ = find_queries(RetrieveConfig(seed=1), collection)
    assert not problems
    assert len(set(first.ids)) == 20
    assert set(first.ids) <= set(collection.examples)
    np.testing.assert_array_equal(first.ids, again.ids)
    assert set(first.ids) != set(other.ids)
    np.testing.assert_array_equal(first.images, collection.images(first.ids))


def test_files_keep_their_order_and_bad_ones_are_told(collection, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    files = [str(collection.path_of(number)) for number in (7, 3)]
    config = RetrieveConfig(query=(str(tmp_path / "bad.png"), files[0], "nowhere.png", "http://a.b/c.png", files[1]))
    queries, problems = find_queries(config, collection)
    np.testing.assert_array_equal(queries.ids, [7, 3])  # files of the collection are known by their path
    np.testing.assert_array_equal(queries.images, collection.images(np.array([7, 3])))
    assert queries.names == files
    assert [line.split("/")[-1] for line in problems[:2]] == [
        "bad.png: the file is empty.",
        "nowhere.png: there is no such file.",
    ]
    assert problems[2] == "http://a.b/c.png: a URL is not fetched; download the image and give its path."


def test_paths_can_come_from_standard_input(collection, monkeypatch):
    files = [str(collection.path_of(number)) for number in (7, 3)]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([*files, "", "gone.png"])))
    queries, problems = find_queries(RetrieveConfig(query=("-",)), collection)
    assert queries.names == files
    assert len(problems) == 1


def test_test_images_are_those_of_a_dataset(collection, monkeypatch):
    with pytest.raises(InputError, match="leave out --gallery"):
        find_queries(RetrieveConfig(query_index=(0,)), collection)
    monkeypatch.setattr(FolderCollection, "has_test_images", True)
    queries, problems = find_queries(RetrieveConfig(query_index=(2, -1, 0, 99)), collection)
    np.testing.assert_array_equal(queries.ids, collection.examples[[2, 0]])
    assert [line.split(":")[0] for line in problems] == ["--query-index -1", "--query-index 99"]
