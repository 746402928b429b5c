"""What a search tries next, and in which trial: what was begun and never ended comes first."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from latentsearch import files
from latentsearch.runs import Run
from latentsearch.tuning.space import Space, Suggestion, suggest
from latentsearch.tuning.trials import SCRIPT, Trial


def upcoming(
    run: Run, space: Space, tried: Sequence[Trial], *, seed: int, running: Mapping[str, Suggestion] | None = None
) -> tuple[str, Suggestion]:
    """Name and settings of the next trial.

    Args:
        run: That is searched for.
        space: Where from.
        tried: The trials that have ended, in order.
        seed: Of the search.
        running: Those that are under way, by name; to hyperopt, they count as failed until they end.
    """
    results = {int(trial.name): (trial.draws, trial.loss) for trial in tried}
    results |= {int(name): (suggestion.draws, None) for name, suggestion in (running or {}).items()}
    name = f"{next(number for number in itertools.count() if number not in results):03}"
    if run.trial(name).suggestion_record.exists():
        return name, load(run, name)
    return name, suggest(space, [results[number] for number in sorted(results)], seed=seed)


def save(run: Run, name: str, suggestion: Suggestion) -> None:
    """Writes what a trial is about to try: trials beside each other can end in another order than they began."""
    files.write_json(run.trial(name).suggestion_record, suggestion._asdict())


def load(run: Run, name: str) -> Suggestion:
    """What a trial that was begun was to try.

    Raises:
        InputError: if the record is damaged.
    """
    path = run.trial(name).suggestion_record
    record = files.read_json(path, run.command(SCRIPT, "--overwrite"), ("parameters.latent_dim", "draws"))
    return Suggestion(record["parameters"], record["draws"])
