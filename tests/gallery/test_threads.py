"""Work on blocks of rows in threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import threadpoolctl

from latentsearch import environment
from latentsearch.gallery import threads
from latentsearch.gallery.image_matching import batches
from latentsearch.gallery.threads import in_threads


def num_blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "num_cores", lambda: 2)


@pytest.mark.parametrize("count", [1, 7, 8, 23])
def test_results_are_those_of_one_block_after_the_other(two_cores: None, count: int) -> None:
    values = np.arange(count) ** 2

    found = in_threads(lambda rows: values[rows], batches(count, 4))

    np.testing.assert_array_equal(np.concatenate(found), values)


def test_two_blocks_are_worked_on_at_a_time(two_cores: None) -> None:
    both = threading.Barrier(2, timeout=60)  # broken, unless two threads come to it

    assert len(in_threads(lambda rows: both.wait(), batches(2, 1))) == 2


def test_an_error_of_a_block_is_raised(two_cores: None) -> None:
    def work(rows: slice) -> None:
        if rows.start:
            raise ValueError(f"block at {rows.start}")

    with pytest.raises(ValueError, match="block at 4"):
        in_threads(work, batches(8, 4))


def test_products_keep_to_their_thread_until_all_who_ask_for_it_are_done(two_cores: None) -> None:
    before = num_blas_threads()
    seen = []
    entered, left = threading.Event(), threading.Event()

    def first() -> None:
        with threads._products_of_one_thread():
            entered.set()
            left.wait(60)
        seen.append(num_blas_threads())

    other = threading.Thread(target=first)
    other.start()
    assert entered.wait(60)
    with threads._products_of_one_thread():
        left.set()  # the first one leaves while this one is at work
        other.join()
        assert num_blas_threads() == {1}
    assert seen == [{1}]
    assert num_blas_threads() == before
