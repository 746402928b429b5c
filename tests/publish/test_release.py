"""What a release asks of Milvus."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from latentsearch.publish import release


def test_codes_are_counted_however_long_a_busy_server_takes():
    """Of 10 million codes, a server of two cores did not answer within half a minute."""
    asked = []

    def call(method, collection, **options):
        asked.append((method, collection, options))
        return [{"count(*)": 7}]

    assert release._count(SimpleNamespace(call=call, load=lambda collection: None), "codes") == 7
    [(method, collection, options)] = asked
    assert (method, collection, options["consistency_level"]) == ("query", "codes", "Strong")
    assert options["timeout"] >= 600


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves while somebody sleeps."""
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    monkeypatch.setattr(release, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    return now


def test_codes_that_a_server_moves_are_waited_for(monkeypatch, clock):
    """Of 10 million codes, 78,087 were missing when they were counted at once."""
    counts = iter([7, *[8] * 50, *[9] * 50, 10])
    monkeypatch.setattr(release, "_count", lambda milvus, collection: next(counts))

    assert release._count_settled(None, "codes", 10) == 10
    assert not list(counts)


def test_codes_that_stay_missing_are_told_of(monkeypatch, clock):
    monkeypatch.setattr(release, "_count", lambda milvus, collection: 9)

    assert release._count_settled(None, "codes", 10) == 9
    assert release._TO_SETTLE <= clock[0] <= release._TO_SETTLE + release._ASKED_EVERY


def test_codes_that_come_and_go_are_waited_for_half_an_hour(monkeypatch, clock):
    counts = itertools.cycle([8, 9])
    monkeypatch.setattr(release, "_count", lambda milvus, collection: next(counts))

    assert release._count_settled(None, "codes", 10) in (8, 9)
    assert release._TO_COUNT <= clock[0] <= release._TO_COUNT + release._ASKED_EVERY


def test_codes_that_are_all_there_are_counted_once(monkeypatch, clock):
    counts = iter([10])
    monkeypatch.setattr(release, "_count", lambda milvus, collection: next(counts))

    assert release._count_settled(None, "codes", 10) == 10
    assert clock[0] == 0
