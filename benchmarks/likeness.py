"""How often are the words for hits (same picture, very like, alike, weak) right, and how many right hits are weak?

    python -m benchmarks.likeness --run cifar10

Searches all images of the dataset for the first ten hits of each test image. A hit of the class of its query is right.
Writes benchmarks/likeness.json and prints it: for each word how many hits have it, the share of them that is right,
and the share of all right hits that has it; by the present rule, and by copies of images alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import METRICS, ROOT, Metric

RESULTS = ROOT / "benchmarks" / "likeness.json"
_K = 10
_ALIKE_BY_COPIES = 20  # percentage of copies that are farther, from which on a hit is alike by copies alone


@dataclass(frozen=True)
class LikenessConfig:
    """Flags of this benchmark."""

    run: str = "cifar10"
    """A trained run whose dataset has classes."""

    root: Path = ROOT
    """Folder that holds data/ and models/."""


def main(config: LikenessConfig) -> None:
    """Measure the run that `config` names."""
    with quiet_libraries():
        from latentsearch import environment

    rows = [row for metric in METRICS for row in measure(config.root, config.run, metric)]
    print_table([{name: str(value) for name, value in row.items()} for row in rows])
    result = {"run": config.run, "rows": rows, "environment": environment.environment()}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def measure(root: Path, run: str, metric: Metric) -> list[dict[str, object]]:
    """Count the words of the hits of all test images under one metric."""
    from latentsearch.search.open import open_corpus
    from latentsearch.search.percentiles import LIKENESSES

    corpus, _ = open_corpus(root, run, None)
    ids, scale = corpus.examples, corpus.scale(metric)
    found = corpus.compared.ask(corpus.weigh(corpus.gallery.code_of(ids)), _K, metric=metric, exclude=ids)
    label_of = np.empty(corpus.gallery.ids.max() + 1, np.int64)
    label_of[corpus.gallery.ids] = corpus.labels
    right = (label_of[found.ids] == label_of[ids][:, None]).ravel()
    distances = found.distances.ravel()
    words = np.array(scale.likeness(distances))
    farther = 100 * (1 - np.searchsorted(scale.recognised, distances, side="right") / len(scale.recognised))
    alone = np.where((words == "alike") & (farther < _ALIKE_BY_COPIES), "weak", words)
    return [
        {
            "metric": metric,
            "rule": rule,
            "word": word,
            "hits": int((given == word).sum()),
            "right": round(float(right[given == word].mean()), 3) if (given == word).any() else None,
            "of_right_hits": round(float((given[right] == word).mean()), 3),
        }
        for rule, given in (("copies and pairs", words), ("copies alone", alone))
        for word in LIKENESSES
    ]


if __name__ == "__main__":
    run_script(main, LikenessConfig, __doc__, name="python -m benchmarks.likeness")
