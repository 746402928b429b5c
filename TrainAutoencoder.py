"""Learn. Trains a built autoencoder, keeping its best weights on validation (of kind-look the last).

    python TrainAutoencoder.py                    as long as its recipe says
    python TrainAutoencoder.py --run my-photos --epochs 40
    python TrainAutoencoder.py --resume           go on where it was stopped
    python -m tensorboard.main --logdir logs

Reads data/<dataset>/ and models/<run>/initial.keras; writes models/<run>/: best.keras, history.csv and
training.json, TensorBoard's logs to logs/<run>/, and the curves to reports/<run>/.
"""

from latentsearch.cli import paragraph, print_table, quiet_libraries, run_script
from latentsearch.config import TrainConfig


def main(config: TrainConfig) -> int:
    """Trains the run that `config` names and prints its best epoch; returns 130 when interrupted."""
    with quiet_libraries():
        from latentsearch.runs import Run
        from latentsearch.training.train import train

    run = Run(config.root, config.run)
    result = train(config)
    words = {"accuracy": "strongest channel right", "val_accuracy": "val_strongest channel right"}
    shown = {words.get(str(name), str(name)): v for name, v in result.best.items() if name not in result.hidden}
    print_table([{"best epoch": name, "": f"{value:g}"} for name, value in shown.items()])
    if result.is_new:
        print("Written:", run.best_model, run.history, run.training_record, run.reports, sep="\n  ")
    else:
        so = f"otherwise: {', '.join(result.differences)}. Nothing" if result.differences else "so before: nothing"
        print(paragraph(f"Run '{run.name}' was trained {so} was changed. To train it anew, add --overwrite."))
    print(f"TensorBoard: python -m tensorboard.main --logdir {config.root / 'logs'}")
    if result.finished:
        print(f"Next: {run.command('SanityChecks.py')}")
    else:
        print(f"Stopped after epoch {len(result.history)}. To go on: {run.command('TrainAutoencoder.py', '--resume')}")
    return 0 if result.finished else 130


if __name__ == "__main__":
    run_script(main, TrainConfig, __doc__)
