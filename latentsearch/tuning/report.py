"""The report of a search: trials.csv, tuning.json and figures in reports/<run>/tuning/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from latentsearch import environment, files
from latentsearch.metrics import pareto_front, rank_correlation
from latentsearch.plots import tuning as tuning_plots
from latentsearch.plots.saving import save
from latentsearch.runs import TUNING, Run
from latentsearch.text import write_csv
from latentsearch.tuning.objective import WEIGHTS, Criterion
from latentsearch.tuning.trials import PARAMETERS, Search, Trial, winner

_MEASURES = ("val_loss", "val_mse", "val_copy_recall", "val_effective_rank", "val_agreement", "val_precision")
# What could choose among trials without labels; 1 where more is better, -1 where less is.
_FEWEST = 5  # trials that tell how well two measures agree
_CANDIDATES = {"val_loss": -1, "val_mse": -1, "val_copy_recall": 1, "val_effective_rank": 1, "val_agreement": 1}


def as_table(search: Search, tried: Sequence[Trial], marked: Sequence[Trial] = ()) -> pd.DataFrame:
    """Return one row per trial, then one per marked architecture.

    Columns: trial, marked, status, reason, score, epoch (whose weights were kept), epochs (done), seconds, weights, the
    measures of that epoch, the parameters, on_front (see `metrics.pareto_front`, of copy-recall and error, of trials
    alone), and "score: GOAL": the score of the trial under each goal.
    """
    rows = []
    for trial in (*tried, *marked):
        best = trial.best
        row: dict[str, Any] = {"trial": trial.name, "marked": trial in marked, "status": trial.status}
        row |= {"reason": trial.reason, "score": trial.score, "epoch": best.get("epoch"), "epochs": len(trial.history)}
        row |= {"seconds": round(trial.seconds, 1), "weights": trial.num_weights}
        row |= {name: best.get(name) for name in _MEASURES} | {name: trial.parameters.get(name) for name in PARAMETERS}
        for goal in WEIGHTS:
            criterion = Criterion(goal, search.mean_mse, trial.parameters.get("latent_dim", search.space.latent_dim[0]))
            row[_score_name(goal)] = criterion.score(best) if best else None
        rows.append(row)
    table = pd.DataFrame(rows)
    numbers = ["score", "epoch", *_MEASURES, *map(_score_name, WEIGHTS)]
    table[numbers] = table[numbers].astype(float)
    table["on_front"] = False
    scored = table.index[~table["marked"] & table["score"].notna()]
    front = pareto_front(-table.loc[scored, "val_mse"].to_numpy(), table.loc[scored, "val_copy_recall"].to_numpy())
    table.loc[scored[front], "on_front"] = True
    return table


def tracking(table: pd.DataFrame) -> dict[str, float]:
    """Compute how well numbers without labels agree with P@10, which needs them.

    Spearman's rank correlation with P@10 of validation images over the trials that have a score; 1 for the same order.
    Losses have their sign turned. Empty where there are no labels, or fewer than five such trials.
    """
    tried = _comparable(table)
    if len(tried) < _FEWEST:
        return {}
    signs = {_score_name(goal): 1 for goal in WEIGHTS} | _CANDIDATES
    if tried["val_agreement"].isna().any():  # it takes two codes
        signs = {name: sign for name, sign in signs.items() if name not in ("val_agreement", _score_name("kinds"))}
    return {
        name: rank_correlation(sign * tried[name].to_numpy(), tried["val_precision"].to_numpy())
        for name, sign in signs.items()
    }


def write(run: Run, search: Search, table: pd.DataFrame) -> list[Path]:
    """Write trials.csv, tuning.json and the figures that need no network.

    Args:
        run: The run of the search.
        search: The search.
        table: See `as_table`; at least one trial has a score.

    Returns:
        The paths.
    """
    folder, correlations = run.reports / TUNING, tracking(table)
    scored = table[table["score"].notna()]
    title = f"{len(table) - table['marked'].sum()} trials of {search.epochs} epochs, sought: {search.objective}"
    figures: dict[str, Figure] = {
        "trade_off": tuning_plots.trade_off(scored, title),
        "parameters": tuning_plots.parameters(scored[~scored["marked"]], PARAMETERS),
    }
    if correlations:
        tried = _comparable(table)
        columns = {name: tried[name].to_numpy() for name in correlations}
        figures["tracking"] = tuning_plots.tracking(columns, tried["val_precision"].to_numpy(), correlations)
    paths = [folder / "trials.csv", folder / "tuning.json"]
    with files.replacing(paths[0]) as temporary:
        write_csv(temporary, list(table.columns), table.itertuples(index=False, name=None))
    tried = table[~table["marked"]]
    record = {
        "objective": search.objective,
        "weights": WEIGHTS[search.objective],
        "trials": len(tried),
        "by_status": tried["status"].value_counts().to_dict(),
        "best": tried["trial"].to_numpy()[tried["score"].argmax()],
        "pareto_front": table.loc[table["on_front"], "trial"].tolist(),
        "rank_correlation_with_precision": correlations,
        "seconds": float(tried["seconds"].sum()),
        "environment": environment.environment(),
    }
    files.write_json(paths[1], record)
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        with files.replacing(paths[-1]) as temporary:
            save(figure, temporary)
    return paths


def best_rows(table: pd.DataFrame, count: int = 5) -> list[dict[str, object]]:
    """Return rows of the best trials and the marked architectures, best first, for the terminal."""
    scored = table[table["score"].notna()].sort_values("score", ascending=False, kind="stable")
    some = pd.concat([scored[~scored["marked"]][:count], scored[scored["marked"]]])
    names = ("trial", "status", "score", "val_mse", "val_copy_recall", "val_precision", "seconds")
    shown = [name for name in names if name != "val_precision" or some[name].notna().any()]
    table = some[shown].rename(columns={"val_precision": "P@10 (labels)"})
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def titles(tried: Sequence[Trial], count: int = 3) -> dict[str, str]:
    """Return titles of the best trials by name, best first."""
    left = list(tried)
    found: dict[str, str] = {}
    while len(found) < count and (trial := winner(left)):
        left.remove(trial)
        best = trial.best
        found[trial.name] = (
            f"trial {trial.name}: score {trial.score:.3f}\n"
            f"copy-recall {best['val_copy_recall']:.2f}, MSE {best['val_mse']:.4f}"
        )
    return found


def _comparable(table: pd.DataFrame) -> pd.DataFrame:
    return table[~table["marked"] & table["score"].notna() & table["val_precision"].notna()]


def _score_name(goal: str) -> str:
    return f"score: {goal}"
