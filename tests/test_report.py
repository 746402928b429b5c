"""Numbers of the report that are not those of another module."""

from __future__ import annotations

import pandas as pd
import pytest

from latentsearch.report import criterion_tracking

HISTORY = pd.DataFrame(
    {
        "val_loss": [5.0, 4.0, 3.0, 2.0],
        "val_mse": [0.1, 0.2, 0.3, 0.4],
        "val_copy_recall": [0.1, 0.2, 0.4, 0.3],
        "val_precision": [0.2, 0.3, 0.4, 0.5],
    }
)


def test_a_criterion_that_gets_better_as_precision_rises_tracks_it():
    tracking = criterion_tracking(HISTORY)
    assert tracking["val_loss"] == pytest.approx(1)
    assert tracking["val_mse"] == pytest.approx(-1)
    assert tracking["val_copy_recall"] == pytest.approx(0.8)


def test_what_has_no_order_is_left_out():
    assert criterion_tracking(HISTORY[:1]) == {}
    assert "val_mse" not in criterion_tracking(HISTORY.assign(val_mse=0.1))
