"""Which settings are best? Tries networks and trainings, one after the other, and learns from each what to try next.

    python TuneAutoencoder.py --trials 30 --epochs 5 --subset 10000
    python TuneAutoencoder.py --trials 60 --resume      goes on, or tries more
    python TuneAutoencoder.py --trials 60 --spark spark://host:7077
    python -m tensorboard.main --logdir logs/tuned/tuning    settings: HParams

Reads data/<dataset>/, writes models/<run>/tuning/, logs/<run>/tuning/ and reports/<run>/tuning/. Trial 3 is the run
<run>/tuning/003, for the other scripts too.
"""

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.tuning.config import TuneConfig


def main(config: TuneConfig) -> int:
    """Searches as `config` says and prints the best trials; returns 130 when interrupted."""
    with quiet_libraries():
        from latentsearch.tuning import report
        from latentsearch.tuning.tune import resume_command, tune

    result = tune(config)
    if not result.finished:
        print(f"Stopped after {len(result.tried)} trials. To go on: {resume_command(config)}")
        return 130
    print_table(report.best_rows(result.table))
    if correlations := report.tracking(result.table):  # none without labels
        rows = [{"without labels": name, "rank correlation with P@10": value} for name, value in correlations.items()]
        print_table(rows)
    print("Written:", *result.paths, sep="\n  ")
    print(f"TensorBoard: python -m tensorboard.main --logdir {result.run.logs / 'tuning'}")
    print(f"Next, with the best: {result.run.command('BuildingAutoencoder.py', '--from-trial', 'best')}")
    return 0


if __name__ == "__main__":
    run_script(main, TuneConfig, __doc__)
