"""Help that reads: short, narrow, of the flag that is typed; one form for switches; closed pipes end quietly."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import typing

import pytest

import latentsearch
from latentsearch import cli, help
from latentsearch.config import CheckConfig, TrainConfig
from latentsearch.page.config import PageConfig
from latentsearch.publish.config import PublishConfig
from latentsearch.search.config import RetrieveConfig
from tests.conftest import REPOSITORY

SCRIPTS = sorted(path.stem for path in REPOSITORY.glob("*.py"))


def config_of(name):
    script = importlib.import_module(name)
    return script, typing.get_type_hints(script.main)["config"]


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("whole", [False, True])
def test_help_is_short_and_narrow(name, whole):
    script, config_type = config_of(name)
    lines = help.text(f"{name}.py", script.__doc__, config_type, whole=whole).splitlines()
    assert max(map(len, lines)) <= 80
    assert "None" not in " ".join(lines)
    assert whole or len(lines) <= 60


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_flag_has_a_text_that_help_all_tells(name):
    script, config_type = config_of(name)
    whole = " ".join(help.text(name, script.__doc__, config_type, whole=True).split())
    for flag in help.flags(config_type):
        assert flag.text, flag.name
        assert f"{flag.words} {flag.text}" in whole


def parsed(monkeypatch, config_type, *words):
    found = []
    monkeypatch.setattr(sys, "argv", ["Script.py", *words])
    with pytest.raises(SystemExit) as ended:
        cli.run_script(found.append, config_type, "Text.")
    return ended.value.code, found[0] if found else None


@pytest.mark.parametrize(
    ("words", "flip"),
    [
        ((), None),
        (("--flip",), True),
        (("--no-flip",), False),
        (("--flip", "False"), False),
        (("--flip", "True"), True),
    ],
)
def test_a_switch_that_may_be_left_open_has_the_form_of_all_others(words, flip, monkeypatch):
    status, config = parsed(monkeypatch, TrainConfig, *words, "--epochs", "3")
    assert (status, config.flip, config.epochs) == (0, flip, 3)


@pytest.mark.parametrize("config_type", [RetrieveConfig, PageConfig, PublishConfig])
def test_the_default_arithmetic_of_folders_is_told_in_words(config_type):
    [flag] = [flag for flag in help.flags(config_type) if flag.name == "encoder_precision"]
    assert flag.words == "--encoder-precision float32|int8"
    assert re.search("Default: (in folders )?int8", flag.text)
    assert not flag.default


def test_checks_encode_in_float32_by_default():
    assert CheckConfig().encoder_precision == "float32"


@pytest.mark.parametrize(("words", "sync"), [((), True), (("--sync",), True), (("--no-sync",), False)])
def test_switches_that_are_on_by_default(words, sync, monkeypatch):
    assert parsed(monkeypatch, RetrieveConfig, *words)[1].sync is sync


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--epochs many", "--epochs many: expected a whole number."),
        ("--learning_rate x", "--learning_rate x: expected a number."),
        ("--devices some", "--devices some: expected a whole number or all."),
        ("--optimizer sgd --epochs 3", "--optimizer sgd: expected adam or muon."),
        ("--flip maybe", "--flip maybe: expected --flip or --no-flip alone."),
        ("--run", "--run: its value is missing; expected --run NAME."),
        ("--seed 1 --epochz=4", "there is no flag --epochz. Did you mean --epochs?"),
        ("--quite-other 4", "there is no flag --quite-other."),
        ("photos", "photos: expected a flag before it, such as --run NAME."),
    ],
)
def test_words_that_are_no_flags_are_refused_in_words(words, message, monkeypatch, capsys):
    assert parsed(monkeypatch, TrainConfig, *words.split()) == (2, None)
    assert capsys.readouterr().err == f"Script.py: {message}\nAll flags: python Script.py --help-all\n"


def test_flags_that_are_missing_are_named(monkeypatch, capsys):
    assert parsed(monkeypatch, PublishConfig, "--store", "http://host:19530") == (2, None)
    assert capsys.readouterr().err.startswith("Script.py: missing: --gallery PATH, --collection NAME.\n")


def test_the_version(monkeypatch, capsys):
    assert parsed(monkeypatch, TrainConfig, "--version") == (0, None)
    assert capsys.readouterr().out == f"latentsearch {latentsearch.__version__}\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("lines", [1, 1000])
def test_a_closed_pipe_ends_quietly(lines, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    program = (
        "from latentsearch.cli import run_script\nfrom latentsearch.config import TrainConfig\n"
        f"run_script(lambda config: [print('x' * 80) for _ in range({lines})] and None, TrainConfig, 'Text.')"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_tables_fold_text_and_never_numbers(capsys):
    cli.print_table([{"": "a", "value": 0.125, "expected": "words " * 30}, {"": "b", "value": 12, "expected": ""}])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(lines).count("words") == 30
    assert any("0.125" in line for line in lines)
    assert lines[2].startswith("a ")


def test_headings_of_a_table_stand_above_their_rows(capsys):
    rows = [{"query": query, "rank": rank} for query in ("a\n" * 50, "b") for rank in (1, 2)]
    rows[1]["query"] = rows[3]["query"] = ""
    cli.print_table(rows, heading="query")
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["", "rank", "a\\n" * 50, "   1", "   2", "b", "   1", "   2", ""]
