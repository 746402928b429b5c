"""Labels lie within their figure, beside what they name, and not over each other."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from latentsearch.plots import charts, code_charts, image_grids, saving
from tests.plots.test_charts import CODES, IMAGES, NAMES

WIDE = ("\u732b" * 12, "\u72ac", "W" * 39)


def boxes(figure, path, dpi=saving.DPI):
    """Where the texts of a figure are drawn, in pixels, by the text."""
    figure.set_dpi(dpi)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saving.save(figure, path, dpi=dpi)
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent()) for text in shown]


def outside(figure, found):
    width, height = figure.get_size_inches() * figure.dpi
    return [text for text, box in found if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]


@pytest.mark.parametrize("with_ends", [False, True])
@pytest.mark.parametrize("dims", [1, 2, 5, 10])
def test_names_of_numbers_are_whole_at_a_pair_plot(dims, with_ends, tmp_path):
    ends = IMAGES[: 2 * dims].reshape(dims, 2, 8, 8, 3) if with_ends else None
    figure = code_charts.pair_plot(CODES[:, :dims], np.array(NAMES)[np.arange(60) % 2], NAMES, (), ends)
    found = boxes(figure, tmp_path / "figure.png")
    assert sum(text.startswith("number ") for text, _ in found) == 2 * dims
    assert not outside(figure, found)
    panels = figure.axes[0].bbox
    for text, box in found:
        if text.startswith("number "):
            assert box.x1 < panels.x0 or box.y1 < panels.y0


@pytest.mark.parametrize("dims", [1, 2, 10, 64])
def test_names_of_numbers_are_whole_at_a_correlation_map(dims, tmp_path):
    figure = code_charts.correlation_map(np.eye(dims))
    found = boxes(figure, tmp_path / "figure.png")
    assert sum(text.startswith("number ") for text, _ in found) == 2 * len(range(0, dims, 8 if dims > 24 else 1))
    assert {"correlation", "number 1"} <= {text for text, _ in found}
    assert not outside(figure, found)


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", [*WIDE, "cat"])
def test_the_legend_lies_beside_a_pair_plot(name, tmp_path):
    figure = code_charts.pair_plot(CODES[:, :3], np.array([name, "x"])[np.arange(60) % 2], (name, "x"))
    found = boxes(figure, tmp_path / "figure.png")
    assert not outside(figure, found)
    assert figure.legends[0].get_window_extent().x0 >= figure.axes[0].bbox.x1
    assert figure.axes[0].get_position().width > 0.5


@pytest.mark.parametrize("k", [1, 10, 20])
@pytest.mark.parametrize("name", [*WIDE, "gravel/of/the/shore/shot0.jpg"])
def test_titles_of_neighbours_do_not_touch(name, k, tmp_path):
    titles = [[f"{name}\nsame picture\n{0.00416 + number}" for number in range(k)]] * 2
    figure = image_grids.neighbour_rows(
        IMAGES[:2], [f"{name}\nq"] * 2, np.resize(IMAGES, (2, k, 8, 8, 3)), titles, np.ones((2, k), int)
    )
    found = boxes(figure, tmp_path / "figure.png")
    assert not outside(figure, found)
    for (_, one), (_, other) in itertools.combinations(found, 2):
        assert not one.overlaps(other)
    pictures = [image.get_window_extent() for image in figure.axes[0].images]
    assert not [text for text, box in found for picture in pictures if box.overlaps(picture)]


@pytest.mark.parametrize("note", ["", "Drawn: the first 50 of 60 rows, the nearest 1 of 30; neighbours.csv has all"])
@pytest.mark.parametrize("same", [1, -1])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_below_neighbours_there_is_room_for_words_alone(rows, same, note, tmp_path):
    figure = image_grids.neighbour_rows(
        IMAGES[:rows], ["q"] * rows, IMAGES[:rows, None], [["a"]] * rows, np.full((rows, 1), same), note=note
    )
    found = boxes(figure, tmp_path / "figure.png")
    assert not outside(figure, found)
    lowest = min(image.get_window_extent().y0 for image in figure.axes[0].images)
    words = [box for text, box in found if "frame" in text or "Drawn" in text]
    assert len(words) == bool(note or same == 1)
    assert all(box.y1 < lowest for box in words)
    top = max((box.y1 for box in words), default=0)
    assert lowest - top < 0.2 * figure.dpi


@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 9, 10, 24, 300])
def test_curves_stay_within_their_axes_but_for_a_first_epoch_of_many(epochs, tmp_path):
    numbers = np.arange(1, epochs + 1)
    history = pd.DataFrame({"epoch": numbers, "loss": 1 / numbers, "val_loss": 2 / numbers, "seconds": 70.0})
    figure = charts.curves(history, "loss")
    figure.savefig(tmp_path / "figure.png")
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    values = history[["loss", "val_loss"]].iloc[1 if epochs >= 10 else 0 :].to_numpy()
    assert low < values.min()
    assert values.max() < high < 1.2 * values.max()
    first, last = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if first <= tick <= last]
    assert ticks == [int(tick) for tick in ticks]
    assert len(ticks) >= min(epochs, 3)
    labels = [label.get_text() for label in axes.get_xticklabels() if first <= label.get_position()[0] <= last]
    assert labels == [str(int(tick)) for tick in ticks]
