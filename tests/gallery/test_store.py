"""The store that lives in this process, held to what every store must do; and the flags --only and --store."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from fuzzing.colours import MeanColours
from latentsearch.config import METRICS
from latentsearch.errors import InputError
from latentsearch.gallery.milvus_store import MilvusStore
from latentsearch.gallery.store import EmbeddedStore
from latentsearch.runs import Run
from latentsearch.search.corpus import DatasetCorpus
from latentsearch.search.queries import Queries
from latentsearch.search.results import search
from tests.conftest import REPOSITORY
from tests.gallery.store_contract import StoreContract, random_gallery
from tests.photos import photo_corpus


class TestEmbeddedStore(StoreContract):
    @pytest.fixture
    def open_store(self):
        return lambda *_: closing(EmbeddedStore())

    @pytest.fixture(scope="class")
    def open_for_class(self):
        return lambda *_: closing(EmbeddedStore())


@pytest.fixture
def corpus(small_digits, tmp_path):
    """200 digits with codes from a normal distribution."""
    return DatasetCorpus(Run(tmp_path, "digits"), MeanColours(), random_gallery(200), small_digits)


def ask(corpus, image_id, **options):
    queries = Queries(["query"], np.zeros((1, 8, 8, 3), np.uint8), np.array([image_id]))
    codes = corpus.gallery.code_of(queries.ids)
    return [hit.id for hit in search(queries, corpus, codes=codes, **options).hits["euclidean"][0]]


def test_only_the_named_classes_answer(corpus):
    labels, codes = corpus.labels, corpus.gallery.codes
    digits = np.array([corpus.class_names[label] for label in labels])
    image_id = int(np.flatnonzero(digits == "3")[0])
    found = ask(corpus, image_id, k=15, metrics=("euclidean",), only=("3", "8"))
    allowed = np.flatnonzero(np.isin(digits, ["3", "8"]))
    allowed = allowed[allowed != image_id]
    nearest = allowed[np.argsort(np.linalg.norm(codes[allowed] - codes[image_id], axis=1))[:15]]
    assert found == nearest.tolist()
    assert found != ask(corpus, image_id, k=15, metrics=("euclidean",))


def test_more_than_these_classes_hold_is_refused(corpus):
    num_images = int((corpus.labels == corpus.class_names.index("3")).sum())
    inside = int(corpus.gallery.ids[corpus.labels == corpus.class_names.index("3")][0])  # never answers itself
    for image_id, most in ((0, num_images), (inside, num_images - 1)):
        assert len(ask(corpus, image_id, k=most, metrics=("euclidean",), only=("3",))) == most
        with pytest.raises(InputError, match=rf"--k {most + 1}: expected 1 to {most}"):
            ask(corpus, image_id, k=most + 1, metrics=("euclidean",), only=("3",))


def test_a_class_that_is_not_there_is_refused_with_those_that_are(corpus, tmp_path):
    with pytest.raises(InputError, match="--only cat: no such class; expected one or more of 0, 1, 2, 3, 4,"):
        ask(corpus, 0, k=1, metrics=("euclidean",), only=("3", "cat"))
    photos = photo_corpus(tmp_path / "root", num_images=3)
    with pytest.raises(InputError, match=r"photos has no classes\. Leave out --only"):
        ask(photos, 0, k=1, metrics=("euclidean",), only=("cat",))


def test_without_pymilvus_it_is_told_what_to_install(monkeypatch, tmp_path):
    for place in ("http://127.0.0.1:19530", str(tmp_path / "codes.db")):
        monkeypatch.setitem(sys.modules, "pymilvus", None)  # makes its import fail
        with pytest.raises(InputError, match=r"--store needs pymilvus.*\n.*pip install -r requirements-milvus.txt"):
            MilvusStore(place, ("cosine",))
    assert (REPOSITORY / "requirements-milvus.txt").is_file()


def test_what_milvus_cannot_do_is_refused(tmp_path):
    with pytest.raises(InputError, match="Milvus has no metric manhattan: with --store give --metric"):
        MilvusStore(str(tmp_path / "codes.db"), METRICS)
    with pytest.raises(InputError, match=r"--store codes.txt: expected FILE.db"):
        MilvusStore("codes.txt", ("cosine",))


def test_without_the_flag_nothing_of_milvus_is_loaded():
    program = (
        "import sys, latentsearch.gallery.milvus_store, latentsearch.search.output\n"
        "from latentsearch.gallery.store import EmbeddedStore\n"
        "assert not {'pymilvus', 'milvus_lite', 'grpc'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)
