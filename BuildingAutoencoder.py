"""Which network? Builds an untrained autoencoder for a prepared dataset.

    python BuildingAutoencoder.py                 two codes: kind and look
    python BuildingAutoencoder.py --run my-photos --dataset my-photos
    python BuildingAutoencoder.py --run more --start-from cifar10-deep
    python BuildingAutoencoder.py --run plain --architecture compact
    python BuildingAutoencoder.py --run tuned --from-trial best

Reads data/<dataset>/ (and models/<run>/tuning/); writes models/<run>/: initial.keras, build.json and architecture.png.
"""

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import BuildConfig


def main(config: BuildConfig) -> None:
    """Builds the run that `config` names and prints its layers."""
    with quiet_libraries():
        from latentsearch import data
        from latentsearch.models.build import build_run
        from latentsearch.models.summary import code_in_words
        from latentsearch.runs import Run
        from latentsearch.tuning import from_trial

    run, built = Run(config.root, config.run), build_run(*from_trial.resolve(config))
    if built.is_new:
        print_table(
            [
                {"part": row.part, "layer": row.layer, "output": row.shape, "weights": f"{row.weights:,}"}
                for row in built.layers
            ]
        )
    code = code_in_words(built.config.latent_dim, built.config.architecture)
    dataset = data.load(config.root, built.config.dataset)
    print(f"{built.config.architecture} for dataset '{dataset.name}': {built.num_weights:,} weights, {code}.")
    if dataset.name != run.name and (config.root / "data" / run.name / "dataset.json").exists():
        print(f"A dataset '{run.name}' is prepared too: for that one, add --dataset {run.name}.")
    if built.is_new:
        print("Written:", *built.paths, sep="\n  ")
    else:
        print(f"Run '{run.name}' was built so before and holds a training: nothing was changed.")
        print("To delete that training and build anew, add --overwrite.")
        print("For another run, add --run NAME.")
    for line in data.advice_in_short(dataset):
        print(line)
    print(f"Next: {run.command('TrainAutoencoder.py')}")


if __name__ == "__main__":
    run_script(main, BuildConfig, __doc__)
