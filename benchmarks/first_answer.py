"""How long until the first answer, from a cold start?

    python -m benchmarks.first_answer

Each time a new process: RetrieveSimilar.py with one image file among the 60,000 coded images of cifar10, without and
with the figure; the same question asked as the project's source document does (TensorFlow, Keras `predict`,
scikit-learn's cosine distances and a sort, from codes that are ready too); the imports of NumPy and of TensorFlow
alone; and --help of every script. In turn. Writes benchmarks/first_answer.json.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT

_AS_THE_SOURCE_DOCUMENT = """
import sys, numpy as np
from pathlib import Path
from PIL import Image
from sklearn.metrics.pairwise import cosine_distances
from latentsearch.models.export import load_model
query, model, codes = sys.argv[1:]
encoder = load_model(Path(model)).get_layer("encoder")
image = np.asarray(Image.open(query).convert("RGB"), dtype=np.float32)[None] / 255
code = encoder.predict(image, verbose=0)
distances = [(row, float(cosine_distances(code, one[None])[0, 0])) for row, one in enumerate(np.load(codes))]
print(sorted(distances, key=lambda pair: pair[1])[:10])
"""


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    run: str = "cifar10"
    """Trained run whose images are searched."""

    repeats: int = 5
    """Rounds that count, after one that does not."""


def main(config: BenchmarkConfig) -> None:
    """Times cold processes in turn."""
    with quiet_libraries():
        import numpy as np
        from PIL import Image

        from benchmarks import timing
        from latentsearch import data
        from latentsearch.gallery.trained_run import open_trained
        from latentsearch.runs import Run
    trained, dataset = open_trained(ROOT, config.run), data.load(ROOT, "cifar10")
    scripts = sorted(path.name for path in ROOT.glob("*.py"))
    with tempfile.TemporaryDirectory() as folder:
        query, codes = Path(folder) / "query.png", Path(folder) / "codes.npy"
        Image.fromarray(np.asarray(dataset.images[dataset.ids("test")[0]])).save(query)
        np.save(codes, trained.gallery.codes)
        asked = ("RetrieveSimilar.py", "--run", config.run, "--query", str(query))
        model = str(Run(ROOT, config.run).best_model)
        seconds = timing.in_turn(
            {
                "answer": process(*asked, "--no-figure"),
                "answer as JSON": process(*asked, "--no-figure", "--json"),
                "answer with the figure": process(*asked),
                "import numpy": process("-c", "import numpy"),
                "import tensorflow": process("-c", "import tensorflow"),
                "import latentsearch.search.open": process("-c", "import latentsearch.search.open"),
                **{f"{script} --help": process(script, "--help") for script in scripts},
                "as the source document does": process("-c", _AS_THE_SOURCE_DOCUMENT, str(query), model, str(codes)),
            },
            repeats=config.repeats,
        )
    rows = [{"process": title, **timing.spread(times), "rounds": times} for title, times in seconds.items()]
    path = timing.save("first_answer", run=config.run, gallery=len(trained.gallery.ids), seconds=rows)
    print_table([{name: value for name, value in row.items() if name != "rounds"} for row in rows])
    print(f"Written: {path}")


def process(*arguments: str) -> Callable[[], None]:
    """Runs Python with these arguments in the folder of the scripts; fails if that does."""

    def call() -> None:
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)

    return call


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
