"""How many times as fast as the best peer are we, and is it what docs/speed.md says?

    python -m benchmarks.ratios

Measures nothing: takes the rounds that other benchmarks measured, each in new processes, and divides our figure and the
best peer's in each round. Those of each sitting are kept in benchmarks/ratios.json beside those of others;
docs/speed.md quotes the smallest of all. Prints beside each what the page says, and by how much today's median differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import timing
from benchmarks.search_contenders import CONTENDERS, OURS
from latentsearch import files
from latentsearch.cli import print_table, run_script
from latentsearch.config import ROOT

Rounds = dict[str, list[float]]
"""The ratio of each round, by what is compared as docs/speed.md names it; above 1 we are faster."""

_PAGE = ROOT / "docs" / "speed.md"
_QUOTED = "times as fast, at least"  # the last column of the table of ratios


@dataclass(frozen=True)
class RatiosConfig:
    """Flags: none."""


def main(config: RatiosConfig) -> None:
    """Compare what was measured with what is told."""
    path = timing.FOLDER / "ratios.json"
    before: dict[str, list[dict[str, Any]]] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    kept: dict[str, list[dict[str, Any]]] = {}
    for name, read in _READERS.items():
        source = timing.FOLDER / f"{name}.json"
        if not source.exists():
            continue
        content = json.loads(source.read_text("utf-8"))
        environment = content["environment"]
        sitting = {"machine": environment["machine"], "written": environment["written"]}
        for what, rounds in read(content).items():
            others = [old for old in before.get(what, []) if {key: old[key] for key in sitting} != sitting]
            row = sitting | {"commit": environment["commit"], "rounds": [float(f"{one:.4g}") for one in rounds]}
            kept[what] = sorted([*others, row], key=lambda one: one["written"])
    kept |= {what: sittings for what, sittings in before.items() if what not in kept}
    path.write_text(files.as_json(kept), encoding="utf-8")
    print_table(compared(kept, told()))
    print(f"Written: {path}")


def compared(kept: Mapping[str, list[dict[str, Any]]], quotes: Mapping[str, float]) -> list[dict[str, Any]]:
    """Rows of what was measured beside what is told, and by how much the last median differs from it.

    Args:
        kept: As benchmarks/ratios.json holds it.
        quotes: As `told` reads them.
    """
    rows = []
    for what, sittings in kept.items():
        last, quote = timing.spread(sittings[-1]["rounds"]), quotes.get(what)
        rows.append({
            "times as fast": what,
            "docs/speed.md says": quote,
            "last median": last["median"],
            "lowest": lowest(sittings),
            "highest": max(max(one["rounds"]) for one in sittings),
            "days and machines": len({(one["machine"], one["written"][:10]) for one in sittings}),
            "last beside the page": None if quote is None else f"{100 * (last['median'] / quote - 1):+.0f} %",
        })  # fmt: skip
    return rows


def lowest(sittings: list[dict[str, Any]]) -> float:
    """The smallest ratio of all rounds."""
    return min(min(one["rounds"]) for one in sittings)


def told() -> dict[str, float]:
    """What docs/speed.md quotes: the first and the last cell of each row of the table of ratios."""
    page = _PAGE.read_text(encoding="utf-8").replace("**", "").replace("`", "")
    table = page.partition(f"{_QUOTED} |\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]
    return {cells[0]: float(cells[-1].replace(",", "")) for cells in rows}


def _training(content: Mapping[str, Any]) -> Rounds:
    # A training that does not get there counts as endless.
    rounds = [one["reference"] / one["compact"] if one["compact"] else 0.0 for one in content["rounds"]]
    return {"training until validation MSE 0.0208, compact": rounds}


def _coding(content: Mapping[str, Any]) -> Rounds:
    found: Rounds = {}
    for run in dict.fromkeys(row["run"] for row in content["rows"]):
        rates = {row["how"]: row["rounds"] for row in content["rows"] if row["run"] == run}
        best = [max(pair) for pair in zip(rates["Keras, batches of 32"], rates["Keras, batches of 1000"], strict=True)]
        for what, ours, peer in (
            (f"encoding images from memory, {run}", "latentsearch, from memory", best),
            (f"encoding images from memory in int8, {run}", "latentsearch in int8, from memory", best),
            (f"encoding one image at a time, {run}", "latentsearch, one at a time", rates["Keras, one at a time"]),
        ):
            found[what] = [one / other for one, other in zip(rates[ours], peer, strict=True)]
    return found


def _first_answer(content: Mapping[str, Any]) -> Rounds:
    seconds = {row["process"]: row["rounds"] for row in content["seconds"]}
    return {
        f"first answer of a new process, beside {title}": [
            other / one for one, other in zip(seconds["answer"], seconds[process], strict=True)
        ]
        for title, process in (
            ("the reference method", "as the source document does"),
            ("the import of TensorFlow alone", "import tensorflow"),
            ("the import of NumPy alone", "import numpy"),
        )
    }


def _search(content: Mapping[str, Any]) -> Rounds:
    found: Rounds = {}
    for (size, metric), rounds in _by_round(content["rows"]):
        for title, key in (("one query", "p50_ms"), ("10,000 queries", "batch_s")):
            found[f"{size:,} codes by {metric}, {title}"] = [
                min(row[key] for name, row in one.items() if name != OURS) / one[OURS][key] for one in rounds
            ]
    return found


def _by_round(rows: list[dict[str, Any]]) -> Iterator[tuple[tuple[int, str], list[dict[str, dict[str, Any]]]]]:
    """Yield, by size and metric, the rows of each round, by contender: of those that are exact and quick."""
    quick = [row for row in rows if CONTENDERS[row["contender"]].is_quick]
    for size, metric in dict.fromkeys((row["size"], row["metric"]) for row in quick):
        rounds: dict[int, dict[str, dict[str, Any]]] = {}
        for row in quick:
            if (row["size"], row["metric"]) == (size, metric):
                rounds.setdefault(row["round"], {})[row["contender"]] = row
        yield (size, metric), [one for one in rounds.values() if OURS in one and len(one) > 1]


_READERS = {"training_speed": _training, "coding": _coding, "first_answer": _first_answer, "search": _search}


if __name__ == "__main__":
    run_script(main, RatiosConfig, __doc__)
