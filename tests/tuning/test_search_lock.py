"""One search at a time: the lock of a search outlasts what it replaces."""

from __future__ import annotations

import pytest

from latentsearch.errors import InputError
from latentsearch.tuning import report
from latentsearch.tuning.tune import tune
from tests.tuning.test_tune import StandIn, config


def test_a_search_that_goes_on_keeps_its_lock(small_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "write", lambda *_: [])
    refused = []

    def second():
        with pytest.raises(InputError, match="in use by process") as error:
            tune(config(tmp_path, overwrite=True), StandIn())
        refused.append(error)

    tune(config(tmp_path, trials=2), StandIn(interrupt=("001", second)))
    tune(config(tmp_path, trials=2, overwrite=True), StandIn(interrupt=("000", second)))
    assert len(refused) == 2
