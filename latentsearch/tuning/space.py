"""The space that a search draws settings from, and what hyperopt suggests next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from hyperopt import JOB_STATE_DONE, STATUS_FAIL, STATUS_OK, Trials, hp, space_eval, tpe
from hyperopt.base import Domain

from latentsearch.config import Searched

# Suggestions at random before the first that learn from trials: a third of a search of 30; hyperopt's own 20 are meant
# for searches of hundreds.
NUM_RANDOM = 10
# Of n trials, the ceil(_GAMMA * sqrt(n)) best are taken for good ones. With hyperopt's own 0.25 that is two of 30, too
# few to learn from: on made-up losses the last third of 30 trials had half the loss with 1 that it had with 0.25.
_GAMMA = 1.0

# What hyperopt drew: for each of its names the value drawn, or none where a condition ruled the name out.
Draws = dict[str, list[Any]]


class Suggestion(NamedTuple):
    """What to try next.

    Args:
        parameters: Fields of `Network` and `Recipe`, and latent_dim, by name; those that a condition rules out are
            missing, such as the temperature where the similarity weight is 0.
        draws: The same for hyperopt.
    """

    parameters: dict[str, Any]
    draws: Draws


@dataclass(frozen=True)
class Space:
    """What is tried: one of several values, or a range (low, high) in which each factor is as likely as another.

    Args:
        latent_dim: Numbers in a code.
        filters: As in `Network`, like the four after it.
        depth: Blocks.
        dense_units: Of the layer below the code.
        activation: Names.
        normalisation: With, without.
        batch_size: Images a step.
        learning_rate: Range by the name of the optimizer: each has rates of its own.
        similarity_weight: Range; in half of the suggestions at random it is 0 instead.
        temperature: Range, where the similarity weight is not 0.
        architecture: "custom", or "kind-look", whose network is given: what is tried then is batch_size, the learning
            rate of muon, temperature, projection, and the following.
        views: Of each image.
        view_side: In pixels.
        neighbours: Numbers of them; in half of the suggestions at random there are none instead.
        neighbours_from: Range, as likely at each share.
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
        """The space in the language of hyperopt; conditions are dictionaries within it."""
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


def suggest(space: Space, before: Sequence[tuple[Draws, float | None]], *, seed: int) -> Suggestion:
    """What to try after some trials, by hyperopt's TPE (Bergstra et al., 2011); at random for the first ones.

    It depends on the arguments alone, so a search that goes on gets what an uninterrupted one would.

    Args:
        space: Where from.
        before: Draws and loss of the trials so far, in order; None for the loss of a failed one.
        seed: Of the search.
    """
    expression, number = space.expression(), len(before)
    trials = Trials()
    for tid, (draws, loss) in enumerate(before):
        result = {"status": STATUS_FAIL} if loss is None else {"status": STATUS_OK, "loss": loss}
        idxs = {name: [tid] * len(values) for name, values in draws.items()}
        misc = {"tid": tid, "cmd": None, "workdir": None, "idxs": idxs, "vals": draws}
        [doc] = trials.new_trial_docs([tid], [None], [result], [misc])
        trials.insert_trial_doc(doc | {"state": JOB_STATE_DONE})
    trials.refresh()
    [doc] = tpe.suggest(
        [number],
        Domain(lambda _: 0.0, expression),
        trials,
        int(np.random.default_rng([seed, number]).integers(2**31 - 1)),
        n_startup_jobs=NUM_RANDOM,
        gamma=_GAMMA,
        verbose=False,
    )
    draws = {name: [_plain(value) for value in values] for name, values in doc["misc"]["vals"].items()}
    drawn = space_eval(expression, {name: values[0] for name, values in draws.items() if values})
    parameters: dict[str, Any] = {}
    for name, value in drawn.items():
        parameters |= value if isinstance(value, dict) else {name: value}
    return Suggestion(parameters, draws)


def _log_uniform(name: str, limits: tuple[float, float]) -> Any:
    return hp.loguniform(name, *np.log(limits))


def _plain(value: Any) -> Any:
    """A NumPy scalar as Python's, which JSON knows."""
    return value.item() if isinstance(value, np.generic) else value
