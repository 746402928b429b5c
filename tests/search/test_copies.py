"""Copies of neighbours, whoever is killed on the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from latentsearch import files
from latentsearch.search import output
from latentsearch.search.config import RetrieveConfig
from latentsearch.search.queries import find_queries
from latentsearch.search.results import search
from tests.photos import photo_corpus


def test_copies_of_a_process_that_was_killed_are_taken_away_and_mixed_with_no_others(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*paths, **options):
        raise Killed

    corpus, hits = photo_corpus(tmp_path, num_images=6), tmp_path / "hits"
    queries, _ = find_queries(RetrieveConfig(query=(str(corpus.path_of(3)),)), corpus)
    results = search(queries, corpus, k=3, metrics=("cosine",))
    with monkeypatch.context() as patch:
        patch.setattr(output.files, "remove", killed)
        patch.setattr(output.shutil, "copyfile", killed)
        with pytest.raises(Killed):
            output.copy_to(hits, results, corpus)
    [ours] = hits.glob(".unfinished-*")
    dead = [Path(str(ours).replace(f"-{os.getpid()}-", f"-{number}-")) for number in (999_999_998, 999_999_999)]
    for folder in dead:
        files.make_folder(files.claim(folder))
        files.claim(folder / "hit.png").touch()
    (dead[1] / "mine.txt").write_text("mine")
    assert output.copy_to(hits, results, corpus)[1] == 3
    assert len(list((hits / "neighbours-001").glob("[!.]*"))) == 3
    assert [folder.exists() for folder in (ours, *dead)] == [True, False, True]
    assert (dead[1] / "mine.txt").read_text() == "mine"
