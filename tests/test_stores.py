"""The store that lives in this process, held to what every store must do."""

from __future__ import annotations

from contextlib import closing

import pytest
from store_contract import StoreContract

from latentsearch.stores import EmbeddedStore


class TestEmbeddedStore(StoreContract):
    @pytest.fixture
    def open_store(self):
        return lambda: closing(EmbeddedStore())

    @pytest.fixture(scope="class")
    def open_for_class(self):
        return lambda: closing(EmbeddedStore())
