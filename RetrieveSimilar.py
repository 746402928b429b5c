"""What looks like this? Finds the images whose codes are nearest to the query.

    python RetrieveSimilar.py                       20 random test images
    python RetrieveSimilar.py --query cat.jpg dog.png --k 10
    python RetrieveSimilar.py --query-index 0 1 --metric all
    python RetrieveSimilar.py --gallery ~/Photos --query cat.jpg
    python RetrieveSimilar.py --gallery ~/Photos --duplicates
    python RetrieveSimilar.py --query cat.jpg --only cat dog
    python RetrieveSimilar.py --store http://host:19530 --collection photos
    ls *.jpg | python RetrieveSimilar.py --query - --json

Reads models/<run>/best.keras, and data/<dataset>/ unless there is a --gallery; writes models/<run>/gallery.npz or
models/<run>/galleries/, and reports/<run>/retrieval/ or duplicates/.
"""

import json
import sys
from contextlib import closing

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.search.config import RetrieveConfig


def main(config: RetrieveConfig) -> int:
    """Search for the queries that `config` names; return 2 when some could not be read."""
    with quiet_libraries():
        from latentsearch.data import scaled_in_words
        from latentsearch.search import output
        from latentsearch.search.open import fill, open_named, open_store
        from latentsearch.search.queries import check_flags, find_queries
        from latentsearch.search.results import search

    check_flags(config)
    terminal = sys.stderr if config.json else sys.stdout
    metrics = output.metrics_of(config)
    with closing(open_store(config, metrics)) as store:
        corpus, lines = open_named(config, store)
        print(*lines, *fill(store, corpus, sync=config.sync, verify=config.verify), sep="\n", file=terminal)
        if config.duplicates:
            from latentsearch.search import duplicates_output

            return duplicates_output.tell(corpus, config, terminal)
        output.check_copy_to(config.copy_to, corpus)
        queries, problems = find_queries(config, corpus)
        for line in scaled_in_words(queries.scaled_by_range):
            print(f"queries: {line}", file=terminal)
        if queries.names:
            k, least, weak, only = config.k, config.min_score, config.weak, config.only
            results = search(queries, corpus, k=k, metrics=metrics, min_score=least, weak=weak, only=only, store=store)
            if config.json:
                print(json.dumps(output.as_record(results, corpus, config), indent=2))
            else:
                print_table(output.for_terminal(results, corpus), heading="query")
                print(output.SCORES_IN_WORDS)
            print("Written:", *output.write(results, corpus, config), sep="\n  ", file=terminal)
            if config.copy_to:
                folder, count = output.copy_to(config.copy_to, results, corpus, synced=config.sync)
                print(f"Copied: {count} image{'s' if count != 1 else ''} to {folder}", file=terminal)
    for problem in problems:
        print(f"RetrieveSimilar.py: {problem}", file=sys.stderr)
    return 2 if problems else 0


if __name__ == "__main__":
    run_script(main, RetrieveConfig, __doc__)
