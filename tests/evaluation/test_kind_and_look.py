"""The slider between kind and look: a code of the class at one end, a code of the picture at the other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from latentsearch.evaluation.kind_and_look import LOOKS, measure_slider, parts, thumbnails


@pytest.fixture
def codes(small_digits):
    """The kind code tells the class alone, the look code is the picture itself."""
    kind = np.eye(10)[small_digits.labels]
    pictures = thumbnails(small_digits, np.arange(len(kind))).reshape(len(kind), -1)
    return np.concatenate([kind, pictures], axis=1).astype(np.float32)


def test_each_end_is_best_at_what_it_knows(small_digits, codes):
    gallery, queries = small_digits.gallery_ids(), small_digits.ids("test")
    points = measure_slider(small_digits, codes, 10, gallery, queries)
    assert [point.look for point in points] == list(LOOKS)
    present = np.bincount(small_digits.labels[gallery], minlength=10)[small_digits.labels[queries]]
    assert points[0].precision == pytest.approx(np.minimum(present, 10).mean() / 10)  # all of the class there are
    assert points[-1].precision < points[0].precision
    differences = [point.visual_difference for point in points]
    assert min(differences) == differences[-1] < differences[0]


def test_the_difference_is_that_of_a_loop_and_needs_no_labels(small_digits, codes):
    unlabelled = dataclasses.replace(small_digits, labels=np.full_like(small_digits.labels, -1), class_names=())
    gallery, queries = small_digits.gallery_ids(), small_digits.ids("test")[:3]
    [*_, last] = measure_slider(unlabelled, codes, 10, gallery, queries)
    small = thumbnails(small_digits, np.arange(len(small_digits.images)))
    pictures = codes[:, 10:] / np.linalg.norm(codes[:, 10:], axis=1, keepdims=True)
    expected = []
    for query in queries:
        nearest = gallery[np.argsort(1 - pictures[gallery] @ pictures[query], kind="stable")[:10]]
        expected += [np.square(small[one] - small[query]).mean() for one in nearest]
    assert last.precision is None
    assert last.visual_difference == pytest.approx(np.mean(expected), rel=1e-3)


def test_a_single_code_has_no_slider_and_no_parts(small_digits, codes):
    assert measure_slider(small_digits, codes, None, small_digits.gallery_ids(), small_digits.ids("test")) == []
    assert list(parts(codes, None)) == []
    assert [part.shape[1] for _, part in parts(codes, 10)] == [10, codes.shape[1] - 10]
