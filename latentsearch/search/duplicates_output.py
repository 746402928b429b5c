"""Write groups of duplicates: tables, JSON, figures. They are told, never deleted."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from pathlib import Path
from typing import Any, TextIO

from latentsearch import files
from latentsearch.cli import print_table
from latentsearch.search.config import RetrieveConfig
from latentsearch.search.corpus import Corpus
from latentsearch.search.duplicates import Groups, find_groups
from latentsearch.text import printable, write_csv

_SHOWN = 100  # rows in the terminal
COLUMNS = ("group", "path", "id", "class", "kind", "of", "likeness", "bytes")


def table(found: Groups) -> list[dict[str, Any]]:
    """One row an image, for duplicates.csv; groups are numbered from 1."""
    return [
        {
            "group": number,
            "path": found.corpus.name_of(copy.id),
            "id": copy.id,
            "class": found.corpus.class_of(copy.id),
            "kind": copy.kind,
            "of": None if copy.of is None else found.corpus.name_of(copy.of),
            "likeness": copy.likeness,
            "bytes": copy.size,
        }
        for number, group in enumerate(found.groups, 1)
        for copy in group
    ]


def as_record(found: Groups) -> dict[str, Any]:
    """The groups for duplicates.json and --json."""
    by_group = defaultdict(list)
    for row in table(found):
        by_group[row.pop("group")].append(row)
    return {
        "run": found.corpus.run.name,
        "encoder": found.corpus.gallery.encoder,
        "gallery": found.corpus.name,
        "images": found.num_images,
        "images_in_groups": found.num_files,
        "bytes_of_exact_copies": found.exact_bytes,
        "left_out": [dataclasses.asdict(file) for file in found.left_out],
        "groups": list(by_group.values()),
    }


def for_terminal(found: Groups) -> list[dict[str, str]]:
    """One row an image, of the first groups, with paths below the folder."""
    folder = found.corpus.folder
    shown: list[dict[str, str]] = []
    for row in table(found)[:_SHOWN]:
        path = Path(row["path"])
        name = path.relative_to(folder) if folder and path.is_relative_to(folder) else path
        size = {} if row["bytes"] is None else {"bytes": f"{row['bytes']:,}"}
        head = {"group": str(row["group"]) if row["kind"] == "first" else "", "image": printable(name)}
        shown.append({**head, "kind": row["kind"], "likeness": f"{row['likeness']:.2f}", **size})
    return shown


def in_words(found: Groups) -> list[str]:
    """How many there are, and what was left out."""
    lines = [f"left out: {printable(file.path)}: {file.reason} {file.detail}".rstrip() for file in found.left_out]
    lines = lines[:10] + [f"left out: {len(lines) - 10:,} more"] * (len(lines) > 10)
    if not found.groups:
        return [*lines, f"No duplicates among {found.num_images:,} images."]
    if found.num_files > _SHOWN:
        lines.append(f"Shown: {_SHOWN} of {found.num_files:,} images; duplicates.csv has all.")
    many = f"{len(found.groups):,} group{'s' * (len(found.groups) > 1)} of duplicates"
    exact = f"; exact copies take {found.exact_bytes:,} bytes" if found.corpus.folder and found.exact_bytes else ""
    return [*lines, f"{many}: {found.num_files:,} of {found.num_images:,} images{exact}. Nothing was deleted."]


def tell(corpus: Corpus, config: RetrieveConfig, terminal: TextIO) -> int:
    """Find the groups, write them, and print them as `config` says; return the exit status.

    Args:
        corpus: The images.
        config: Whether to print JSON, and to draw.
        terminal: What is no result goes there.
    """
    found = find_groups(corpus, progress=True)
    if config.json:
        print(json.dumps(as_record(found), indent=2))
    elif found.groups:
        print_table(for_terminal(found))
    print(*in_words(found), sep="\n", file=terminal)
    print("Written:", *write(found, config), sep="\n  ", file=terminal)
    return 0


def write(found: Groups, config: RetrieveConfig) -> list[Path]:
    """Write duplicates.csv, .json, and the figure if it is asked for, to reports/<run>/duplicates/; return paths."""
    folder = found.corpus.run.reports / "duplicates"
    paths = [folder / "duplicates.csv", folder / "duplicates.json"]
    with files.replacing(paths[0]) as temporary:
        write_csv(temporary, COLUMNS, [list(row.values()) for row in table(found)])
    files.write_json(paths[1], as_record(found))
    if config.figure and (config.json_figure or not config.json):
        from latentsearch.plots.saving import save  # slow to import
        from latentsearch.search import figures

        paths.append(folder / "duplicates.png")
        with files.replacing(paths[-1]) as temporary:
            save(figures.duplicate_groups(found), temporary)
    else:
        files.remove(folder / "duplicates.png", within=found.corpus.run.root)  # of an earlier call
    return paths
