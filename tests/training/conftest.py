"""What trainings of these tests leave out."""

from __future__ import annotations

import pytest

from latentsearch.training import train as training


@pytest.fixture(autouse=True)
def without_products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings do not export their networks nor draw their curves, a third of their time; but where a test says so."""
    if not request.node.get_closest_marker("products"):
        monkeypatch.setattr(training, "_write_products", lambda *arguments, **keywords: None)
