"""How long does an epoch take, and how long until the reference's best validation error?

    python -m benchmarks.training_speed --repeats 3

Trains both architectures on data/cifar10 in turn, epoch by epoch, in one process, then the default one alone, with a
short schedule, until its validation MSE is 0.0208: the best that the curve published with the reference shows, after
about 60 of its epochs. Prints a table and writes benchmarks/training_speed.json.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT, BuildConfig, TrainConfig
from latentsearch.recipes import RECIPES

ARCHITECTURES = ("compact", "reference")
TARGET = 0.0208
REFERENCE_EPOCHS = 60


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    repeats: int = 3
    """Epochs of each architecture that are timed, after one that is not."""

    short_epochs: int = 4
    """Length of the schedule of the run to the target."""

    runs: int = 3
    """Runs to the target, with different seeds."""


def main(config: BenchmarkConfig) -> None:
    """Times epochs in turn, then runs to the target."""
    with quiet_libraries():
        from latentsearch import data, environment, files
        from latentsearch.models import architectures
        from latentsearch.models.build import build_run
        from latentsearch.training import dataloader
        from latentsearch.training.model import compiled
        from latentsearch.training.settings import Settings
        from latentsearch.training.train import train
        from latentsearch.training.validation import Validator
    dataset = data.load(ROOT, "cifar10")
    fit_ids = dataset.ids("train")
    seconds = {name: [] for name in ARCHITECTURES}
    trainees, all_settings, steps = {}, {}, {}
    for name in ARCHITECTURES:
        recipe = RECIPES[name]
        all_settings[name] = Settings(
            epochs=config.repeats + 1, **asdict(recipe), seed=0, initial_model="", dataset=dataset.fingerprint
        )
        steps[name] = len(fit_ids) // recipe.batch_size
        initial = architectures.build(name, dataset.image_shape, latent_dim=10)
        trainees[name] = compiled(initial, all_settings[name], steps[name])
    for repeat in range(config.repeats + 1):
        for name, model in trainees.items():
            batches = dataloader.training_batches(dataset.images, fit_ids, all_settings[name], first_epoch=repeat)
            begin = time.perf_counter()
            model.fit(batches, steps_per_epoch=steps[name], shuffle=False, verbose=0)
            if repeat:
                seconds[name].append(time.perf_counter() - begin)
            print(f"{name}: epoch {repeat} took {time.perf_counter() - begin:.1f} s", flush=True)
    reached_by_then = {
        name: Validator(dataset, all_settings[name])(model)["val_mse"] for name, model in trainees.items()
    }

    to_target = []
    for seed in range(config.runs):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "data").symlink_to((ROOT / "data").absolute())
            build_run(BuildConfig(architecture="compact", run="short", seed=seed, root=root))
            history = train(TrainConfig(run="short", epochs=config.short_epochs, seed=seed, root=root)).history
        reached = history.index[history["val_loss"] <= TARGET]
        total = history["seconds"].cumsum()
        to_target.append(
            {
                "seed": seed,
                "best_val_mse": history["val_loss"].min(),
                "epochs": int(reached[0]) + 1 if len(reached) else None,
                "seconds": float(total[reached[0]]) if len(reached) else None,
            }
        )
    reference = median(seconds["reference"]) * REFERENCE_EPOCHS
    times = [row["seconds"] for row in to_target if row["seconds"] is not None]
    result = {
        "seconds_an_epoch": seconds,
        "val_mse_after": {"epochs": config.repeats + 1, **reached_by_then},
        "to_target": to_target,
        "reference_seconds_extrapolated": reference,
        "ratio": reference / median(times) if times else None,
        "environment": environment.environment(),
    }
    (ROOT / "benchmarks" / "training_speed.json").write_text(files.as_json(result), encoding="utf-8")
    print_table(
        [
            {"architecture": name, "median s/epoch": median(values), "low": min(values), "high": max(values)}
            for name, values in seconds.items()
        ]
    )
    print_table(to_target)
    print(f"validation MSE after these {config.repeats + 1} epochs: {reached_by_then}")
    print(f"reference: {reference:.0f} s to {TARGET} ({REFERENCE_EPOCHS} epochs at the time measured)")
    print(f"ratio: {result['ratio']}")


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
