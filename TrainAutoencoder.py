"""Learn. Trains a built autoencoder, keeping the best weights on validation.

    python TrainAutoencoder.py                 as long as the recipe of the architecture says
    python TrainAutoencoder.py --epochs 48     longer: the learning rate comes down at the end of any length
    python TrainAutoencoder.py --resume        go on where it was stopped
    tensorboard --logdir logs

Reads data/<dataset>/ and models/<run>/initial.keras; writes models/<run>/: best.keras, history.csv and
training.json, TensorBoard's logs to logs/<run>/, and the curves to reports/<run>/.
"""

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import TrainConfig


def main(config: TrainConfig) -> int:
    """Trains the run that `config` names and prints its best epoch; returns 130 when interrupted."""
    with quiet_libraries():
        from latentsearch.runs import Run
        from latentsearch.training.train import train

    run = Run(config.root, config.run)
    result = train(config)
    print_table([{name: f"{value:g}" for name, value in result.best.items()}])
    print("Written:", run.best_model, run.history, run.training_record, run.reports, sep="\n  ")
    print(f"TensorBoard: tensorboard --logdir {config.root / 'logs'}")
    if not result.finished:
        print(f"Stopped after epoch {len(result.history)}. To go on: {run.command('TrainAutoencoder.py', '--resume')}")
    return 0 if result.finished else 130


if __name__ == "__main__":
    run_script(main, TrainConfig, __doc__)
