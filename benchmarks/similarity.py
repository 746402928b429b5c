"""What does each ingredient of the training for similarity bring, and what does meaning cost in reconstruction?

    python -m benchmarks.similarity --epochs 8
    python -m benchmarks.similarity --only "W = 0.01" "W = 0.1"

Trains variants of the architecture deep on data/cifar10, one after the other and equally long, and asks each for the
neighbours of the validation images among the training images; test images are not touched. Adds its rows to
benchmarks/similarity.json, prints the table and draws benchmarks/similarity.png: precision against error over W.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT, BuildConfig, TrainConfig
from latentsearch.errors import InputError

RESULTS = ROOT / "benchmarks" / "similarity.json"
VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped, W = 1": {},
    "Adam without decay, not Muon": {"optimizer": "adam", "learning_rate": 2e-3},
    "views of 32, not 24 pixels": {"view_side": 32},
    "no projection": {"projection": False},
    "float32, not bfloat16": {"precision": "float32"},
    "network compact": {"architecture": "compact", "similarity_weight": 1.0, "batch_size": 512},
    "W = 0.1": {"similarity_weight": 0.1},
    "W = 0.01": {"similarity_weight": 0.01},
    "W = 0.001": {"similarity_weight": 0.001},
    "W = 0.1, noise": {"similarity_weight": 0.1, "noise": 0.15},
    # Not the end of that row: without a weight whole images are seen, moved and mirrored, not views of them.
    "plain training": {"similarity_weight": 0.0},
}


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    epochs: int = 8
    """Length of each training."""

    only: tuple[str, ...] = ()
    """Names of the variants to train. Default: all."""

    seed: int = 0
    """Of weights, order and augmentation."""


def main(config: BenchmarkConfig) -> None:
    """Trains the variants that `config` names and writes what they reach."""
    unknown = [name for name in config.only if name not in VARIANTS]
    if unknown:
        raise InputError(f"--only {unknown[0]!r}: expected some of {', '.join(map(repr, VARIANTS))}.")
    with quiet_libraries():
        from latentsearch.metrics import rank_correlation
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for name in config.only or VARIANTS:
        row = {"variant": name, "epochs": config.epochs, "seed": config.seed, **measure(config, **VARIANTS[name])}
        key = ("variant", "epochs", "seed")
        rows = [old for old in rows if [old[k] for k in key] != [row[k] for k in key]] + [row]
        RESULTS.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
        alike = [row for row in rows if (row["epochs"], row["seed"]) == (config.epochs, config.seed)]
        trade_off(alike, config.epochs).savefig(RESULTS.with_suffix(".png"), dpi=110)
    print_table([{name: row[name] for name in row if name not in ("settings", "environment")} for row in rows])
    columns = [np.array([row[name] for row in alike]) for name in ("copy_recall", "P@10")]
    print(f"rank correlation of copy-recall with P@10 over {len(alike)} variants: {rank_correlation(*columns):.2f}")


def measure(config: BenchmarkConfig, *, architecture: str = "deep", **flags: Any) -> dict[str, Any]:
    """Trains one variant and scores it on validation images."""
    from latentsearch import data, runs
    from latentsearch.evaluation.scorecard import Labelled, score
    from latentsearch.models.build import build_run
    from latentsearch.models.encoder import Autoencoder
    from latentsearch.training.train import train

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "data").symlink_to(ROOT / "data")
        build_run(BuildConfig(architecture=architecture, run="variant", seed=config.seed, root=root))
        settings = TrainConfig(run="variant", epochs=config.epochs, seed=config.seed, root=root, **flags)
        result = train(settings)
        dataset = data.load(root, "cifar10")
        run = runs.Run(root, "variant")
        record = json.loads(run.training_record.read_text())
        autoencoder = Autoencoder(run.best_model)
        gallery, queries = (
            Labelled(autoencoder.encode(dataset.images, ids), dataset.labels[ids])
            for ids in (dataset.ids("train"), dataset.ids("validation"))
        )
    overall = score("", gallery, queries, dataset.class_names, metric="cosine").overall
    return {
        "seconds": round(float(result.history["seconds"].sum()), 1),
        "val_mse": round(float(result.best["val_mse"]), 5),
        "copy_recall": round(float(result.best["val_copy_recall"]), 4),
        **{name: round(interval.value, 4) for name, interval in overall.items()},
        "settings": record["settings"],
        "environment": record["environment"],
    }


def trade_off(rows: list[dict[str, Any]], epochs: int) -> Figure:
    """Draw P@10 against validation MSE: a point a variant, a line along W."""
    import seaborn as sns

    points = {row["variant"]: (row["val_mse"], row["P@10"]) for row in rows}
    line = sorted((name for name in points if "W = " in name and "noise" not in name), key=points.__getitem__)
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.subplots()
    if line:
        axes.plot(*zip(*(points[name] for name in line)), color="#4575b4", linewidth=1)
    for name, place in points.items():
        axes.plot(*place, marker="o", color="#4575b4" if name in line else "#666666")
        axes.annotate(name, place, (6, -3), textcoords="offset points", fontsize=8)
    title = f"What meaning costs in reconstruction ({epochs} epochs each)"
    axes.set(xlabel="validation MSE", ylabel="P@10 of validation images among training images", title=title)
    axes.margins(0.15)
    sns.despine(figure)
    return figure


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
