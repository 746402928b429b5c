"""Work on blocks of rows in threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import threadpoolctl

from latentsearch import environment
from latentsearch.gallery.image_matching import batches
from latentsearch.gallery.threads import in_threads


def num_blas_threads() -> set[int]:
    """Threads of NumPy's products; libraries on OpenMP count theirs by thread."""
    return {
        library["num_threads"]
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "blas" and library["threading_layer"] == "pthreads"
    }


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "num_cores", lambda: 2)


@pytest.mark.parametrize("count", [0, 1, 4, 23, 100])
def test_results_are_those_of_one_block_after_the_other(two_cores: None, count: int) -> None:
    values = np.arange(count) ** 2

    found = in_threads(lambda rows: values[rows], batches(count, 4))

    np.testing.assert_array_equal(np.concatenate([*found, np.empty(0, int)]), values)


def test_two_blocks_are_worked_on_at_a_time(two_cores: None) -> None:
    both = threading.Barrier(2, timeout=60)  # broken, unless two threads come to it

    assert len(in_threads(lambda rows: both.wait(), batches(6, 1))) == 6


def test_an_error_of_a_block_is_raised_and_the_others_are_left_out(two_cores: None) -> None:
    seen = []

    def work(rows: slice) -> None:
        seen.append(rows.start)
        if rows.start == 4:
            raise ValueError("block at 4")

    with pytest.raises(ValueError, match="block at 4"):
        in_threads(work, batches(4000, 4))
    assert len(seen) < 100


def test_one_core_works_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "num_cores", lambda: 1)

    assert set(in_threads(lambda rows: threading.get_ident(), batches(8, 4))) == {threading.get_ident()}


@pytest.mark.skipif(num_blas_threads() in (set(), {1}), reason="products have one thread anyway")
def test_a_second_caller_works_alone_and_products_have_their_threads_again(two_cores: None) -> None:
    """With the second caller still at work when the first has left, and the first alive when the second leaves."""
    before = num_blas_threads()
    entered, leave, end = threading.Event(), threading.Event(), threading.Event()
    during = []

    def first() -> None:
        def work(rows: slice) -> None:
            during.append(num_blas_threads())
            entered.set()
            assert leave.wait(60)

        in_threads(work, batches(2, 1))
        left.set()
        end.wait(60)

    left = threading.Event()
    other = threading.Thread(target=first)
    other.start()
    assert entered.wait(60)

    def work_beside(rows: slice) -> int:
        leave.set()
        assert left.wait(60)
        return threading.get_ident()

    assert set(in_threads(work_beside, batches(2, 1))) == {threading.get_ident()}
    assert during == [{1}, {1}]
    assert num_blas_threads() == before
    end.set()
    other.join()
