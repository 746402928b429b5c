"""Which images? Prepares a dataset: uint8 arrays on disk, split three ways, checked as the network will see them.

    python DataPreperation.py --source cifar10
    python DataPreperation.py --source PATH/TO/cifar-10-batches-py
    python DataPreperation.py --source digits

Writes data/<dataset>/.
"""

from latentsearch.cli import print_table, run_script
from latentsearch.config import PrepareConfig


def main(config: PrepareConfig) -> None:
    """Prepares the dataset that `config` names and prints what it proved."""
    from latentsearch import datasets

    dataset = datasets.prepare(config)
    print(f"data set '{dataset.name}':")
    print(f"  from {dataset.provenance['origin']}")
    for line in datasets.verify(dataset):
        print(f"  {line}")
    counts = datasets.class_counts(dataset)
    print_table([{"class": name, **splits} for name, splits in counts.items()])
    print(f"Written to {config.root / 'data' / dataset.name}; fingerprint {dataset.fingerprint[:12]}.")


if __name__ == "__main__":
    run_script(main, PrepareConfig, __doc__)
