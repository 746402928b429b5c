"""A folder of photographs for the tests of its gallery."""

from __future__ import annotations

import pytest

from fuzzing.colours import make_photos


@pytest.fixture
def folder(tmp_path):
    """Twelve images of one colour each, in two folders."""
    make_photos(tmp_path / "photos", 12)
    return tmp_path / "photos"
