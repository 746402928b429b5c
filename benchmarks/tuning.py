"""Does a search that looks for retrieval find better codes than one that looks at the loss alone?

    python -m benchmarks.tuning --trials 30 --epochs 3 --subset 10000 --final-epochs 20

Searches settings on data/cifar10 twice with the same budget, once for the reconstruction error and once for retrieval,
both without labels. Then trains both winners equally long on all training images, and asks each for the neighbours of
the validation images among the training images; test images are not touched. Goes on where it was stopped. Writes
benchmarks/tuning.json and benchmarks/tuning.png; the searches are the runs tuning-reconstruction and tuning-retrieval.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import METRICS, ROOT, BuildConfig, Goal, TrainConfig
from latentsearch.tuning.config import TuneConfig

RESULTS = ROOT / "benchmarks" / "tuning.json"
GOALS: tuple[Goal, ...] = ("reconstruction", "retrieval")


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    trials: int = 30
    """Of each search."""

    epochs: int = 3
    """Length of each trial."""

    subset: int | None = 10_000
    """Training images of each trial."""

    final_epochs: int = 20
    """Length of the trainings of both winners, on all training images."""

    dataset: str = "cifar10"
    """Prepared dataset."""

    seed: int = 0
    """Of suggestions, weights, order and augmentation."""

    root: Path = ROOT
    """Folder that holds data/, models/, logs/ and reports/."""


def main(config: BenchmarkConfig) -> None:
    """Searches twice, trains both winners and writes how they compare."""
    with quiet_libraries():
        import pandas as pd

        from latentsearch import environment, files
        from latentsearch.plots import tuning as tuning_plots
        from latentsearch.tuning import report
        from latentsearch.tuning.trials import PARAMETERS
        from latentsearch.tuning.tune import tune

    tables, rows = {}, []
    for goal in GOALS:
        flags = asdict(config) | {"run": f"tuning-{goal}", "objective": goal, "mark": (), "resume": True}
        del flags["final_epochs"]
        result = tune(TuneConfig(**flags))
        if not result.finished:
            raise KeyboardInterrupt
        tables[goal] = result.table
        rows.append({"objective": goal, **finish(config, result.run.name)})
    every = pd.concat(tables.values(), ignore_index=True)
    # Both searches begin with the same suggestions at random: each is counted once.
    every = every[every["score"].notna()].drop_duplicates(list(PARAMETERS))
    similar = every["similarity_weight"].fillna(0) > 0
    groups = {"both": every, "with similarity": every[similar], "without similarity": every[~similar]}
    correlations = {name: report.tracking(table) for name, table in (tables | groups).items()}
    record = {
        "settings": {**asdict(config), "root": None},
        "winners": rows,
        "rank_correlation_with_precision": correlations,
        "environment": environment.environment(),
    }
    RESULTS.write_text(files.as_json(record), encoding="utf-8")
    if correlations["both"]:
        columns = {name: every[name].to_numpy() for name in correlations["both"]}
        figure = tuning_plots.tracking(columns, every["val_precision"].to_numpy(), correlations["both"])
        figure.savefig(RESULTS.with_suffix(".png"), dpi=110)
    print_table([{name: value for name, value in row.items() if name != "settings"} for row in rows])
    print_table([{"trials of": goal, **of_goal} for goal, of_goal in correlations.items()])


def finish(config: BenchmarkConfig, run_name: str) -> dict[str, Any]:
    """Trains the winner of a search, unless it was, and scores it on validation images."""
    from latentsearch import data, runs
    from latentsearch.evaluation.scorecard import Labelled, score
    from latentsearch.models.build import build_run
    from latentsearch.models.encoder import Autoencoder
    from latentsearch.training.train import train
    from latentsearch.tuning import from_trial

    run = runs.Run(config.root, run_name)
    best = json.loads((run.reports / runs.TUNING / "tuning.json").read_text())["best"]
    final = runs.Run(config.root, f"{run_name}-{best}-{config.final_epochs}")  # of this winner, of this length
    common = {"run": final.name, "seed": config.seed, "root": config.root}
    if not final.training_record.exists():
        build_run(*from_trial.resolve(BuildConfig(from_trial=best, tuned=run_name, **common)))
    result = train(TrainConfig(epochs=config.final_epochs, resume=True, **common))
    if not result.finished:
        raise KeyboardInterrupt
    dataset, autoencoder = data.load_for(final), Autoencoder(final.best_model)
    gallery, queries = (
        Labelled(autoencoder.encode(dataset.images, ids), dataset.labels[ids])
        for ids in (dataset.ids("train"), dataset.ids("validation"))
    )
    scores = [score("", gallery, queries, dataset.class_names, metric=metric) for metric in METRICS]
    best_score = max(scores, key=lambda one: one.overall["P@10"].value)  # of each winner, the metric that suits it
    return {
        "trial": best,
        "seconds": round(float(result.history["seconds"].sum()), 1),
        "val_mse": round(float(result.best["val_mse"]), 5),
        "copy_recall": round(float(result.best["val_copy_recall"]), 4),
        "metric": best_score.metric,
        **{name: round(interval.value, 4) for name, interval in best_score.overall.items()},
        "settings": json.loads(final.training_record.read_text())["settings"],
    }


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
