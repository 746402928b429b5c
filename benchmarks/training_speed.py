"""How long until the reference's best validation error, by `compact` and by the reference?

    python -m benchmarks.training_speed

Each round is a new process with a seed of its own: it times steps of the reference, trains `compact` with a short
schedule until its validation MSE is 0.0208, and times steps of the reference again. 0.0208 is the best that the curve
published with the reference shows, after about 60 of its epochs: its time is extrapolated from the steps, without those
of validation. Of both timings the quicker counts: the other often takes twice as long. Prints a table and writes
benchmarks/training_speed.json.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT, BuildConfig, TrainConfig

TARGET = 0.0208
REFERENCE_EPOCHS = 60
_WARM = 5  # steps that do not count


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    repeats: int = 5
    """Rounds, each with another seed."""

    short_epochs: int = 4
    """Length of the schedule of `compact`."""

    steps: int = 30
    """Steps of the reference that are timed at once."""


def main(config: BenchmarkConfig) -> None:
    """Time both, round by round."""
    from benchmarks import timing

    rounds = []
    for seed in range(config.repeats):
        rounds.append(timing.apart(_round, config, seed))
        print_table(rounds[-1:])
    ratios = [one["reference"] / one["compact"] for one in rounds if one["compact"] is not None]
    path = timing.save("training_speed", rounds=rounds, ratio=timing.spread(ratios))
    print(f"The reference takes {timing.spread(ratios)['median']:g} times as long.")
    print(f"Written: {path}")


def _round(config: BenchmarkConfig, seed: int) -> dict[str, float | int | None]:
    """Seconds until the target: of `compact` as measured (None: not reached), of the reference as extrapolated."""
    with quiet_libraries():
        from latentsearch.models.build import build_run
        from latentsearch.training.train import train
    step = _reference_step(config)
    before = step()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "data").symlink_to((ROOT / "data").absolute())
        with quiet_libraries():
            build_run(BuildConfig(architecture="compact", run="short", seed=seed, root=root))
        history = train(TrainConfig(run="short", epochs=config.short_epochs, seed=seed, root=root)).history
    after = step()
    reached = history.index[history["val_loss"] <= TARGET]
    total = history["seconds"].cumsum()
    return {
        "seed": seed,
        "compact": float(total[reached[0]]) if len(reached) else None,
        "reference": round(min(before, after) * REFERENCE_EPOCHS, 1),
        "compact, epochs": int(reached[0]) + 1 if len(reached) else None,
        "compact, best validation MSE": float(history["val_loss"].min()),
        "compact, an epoch": round(float(history["seconds"].median()), 2),
        "reference, an epoch before": round(before, 1),
        "reference, an epoch after": round(after, 1),
    }


def _reference_step(config: BenchmarkConfig) -> Callable[[], float]:
    """Makes what times some steps of the reference, as seconds an epoch."""
    import time

    from benchmarks.training_profile import settings_of
    from latentsearch import data
    from latentsearch.models import architectures
    from latentsearch.training import dataloader
    from latentsearch.training.model import compiled

    dataset = data.load(ROOT, "cifar10")
    fit_ids, settings = dataset.ids("train"), settings_of("reference", dataset.fingerprint)
    steps = len(fit_ids) // settings.batch_size
    model = compiled(architectures.build("reference", dataset.image_shape, latent_dim=10), settings, steps)

    def timed() -> float:
        seconds = 0.0
        for count in (_WARM, config.steps):
            batches = dataloader.training_batches(dataset.images, fit_ids, settings)
            begin = time.perf_counter()
            model.fit(batches, steps_per_epoch=count, shuffle=False, verbose=0)
            seconds = (time.perf_counter() - begin) / count * steps
        return seconds

    return timed


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
