"""One measurement of one contender, in a process of its own."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.search_codes import gallery_and_queries, kept_as
from benchmarks.search_contenders import CONTENDERS, Ask
from benchmarks.timing import apart, peak_memory
from latentsearch.config import Metric

K = 10
_WARM, _WARM_SECONDS = 32, 2.0
_CHECKED = 500  # queries whose answers are held against the true neighbours
_SINGLES, _SINGLE_SECONDS = 500, 2.0
_BATCH_SECONDS = 10.0


def measured(run: str, size: int, name: str, metric: Metric) -> dict[str, Any] | None:
    """Times of a contender, or None if its library is not installed.

    Returns:
        first_s: From codes in memory to the first answer, with the import of the library.
        build_s: Until it answers at full speed, imports apart (but for approximate ones, slow to build, with them).
        p50_ms, p99_ms: Of single queries, one after the other.
        batch_s: Of 10,000 queries at once; where they would take more than about 10 s, scaled from `batch_queries`.
        batch_cpu_s: Time of all cores for the same: tells more where other work disturbs.
        memory_mb: Growth of the peak of resident memory through building and all queries, with libraries.
        recall: Share of the true 10 nearest that were found; a tie with the tenth counts as found.
    """
    path = kept_as(run, f"-tenth-{size}-{metric}.npy")
    if not path.exists():
        np.save(path, apart(_tenth, run, size, metric))
    return apart(_measure, run, size, name, metric, np.load(path))


def _measure(run: str, size: int, name: str, metric: Metric, farthest: np.ndarray) -> dict[str, Any] | None:
    vectors, queries = gallery_and_queries(run, size)
    contender = CONTENDERS[name]
    before = peak_memory()
    begin = time.perf_counter()
    try:
        ask = contender.build(vectors, metric)
        ask(queries[:1], K)
    except ImportError:
        return None
    first = time.perf_counter() - begin
    few = queries[: max(1, min(_WARM, int(_WARM_SECONDS / _seconds(ask, queries[:1]))))]
    ask(few, K)
    build = first
    if contender.exact:  # quick to build, so once more with the library loaded
        ask = None  # frees the memory of the first
        begin = time.perf_counter()
        ask = contender.build(vectors, metric)
        build = time.perf_counter() - begin
    # What is prepared only when many queries come is part of building.
    build += max(0.0, _seconds(ask, few) - _seconds(ask, few))
    singles, end = [], time.perf_counter() + _SINGLE_SECONDS
    while len(singles) < _SINGLES and (len(singles) < 5 or time.perf_counter() < end):
        number = _WARM + len(singles)
        singles.append(_seconds(ask, queries[number : number + 1]))
    estimate = _seconds(ask, few) / len(few)
    count = min(len(queries), max(len(few), int(_BATCH_SECONDS / estimate)))
    processor = time.process_time()
    batch = _seconds(ask, queries[-count:])
    processor = time.process_time() - processor
    memory = peak_memory() - before
    return {
        "run": run,
        "size": size,
        "metric": metric,
        "contender": name,
        "exact": contender.exact,
        "first_s": first,
        "build_s": build,
        "p50_ms": float(np.percentile(singles, 50)) * 1000,
        "p99_ms": float(np.percentile(singles, 99)) * 1000,
        "singles": len(singles),
        "batch_s": batch / count * len(queries),
        "batch_cpu_s": processor / count * len(queries),
        "batch_queries": count,
        "all_queries": len(queries),
        "memory_mb": memory,
        "recall": _recall(ask, vectors, queries[: min(_CHECKED, count)], farthest, metric),
    }


def _seconds(ask: Ask, queries: np.ndarray) -> float:
    begin = time.perf_counter()
    ask(queries, K)
    return time.perf_counter() - begin


def _tenth(run: str, size: int, metric: Metric) -> np.ndarray:
    """Distance of the true tenth neighbour of the queries that are checked, float64 `(num_queries,)`."""
    vectors, queries = gallery_and_queries(run, size)
    return np.array([np.partition(_distances(query, vectors, metric), K - 1)[K - 1] for query in queries[:_CHECKED]])


def _distances(query: np.ndarray, vectors: np.ndarray, metric: Metric) -> np.ndarray:
    """In double precision, whatever the contenders use: `(num_vectors,)`."""
    query, vectors = query.astype(np.float64), vectors.astype(np.float64)
    if metric == "cosine":
        return 1 - vectors @ query / np.linalg.norm(vectors, axis=-1) / np.linalg.norm(query)
    return np.linalg.norm(vectors - query, ord=1 if metric == "manhattan" else 2, axis=-1)


def _recall(ask: Ask, vectors: np.ndarray, queries: np.ndarray, farthest: np.ndarray, metric: Metric) -> float:
    found = ask(queries, K)
    hits = [
        (_distances(query, vectors[rows], metric) <= limit + 1e-6).sum()
        for query, rows, limit in zip(queries, found, farthest)
    ]
    return float(np.mean(hits) / K)
