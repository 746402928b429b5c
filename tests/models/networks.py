"""Networks for tests."""

from __future__ import annotations

from latentsearch.models import architectures
from latentsearch.recipes import Network


def save_small(path):
    """Save an autoencoder as small as there is, for images of 8 x 8."""
    architectures.build("custom", (8, 8, 3), 10, Network(filters=4, depth=1, dense_units=8)).save(path)
