"""The rows of a publication: two paths of one id are refused, by name."""

from __future__ import annotations

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed: requirements-spark.txt")

import pyarrow

from latentsearch.errors import InputError
from latentsearch.publish import contents


def test_two_paths_of_one_id_are_refused():
    table = pyarrow.Table.from_pydict({"id": [5, 3, 9, 3], "path": [b"/a", b"/b", b"/c", b"/d\xff"]})
    with pytest.raises(InputError, match=r"the paths (/b|file:///d%FF) and (/b|file:///d%FF) have the same hash"):
        contents._check_ids(table)
    contents._check_ids(table.slice(0, 3))
