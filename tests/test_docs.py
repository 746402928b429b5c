"""README and docs: short, links that lead somewhere, commands that parse, numbers from results, code that runs."""

from __future__ import annotations

import importlib
import json
import math
import re
import shlex
import shutil
import typing

import pandas as pd
import pytest
import tyro
from PIL import Image

from benchmarks import ratios
from latentsearch import cli, data
from latentsearch.runs import Run
from tests.conftest import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def blocks(page, language=""):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def commands(page):
    """The command lines of a page, in blocks and in the text, without comments and what is piped or redirected."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in blocks(page) for line in block.splitlines()]
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    lines += [line if line.startswith(("python", "make")) else f"python {line}" for line in inline if is_command(line)]
    parts = [part.strip() for line in lines for part in re.split(r"\s#|\s>|\|", line)]
    return [part for part in parts if part.startswith(("python ", "make "))]


def is_command(text):
    return bool(re.match(r"(python|make) |\w+\.py --", text)) and "|" not in text


def test_readme_can_be_read_in_five_minutes():
    assert len(PAGES[0].read_text(encoding="utf-8")) <= 9000


@by_name
def test_links_lead_to_what_is_there(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    ours = [link for link in links if not link.startswith("https://")]
    assert not [link for link in ours if not (page.parent / link).exists()]


def test_every_page_of_docs_can_be_reached_from_readme():
    reached, waiting = set(), [PAGES[0]]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            links = re.findall(r"\]\(([^)#\s:]+\.md)", page.read_text(encoding="utf-8"))
            waiting += [(page.parent / link).resolve() for link in links]
    assert set(PAGES) <= reached


@by_name
def test_every_command_parses(page):
    targets = re.search(r"^\.PHONY: (.*)", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.M)[1].split()
    for command in commands(page):
        words = shlex.split(command)
        if words[0] == "make":
            assert words[1] in targets, command
        elif words[1] == "-m":
            assert importlib.util.find_spec(words[2]), command
        else:
            assert parses(words[1], words[2:]), command


def parses(script, words):
    main = importlib.import_module(script.removesuffix(".py")).main
    config_type = typing.get_type_hints(main)["config"]
    if {"--help", "--help-all", "--version"} & set(words):
        return True
    placeholders = {"N": "3", "W": "1", "M": "100", "P": "99", "NAME": "name", "RUN": "run", "DIR": "dir"}
    words = cli._spelt_out([placeholders.get(word, word) for word in words], config_type)
    return isinstance(tyro.cli(config_type, args=words), config_type)


def tables(page):
    """Each row of each table of a page, as {column: cell}, without the marks of bold type."""
    found, names = [], []
    for line in page.read_text(encoding="utf-8").replace("**", "").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells and set("".join(cells)) <= set("-:"):
            continue
        found += [dict(zip(names, cells, strict=True))] if cells and names else []
        names = (names or cells) if cells else []
    return found


KEYS = {"k-NN accuracy": "kNN@10", "k-NN accuracy (k = 10)": "kNN@10", "copy-recall@10": "copy_recall"}
KEYS |= {"validation MSE": "val_mse", "seconds of training": "seconds"}


def compared(row, recorded):
    """How many cells of a row were compared with what is recorded, at the digits that the page gives."""
    count = 0
    for column, cell in row.items():
        value = recorded.get(KEYS.get(column, column))
        if isinstance(value, (int, float)) and re.fullmatch(r"[\d.,]+", cell):
            digits = len(cell.partition(".")[2])
            # Recorded values may be rounded once already.
            assert abs(float(cell.replace(",", "")) - value) <= 0.501 * 10**-digits, (row, column, value)
            count += 1
    return count


def result(name):
    return json.loads((REPOSITORY / "benchmarks" / f"{name}.json").read_text(encoding="utf-8"))


def scorecard(run):
    numbers = json.loads((Run(REPOSITORY, run).reports / "metrics.json").read_text(encoding="utf-8"))
    measures = {
        (row["method"], row["metric"]): {name: measure["value"] for name, measure in row["overall"].items()}
        for row in numbers["scorecard"]
    }
    for (method, _), values in measures.items():
        error = {run: "test_mse", "raw pixels": None}.get(method, "pca_test_mse")
        values.update({"test MSE": numbers["reconstruction"][error]} if error else {})
    return measures


RUNS = {"cifar10": "cifar10", "deep": "cifar10-deep", "compact": "cifar10-compact"}


@pytest.mark.parametrize("page", [PAGES[0], REPOSITORY / "docs" / "results.md"], ids=lambda page: page.stem)
def test_the_results_are_those_of_the_reports(page):
    checked = 0
    for row in tables(page):
        method, _, metric = next(iter(row.values())).partition(", ")
        run = RUNS.get(method, method)
        recorded = scorecard(run if run in RUNS.values() else "cifar10" if "20-d" in run else "cifar10-deep")
        checked += compared(row, recorded[run, metric]) if metric else 0
    assert checked >= 16


REPORTS = tuple(f"reports/{run}/metrics.json" for run in RUNS.values())
# Of each page, the files of results that its numbers are from.
SOURCES = {
    "README.md": REPORTS,
    "docs/results.md": REPORTS,
    "docs/checks.md": REPORTS,
    "docs/codes.md": (
        *REPORTS,
        *(f"benchmarks/{name}.json" for name in ("recipe", "codes", "first_sitting", "from_random")),
        "models/cifar10/training.json",
    ),
    "docs/own-images.md": tuple(
        f"benchmarks/{name}.json" for name in ("duplicates", "folders", "photographs", "precision")
    ),
    "docs/photographs.md": ("benchmarks/encoders.json",),
    "docs/scaling.md": tuple(f"benchmarks/{name}.json" for name in ("growth", "coding", "scaling", "publishing")),
    "docs/similarity.md": ("benchmarks/similarity.json",),
    "docs/tuning.md": ("benchmarks/tuning.json",),
}
# Sections of a report; the rest holds so many numbers that any would be found.
SECTIONS = ("reconstruction", "copy_recall", "kind_and_look", "checks", "duplicates", "scorecard")


def numbers_of(content):
    """The numbers in a file of results, without the ends of intervals, and without those of classes and ranks."""
    if isinstance(content, dict):
        if {"value", "low", "high"} <= set(content):
            return [content["value"]]
        return [
            number
            for name, part in content.items()
            if name not in ("by_class", "precision_curve")
            for number in numbers_of(part)
        ]
    if isinstance(content, list):
        return [number for part in content for number in numbers_of(part)]
    return [content] if isinstance(content, (int, float)) else []


@pytest.mark.parametrize("name", SOURCES)
def test_every_number_of_a_page_is_in_its_results_or_in_its_table_of_others(name):
    """Of numbers below 1 with three digits or more behind the point, in running text and in tables."""
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    recorded = []
    for source in SOURCES[name]:
        content = json.loads((REPOSITORY / source).read_text(encoding="utf-8"))
        recorded += numbers_of([content[key] for key in SECTIONS if key in content] if "reports" in source else content)
    text, _, others = text.partition("| number that no file of results holds |")
    excepted = set(re.findall(r"^\| (0\.\d+) \|", others, re.M))
    told = set(re.findall(r"(?<![\d.,])0\.\d{3,}(?!\d|\.\d)", text))
    assert told or excepted == set()
    lost = {number for number in told if not any(is_rounded(number, value) for value in recorded)}
    assert lost == excepted
    # The test would be worth little if most numbers of three digits were in the results.
    assert len({round(value, 3) for value in recorded if 0 <= value < 1}) < 350


def is_rounded(told, value):
    return abs(float(told) - value) <= 0.501 * 10 ** -len(told.partition(".")[2])


def test_the_ingredients_are_those_that_were_measured():
    recorded = {(row["variant"], str(row["seed"])): row for row in result("similarity")}
    rows = [row for row in tables(REPOSITORY / "docs" / "similarity.md") if "3 epochs" in row]
    assert len(rows) == len(recorded)
    assert all(compared(row, recorded[row["3 epochs"], row["seed"]]) == 6 for row in rows)


def test_the_searches_for_settings_are_those_that_were_measured():
    recorded = {row["objective"]: row for row in result("tuning")["winners"]}
    rows = [row for row in tables(REPOSITORY / "docs" / "tuning.md") if "searched for" in row]
    assert {row["searched for"] for row in rows} == set(recorded)
    assert all(compared(row, recorded[row["searched for"]]) == 8 for row in rows)


def test_the_scaling_is_what_was_measured():
    recorded = {(f"{row['codes']:,}", row["search"]): row for row in result("scaling")["rows"]}
    rows = [row for row in tables(REPOSITORY / "docs" / "scaling.md") if "bytes a code" in row]
    assert len(rows) == len(recorded)
    assert all(compared(row, recorded[row["codes"], row["search"]]) >= 7 for row in rows)


def test_the_speed_is_the_least_that_was_measured():
    measured, told = result("ratios"), ratios.told()
    assert set(told) == set(measured)
    for what, quote in told.items():
        least = ratios.lowest(measured[what])
        assert quote <= least < quote + 10.0 ** (math.floor(math.log10(least)) - 1), what  # two digits, cut


def test_the_published_indexes_are_those_that_were_measured():
    recorded = {(f"{row['codes']:,}", row["index"]): row for row in result("publishing")["searched"]}
    rows = [row for row in tables(REPOSITORY / "docs" / "scaling.md") if "index" in row and "codes" in row]
    assert len(rows) == len(recorded)
    assert all(compared(row, recorded[row["codes"], row["index"]]) >= 7 for row in rows)


def test_the_minutes_of_a_training_are_those_of_its_history():
    told = re.findall(r"(\d+) epochs of `([\w-]+)` took (\d+) minutes", PAGES[0].read_text(encoding="utf-8"))
    assert len(told) == 2
    for epochs, run, minutes in told:
        history = pd.read_csv(Run(REPOSITORY, run).history)
        assert (int(epochs), int(minutes)) == (len(history), round(history["seconds"].sum() / 60))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page, small_root, tmp_path, monkeypatch):
    root = shutil.copytree(small_root, tmp_path / "root")
    for name in ("cifar10-deep", "photos"):
        shutil.copytree(root / "models" / "digits", root / "models" / name)
        shutil.copy(Run(root, "digits").initial_model, Run(root, name).best_model)
    monkeypatch.setenv("LATENTSEARCH_ROOT", str(root))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "photos").mkdir()
    images = [Image.fromarray(image) for image in data.load(root, "digits").images[:10]]
    for number, image in enumerate(images[:8]):
        image.save(tmp_path / "photos" / f"{number}.png")
        image.save(tmp_path / "pictures" / f"{number}.png")
    images[8].save("cat.jpg")
    images[9].save("dog.png")
    names = {}
    for block in blocks(page, "python"):
        exec(block, names)
    assert "run" not in names or names["codes"].shape[1] == names["run"].latent_dim
    assert "run" not in names or len(names["found"])
