"""The results of all benchmarks as one page of tables.

    python -m benchmarks.summary

Reads the JSON files in benchmarks/ and writes benchmarks/README.md; a benchmark that was not run yet is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.ratios import compared, told
from benchmarks.search import exponent, summary
from latentsearch.cli import run_script
from latentsearch.config import ROOT

FOLDER = ROOT / "benchmarks"


@dataclass(frozen=True)
class SummaryConfig:
    """Flags: none."""


def main(config: SummaryConfig) -> None:
    """Writes the page."""
    parts = ["# Measured\n\n`make benchmark` writes this page. " + _HOW]
    for name, (title, tables) in _SECTIONS.items():
        path = FOLDER / f"{name}.json"
        if not path.exists():
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        parts.append(f"## {title}\n\n{_origin(name, result)}")
        parts += [_table(rows) for rows in tables(result)]
        if path.with_suffix(".png").exists():
            parts.append(f"![{title}]({name}.png)")
    ratios = json.loads((FOLDER / "ratios.json").read_text(encoding="utf-8"))
    parts.append(f"## Ratios\n\n{_RATIOS}\n\n{_table(compared(ratios, told()))}")
    page = FOLDER / "README.md"
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"Written: {page}")


_HOW = (
    "Contenders take turns in one run; each figure is the median of several rounds, with the smallest and the largest "
    "in brackets. Machines differ and are noisy: the ratios within a table are what counts."
)

_RATIOS = (
    "`python -m benchmarks.ratios`: our figure against the best peer's, round by round, each round in new processes; "
    "lowest and highest of all rounds. docs/speed.md quotes the lowest."
)


def _origin(name: str, result: Any) -> str:
    environment = (result[-1] if isinstance(result, list) else result)["environment"]
    commit, machine = (environment["commit"] or "")[:10], environment["machine"]
    return f"`python -m benchmarks.{name}`, {environment['written'][:10]}, {machine}, commit {commit}."


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, ["---"] * len(columns), *([_cell(row.get(name)) for name in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return f"{_cell(value['median'])} ({_cell(value['min'])} to {_cell(value['max'])})"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)


def _with_spread(rows: Sequence[Mapping[str, Any]], unit: str) -> list[dict[str, Any]]:
    """Rows whose median, min and max stand in one column, without the single rounds."""
    names = [f"{name}{unit}" for name in ("median", "min", "max")]
    return [
        {name: value for name, value in row.items() if name not in (*names, "rounds")}
        | {unit.strip() or "seconds": dict(zip(("median", "min", "max"), (row[name] for name in names), strict=True))}
        for row in rows
    ]


def _training(result: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    return [result["rounds"], [{"times as long as compact": result["ratio"]}]]


def _profile(result: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    names = list(dict.fromkeys(name for row in result["rows"] for name in row if name != "architecture"))
    return [[{"": name} | {row["architecture"]: row.get(name) for row in result["rows"]} for name in names]]


def _search(result: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    def spread(values: Sequence[float]) -> dict[str, float]:
        return dict(zip(("median", "min", "max"), values, strict=True))

    tables = [
        {
            "codes": row["size"],
            "metric": row["metric"],
            "contender": row["contender"],
            "first answer s": row["first_s"][0],
            "build s": row["build_s"][0],
            "ms a query (median)": spread(row["p50_ms"]),
            "ms a query (99 %)": row["p99_ms"][0],
            "10,000 queries s": spread(row["batch_s"]),
            "MB more": row["memory_mb"][0],
            "recall@10": row["recall"],
        }
        for row in summary(result["rows"])
    ]
    growth = summary(result["growth"])
    names = ("build_s", "batch_s", "p50_ms", "memory_mb")
    grown = [{"codes": row["size"], **{name: row[name][0] for name in names}} for row in growth]
    grown.append({"codes": "exponent", **{name: exponent(growth, name) for name in names}})
    alike = [[row for row in tables if row["codes"] == size] for size in sorted({row["codes"] for row in tables})]
    return [*alike, grown]


def _folders(result: Sequence[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
    return [[{"run": record["run"], **row} for row in record["rows"]] for record in result]


_SECTIONS: dict[str, tuple[str, Callable[[Any], list[Any]]]] = {
    "training_speed": ("Training: until the reference's best validation error, 0.0208", _training),
    "training_profile": ("Training: share of this machine's speed", _profile),
    "coding": ("Coding images", lambda result: [_with_spread(result["rows"], " images/s")]),
    "precision": ("Encoding in int8", lambda result: [result["rows"]]),
    "first_answer": ("The first answer of a new process", lambda result: [_with_spread(result["seconds"], "")]),
    "search": ("Searching", _search),
    "scaling": ("60,000 to 6,000,000 codes", lambda result: [result["rows"]]),
    "folders": ("Galleries of folders", _folders),
    "growth": ("Growth with the images", lambda result: [result["growth"]]),
    "set_up": ("Set-up", lambda r: [r["steps"], r["largest"], _with_spread(r["imports"], "")]),
}


if __name__ == "__main__":
    run_script(main, SummaryConfig, __doc__)
