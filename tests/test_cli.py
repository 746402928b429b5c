"""How a script starts and ends, whatever the flags and the terminal are."""

from __future__ import annotations

import dataclasses
import os
import shlex
import subprocess
import sys
import typing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsearch import help, runs
from latentsearch.cli import paragraph, run_script
from latentsearch.config import BuildConfig, CheckConfig, PrepareConfig, TrainConfig
from latentsearch.search.config import RetrieveConfig
from latentsearch.tuning.config import TuneConfig

PROGRAM = """
import os, sys
from latentsearch.cli import run_script
from latentsearch.config import BuildConfig

def main(config):
    print("\\u732b caf\\u00e9", os.fsdecode(b"\\xe9"))
    print("\\u732b", file=sys.stderr)

run_script(main, BuildConfig, "A script.")
"""


@dataclass(frozen=True)
class Flags:
    """Flags of a script."""

    gallery: Path | None = None
    root: Path = Path("~/given")
    source: str = "digits"
    name: str = "~"
    query: tuple[str, ...] = ()


def flags_of(monkeypatch, *arguments):
    seen = []
    monkeypatch.setattr(sys, "argv", ["Script.py", *arguments])
    with pytest.raises(SystemExit) as caught:
        run_script(seen.append, Flags, "A script.")
    assert caught.value.code == 0
    return seen[0]


def test_a_tilde_is_the_home_folder_in_every_flag_that_is_a_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    flags = flags_of(monkeypatch, "--gallery=~/Photos", "--source=~/x", "--name=~/a")
    assert flags == Flags(tmp_path / "Photos", tmp_path / "given", str(tmp_path / "x"), "~/a")
    assert flags_of(monkeypatch, "--gallery", "~nobody-of-that-name/a").gallery == Path("~nobody-of-that-name/a")
    assert flags_of(monkeypatch) == Flags(root=tmp_path / "given")
    (tmp_path / "~").mkdir()
    monkeypatch.chdir(tmp_path)
    assert flags_of(monkeypatch, "--gallery", "~").gallery == Path("~")  # a folder of that name


def test_files_whose_names_begin_as_flags_are_files(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("-dash.jpg", "-9.jpg", "b.jpg"):
        (tmp_path / name).touch()
    flags = flags_of(monkeypatch, "--query", "-9.jpg", "-dash.jpg", "b.jpg", "-", "--name", "x")
    assert flags.query == ("./-9.jpg", "./-dash.jpg", "b.jpg", "-")
    assert flags.name == "x"
    monkeypatch.setattr(sys, "argv", ["Script.py", "--query", "-none.jpg"])
    with pytest.raises(SystemExit) as caught:
        run_script(lambda _: None, Flags, "A script.")
    assert caught.value.code == 2


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_what_a_terminal_cannot_show_is_escaped(encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    cat = b"\\u732b" if encoding != "utf-8" else "\u732b".encode()
    accent = {"latin-1": b"\xe9", "ascii": rb"\xe9", "utf-8": "\u00e9".encode()}[encoding]
    assert done.stdout == cat + b" caf" + accent + rb" \udce9" + b"\n"
    assert done.stderr == cat + b"\n"


def values_of(hint):
    """Values that a flag of this type may have."""
    options = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return st.sampled_from(options)
    if dataclasses.is_dataclass(hint):
        return configs(hint)
    if typing.get_origin(hint) is tuple:
        return st.lists(values_of(options[0]), max_size=3).map(tuple)
    if options:
        return st.one_of(*(values_of(option) for option in options))
    words = st.text("abc xyz.é'$*-", min_size=1, max_size=8).filter(
        lambda word: word.strip() == word and word[0] not in "-~"
    )
    return {
        bool: st.booleans(),
        int: st.integers(-5, 2**31),
        float: st.floats(allow_nan=False),
        str: words,
        Path: words.map(Path),
        type(None): st.none(),
    }[hint]


def configs(config_type):
    hints = typing.get_type_hints(config_type)
    return st.builds(config_type, **{name: values_of(hint) for name, hint in hints.items()})


@pytest.mark.parametrize(
    "config_type", [BuildConfig, CheckConfig, PrepareConfig, RetrieveConfig, TrainConfig, TuneConfig]
)
def test_the_command_line_of_flags_gives_these_flags(config_type, monkeypatch):
    """Messages name commands: what is typed after them must be what was meant."""

    @settings(deadline=None, max_examples=40)
    @given(configs(config_type), st.integers(0, 2**32 - 1))
    def check(config, seed):
        if hasattr(config, "seed"):
            config = dataclasses.replace(config, seed=seed)
        got = []
        _, script, *words = shlex.split(runs.command_line("Some.py", config))
        monkeypatch.setattr(sys, "argv", [script, *words])
        with pytest.raises(SystemExit) as ended:
            run_script(got.append, config_type, "")
        assert ended.value.code == 0, words
        assert help.refusal(words, config_type) is None
        expected = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
        for field in dataclasses.fields(config):
            if expected[field.name] == () and field.default != ():
                expected[field.name] = getattr(got[0], field.name)  # an empty list cannot be typed
        assert dataclasses.asdict(got[0]) == dataclasses.asdict(dataclasses.replace(config, **expected))

    check()


def test_paragraphs_are_80_columns_wide_and_keep_what_is_one_word():
    flag = "--" + "long-flag-" * 10
    lines = paragraph(f"FAIL leaks: {'quote numbers of the others alone, ' * 5}{flag} at last").splitlines()
    assert flag in [line.strip() for line in lines]
    assert all(len(line) <= 80 for line in lines if flag not in line)
    assert [line[:2] == "  " for line in lines] == [False] + [True] * (len(lines) - 1)
