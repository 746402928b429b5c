"""What a distance means: shares of random pairs and of corrupted copies, counted naively."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from latentsearch.config import METRICS
from latentsearch.search.percentiles import LIKENESSES, Scale, nearer_pairs
from tests.gallery.galleries import gallery_of

SCIPY = {"cosine": "cosine", "euclidean": "euclidean", "manhattan": "cityblock"}


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_shares_of_what_is_farther(metric):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(60, 4)).astype(np.float32)
    copies = rng.normal(size=(30, 2, 4)).astype(np.float32)
    scale = Scale(gallery_of(codes, copies=copies), metric=metric)
    distances = cdist(codes, codes, SCIPY[metric])
    pairs = distances[~np.eye(60, dtype=bool)]
    own = np.array([cdist(*pair[:, None], SCIPY[metric])[0, 0] for pair in copies])
    for distance in np.quantile(pairs, [0.001, 0.1, 0.5, 0.9]):
        assert scale.score(distance) == pytest.approx(100 * (pairs > distance).mean(), abs=0.5)
        assert scale.copy_score(distance) == pytest.approx(100 * (own > distance).mean(), abs=1e-6)
    assert scale.score(np.array([[0.0, 1e9]])).tolist() == [[100 * 1770 / 1771, 0.0]]


def test_an_image_is_not_paired_with_itself():
    scale = Scale(gallery_of(np.array([[0.0, 0], [1, 0]], np.float32)), metric="euclidean")
    assert set(scale.random) == {1.0}


@pytest.mark.parametrize(("count", "words"), [(2, "1 in 2"), (3, "1 in 4"), (45, "1 in 990"), (2000, "1 in 500,000")])
def test_few_pairs_do_not_tell_what_is_rare(count, words):
    codes = np.arange(count, dtype=np.float32)[:, None]
    scale = Scale(gallery_of(codes), metric="euclidean")
    nearest = np.array([0.5], np.float32)
    assert nearer_pairs(scale.score(nearest).item()) == words
    assert scale.likeness(nearest) == ["weak" if count < 46 else "alike"]


def test_likeness_is_measured_by_the_corruption_that_the_encoder_withstands():
    """Copies with noise are at distances of about 5 here, those at an angle at 0.01 to 1.00."""
    near = np.arange(1, 101, dtype=np.float32)[:, None] / 100
    copies = np.zeros((200, 2, 1), np.float32)
    copies[:100, 1], copies[100:, 1] = 5 + near, near
    scale = Scale(gallery_of(np.array([[0.0], [0], [9]], np.float32), copies=copies), metric="euclidean")
    words = scale.likeness(np.array([0, 0.005, 0.02, 0.245, 0.3, 0.795, 0.9, 7], np.float32))
    assert words == ["same picture", "same picture", *["very like"] * 2, *["alike"] * 2, *["weak"] * 2]
    order = [LIKENESSES.index(word) for word in scale.likeness(np.linspace(0, 2, 50, dtype=np.float32))]
    assert order == sorted(order)


def test_nearer_than_999_of_1000_random_pairs_is_alike_whatever_the_copies_say():
    """The encoder knows copies again at distances of 0.0001; the pairs of the gallery are 1 to 5,000 apart."""
    codes = np.arange(5001, dtype=np.float32)[:, None]
    copies = np.zeros((200, 2, 1), np.float32)
    copies[:, 1] = 0.0001
    far, near = np.float32(40), np.float32(1.5)  # 1 pair in 63, and 1 in 2,500
    for scale in (
        Scale(gallery_of(codes, copies=copies), metric="euclidean"),
        Scale(gallery_of(codes), metric="euclidean"),
    ):
        assert scale.score(near) >= 99.9 > scale.score(far)
        assert scale.likeness(np.array([near, far])) == ["alike", "weak"]
    assert Scale(gallery_of(codes, copies=copies), metric="euclidean").likeness(np.array([0.0])) == ["same picture"]


def test_in_a_small_gallery_those_of_one_kind_are_alike_though_no_copy_is_as_far():
    """A hundred kinds of ten images each; the encoder knows copies again at distances of 0.0001."""
    rng = np.random.default_rng(0)
    kinds, spread = rng.normal(size=(100, 1, 6)), rng.normal(size=(100, 10, 6))
    copies = np.zeros((200, 2, 6), np.float32)
    copies[:, 1] = 0.0001
    clustered = gallery_of((kinds + 0.1 * spread).reshape(1000, 6).astype(np.float32), copies=copies)
    near = np.float32([0.3])  # what images of one kind are apart
    scale = Scale(clustered, metric="euclidean")
    assert scale.score(near)[0] < 99.9
    assert scale.by_chance(near)[0] < 0.01
    assert scale.likeness(near) == ["alike"]
    assert scale.likeness(np.float32([1.2])) == ["weak"]  # pairs of several kinds are as near
    assert Scale(clustered, metric="euclidean", num_images=100_000).likeness(near) == ["weak"]  # 1,000 are as near


@pytest.mark.parametrize("metric", METRICS)
def test_without_kinds_chance_explains_every_pair(metric):
    codes = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32) * [1, 2, 3] + [0, 1, 0]
    scale = Scale(gallery_of(codes.astype(np.float32)), metric=metric)
    distances = np.quantile(scale.random, [0.001, 0.01, 0.5, 1])
    np.testing.assert_allclose(scale.by_chance(distances), 1, atol=0.2)
    assert set(scale.likeness(distances[1:])) == {"weak"}


@pytest.mark.parametrize("codes", [np.zeros((2, 4)), np.ones((30, 4)), np.eye(4)[np.arange(30) % 2]])
def test_of_few_or_equal_codes_nothing_fails(codes):
    scale = Scale(gallery_of(codes.astype(np.float32)), metric="euclidean")
    assert len(scale.likeness(np.float32([0, 1, 5]))) == 3


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (0, "1 in 1"),
        (50, "1 in 2"),
        (75, "1 in 4"),
        (99.9799, "1 in 4,900"),
        (100, "1 in 500,000"),
        (99.93, "1 in 1,400"),
    ],
)
def test_shares_of_pairs_are_told_in_two_digits(score, words):
    assert nearer_pairs(score) == words
