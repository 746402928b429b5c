"""Baselines against definitions, and against the values known for CIFAR-10 where it is prepared."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from latentsearch import data
from latentsearch.config import ROOT
from latentsearch.evaluation import baselines, pca
from latentsearch.evaluation.scorecard import score_neighbours
from latentsearch.gallery.index import Index, distances_between


def test_pca_is_that_of_the_covariance_matrix(digits_root):
    dataset = data.load(digits_root, "digits")
    dataset = dataclasses.replace(dataset, images=dataset.images[:, ::4, ::4])  # as they were before they were enlarged
    gallery_ids, query_ids = dataset.gallery_ids(), dataset.ids("test")
    vectors, [linear] = baselines.compute(dataset, gallery_ids, query_ids, 10)
    gallery = baselines.pixels(dataset, gallery_ids).astype(np.float64)
    queries = baselines.pixels(dataset, query_ids).astype(np.float64)
    mean = gallery.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov(gallery, rowvar=False))
    axes = axes[:, ::-1][:, :10]
    codes = (queries - mean) @ axes
    np.testing.assert_allclose(np.abs(vectors["10-d PCA"].queries), np.abs(codes), atol=5e-3)  # in float32
    assert linear.mean_mse == pytest.approx(np.square(queries - mean).mean(), rel=1e-4)
    assert linear.mse == pytest.approx(np.square(queries - mean - codes @ axes.T).mean(), rel=1e-4)
    np.testing.assert_allclose(vectors["whitened 10-d PCA"].gallery.var(axis=0), 1, rtol=1e-2)


def test_a_colour_histogram_counts_the_pixels_of_each_colour(small_digits):
    images = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    images[1, :8] = [255, 0, 64]  # a quarter of it
    histograms = baselines.colour_histograms(dataclasses.replace(small_digits, images=images), np.array([0, 1]))
    assert histograms[0, 0] == 1
    assert histograms[1, 0] == 0.75
    assert histograms[1, 3 * 16 + 0 * 4 + 1] == 0.25
    np.testing.assert_array_equal(histograms.sum(axis=1), 1)


def test_equal_images_have_finite_baselines(small_digits):
    same = dataclasses.replace(
        small_digits, images=np.repeat(small_digits.images[:1], len(small_digits.images), axis=0)
    )
    vectors, _ = baselines.compute(same, same.gallery_ids(), same.ids("test"), 10)
    assert all(np.isfinite(pair.gallery).all() for pair in vectors.values())


def test_whitening_beyond_the_rank_of_the_images_stays_finite(digits_root):
    dataset = data.load(digits_root, "digits")  # 64 blocks, some of them always black
    vectors, _ = baselines.compute(dataset, dataset.gallery_ids(), dataset.ids("test"), 64)
    for pair in vectors.values():
        assert np.isfinite(pair.gallery).all()
        assert np.isfinite(pair.queries).all()


@pytest.mark.parametrize(
    ("side", "compared"), [(8, 8), (32, 32), (40, 20), (64, 32), (96, 32), (88, 22), (296, 8), (1024, 32)]
)
def test_pixels_are_compared_at_32_by_32_at_most(side, compared):
    assert baselines.compared_shape((side, 32, 3)) == (compared, 32, 3)


def test_larger_images_have_the_baselines_of_the_small_ones_that_they_repeat(small_digits):
    def repeated(times):
        images = small_digits.images[:, ::2, ::2].repeat(times, axis=1).repeat(times, axis=2)
        return dataclasses.replace(small_digits, images=images)

    gallery_ids, query_ids = small_digits.gallery_ids(), small_digits.ids("test")
    _, [small_linear] = baselines.compute(repeated(1), gallery_ids, query_ids, 10)
    vectors, [linear] = baselines.compute(repeated(4), gallery_ids, query_ids, 10)
    assert list(vectors) == ["raw pixels at 32 x 32", "colour histogram", "10-d PCA", "whitened 10-d PCA"]
    pair = vectors["raw pixels at 32 x 32"]
    np.testing.assert_allclose(pair.gallery / 255, baselines.pixels(repeated(2), gallery_ids), atol=1e-6)
    np.testing.assert_allclose(pair.queries / 255, baselines.pixels(repeated(2), query_ids), atol=1e-6)
    assert linear.mse == pytest.approx(small_linear.mse, rel=1e-2)  # a randomised PCA
    assert linear.mean_mse == pytest.approx(small_linear.mean_mse, rel=1e-4)


def test_the_first_components_are_those_of_a_smaller_pca(digits_root):
    dataset = data.load(digits_root, "digits")
    gallery_ids, query_ids = dataset.gallery_ids(), dataset.ids("test")
    vectors, [_, few] = baselines.compute(dataset, gallery_ids, query_ids, 20, 7)
    alone, [linear] = baselines.compute(dataset, gallery_ids, query_ids, 7)
    np.testing.assert_allclose(np.abs(vectors["7-d PCA"].queries), np.abs(alone["7-d PCA"].queries), atol=1e-4)
    assert few.mse == pytest.approx(linear.mse, rel=1e-5)


def test_components_of_more_images_than_memory_should_hold_are_the_same(digits_root, monkeypatch):
    dataset = data.load(digits_root, "digits")
    dataset = dataclasses.replace(dataset, images=dataset.images[:, ::4, ::4])  # 8 x 8 pixels
    expected = pca.fit(dataset, dataset.gallery_ids(), 5)
    monkeypatch.setattr(pca, "_MAX_FITTED_BYTES", 0)
    found = pca.fit(dataset, dataset.gallery_ids(), 5)
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-5)  # scikit-learn sums in float32
    np.testing.assert_allclose(found.variances, expected.variances, rtol=1e-4)
    np.testing.assert_allclose(np.abs(np.sum(found.axes * expected.axes, axis=1)), 1, atol=1e-4)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_nearest_pixels_are_those_of_an_exact_search(metric, monkeypatch):
    rng = np.random.default_rng(0)
    gallery, queries = (rng.integers(0, 256, (num, 48), dtype=np.uint8) for num in (2500, 30))
    gallery[7] = 0  # a black image has no direction
    vectors = baselines.Vectors(gallery, queries, ("euclidean", "cosine"))
    monkeypatch.setattr(baselines, "_PRODUCTS", 7 * len(gallery))  # several parts
    expected = Index(gallery.astype(float), metric=metric).search(queries.astype(float), 50)
    found = vectors.rank(50, metric)
    assert (found == expected.ids).mean() > 0.99  # but for those as near, to six digits
    reached = distances_between(gallery[found.ravel()], queries.repeat(50, axis=0), metric=metric).reshape(30, 50)
    np.testing.assert_allclose(reached, expected.distances, rtol=1e-5)


def test_chance_is_the_share_of_the_class():
    gallery, queries = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 2])
    np.testing.assert_allclose(baselines.chance(gallery, queries), [0.75, 0.25, 0.25, 0])


@pytest.mark.slow
def test_known_values_of_cifar10():
    """Measured by others with this protocol; skipped unless data/cifar10 is prepared."""
    if not (ROOT / "data" / "cifar10" / "dataset.json").exists():
        pytest.skip("data/cifar10 is not prepared")
    dataset = data.load(ROOT, "cifar10")
    gallery_ids, query_ids = dataset.gallery_ids(), dataset.ids("test")
    vectors, [linear] = baselines.compute(dataset, gallery_ids, query_ids, 10)
    assert linear.mse == pytest.approx(0.02141, abs=2e-5)
    assert linear.accuracy == pytest.approx(0.608, abs=2e-3)
    known = {
        "10-d PCA": {"P@1": 0.307, "P@10": 0.263, "P@100": 0.228},
        "whitened 10-d PCA": {"P@10": 0.267},
        "raw pixels": {"P@1": 0.354, "P@10": 0.279},
    }
    for name, expected in known.items():
        found = vectors[name].rank(1000, "euclidean")
        measured = score_neighbours(
            name,
            dataset.labels[gallery_ids[found]],
            dataset.labels[query_ids],
            dataset.class_names,
            metric="euclidean",
        )
        for measure, value in expected.items():
            assert measured.overall[measure].value == pytest.approx(value, abs=1.5e-3), (name, measure)
