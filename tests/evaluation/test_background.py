"""Work in the background."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from latentsearch.evaluation.background import Background


def test_the_caller_goes_on_and_gets_the_result() -> None:
    goes_on = threading.Event()

    work = Background(lambda: goes_on.wait(60))
    goes_on.set()

    assert work.result() is True


def test_an_error_is_raised_where_the_result_is_wanted() -> None:
    def fail() -> None:
        raise ValueError("no codes")

    work = Background(fail)

    with pytest.raises(ValueError, match="no codes"):
        work.result()


def test_a_process_that_ends_does_not_wait_for_it() -> None:
    endless = (
        "import threading; from latentsearch.evaluation.background import Background; "
        "Background(threading.Event().wait)"
    )

    assert subprocess.run([sys.executable, "-c", endless], timeout=60, check=False).returncode == 0
