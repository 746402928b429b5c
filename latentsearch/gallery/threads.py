"""Work on blocks of rows in threads, on all cores, as NumPy and SciPy let threads do."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from latentsearch import environment

Result = TypeVar("Result")

_lock = threading.Lock()
_users: list[object] = []  # of matrix products of one thread each
_limits = contextlib.ExitStack()


def in_threads(work: Callable[[slice], Result], blocks: Iterable[slice]) -> list[Result]:
    """Work on blocks, as many at a time as there are cores, and return the results in their order.

    A matrix product in `work` keeps to its thread: several at a time, each on all cores, wait for each other.

    Args:
        work: Works on some rows.
        blocks: Slices of rows.
    """
    blocks, cores = list(blocks), environment.num_cores()
    if len(blocks) < 2 or cores == 1:
        return [work(block) for block in blocks]
    with _products_of_one_thread(), ThreadPoolExecutor(cores) as threads:
        return list(threads.map(work, blocks))


@functools.cache  # looking for them takes longer than some work
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextlib.contextmanager
def _products_of_one_thread() -> Iterator[None]:
    """Keep matrix products to the thread that calls them, until the last of those that ask for it has left.

    The number of threads is that of the whole process: each one who put back what it found would put back too few.
    """
    me = object()
    with _lock:
        if not _users:
            _limits.enter_context(_libraries().limit(limits=1, user_api="blas"))
        _users.append(me)
    try:
        yield
    finally:
        with _lock:
            _users.remove(me)
            if not _users:
                _limits.close()
