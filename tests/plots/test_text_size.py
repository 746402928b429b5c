"""Text is as wide as it is drawn, and is cut to the room that there is."""

from __future__ import annotations

import io

import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure

from latentsearch.plots import saving, text_size
from latentsearch.plots.text_size import fitted, width_of


@pytest.mark.parametrize("text", ["number 1", "WWWWWWWW", "illicit", "same picture, 0.00416", "caf\u00e9 \u0416\u03a9"])
@pytest.mark.parametrize("size", [6, 9])
def test_letters_of_the_font_are_as_wide_as_they_are_drawn(text, size):
    figure = Figure(figsize=(4, 1), dpi=400)
    drawn = figure.text(0.1, 0.5, text, fontsize=size)
    figure.savefig(io.BytesIO())
    assert width_of(text, size) == pytest.approx(drawn.get_window_extent().width / 400, rel=0.06)


@pytest.mark.filterwarnings("ignore:Glyph")
def test_letters_of_east_asia_take_about_twice_the_room(tmp_path):
    figure = Figure(figsize=(4, 1), dpi=400)
    drawn = figure.text(0.1, 0.5, 10 * "\u732b", fontsize=8)
    saving.save(figure, tmp_path / "figure.png", dpi=400)
    assert drawn.get_window_extent().width / 400 == pytest.approx(width_of(10 * "\u732b", 8), rel=0.1)
    assert width_of("\u732b", 8) > 1.5 * width_of("x", 8)


@pytest.mark.parametrize("text", ["gravel/shot0.jpg" * 3, "\u732b" * 30, "i" * 90])
@pytest.mark.parametrize("inches", [0.4, 0.9])
def test_what_does_not_fit_keeps_its_ends(text, inches):
    short = fitted(text, inches, 6)
    head, tail = short.split("\u2026")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert 0 <= len(tail) - len(head) <= 1
    assert inches - 0.17 < width_of(short, 6) <= inches


def test_what_fits_is_left():
    assert fitted("gravel/shot0.jpg", 0.93, 6) == "gravel/shot0.jpg"
    assert fitted("", 0.1, 6) == ""


def test_a_letter_of_another_font_is_measured_in_it(monkeypatch):
    family = "STIXGeneral"
    here = [font for font in font_manager.fontManager.ttflist if font.name == family][:1]
    others = saving._letters_of(here[0].fname) - saving._letters_of(font_manager.findfont("DejaVu Sans"))
    letter = chr(max(others))
    monkeypatch.setattr(font_manager.fontManager, "ttflist", here)
    for cached in (saving.font_with, text_size._advance):
        cached.cache_clear()
    figure = Figure(dpi=400)
    drawn = figure.text(0.1, 0.5, 20 * letter, fontsize=8, family=family)
    figure.savefig(io.BytesIO())
    assert width_of(20 * letter, 8) == pytest.approx(drawn.get_window_extent().width / 400, rel=0.1)
    for cached in (saving.font_with, text_size._advance):
        cached.cache_clear()
