"""The sampler of a search: hyperopt's TPE suggests settings; a suggestion that was begun and not ended comes first."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
from hyperopt import JOB_STATE_DONE, STATUS_FAIL, STATUS_OK, Trials, space_eval, tpe
from hyperopt.base import Domain

from latentsearch import files, records
from latentsearch.runs import Run
from latentsearch.tuning.space import Space
from latentsearch.tuning.trials import SCRIPT, Draws, Parameters, Trial, check

# Suggestions at random before the first that learn from trials: a third of a search of 30; hyperopt's own 20 are meant
# for searches of hundreds.
NUM_RANDOM = 10
# Of n trials, the ceil(_GAMMA * sqrt(n)) best are taken for good ones. With hyperopt's own 0.25 that is two of 30, too
# few to learn from: on made-up losses the last third of 30 trials had half the loss with 1 that it had with 0.25.
_GAMMA = 1.0


@dataclass(frozen=True)
class Suggestion:
    """The settings of the next trial.

    Args:
        parameters: The settings by name; those that a condition rules out are missing, such as the temperature where
            the similarity weight is 0.
        draws: The settings as hyperopt drew them.
    """

    parameters: Parameters
    draws: Draws

    def __post_init__(self) -> None:
        """Check what a record may lack.

        Raises:
            ValueError: if a parameter is missing that every trial has.
        """
        check(self.parameters)


def upcoming(
    run: Run, space: Space, tried: Sequence[Trial], *, seed: int, running: Mapping[str, Suggestion] | None = None
) -> tuple[str, Suggestion]:
    """Choose name and settings of the next trial.

    Args:
        run: The run of the search.
        space: Space of the settings.
        tried: The trials that have ended, in order.
        seed: Seed of the search.
        running: Suggestions of the trials under way, by name; to hyperopt, they count as failed until they end.
    """
    results = {int(trial.name): (trial.draws, trial.loss) for trial in tried}
    results |= {int(name): (suggestion.draws, None) for name, suggestion in (running or {}).items()}
    name = f"{next(number for number in itertools.count() if number not in results):03}"
    if run.trial(name).suggestion_record.exists():
        return name, load(run, name)
    return name, suggest(space, [results[number] for number in sorted(results)], seed=seed)


def save(run: Run, name: str, suggestion: Suggestion) -> None:
    """Write the settings of a trial before it begins: parallel trials can end in another order."""
    files.write_json(run.trial(name).suggestion_record, asdict(suggestion))


def load(run: Run, name: str) -> Suggestion:
    """Read the settings of a trial that was begun.

    Raises:
        InputError: if the record is damaged.
    """
    return records.read(run.trial(name).suggestion_record, Suggestion, run.command(SCRIPT, "--overwrite"))


def suggest(space: Space, before: Sequence[tuple[Draws, float | None]], *, seed: int) -> Suggestion:
    """Suggest settings after some trials, by hyperopt's TPE (Bergstra et al., 2011); at random for the first ones.

    They depend on the arguments alone, so a resumed search gets those of an uninterrupted one.

    Args:
        space: Space of the settings.
        before: Draws and loss of the trials so far, in order; None for the loss of a failed one.
        seed: Seed of the search.
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
    return Suggestion(cast(Parameters, parameters), draws)


def _plain(value: Any) -> Any:
    """Convert a NumPy scalar to Python's, which JSON knows."""
    return value.item() if isinstance(value, np.generic) else value
