"""What do 60,000, 600,000 and 6,000,000 codes take: memory, building, asking, and with 8 bits a number?

    python -m benchmarks.scaling --sizes 60000 600000 6000000

The codes are those of the images of cifar10-deep, and beyond them codes drawn near those (a code moved a random share
of the way to the code of another image that is near it), so that they lie where codes of images lie. The queries are
codes of test images, which are not in the gallery. Each size and way is a process of its own. Writes
benchmarks/scaling.json and docs/scaling.png; docs/scaling.md reckons with these figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from latentsearch.cli import print_table, quiet_libraries, run_script
from latentsearch.config import ROOT

_NUM_SINGLE, _NUM_TOGETHER, _NUM_COMPARED = 200, 10_000, 500
_K = 10
_REFINED = 10  # times as many neighbours are found by 8-bit codes as are asked for


@dataclass(frozen=True)
class BenchmarkConfig:
    """Flags of this benchmark."""

    sizes: tuple[int, ...] = (60_000, 600_000, 6_000_000)
    """Codes in the gallery."""

    run: str = "cifar10-deep"
    """Trained run whose codes they are made from."""


def main(config: BenchmarkConfig) -> None:
    """Measures every way of searching at every size."""
    with quiet_libraries():
        from benchmarks import timing
    rows = []
    for size in config.sizes:
        for way in WAYS:
            rows.append({"codes": size, "search": way, **timing.apart(measure, config.run, size, way)})
            print_table(rows[-1:])
    path = timing.save("scaling", run=config.run, rows=rows)
    _figure(rows).savefig(ROOT / "docs" / "scaling.png", dpi=110)
    print_table(rows)
    print(f"Written: {path}")


def measure(run: str, size: int, way: str) -> dict[str, Any]:
    """One way of searching at one size; in a new process, so that its memory is its own."""
    import numpy as np

    from benchmarks.timing import peak_memory
    from latentsearch.gallery.index import Index

    gallery, queries = _codes(run, size)
    begin = time.perf_counter()
    ask, num_bytes = WAYS[way](gallery)
    ask(queries[:100])  # builds what is built when it is first needed
    built = time.perf_counter() - begin
    single = []
    for query in queries[:_NUM_SINGLE, None]:
        begin = time.perf_counter()
        ask(query)
        single.append(1000 * (time.perf_counter() - begin))
    begin = time.perf_counter()
    ask(queries[:_NUM_TOGETHER])
    together = time.perf_counter() - begin
    exact = Index(gallery).rank(queries[:_NUM_COMPARED], _K)
    found = ask(queries[:_NUM_COMPARED])
    recall = np.mean([len(np.intersect1d(*pair)) / _K for pair in zip(exact, found, strict=True)])
    return {
        "seconds to build": float(f"{built:.3g}"),
        "ms a query (median)": float(f"{np.median(single):.3g}"),
        "ms a query (99 %)": float(f"{np.percentile(single, 99):.3g}"),
        "queries a second, 10,000 at once": round(min(len(queries), _NUM_TOGETHER) / together),
        "bytes a code": round(num_bytes / size, 1),
        "recall@10": round(float(recall), 4),
        "MB at most": peak_memory(),
    }


def _codes(run: str, size: int) -> tuple[Any, Any]:
    """Gallery `(size, latent_dim)` and queries `(10000, latent_dim)`."""
    with quiet_libraries():
        import numpy as np

        from latentsearch.gallery.index import Index
        from latentsearch.gallery.trained_run import open_trained
    trained = open_trained(ROOT, run)
    queries = trained.gallery.code_of(trained.dataset.ids("test"))
    codes = trained.gallery.code_of(trained.dataset.gallery_ids())
    near = Index(codes, metric="euclidean").rank(codes, _K, exclude=np.arange(len(codes)))
    rng = np.random.default_rng(0)
    own = rng.integers(0, len(codes), max(size - len(codes), 0))
    others = near[own, rng.integers(0, _K, len(own))]
    shares = rng.random((len(own), 1), dtype=np.float32)
    more = codes[own] + shares * (codes[others] - codes[own])
    return np.concatenate([codes, more])[:size], queries


def _exact(gallery: Any) -> tuple[Callable[[Any], Any], int]:
    from latentsearch.gallery.index import Index

    index = Index(gallery)
    return lambda queries: index.search(queries, _K).ids, gallery.nbytes


def _faiss(description: str) -> Callable[[Any], tuple[Callable[[Any], Any], int]]:
    def build(gallery: Any) -> tuple[Callable[[Any], Any], int]:
        import faiss
        import numpy as np

        def unit(vectors: Any) -> Any:
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

        index = faiss.index_factory(gallery.shape[1], description)
        vectors = unit(gallery)
        index.train(vectors[:200_000])
        index.add(vectors)
        if description.startswith("IVF"):
            faiss.extract_index_ivf(index).nprobe = 16
        if description.endswith("RFlat"):
            index.k_factor = _REFINED
        if description.startswith("HNSW"):
            index.hnsw.efSearch = 64
        return lambda queries: index.search(unit(queries), _K)[1], len(faiss.serialize_index(index))

    return build


WAYS: dict[str, Callable[[Any], tuple[Callable[[Any], Any], int]]] = {
    "latentsearch, exact": _exact,
    "8 bits a number, all compared (FAISS SQ8)": _faiss("SQ8"),
    "8 bits a number, 1,024 cells, 16 visited (FAISS IVF1024,SQ8)": _faiss("IVF1024,SQ8"),
    f"8 bits, all compared, {_K * _REFINED} found ordered by float codes (FAISS SQ8,RFlat)": _faiss("SQ8,RFlat"),
    f"8 bits, 1,024 cells, {_K * _REFINED} found ordered by float codes (IVF1024,SQ8,RFlat)": _faiss(
        "IVF1024,SQ8,RFlat"
    ),
    "graph (FAISS HNSW32, ef 64)": _faiss("HNSW32"),
}


def _figure(rows: Sequence[dict[str, Any]]) -> Any:
    from matplotlib.figure import Figure

    measures = ("ms a query (median)", "seconds to build", "MB at most")
    figure = Figure(figsize=(12, 4), layout="constrained")
    for axes, measure in zip(figure.subplots(1, len(measures)), measures, strict=True):
        for way in WAYS:
            of_way = [row for row in rows if row["search"] == way]
            axes.plot([row["codes"] for row in of_way], [row[measure] for row in of_way], "o-", label=way)
        axes.set(xlabel="codes", ylabel=measure, xscale="log", yscale="log")
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")
    return figure


if __name__ == "__main__":
    run_script(main, BenchmarkConfig, __doc__)
