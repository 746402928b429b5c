"""Names are drawn as they are, in every kind of text of a figure, and letters without a font are told once."""

from __future__ import annotations

import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from latentsearch.plots import charts, code_charts, image_grids, saving
from tests.plots.test_charts import CODES, IMAGES

NAMES = ("$a^$", "$x$ and $\\nonsense{$", r"back\slash\$", "100 %", "_{^")
CLASSES = np.array(NAMES)[np.arange(60) % len(NAMES)]
SAME = np.ones((1, 3), int)

FIGURES = {
    "neighbours": lambda: image_grids.neighbour_rows(IMAGES[:1], NAMES[:1], IMAGES[None, :3], [NAMES[1:4]], SAME),
    "blocks": lambda: image_grids.neighbour_blocks(
        IMAGES[:1], {NAMES[0]: IMAGES[None, :3]}, {NAMES[0]: SAME}, NAMES[1:2]
    ),
    "pairs": lambda: image_grids.image_pairs(IMAGES[:4].reshape(2, 2, 8, 8, 3), NAMES[:2]),
    "rows": lambda: image_grids.image_rows({NAMES[0]: IMAGES[:2]}, NAMES[1:3]),
    "pair plot": lambda: code_charts.pair_plot(CODES[:, :2], CLASSES, NAMES),
    "distributions": lambda: code_charts.code_distributions(CODES[:, :2], CLASSES, NAMES),
    "map": lambda: code_charts.class_map(CODES[:, :2], CLASSES, NAMES),
    "bars": lambda: charts.bars(dict.fromkeys(NAMES, 0.5), "x", (NAMES[0], 0.2)),
    "curves": lambda: charts.precision_curves(dict.fromkeys(NAMES, np.linspace(1, 0.1, 100)), 0.1),
    "table": lambda: charts.class_table(pd.DataFrame({"P@1": np.linspace(0, 1, 5)}, index=NAMES), "share"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_names_are_no_formulas(name, tmp_path):
    figure = FIGURES[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saving.save(figure, tmp_path / "figure.png")
    texts = [text for text in figure.findobj(Text) if any(part in text.get_text() for part in NAMES)]
    assert texts
    assert not any(text.get_parse_math() for text in texts)


LONG = tuple(f"{number:05}_Plantae_Tracheophyta_{'Magnoliopsida' * 12}_{number}" for number in range(5))


@pytest.mark.parametrize("name", ["pair plot", "distributions", "map", "bars", "table"])
def test_long_names_of_classes_leave_room_for_the_figure(name, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "NAMES", LONG)
    monkeypatch.setitem(globals(), "CLASSES", np.array(LONG)[np.arange(60) % 5])
    figure = FIGURES[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a layout that came to nothing
        saving.save(figure, tmp_path / "figure.png", dpi=figure.dpi)
    shown = [text for text in figure.findobj(Text) if text.get_text().startswith("0000") and text.get_visible()]
    assert len({text.get_text() for text in shown}) >= 5
    for text in shown:
        box = text.get_window_extent()
        assert box.x0 >= -2
        assert box.x1 <= figure.bbox.width + 2
    assert sum(axes.get_position().width for axes in figure.axes) > 0.3
    assert figure.get_figwidth() < 15


def test_powers_of_ten_at_an_axis_stay_formulas(tmp_path):
    figure = charts.precision_curves({"a": np.linspace(1, 0.1, 100)}, 0.1)
    saving.save(figure, tmp_path / "figure.png")
    axis = figure.axes[0].xaxis
    for text in axis.get_ticklabels():
        assert text.get_parse_math() == ("$" in text.get_text()) or not text.get_text()


def titled(text):
    figure = Figure(figsize=(2, 1))
    figure.text(0.1, 0.5, text)
    return figure


def test_a_font_that_has_the_letters_is_taken_else_one_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(saving, "_told", set())
    monkeypatch.setattr(matplotlib.font_manager.fontManager, "ttflist", [])
    saving.font_with.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(3):
            saving.save(titled("\u65e5\u672c" * 5), tmp_path / f"{number}.png")
    assert capsys.readouterr().err.splitlines() == [
        "figures: no font here has \u65e5 \u672c, drawn as boxes; a font such as Noto Sans CJK may."
    ]
    saving.font_with.cache_clear()


def test_a_font_of_boxes_has_no_letters(monkeypatch):
    boxes = [font for font in matplotlib.font_manager.fontManager.ttflist if font.name.startswith("Last Resort")]
    assert boxes
    monkeypatch.setattr(matplotlib.font_manager.fontManager, "ttflist", boxes)
    saving.font_with.cache_clear()
    assert saving.font_with("\u65e5") is None
    saving.font_with.cache_clear()


def test_letters_that_only_another_font_has_are_drawn_in_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(saving, "_told", set())
    saving.font_with.cache_clear()
    here = [font for font in matplotlib.font_manager.fontManager.ttflist if font.name == "STIXGeneral"][:1]
    others = saving._letters_of(here[0].fname) - saving._letters_of(matplotlib.font_manager.findfont("DejaVu Sans"))
    letter = chr(max(others))
    monkeypatch.setattr(matplotlib.font_manager.fontManager, "ttflist", here)
    assert saving.font_with(letter) == "STIXGeneral"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saving.save(titled(letter), tmp_path / "figure.png")
    assert not capsys.readouterr().err
    saving.font_with.cache_clear()
