"""Numbers of a code with the images at their ends: each image at its end, the outermost at the border."""

from __future__ import annotations

import numpy as np
import pytest

from latentsearch.plots import code_charts, number_charts

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)


def drawn(figure):
    """Images of a figure by their left border and their bottom, rounded."""
    (axes,) = figure.axes[:1]
    return [(*np.round([image.get_extent()[0], image.get_extent()[2]], 2), image.get_array()) for image in axes.images]


@pytest.mark.parametrize("dims", [1, 3])
def test_low_ends_stand_left_and_high_ends_right_of_the_distribution(dims):
    ends = [(IMAGES[:3], IMAGES[3:6])] * dims
    figure = number_charts.number_ends(
        RNG.normal(size=(50, dims)), [f"n {number}" for number in range(dims)], ends, [("low", "")] * dims
    )
    (axes,) = figure.axes
    distributions = [area.get_datalim(axes.transData) for area in axes.collections]
    assert len(distributions) == dims
    for row, between in enumerate(distributions):
        images = drawn(figure)[6 * row : 6 * row + 6]
        lefts = [left for left, _, _ in images]
        assert lefts == sorted(lefts)
        assert lefts[2] + 0.95 < between.x0
        assert between.x1 < lefts[3]
        for (_, _, shown), expected in zip(images, [*IMAGES[:3], *IMAGES[5:2:-1]], strict=True):
            np.testing.assert_array_equal(shown, expected)
    assert [text.get_text() for text in axes.texts[:3]] == ["n 0", "low", ""]


def test_images_beside_a_pair_plot_stand_at_the_ends_of_its_axes():
    ends = IMAGES[:6].reshape(3, 2, 8, 8, 3)
    codes = RNG.normal(size=(40, 3)).astype(np.float32)
    plain, figure = (code_charts.pair_plot(codes, [""] * 40, (), (), images) for images in (None, ends))
    beside = drawn(figure)[len(drawn(plain)) :]
    assert len(beside) == 3 * 2 * 2
    for number in range(3):
        (low_x, below, low), (beyond, low_y, same), (high_x, _, high), (_, high_y, _) = beside[4 * number :][:4]
        np.testing.assert_array_equal(low, ends[number, 0])
        np.testing.assert_array_equal(same, ends[number, 0])
        np.testing.assert_array_equal(high, ends[number, 1])
        assert low_x == pytest.approx(1.05 * number)
        assert low_y == pytest.approx(1.05 * (2 - number))
        assert high_x > low_x + 0.5
        assert high_y > low_y + 0.5
        assert max(below, beyond) < 0
