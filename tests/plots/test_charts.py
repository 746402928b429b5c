"""Figures hold what they were given; nothing is shown, written, or kept by pyplot."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from latentsearch.plots import charts, code_charts, image_grids
from latentsearch.plots import tuning as tuning_plots
from latentsearch.plots.colours import PALETTE
from latentsearch.plots.explanations import ExplainedPair, explanations
from latentsearch.plots.projection import project

RNG = np.random.default_rng(0)
NAMES = ("cat", "dog")
CODES = RNG.normal(size=(60, 10)).astype(np.float32)
CLASSES = np.array(NAMES)[np.arange(60) % 2]
IMAGES = RNG.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
HISTORY = pd.DataFrame({"epoch": [1, 2, 3], "loss": [3.0, 0.2, 0.1], "val_loss": [4.0, 0.3, 0.25]})

TRIALS = pd.DataFrame(
    {
        **{"trial": ["000", "001", "002", "compact"], "status": ["finished", "stopped", "finished", "finished"]},
        **{"score": [0.5, 0.2, 0.6, 0.4], "val_mse": [0.1, 0.2, 0.3, 0.2], "val_copy_recall": [0.5, 0.1, 0.7, 0.3]},
        **{"on_front": [True, False, True, False], "marked": [False, False, False, True], "missing": [None] * 4},
        **{"filters": [16.0, 32.0, 16.0, None], "weight": [0.0, 0.01, 1.0, None], "activation": ["a", "b", "a", None]},
    }
)

FIGURES = {
    "curves": lambda: charts.curves(HISTORY, "loss"),
    "one epoch": lambda: charts.curves(HISTORY[:1], "loss"),
    "network": lambda: charts.network([("encoder", "Dense", (10,), 5), ("decoder", "Dense", (8, 8), 9)], "x"),
    "image rows": lambda: image_grids.image_rows({"a": IMAGES[:3], "b": IMAGES[:2] / 255}, ["x", "y", "z"]),
    "neighbours": lambda: image_grids.neighbour_rows(
        IMAGES[:1], ["q"], IMAGES[None, :3], [["a", "b", "c"]], np.ones((1, 3), int)
    ),
    "image pairs": lambda: image_grids.image_pairs(IMAGES[:14].reshape(7, 2, 8, 8, 3), list("abcdefg")),
    "neighbour blocks": lambda: image_grids.neighbour_blocks(
        IMAGES[:2], {"a": IMAGES[None, :3].repeat(2, axis=0)}, {"a": np.ones((2, 3), bool)}
    ),
    "retrieval curves": lambda: charts.curves(HISTORY.assign(val_copy_recall=0.5, val_precision=0.2), "retrieval"),
    "explanations": lambda: explanations([ExplainedPair("t", ("q", "n"), (*IMAGES[:2],), IMAGES[2:4] / 255, [], [])]),
    "slider": lambda: charts.slider([(0, 0.06, 0.7), (0.5, 0.04, 0.68), (1, 0.03, 0.3)]),
    "pair plot": lambda: code_charts.pair_plot(CODES[:, :3], CLASSES, NAMES),
    "distributions": lambda: code_charts.code_distributions(CODES, CLASSES, NAMES),
    "constant code": lambda: code_charts.code_distributions(np.zeros((60, 1)), CLASSES, NAMES),
    "pair plot without classes": lambda: code_charts.pair_plot(CODES[:, :3], [""] * 60, ()),
    "distributions without classes": lambda: code_charts.code_distributions(CODES, [""] * 60, ()),
    "distributions of an empty class": lambda: code_charts.code_distributions(
        CODES[:, :1], CLASSES, ("cat", "dog", "emu")
    ),
    "pair plot of constant codes": lambda: code_charts.pair_plot(np.full((9, 3), 0.7, np.float32), CLASSES[:9], NAMES),
    "pair plot of one number": lambda: code_charts.pair_plot(CODES[:, :1], CLASSES, NAMES),
    "correlations of 64": lambda: code_charts.correlation_map(np.eye(64)),
    "map of one image": lambda: code_charts.class_map(CODES[:1, :2], CLASSES[:1], NAMES),
    "class map without classes": lambda: code_charts.class_map(CODES[:, :2], [""] * 60, ()),
    "retrieval without labels": lambda: charts.curves(HISTORY.assign(val_copy_recall=[0.1, 0.4, 0.5]), "retrieval"),
    "blocks without labels": lambda: image_grids.neighbour_blocks(
        IMAGES[:2], {"a": IMAGES[None, :3].repeat(2, axis=0)}, {"a": np.full((2, 3), -1)}
    ),
    "correlations": lambda: code_charts.correlation_map(np.eye(3)),
    "class map": lambda: code_charts.class_map(CODES[:, :2], CLASSES, NAMES),
    "thumbnails": lambda: image_grids.thumbnail_map(CODES[:, :2], IMAGES),
    "pairs, side by side": lambda: image_grids.side_by_side({"a": {"x": image_grids.pairs(CODES, np.arange(60) % 2)}}),
    "trials": lambda: tuning_plots.trade_off(TRIALS, "x"),
    "one trial": lambda: tuning_plots.trade_off(TRIALS[:1], "x"),
    "parameters": lambda: tuning_plots.parameters(TRIALS, ["filters", "weight", "activation", "missing"]),
    "tracking": lambda: tuning_plots.tracking({"a": RNG.random(4)}, RNG.random(4), {"a": 0.5}),
    "bars": lambda: charts.bars({"cat": 0.1, "dog": 0.3}, "error", ("PCA", 0.2)),
    "precision": lambda: charts.precision_curves({"a": np.array([0.5, 0.4])}, 0.1),
    "class table": lambda: charts.class_table(pd.DataFrame({"P@1": [0.1, 0.2]}, index=NAMES), "share"),
}


def ink_of_data(figure):
    """Pixels of a figure that are not those of its paper, without text, axes, ticks and legends."""
    for text in figure.findobj(Text):
        text.set_visible(False)
    for legend in [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]:
        legend.set_visible(False)
    for axes in figure.axes:
        axes.set_axis_off()
    content = io.BytesIO()
    figure.savefig(content, format="png")
    content.seek(0)
    pixels = plt.imread(content)[..., :3]
    return (np.abs(pixels - pixels[0, 0]) > 0.02).any(axis=2).sum()


def test_figures_without_data_have_no_ink():
    figure = plt.Figure()
    axes = figure.add_subplot(title="title", xlabel="x", ylabel="y")
    axes.plot([], [], label="nothing")
    axes.legend()
    assert ink_of_data(figure) == 0


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_and_not_kept(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figure = FIGURES[name]()
    figure.savefig(tmp_path / "figure.png")
    assert ink_of_data(figure) > 10, "nothing is drawn but text and axes"
    assert not plt.get_fignums()
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]


def test_neighbours_stand_in_order_with_frames_by_class():
    same = np.array([[1, 0, -1]])
    figure = image_grids.neighbour_rows(IMAGES[:1], ["query"], IMAGES[None, 1:4], [["first", "second", "third"]], same)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts[:4]] == ["query", "first", "second", "third"]
    lefts = [shown.get_extent()[0] for shown in axes.images]
    assert lefts == sorted(lefts)
    for shown, expected in zip(axes.images, IMAGES[:4], strict=True):
        np.testing.assert_array_equal(shown.get_array(), expected)
    right, wrong, unknown = axes.patches[1:]
    assert right.get_linewidth() > 2 * wrong.get_linewidth() > 2 * unknown.get_linewidth()
    assert (right.get_linestyle(), wrong.get_linestyle()) == ("solid", (0, (3, 2)))
    assert right.get_edgecolor()[2] > right.get_edgecolor()[0]  # blue
    assert wrong.get_edgecolor()[0] > wrong.get_edgecolor()[2]  # orange
    assert unknown.get_edgecolor()[:3] == (0, 0, 0)


def test_the_note_of_a_figure_of_neighbours_stands_below():
    figure = image_grids.neighbour_rows(IMAGES[:1], ["q"], IMAGES[None, 1:2], [["a"]], np.array([[1]]), note="of 1,000")
    assert figure.axes[0].texts[-1].get_text() == f"{image_grids.FRAMES_IN_WORDS}. of 1,000"


def test_blocks_show_every_image_in_its_place_with_a_frame_by_class():
    neighbours = IMAGES[10:16].reshape(2, 3, 8, 8, 3)
    same = np.array([[True, False, True], [False, False, False]])
    figure = image_grids.neighbour_blocks(IMAGES[:2], {"codes": neighbours}, {"codes": same}, ["cat", "$dog$"])
    asked, found = (axes.images[0].get_array() for axes in figure.axes)
    assert figure.axes[1].get_title() == "codes\n33% of the class"
    assert [text.get_text() for text in figure.axes[0].texts] == ["cat", "$dog$"]
    assert figure.get_supxlabel() == image_grids.FRAMES_IN_WORDS
    for row in range(2):
        np.testing.assert_array_equal(asked[14 * row + 3 : 14 * row + 11, 3:11], IMAGES[row])
        for column in range(3):
            tile = found[14 * row : 14 * row + 14, 14 * column : 14 * column + 14]
            np.testing.assert_array_equal(tile[3:11, 3:11], neighbours[row, column])
            red, _, blue = tile[2, 8]
            assert (blue > red) == same[row, column]
            assert (tile[0] == 255).all()


def test_pairs_stand_side_by_side_under_their_captions():
    figure = image_grids.image_pairs(IMAGES[:12].reshape(6, 2, 8, 8, 3), list("abcdef"))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == list("abcdef")
    for shown, expected in zip(axes.images, IMAGES[:12], strict=True):
        np.testing.assert_array_equal(shown.get_array(), expected)
    for text, first, second in zip(axes.texts, axes.images[::2], axes.images[1::2], strict=True):
        (left, right, bottom, top), beside = first.get_extent(), second.get_extent()
        assert left < right < text.get_position()[0] < beside[0] < beside[1]
        assert text.get_position()[1] <= top < bottom
        assert (bottom, top) == tuple(beside[2:])
    rows = [image.get_extent()[3] for image in axes.images]
    assert rows[0] == rows[9] < rows[10] == rows[11]


def test_rows_of_images_stand_under_each_other_between_names_and_captions():
    figure = image_grids.image_rows({"a": IMAGES[:3], "$b$": IMAGES[3:5]}, ["x", "y", "z"])
    (axes,) = figure.axes
    extents = [shown.get_extent() for shown in axes.images]
    for shown, expected in zip(axes.images, IMAGES[:5], strict=True):
        np.testing.assert_array_equal(shown.get_array(), expected)
    assert [extent[:2] for extent in extents[:2]] == [extent[:2] for extent in extents[3:]]
    assert extents[0][1] < extents[1][0]
    assert extents[0][2] < extents[3][3]  # downwards
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert extents[0][3] < places["a"][1] < extents[0][2] < extents[3][3] < places["$b$"][1] < extents[3][2]
    assert max(places["a"][0], places["$b$"][0]) < extents[0][0]
    for name, extent in zip("xyz", extents, strict=False):
        assert extent[0] < places[name][0] < extent[1]
        assert places[name][1] > extents[3][2]


@pytest.mark.parametrize(("dims", "step"), [(3, 1), (25, 8)])
def test_the_numbers_of_a_correlation_map_have_their_names(dims, step):
    names = [f"kind {number}" for number in range(1, dims + 1)]
    for given, expected in ((names, names), ((), [f"number {number}" for number in range(1, dims + 1)])):
        axes = code_charts.correlation_map(np.eye(dims), given).axes[0]
        for axis in (axes.xaxis, axes.yaxis):
            assert [label.get_text() for label in axis.get_ticklabels()] == expected[::step]


def test_which_curves_there_are_depends_on_what_was_measured():
    plain = HISTORY.assign(accuracy=0.5, val_accuracy=0.5)
    assert charts.curves_of(plain) == {"loss": "loss", "accuracy": "accuracy"}
    similar = plain.assign(mse=1, val_mse=1, similarity=2, val_similarity=2, val_copy_recall=0.5, val_precision=0.2)
    assert charts.curves_of(similar) == {
        "loss": "mse", "accuracy": "accuracy", "similarity": "similarity", "retrieval": "retrieval",
    }  # fmt: skip


def test_curves_show_every_epoch_of_both_splits():
    training, validation = charts.curves(HISTORY, "loss").axes[0].lines
    np.testing.assert_array_equal(training.get_ydata(), HISTORY["loss"])
    np.testing.assert_array_equal(validation.get_ydata(), HISTORY["val_loss"])


def test_thumbnails_do_not_cover_each_other():
    points = RNG.normal(size=(500, 2))
    figure = image_grids.thumbnail_map(points, RNG.integers(0, 256, (500, 8, 8, 3), dtype=np.uint8))
    centres = np.array([artist.xy for artist in figure.axes[0].artists])
    steps = (points.max(axis=0) - points.min(axis=0)) / 31
    cells = np.rint((centres - points.min(axis=0)) / steps)
    assert len(np.unique(cells, axis=0)) == len(centres) > 100
    np.testing.assert_allclose(cells, (centres - points.min(axis=0)) / steps, atol=1e-6)


def test_pairs_of_dimensions_are_drawn_upwards_and_to_the_right():
    codes = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    labels = np.array([0, 1, 2, 3])
    picture = image_grids.pairs(codes, labels)
    side = len(picture) // 2
    panel = picture[side:, :side]  # dimension 1 upwards, dimension 0 to the right
    upper, lower = panel[: side // 2], panel[side // 2 :]
    colours = {label: np.array(to_rgb(PALETTE[label])) * 255 // 1 for label in labels}
    for label, half, columns in ((0, upper, np.s_[:10]), (1, upper, np.s_[-10:]), (2, lower, np.s_[:10])):
        assert (half[:, columns] == colours[label].astype(np.uint8)).all(axis=-1).any(), label


def test_framed_tiles_hold_the_images_and_the_colour_of_their_class():
    picture = image_grids.tiles(IMAGES[:2, None], np.array([[1], [0]]))
    side = IMAGES.shape[1] + 6
    assert picture.shape == (2 * side, side, 3)
    right, wrong = picture[:side], picture[side:]
    for row, tile in enumerate((right, wrong)):
        np.testing.assert_array_equal(tile[3:-3, 3:-3], IMAGES[row])
        assert (tile[0] == 255).all()
    frames = [np.rint(np.array(to_rgb(image_grids.FRAMES[kind]["edgecolor"])) * 255) for kind in (1, 0)]
    assert (right[1:3, 1:-1] == frames[0]).all()
    assert (wrong[1] == 255).all()  # half as thick
    dashes = (wrong[2, 2:-2] == frames[1]).all(axis=-1)
    assert 0.3 < dashes.mean() < 0.7


def test_a_pair_plot_has_dots_below_its_diagonal_and_their_density_above():
    codes = RNG.random((60, 3))
    (axes,) = code_charts.pair_plot(codes, CLASSES, NAMES, ("a", "b", "c")).axes
    panels = [(1, 0), (2, 0), (2, 1)]
    for number, name in enumerate(NAMES):
        dots = axes.collections[number]
        np.testing.assert_allclose(dots.get_facecolor()[0, :3], to_rgb(PALETTE[number]))
        of_panel = np.asarray(dots.get_offsets()).reshape(30, len(panels), 2).swapaxes(0, 1)
        for (row, column), points in zip(panels, of_panel, strict=True):
            inside = points - 1.05 * np.array([column, 2 - row])
            assert ((inside > 0) & (inside < 1)).all()
            for axis, dimension in enumerate((column, row)):
                assert np.corrcoef(inside[:, axis], codes[name == CLASSES, dimension])[0, 1] == pytest.approx(1)
    for (column, row), shown in zip([(1, 0), (2, 0), (2, 1)], axes.images, strict=True):
        left, _, bottom, _ = shown.get_extent()
        assert (left, bottom) == pytest.approx((1.05 * column, 1.05 * (2 - row)))
        low, high = np.percentile(codes[:, [column, row]], [0.5, 99.5], axis=0)
        margin = 0.08 * (high - low)
        cells = (24 * (codes[:, [column, row]] - low + margin) / (high - low + 2 * margin)).astype(int)
        expected = np.zeros((24, 24))
        np.add.at(expected, (cells[:, 1], cells[:, 0]), 1)
        np.testing.assert_array_equal(shown.get_array(), expected)
    names = [text.get_text() for text in axes.texts]
    assert names == ["a", "a", "b", "b", "c", "c"]


def test_a_pair_plot_leaves_out_what_lies_far_out():
    codes = RNG.random((1000, 2))
    codes[0] = 50
    (axes,) = code_charts.pair_plot(codes, [""] * 1000, ()).axes
    assert len(axes.collections[0].get_offsets()) == 999
    assert axes.images[0].get_array().sum() == 999


@pytest.mark.parametrize("count", [1, 2, 40])
def test_codes_that_are_all_equal_stay_where_they_are_on_a_map(count):
    points = project(np.full((count, 10), 0.7, np.float32))
    np.testing.assert_array_equal(points, np.full((count, 2), 0.7, np.float32))


def test_a_map_of_one_image_is_drawn_without_a_warning(recwarn):
    image_grids.thumbnail_map(np.zeros((1, 2), np.float32), IMAGES[:1]).savefig(io.BytesIO())
    assert not list(recwarn)
