"""Figures of explanations hold the images and words that they were given, each in its place."""

from __future__ import annotations

import io

import numpy as np
import pytest

from latentsearch.plots.explanations import Difference, ExplainedPair, SharedEnd, explanations

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
ENDS = [SharedEnd("kind 4", IMAGES[4:7]), SharedEnd("kind 5", IMAGES[7:9]), SharedEnd("kind 6", [])]
APART = [Difference("look 1", (0.25, 0.75), ("low", "high"), IMAGES[9:12], IMAGES[12:14])]


def pair(alike=ENDS, apart=APART):
    return ExplainedPair("$title$", ("query", "neighbour"), (IMAGES[0], IMAGES[1]), IMAGES[2:4] / 255, alike, apart)


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_an_explanation_shows_all_images_and_words():
    figure = explanations([pair()])
    figure.savefig(io.BytesIO())
    (axes,) = figure.axes
    shown = [image.get_array() for image in axes.images]
    assert len(shown) == 14
    for number in (0, 1, *range(4, 14)):
        assert any(np.array_equal(IMAGES[number], image) for image in shown), number
    for number in (2, 3):
        assert any(np.array_equal(IMAGES[number] / 255, image) for image in shown), number
    for text in ("$title$", "query", "neighbour", "Alike in", "kind 4", "kind 5", "Differ in", "look 1", "low", "high"):
        assert text in words(figure)


def test_no_image_or_mark_covers_another():
    (axes,) = explanations([pair(apart=APART * 2)] * 2).axes
    boxes = np.array([image.get_extent() for image in axes.images])  # left, right, bottom, top, downwards
    for number, (left, right, bottom, top) in enumerate(boxes):
        assert 0 <= left < right <= axes.get_xlim()[1]
        assert 0 <= top < bottom <= axes.get_ylim()[0]
        others = np.delete(boxes, number, axis=0)
        apart = (others[:, 0] >= right) | (others[:, 1] <= left) | (others[:, 3] >= bottom) | (others[:, 2] <= top)
        assert apart.all()


def test_the_marks_stand_at_their_places_and_differ_in_shape_and_colour():
    (axes,) = explanations([pair()]).axes
    line, query, neighbour = axes.lines[-3:]
    start, end = line.get_xdata()
    assert [(mark.get_xdata()[0] - start) / (end - start) for mark in (query, neighbour)] == pytest.approx([0.25, 0.75])
    low, high = (image.get_extent() for image in (axes.images[-3], axes.images[-2]))
    assert low[1] < start < end < high[0]
    beside = axes.lines[:2]  # of the names of the images
    assert [mark.get_marker() for mark in beside] == [mark.get_marker() for mark in (query, neighbour)] == ["o", "D"]
    assert query.get_color() == beside[0].get_color() != neighbour.get_color()


def test_what_is_not_there_is_said():
    assert "nothing: their codes are equal" in words(explanations([pair(apart=[])]))
    assert "no number has both\ntowards one end" in words(explanations([pair(alike=[])]))
    assert explanations([]).texts[0].get_text() == "no match, nothing to explain"
