"""The space that a search draws settings from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentsearch.config import Searched


@dataclass(frozen=True)
class Space:
    """The settings that are tried: one of several values, or a range (low, high), log-uniform.

    Args:
        latent_dim: Numbers in a code.
        filters: Filters of the first block; see `Network`.
        depth: Numbers of blocks.
        dense_units: Units of the layer below the code.
        activation: Names of activations.
        normalisation: Whether to normalise batches.
        batch_size: Images per step.
        learning_rate: Range by the name of the optimizer: each has rates of its own.
        similarity_weight: Range of the weight; it is 0 in half of the random suggestions.
        temperature: Range, where the similarity weight is not 0.
        architecture: "custom", or "kind-look", whose network is given: then batch_size, the learning rate of muon,
            temperature, projection, and the following are tried.
        views: Numbers of views of each image.
        view_side: Sides of views in pixels.
        neighbours: Numbers of neighbours; there are none in half of the random suggestions.
        neighbours_from: Range, uniform.
    """

    latent_dim: tuple[int, ...]
    filters: tuple[int, ...] = (16, 24, 32, 48, 64)
    depth: tuple[int, ...] = (2, 3, 4)
    dense_units: tuple[int, ...] = (128, 256, 512)
    activation: tuple[str, ...] = ("relu", "elu", "gelu")
    normalisation: tuple[bool, ...] = (True, False)
    batch_size: tuple[int, ...] = (64, 128, 256, 512)
    learning_rate: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: {"adam": (3e-4, 1e-2), "muon": (5e-3, 5e-2)}
    )
    similarity_weight: tuple[float, float] = (1e-3, 1.0)
    temperature: tuple[float, float] = (0.1, 1.0)
    architecture: Searched = "custom"
    views: tuple[int, ...] = (2, 4, 8)
    view_side: tuple[int, ...] = (16, 24)
    neighbours: tuple[int, ...] = (5, 10, 20, 50)
    neighbours_from: tuple[float, float] = (0.2, 0.8)

    def expression(self) -> dict[str, Any]:
        """Return the space in the language of hyperopt; conditions are dictionaries within it."""
        from hyperopt import hp  # not before: a build reads records of searches without it

        if self.architecture == "kind-look":
            return self._of_two_codes()
        plain = ("latent_dim", "filters", "depth", "dense_units", "activation", "normalisation", "batch_size")
        optimizers = [
            {"optimizer": name, "learning_rate": _log_uniform(f"learning_rate of {name}", limits)}
            for name, limits in self.learning_rate.items()
        ]
        similarity = {
            "similarity_weight": _log_uniform("similarity_weight", self.similarity_weight),
            "temperature": _log_uniform("temperature", self.temperature),
            "projection": hp.choice("projection", [True, False]),
        }
        return {name: hp.choice(name, list(getattr(self, name))) for name in plain} | {
            "optimizer": hp.choice("optimizer", optimizers),
            "similarity": hp.choice("similarity", [{"similarity_weight": 0.0}, similarity]),
        }

    def _of_two_codes(self) -> dict[str, Any]:
        from hyperopt import hp

        plain = ("latent_dim", "batch_size", "views", "view_side")
        near = {
            "neighbours": hp.choice("neighbours", list(self.neighbours)),
            "neighbours_from": hp.uniform("neighbours_from", *self.neighbours_from),
        }
        return {name: hp.choice(name, list(getattr(self, name))) for name in plain} | {
            "learning_rate": _log_uniform("learning_rate of muon", self.learning_rate["muon"]),
            "temperature": _log_uniform("temperature", self.temperature),
            "projection": hp.choice("projection", [True, False]),
            "near": hp.choice("near", [{"neighbours": 0}, near]),
        }


def _log_uniform(name: str, limits: tuple[float, float]) -> Any:
    from hyperopt import hp

    return hp.loguniform(name, *np.log(limits))
