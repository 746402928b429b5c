"""Which images? Prepares a dataset: uint8 arrays on disk, split three ways, checked as the network will see them.

    python DataPreperation.py                    CIFAR-10, downloaded once
    python DataPreperation.py --source PATH/TO/cifar-10-batches-py
    python DataPreperation.py --source digits    works without a network
    python DataPreperation.py --source ~/Photos --dataset my-photos

A folder of your own may be nested and hold anything: files that are not images are counted and listed, and stop
nothing. Folders train, validation and test in it are taken for the splits, sub-folders for classes; see --labels. An
interrupted preparation goes on when it is called again. Writes data/<dataset>/.
"""

from latentsearch.cli import paragraph, print_table, run_script
from latentsearch.config import PrepareConfig


def main(config: PrepareConfig) -> None:
    """Prepares the dataset that `config` names and prints what it proved."""
    from latentsearch import data

    dataset = data.prepare(config)
    folder = config.root / "data" / dataset.name
    print(f"dataset '{dataset.name}':")
    for line in (f"from {dataset.provenance.origin}", *data.verify(dataset)):
        print(paragraph(f"  {line}"))
    counts = data.class_counts(dataset)
    print_table([{"class": name, **splits} for name, splits in counts.items()])
    skipped = data.skipped_in_words(dataset.provenance.skipped_endings or {})
    for line in skipped:
        print(line)
    if skipped:
        print(f"Each of them: {folder / data.SKIPPED_FILE}")
    for line in data.scaled_in_words(dataset.provenance.scaled_by_range or {}):
        print(line)
    print(f"Written to {folder}; fingerprint {dataset.fingerprint[:12]}.")
    for line in data.advice(dataset):
        print(line)
    print(f"Next: {data.build_command(config.root, dataset.name)}")


if __name__ == "__main__":
    run_script(main, PrepareConfig, __doc__)
