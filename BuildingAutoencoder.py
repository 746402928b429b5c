"""Which network? Builds an untrained autoencoder for a prepared dataset.

    python BuildingAutoencoder.py                                   two codes of ten numbers: kind and look
    python BuildingAutoencoder.py --run more --start-from cifar10   the same, beginning with what a run has learnt
    python BuildingAutoencoder.py --architecture compact            a plain autoencoder
    python BuildingAutoencoder.py --run tuned --from-trial best      what TuneAutoencoder.py --run tuned found

Reads data/<dataset>/ (and models/<run>/tuning/), writes models/<run>/: initial.keras, build.json and architecture.png.
"""

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import BuildConfig


def main(config: BuildConfig) -> None:
    """Builds the run that `config` names and prints its layers."""
    with quiet_libraries():
        from latentsearch.models.build import build_run

    built = build_run(config)
    print_table(
        [
            {"part": row.part, "layer": row.layer, "output": row.shape, "weights": f"{row.weights:,}"}
            for row in built.layers
        ]
    )
    print(f"{built.config.architecture}: {built.num_weights:,} weights, {built.config.latent_dim} numbers a code.")
    print("Written:", *built.paths, sep="\n  ")


if __name__ == "__main__":
    run_script(main, BuildConfig, __doc__)
