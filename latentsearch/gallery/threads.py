"""Work on blocks of rows in threads, on all cores, as NumPy and SciPy let threads do."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from latentsearch import environment

Result = TypeVar("Result")

_MOST = 16  # threads: each holds blocks in memory
_AHEAD = 2  # blocks for each thread that are begun or wait: at Ctrl-C these are still worked on
_alone = threading.Lock()


def num_threads() -> int:
    """Count the threads that `in_threads` works in."""
    return min(environment.num_cores(), _MOST)


def in_threads(work: Callable[[slice], Result], blocks: Iterable[slice]) -> list[Result]:
    """Work on blocks, as many at a time as there are cores, and return the results in their order.

    Matrix products in `work` keep to their thread: several at a time, each on all cores, wait for each other. Their
    number of threads is that of the whole process, so a second caller at the same time works without further threads.

    Args:
        work: Works on some rows.
        blocks: Slices of rows.
    """
    blocks = list(blocks)
    if len(blocks) < 2 or num_threads() < 2 or not _alone.acquire(blocking=False):
        return [work(block) for block in blocks]
    try:
        with _libraries().limit(limits=1, user_api="blas"), ThreadPoolExecutor(num_threads()) as threads:
            results: list[Result] = []
            begun: deque[Future[Result]] = deque()
            for block in blocks:
                if len(begun) == _AHEAD * num_threads():
                    results.append(begun.popleft().result())
                begun.append(threads.submit(work, block))
            return results + [future.result() for future in begun]
    finally:
        _alone.release()


@functools.cache  # looking for them takes longer than some work
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
