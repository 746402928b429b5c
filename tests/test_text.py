"""Text of files and records, escaped for terminal, tables and figures."""

from __future__ import annotations

import csv
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsearch.text import csv_cell, csv_text, percentage, printable, shortened, write_csv

ANY = st.text(st.characters(exclude_categories=[]), max_size=20)  # halves of surrogate pairs too
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=cmd|"/c calc"!A0', "＝1")


@settings(deadline=None)
@given(st.text(max_size=100), st.integers(4, 50))
def test_shortened_text_keeps_its_ends_and_what_fits_is_left(text, most):
    short = shortened(text, most)
    assert len(short) == min(len(text), most)
    assert short == text or (text.startswith(short.split("\u2026")[0]) and text.endswith(short[-(most // 3) :]))


@settings(deadline=None)
@given(ANY)
def test_shown_text_is_one_printable_line_and_stays_when_shown_again(text):
    once = printable(text)
    assert once.isprintable()
    assert printable(once) == once
    once.encode()


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "N", "P"]), max_size=20))
def test_text_that_can_be_printed_stays(text):
    assert printable(text) == text


@settings(deadline=None)
@given(st.binary(max_size=20))
def test_names_of_any_bytes_are_shown(name):
    assert printable(os.fsdecode(name)).isprintable()


def test_a_percentage_below_all_is_never_shown_as_all():
    shown = {100: "100 %", 99.999: "99.99 %", 99: "99.00 %", 98.76: "98.7 %", 89.9: "89 %", 0: "0 %"}
    assert {value: percentage(value) for value in shown} == shown


def test_controls_of_terminals_are_escaped_and_lines_kept_where_asked():
    assert printable("a\x1b[2J\nb") == "a\\x1b[2J\\nb"
    assert printable("a\x1b[2J\nb", lines=True) == "a\\x1b[2J\nb"
    assert printable("\u202egnp.exe") == "\\u202egnp.exe"


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text):
    assert str(csv_cell(text))[0] in "'\\"
    assert csv_cell(-1.5) == -1.5


@settings(deadline=None)
@given(st.lists(st.tuples(ANY, st.floats(width=32), st.integers() | st.none()), max_size=5))
def test_a_csv_file_has_a_row_a_row_and_no_formula(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "table.csv"
    write_csv(path, ("=name", "number", "count"), rows)
    with open(path, encoding="utf-8", newline="") as file:
        assert file.read() == csv_text(("=name", "number", "count"), rows)
        file.seek(0)
        found = list(csv.reader(file))
    assert found[0] == ["'=name", "number", "count"]
    assert len(found) == len(rows) + 1
    for (name, number, count), (text, value, counted) in zip(rows, found[1:], strict=True):
        assert text == csv_cell(name)
        assert not text.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert value == "" if np.isnan(number) else float(value) == pytest.approx(number, rel=1e-5)
        assert counted == ("" if count is None else str(count))


def test_a_csv_file_of_a_table_is_that_of_pandas(tmp_path):
    table = pd.DataFrame({"a": [0.1234567891, np.nan], "b": [True, False], "c": ["x,y", None], "d": [1, 2]})
    table["e"] = np.array([0.1, 1e-9], np.float32)
    write_csv(tmp_path / "ours.csv", list(table.columns), table.itertuples(index=False, name=None))
    table.to_csv(tmp_path / "theirs.csv", index=False, float_format="%.6g")
    assert (tmp_path / "ours.csv").read_text() == (tmp_path / "theirs.csv").read_text()


def test_figures_take_names_for_names(tmp_path):
    from latentsearch.plots import image_grids

    images = np.zeros((1, 8, 8, 3), np.uint8)
    image_grids.image_rows({r"a $\frac$ b": images}, [r"$x_{$"]).savefig(tmp_path / "rows.png")
    assert (tmp_path / "rows.png").stat().st_size
