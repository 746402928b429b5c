"""Which images? The same as DataPreperation.py, spelt right.

python DataPreparation.py --source digits
"""

import DataPreperation
from latentsearch.cli import run_script
from latentsearch.config import PrepareConfig


def main(config: PrepareConfig) -> None:
    """Prepares the dataset that `config` names and prints what it proved."""
    DataPreperation.main(config)


if __name__ == "__main__":
    run_script(main, PrepareConfig, DataPreperation.__doc__)
