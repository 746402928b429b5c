"""The tree in C: compiled where it can be, tried before it is used, done without where it cannot be had."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from latentsearch.gallery import backend_choice, compiled
from latentsearch.gallery.backends import FaissFlat, KDTree
from latentsearch.gallery.index import Index
from latentsearch.gallery.native_tree import NativeTree


@pytest.fixture(autouse=True)
def kept_apart(monkeypatch, tmp_path):
    """Nothing is compiled yet, and what is compiled goes to a folder of this test."""
    source = tmp_path / "nearest.c"
    source.write_bytes(compiled.SOURCE.read_bytes())
    monkeypatch.setattr(compiled, "SOURCE", source)
    forget = compiled.library.cache_clear
    forget()
    yield
    forget()


def kept(folder):
    """Names of what lies in the folder of compiled libraries."""
    return sorted(path.name for path in folder.rglob("*") if path.suffix == ".so")


def answers(metric):
    """Distances of the 10 nearest of 100 queries, by the backend that is chosen."""
    vectors = np.random.default_rng(0).normal(size=(5000, 10)).astype(np.float32)
    return Index(vectors, metric=metric).search(vectors[:100], 10).distances


def test_it_is_compiled_once(tmp_path, monkeypatch):
    assert NativeTree.is_available()
    assert len(kept(tmp_path)) == 1
    compiled.library.cache_clear()
    monkeypatch.setenv("CC", "no-such-compiler")
    assert NativeTree.is_available()


def test_two_that_compile_at_once_both_have_it(tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(compiled.library.__wrapped__())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in found
    assert len(kept(tmp_path)) == 1


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
@pytest.mark.parametrize(("metric", "instead"), [("cosine", KDTree), ("manhattan", FaissFlat)])
def test_without_a_compiler_others_answer_the_same(tmp_path, monkeypatch, compiler, metric, instead):
    monkeypatch.setenv("CC", compiler)
    assert backend_choice.choose(5_000_000, 10, metric, k=10, num_asked=100) is instead
    with pytest.raises(RuntimeError, match="not compiled"):
        NativeTree(np.zeros((3, 2)), metric)
    without = answers(metric)
    monkeypatch.undo()
    compiled.library.cache_clear()
    assert backend_choice.choose(5_000_000, 10, metric, k=10, num_asked=100) is NativeTree
    np.testing.assert_array_equal(without, answers(metric))


def test_where_nothing_can_be_written_it_is_done_without(tmp_path):
    (tmp_path / "__pycache__").write_text("a file in the place of the folder")
    assert not NativeTree.is_available()


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("if (far < farthest(q)) add(", "if (far > farthest(q)) add("),
        ("descend(&q, 0, 0, leaves);", "__builtin_trap();"),
        ("descend(&q, 0, 0, leaves);", "for (;;) leaves += num_queries;"),
    ],
    ids=["wrong answers", "an instruction that the processor lacks", "no end"],
)
def test_a_library_that_fails_its_trial_is_not_used(tmp_path, monkeypatch, what, instead):
    if "for (;;)" in instead:
        monkeypatch.setattr(compiled, "_SECONDS", 2)
    source = compiled.SOURCE.read_text()
    assert what in source
    compiled.SOURCE.write_text(source.replace(what, instead))
    assert not NativeTree.is_available()
    assert kept(tmp_path) == []


def test_another_processor_has_another_library(tmp_path, monkeypatch):
    assert NativeTree.is_available()
    compiled.library.cache_clear()
    monkeypatch.setattr(compiled, "processor_features", lambda: "of another machine")
    assert NativeTree.is_available()
    assert len(kept(tmp_path)) == 2


def test_a_compiler_that_cannot_compile_for_this_processor_compiles_for_any(tmp_path, monkeypatch):
    # A compiler that knows no -march=native, as on some processors.
    script = tmp_path / "plain-cc"
    script.write_text('#!/bin/sh\ncase "$*" in *native*) exit 1;; esac\nexec cc "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("CC", os.fspath(script))
    assert NativeTree.is_available()
    expected = answers("euclidean")
    monkeypatch.setattr(compiled, "library", lambda: None)
    np.testing.assert_array_equal(answers("euclidean"), expected)
