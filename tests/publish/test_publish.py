"""Images published by two executors to a real server, and found there with no gallery, whoever fails on the way."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("pymilvus", reason="pymilvus is not installed: requirements-milvus.txt")

from fuzzing.colours import make_photos
from latentsearch import spark
from latentsearch.errors import InputError
from latentsearch.gallery import milvus_client, published
from latentsearch.gallery.milvus_client import MilvusConnection
from latentsearch.gallery.sync import sync
from latentsearch.models.encoder import Autoencoder
from latentsearch.publish import contents, encode, storage
from latentsearch.runs import Run
from latentsearch.search.config import RetrieveConfig
from latentsearch.search.folder_corpus import FolderCorpus
from latentsearch.search.queries import find_queries
from latentsearch.search.results import search
from tests.clusters import MASTER, executors, needs_spark, wait_for
from tests.conftest import REPOSITORY
from tests.publish.publishing import (
    KindAndLook,
    make_run,
    num_encoded,
    on_disk,
    open_published,
    paths_in,
    publication,
)

pytestmark = [pytest.mark.engines, pytest.mark.slow, needs_spark]
NUM_PHOTOS = 30


@pytest.fixture(scope="module", autouse=True)
def session(tmp_path_factory):
    """One for all; its executors can import the encoders of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        with spark.session(MASTER, tmp_path_factory.mktemp("spark") / "spark.log") as opened:
            opened.conf.set("spark.sql.shuffle.partitions", "4")
            yield opened


@pytest.fixture
def server(empty_server):
    return empty_server


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Images of one colour each, one of a name that is no text, and one that is damaged; parts of few images."""
    monkeypatch.setattr(encode, "_PART", 4)
    monkeypatch.setattr(contents, "_ROWS", 6)
    folder = tmp_path / "photos"
    make_photos(folder, NUM_PHOTOS)
    (folder / "a/bad.png").write_bytes((folder / "a/3.png").read_bytes()[:50])
    shutil.copy(folder / "a/3.png", folder / os.fsdecode(b"\xff.png"))
    return folder


def test_changes_are_followed_and_a_search_sees_the_old_or_the_new(photos, server, tmp_path, monkeypatch):
    first, said = publication(tmp_path, photos, server.address)
    first.run()
    assert f"{NUM_PHOTOS + 1} added" in said[0]
    assert said[1] == "left out: 1 x damaged"
    assert paths_in(server.address, photos) == on_disk(photos)
    # Two have one content, which is encoded once where their paths, of another folder each time, fall into one part.
    assert num_encoded(tmp_path) in (NUM_PHOTOS, NUM_PHOTOS + 1)
    first, said = publication(tmp_path, photos, server.address, log="again")
    first.run()
    assert said[-1].startswith(f"published: as before, {NUM_PHOTOS + 1} codes")
    assert num_encoded(tmp_path, "again") == 0

    (photos / "a/5.png").rename(photos / "moved.png")
    (photos / "a/7.png").unlink()
    shutil.copy(photos / "a/9.png", photos / "a/11.png")
    make_photos(photos / "more", 2)
    os.utime(photos / "a/13.png", (1, 1))
    with closing(MilvusConnection(server.address)) as milvus:  # of another, under a name such as ours
        milvus.create("latentsearch_photos_theirs", {"id": ("INT64", {}), "code": ("FLOAT_VECTOR", {"dim": 2})}, {})
    closing_store, corpus = open_published(tmp_path, server.address)
    stop, seen = threading.Event(), []

    def keep_asking():
        while not stop.is_set():
            queries, _ = find_queries(RetrieveConfig(query=(str(photos / "a/1.png"),)), corpus)
            found = search(queries, corpus, k=NUM_PHOTOS - 2, metrics=("cosine",), store=corpus._store)
            seen.append({str(corpus.path_of(hit.id)) for hit in found.hits["cosine"][0]})

    with closing_store:
        asking = threading.Thread(target=keep_asking)
        asking.start()
        second, said = publication(tmp_path, photos, server.address, log="second")
        second.run()
        count = len(seen)
        wait_for(lambda: len(seen) > count + 1 or not asking.is_alive())
        stop.set()
        asking.join()
    assert "2 added, 1 changed, 1 moved, 1 removed" in said[0]
    assert num_encoded(tmp_path, "second") == 5  # the touched one too: only its content tells that it is the same
    with closing(MilvusConnection(server.address)) as milvus:
        assert milvus.call("has_collection", "latentsearch_photos_theirs")
        milvus.call("drop_collection", "latentsearch_photos_theirs")
    assert paths_in(server.address, photos) == on_disk(photos)
    assert len(seen) >= 3
    gone, new = str(photos / "a/5.png"), str(photos / "moved.png")
    assert all((gone in paths) != (new in paths) for paths in seen)
    assert gone in seen[0]
    assert new in seen[-1]
    assert len(list((tmp_path / "data/published/photos/contents").glob("*/"))) == 1
    assert not (tmp_path / "data/published/photos/parts").exists()
    other, _ = publication(tmp_path / "elsewhere", photos, server.address)
    with pytest.raises(InputError, match="published from another --root"):
        other.run()


@pytest.fixture
def labelled(photos, tmp_path):
    """A Parquet file of their paths with classes, and one that is not there."""
    from pyarrow import Table, parquet

    names = sorted(str(path) for path in photos.rglob("*.png") if path.name != os.fsdecode(b"\xff.png"))
    labels = ["odd" if "/a/" in name else "even" for name in names]
    table = Table.from_pydict({"path": [*names, "/not/there.png"], "label": [*labels, "odd"], "more": [*labels, ""]})
    parquet.write_table(table, tmp_path / "paths.parquet")
    return tmp_path / "paths.parquet"


def test_kind_look_and_classes_give_the_hits_of_a_gallery(photos, labelled, server, tmp_path):
    (photos / os.fsdecode(b"\xff.png")).unlink()
    made, said = publication(
        tmp_path, labelled, server.address, encoder=KindAndLook, look=(0.2, 0.7), index="hnsw", min_recall=0.99
    )
    made.run()
    assert "left out: 1 x missing" in said
    content, _ = sync(tmp_path / "gallery.npz", photos, KindAndLook(tmp_path / "here"))
    for look in (None, 0.7):
        local = FolderCorpus(make_run(tmp_path), KindAndLook(tmp_path / "here"), content, look=look)
        store, corpus = open_published(tmp_path, server.address, look=look, encoder=KindAndLook)
        with store:
            config = RetrieveConfig(query=tuple(str(photos / name) for name in ("a/1.png", "b/c/8.png")))
            names = []
            for one in (local, corpus):
                queries, _ = find_queries(config, one)
                assert (queries.ids >= 0).all()
                found = search(queries, one, k=5, metrics=("cosine",), store=(one is corpus and corpus._store) or None)
                names.append(
                    [[(str(one.path_of(hit.id)), hit.distance) for hit in row] for row in found.hits["cosine"]]
                )
            for here, there in zip(*names, strict=True):
                assert [path for path, _ in here] == [path for path, _ in there]
                np.testing.assert_allclose([far for _, far in here], [far for _, far in there], atol=1e-6)
            only = search(queries, corpus, k=9, metrics=("cosine",), only=("odd",), store=corpus._store)
            assert {corpus.class_of(hit.id) for row in only.hits["cosine"] for hit in row} == {"odd"}
            scale = corpus.scale("cosine")
            assert len(scale.copies) == 2 * NUM_PHOTOS
            assert scale.score(np.array([0.0]))[0] > 90
    with pytest.raises(
        InputError, match=r"not published for cosine, look 0.5; it is for: cosine, look 0.2, cosine, look 0.7"
    ):
        open_published(tmp_path, server.address, look=0.5, encoder=KindAndLook)
    with pytest.raises(
        InputError, match=r"is of another encoder, that of run photos then \(kind and loo\); run photos"
    ):
        open_published(tmp_path, server.address)
    os.link(photos / "a/1.png", tmp_path / "link.png")
    store, corpus = open_published(tmp_path, server.address, encoder=KindAndLook)
    with store:
        assert corpus.path_of(corpus.id_of(tmp_path / "link.png")) == photos / "a/1.png"


PROGRAM = """
import os, signal, sys
from pathlib import Path
from latentsearch.gallery.milvus_client import MilvusConnection
from latentsearch.publish import contents, encode
from tests.publish.publishing import publication
encode._PART, contents._ROWS = 4, 6
MilvusConnection.create = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
root = Path({root!r})
publication(root, root / "photos", {address!r}, spark="local[2]")[0].run()
"""


def test_driver_killed_before_the_insert_a_damaged_part_and_an_executor_killed_in_it(
    photos, server, tmp_path, monkeypatch
):
    program = PROGRAM.format(root=str(tmp_path), address=server.address)
    driver = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False)
    assert driver.returncode == -signal.SIGKILL
    with closing(MilvusConnection(server.address)) as milvus:
        assert milvus.call("list_collections") == []
    parts = sorted((tmp_path / "data/published/photos/contents").glob("*/*.parquet"))
    assert len(parts) > 3
    damaged = parts[0].read_bytes()
    lost = len(storage.read_table(parts[0]))
    parts[0].write_bytes(damaged[: len(damaged) // 2] + bytes([damaged[len(damaged) // 2] ^ 255]))
    for part in (tmp_path / "data/published/photos/parts").glob("*/*.parquet"):
        part.unlink()
    killed = []

    def kill():
        wait_for(lambda: list((tmp_path / "data/published/photos/inserted").glob("*/*.json")))
        killed.append(executors()[0])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    made, said = publication(tmp_path, photos, server.address, log="second")
    made.run()
    killer.join()
    assert killed
    assert killed[0] not in executors()
    assert said[0] == "damaged: 1 Parquet files, which are made again"
    assert 1 <= num_encoded(tmp_path, "second") <= lost
    assert paths_in(server.address, photos) == on_disk(photos)


def test_the_script_answers_with_no_gallery_and_tells_of_a_server_that_goes_away_in_a_batch(
    server, photos, tmp_path, built_digits, in_process, monkeypatch, capsys
):
    run = Run(tmp_path, "digits")
    shutil.copy(run.initial_model, run.best_model)
    named = sorted(str(path) for path in photos.glob("a/*.png") if path.name != "bad.png")
    (tmp_path / "paths.txt").write_text("\n".join(named))
    place = ["--store", server.address, "--collection", "photos", "--root", str(tmp_path)]
    words = ["publish", "--gallery", str(tmp_path / "paths.txt"), "--run", "digits", *place, "--spark", MASTER]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("latentsearch.publish", run_name="__main__")
    assert ended.value.code == 0
    assert "published: 15 codes as photos" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "data")
    answered = in_process("RetrieveSimilar.py", *place, "--k", 3, "--query", named[0], "--explain")
    assert answered.returncode == 0, answered.stderr
    assert "15 codes of run digits in photos at" in answered.stdout
    assert (run.reports / "retrieval/explanation.png").exists()
    record = json.loads((run.reports / "retrieval/neighbours.json").read_text())
    assert {hit["path"] for hit in record["queries"][0]["neighbours"]} < set(named[1:])
    assert not run.folder_galleries.exists()
    refused = in_process("RetrieveSimilar.py", *place, "--gallery", photos)
    assert refused.returncode == 2
    assert "leave out --gallery" in refused.stderr

    call, made = MilvusConnection.call, []

    def failing(self, method, *arguments, **options):
        made.append(method)
        if made.count("search") == 3 and server.is_alive:
            server.kill()
        return call(self, method, *arguments, **options)

    monkeypatch.setattr(published, "_QUERIES", 5)
    monkeypatch.setattr(milvus_client, "_TO_ANSWER", 3)
    monkeypatch.setattr(MilvusConnection, "call", failing)
    begin = time.monotonic()
    stopped = in_process("RetrieveSimilar.py", *place, "--k", 3, "--query", *named)
    assert time.monotonic() - begin < 120
    assert made.count("search") >= 3
    assert stopped.returncode == 2
    assert "it does not answer" in stopped.stderr
    assert json.loads((run.reports / "retrieval/neighbours.json").read_text()) == record  # that of the last answer
    monkeypatch.undo()
    server.start()
    store, corpus = open_published(
        tmp_path, server.address, encoder=lambda _: Autoencoder(run.best_model, precision="int8")
    )
    with store:
        queries, _ = find_queries(RetrieveConfig(query=tuple(named)), corpus)
        found = search(queries, corpus, k=3, metrics=("cosine",), store=corpus._store)
        assert all(len(row) == 3 for row in found.hits["cosine"])


def test_codes_of_eight_bits_are_put_in_order_by_those_that_are_kept(photos, server, tmp_path):
    publication(tmp_path, photos, server.address, index="ivf_sq8", min_recall=1)[0].run()
    closing_store, corpus = open_published(tmp_path, server.address)
    with closing_store:
        queries, _ = find_queries(RetrieveConfig(query=(str(photos / "a/9.png"),)), corpus)
        hits = search(queries, corpus, k=4, metrics=("cosine",)).hits["cosine"][0]
        assert [corpus.path_of(hit.id).name for hit in hits[:2]] in (["8.png", "10.png"], ["10.png", "8.png"])
        [codes] = corpus.searcher.manifest.codes
        assert (codes.index, codes.recall) == ("ivf_sq8", 1)
        built = corpus.searcher._milvus.call("describe_index", codes.collection, "code")
        assert built["index_type"] == "IVF_SQ8"
