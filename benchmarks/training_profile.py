"""What share of this machine's speed does training reach, and where does the rest go?

    python -m benchmarks.training_profile

For `compact` and `deep`, as their recipes train them: images a second with the input pipeline, with one batch from
memory again and again (no pipeline), and of the pipeline alone; floating-point operations of the layers (forward times
three, as is usual) against what a large float32 matrix product reaches on the same cores in the same run; and the time
of a step without what it consists of: forward alone, forward and backward, and with the optimizer. In turn, several
rounds. Writes benchmarks/training_profile.json.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT
from latentsearch.recipes import RECIPES, Architecture

if TYPE_CHECKING:
    from latentsearch.training.settings import Settings

_SIDE = 4096  # of the matrices
_AHEAD = 5  # times as many steps of the pipeline alone: some batches are made ahead, while others are timed


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    steps: int = 20
    """Steps that are timed at once."""

    repeats: int = 3
    """Rounds that count, after one that does not."""


def main(config: BenchmarkConfig) -> None:
    """Times training and its parts in turn."""
    with quiet_libraries():
        from benchmarks import timing
    rows = [_row(config, architecture) for architecture in ("compact", "deep")]
    path = timing.save("training_profile", rows=rows)
    for row in rows:
        print_table([{"": name, row["architecture"]: value} for name, value in row.items()])
    print(f"Written: {path}")


def _row(config: BenchmarkConfig, architecture: Architecture) -> dict[str, Any]:
    with quiet_libraries():
        import itertools

        import tensorflow as tf

        from benchmarks import timing
        from latentsearch import data as datasets
        from latentsearch.models import architectures
        from latentsearch.training import dataloader
        from latentsearch.training.model import compiled
    dataset = datasets.load(ROOT, "cifar10")
    settings = settings_of(architecture, dataset.fingerprint)
    model = compiled(architectures.build(architecture, dataset.image_shape, latent_dim=10), settings, 10_000)
    batches = iter(dataloader.training_batches(dataset.images, dataset.ids("train"), settings))
    inputs, targets = next(batches)
    matrix = tf.random.uniform((_SIDE, _SIDE))
    names = list(targets) if isinstance(targets, dict) else []

    @tf.function
    def forward() -> Any:
        return model(inputs, training=True)

    @tf.function
    def forward_and_backward() -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(inputs, targets, model(inputs, training=True))
        return tape.gradient(loss, model.trainable_variables)

    def again(call: Callable[[], Any]) -> Callable[[], None]:
        def calls() -> None:
            for _ in range(config.steps):
                call()

        return calls

    def train(data: tf.data.Dataset) -> Callable[[], None]:
        return lambda: model.fit(data, steps_per_epoch=config.steps, shuffle=False, verbose=0)

    from_memory = tf.data.Dataset.from_tensors((inputs, targets)).repeat()
    pipeline = dataloader.training_batches(dataset.images, dataset.ids("train"), settings)
    seconds = timing.in_turn(
        {
            "matrix product": lambda: tf.linalg.matmul(matrix, matrix).numpy(),
            "training": train(pipeline),
            "training from memory": train(from_memory),
            "pipeline alone": lambda: list(itertools.islice(batches, _AHEAD * config.steps)),
            "forward": again(forward),
            "forward and backward": again(forward_and_backward),
        },
        repeats=config.repeats,
    )
    seconds["pipeline alone"] = [one / _AHEAD for one in seconds["pipeline alone"]]
    peak = [2 * _SIDE**3 / 1e9 / one for one in seconds["matrix product"]]
    operations = 3 * sum(flops(model, inputs.shape[0]))
    images = settings.batch_size * config.steps
    reached = [operations * config.steps / 1e9 / one for one in seconds["training"]]
    by_step = {name: timing.spread([1000 * one / config.steps for one in times]) for name, times in seconds.items()}
    del by_step["matrix product"]
    return {
        "architecture": architecture,
        "precision": settings.precision,
        "batch": settings.batch_size,
        "outputs": ", ".join(names) or "image",
        "images a second": timing.spread([images / one for one in seconds["training"]]),
        "images a second from memory": timing.spread([images / one for one in seconds["training from memory"]]),
        "images a second of the pipeline alone": timing.spread([images / one for one in seconds["pipeline alone"]]),
        "GFLOP an image": round(operations / settings.batch_size / 1e9, 4),
        "GFLOP/s of a float32 matrix product": timing.spread(peak),
        "GFLOP/s in training": timing.spread(reached),
        "share of the peak": round(timing.spread(reached)["median"] / timing.spread(peak)["median"], 3),
        **{f"ms a step: {name}": value for name, value in by_step.items()},
    }


def settings_of(architecture: Architecture, dataset: str) -> Settings:
    """Of an epoch by the recipe of an architecture, in the arithmetic that this machine has.

    Args:
        architecture: Its name.
        dataset: Fingerprint of the dataset.
    """
    from latentsearch import environment
    from latentsearch.training.settings import Settings

    recipe = asdict(RECIPES[architecture]) | {"epochs": 1}
    if not environment.has_bfloat16():
        recipe["precision"] = "float32"
    return Settings(**recipe, seed=0, initial_model="", dataset=dataset)


def flops(model: Any, batch: int) -> list[float]:
    """Of each convolution and dense layer for a batch, forward: two for each weight at each place."""
    import keras

    found = []
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if isinstance(layer, keras.layers.Conv2D):
            places = layer.output.shape[1] * layer.output.shape[2]
            found.append(2.0 * batch * places * layer.kernel.shape.num_elements())
        elif isinstance(layer, keras.layers.Dense):
            found.append(2.0 * batch * layer.kernel.shape.num_elements())
    return found


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
