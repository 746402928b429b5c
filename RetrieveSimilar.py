"""What looks like this? Finds the images whose codes are nearest to those of the queries.

    python RetrieveSimilar.py                                  20 random test images
    python RetrieveSimilar.py --query cat.jpg dog.png --k 10   your own files
    python RetrieveSimilar.py --query-index 0 1 --metric all   test images, three metrics side by side

Reads data/<dataset>/ and models/<run>/best.keras; writes models/<run>/gallery.npz and reports/<run>/retrieval/.
"""

import sys

from latentsearch.cli import print_table, quiet_imports, run_script
from latentsearch.config import RetrieveConfig


def main(config: RetrieveConfig) -> int:
    """Answers the queries that `config` names; returns 2 when some could not be answered."""
    with quiet_imports():
        from latentsearch import retrieval
        from latentsearch.trained import open_trained

    trained = open_trained(config.root, config.run)
    print(trained.gallery_origin)
    queries, problems = retrieval.find_queries(config, trained.dataset)
    if queries.names:
        answers = retrieval.answer(queries, trained, k=config.k, metrics=retrieval.metrics_of(config))
        print_table(retrieval.side_by_side(answers, trained.dataset))
        print("Written:", *retrieval.write(trained, config, answers), sep="\n  ")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 2 if problems else 0


if __name__ == "__main__":
    run_script(main, RetrieveConfig, __doc__)
