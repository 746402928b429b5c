"""What every store must do: answer as an index does. A test module derives a class and gives `open_store`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from latentsearch.config import Metric
from latentsearch.gallery import gallery
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.index import Index
from latentsearch.gallery.store import Store
from tests.gallery.galleries import gallery_of

METRICS: tuple[Metric, ...] = ("cosine", "euclidean")
OpenStore = Callable[..., contextlib.AbstractContextManager[Store]]


def random_gallery(num_codes: int, dim: int = 10, seed: int = 0, encoder: str = "encoder") -> Gallery:
    """Codes from a normal distribution."""
    return gallery_of(np.random.default_rng(seed).normal(size=(num_codes, dim)), encoder=encoder)


def labels_for(content: Gallery) -> np.ndarray:
    """Three classes by turns."""
    return content.ids % 3


def check_answers(
    store: Store,
    content: Gallery,
    queries: np.ndarray,
    k: int,
    *,
    metric: Metric,
    exclude: np.ndarray | None = None,
    only: tuple[int, ...] = (),
) -> None:
    """Asks, and holds the answers against brute force."""
    found = store.search(queries, k, metric=metric, exclude=exclude, only=only)
    assert found.ids.shape == found.distances.shape == (len(queries), k)
    assert found.distances.dtype == np.float32
    # An index is held to brute force by its own tests.
    allowed = np.isin(labels_for(content), only) if only else np.ones(len(content.ids), dtype=bool)
    for row, query in enumerate(queries):
        answering = allowed & (content.ids != exclude[row]) if exclude is not None else allowed
        expected = Index(content.codes[answering], content.ids[answering], metric=metric).search(query[None], k)
        np.testing.assert_array_equal(found.ids[row], expected.ids[0])
        np.testing.assert_array_equal(found.distances[row], expected.distances[0])


class StoreContract:
    """Tests that every store passes; `open_store(*metrics)` opens the same place each time, by default for both.

    A server takes seconds to make a collection: a test asks by both metrics of what it stored once.
    """

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[Store]:
        with open_store() as store:
            yield store

    def test_neighbours_are_those_of_brute_force(self, store):
        content = random_gallery(3000)
        store.sync("run", content, labels_for(content))
        for metric in METRICS:
            np.testing.assert_array_equal(store.ids(metric=metric), content.ids)
            rng = np.random.default_rng(1)
            for num_queries, k in ((1, 1), (120, 10), (3, 3000)):
                check_answers(store, content, rng.normal(size=(num_queries, 10)).astype(np.float32), k, metric=metric)

    def test_an_image_never_answers_itself_even_among_duplicates_and_zeros(self, store):
        codes = np.random.default_rng(0).integers(-1, 2, (200, 3)).astype(np.float32)  # 27 different ones, zero too
        content = gallery_of(codes, np.arange(200) * 7)
        store.sync("run", content, labels_for(content))
        not_there = np.full(200, -1)
        for metric in METRICS:
            for k in (1, 10, 199):
                check_answers(store, content, codes, k, metric=metric, exclude=content.ids)
            check_answers(store, content, codes, 10, metric=metric, exclude=not_there)

    def test_what_is_new_changed_and_gone_is_followed_and_kept(self, open_store, tmp_path):
        rng = np.random.default_rng(2)
        first = random_gallery(500)
        with open_store() as store:
            store.sync("run", first, labels_for(first))
            for metric in METRICS:
                check_answers(store, first, first.codes[:5], 10, metric=metric)
            ids = np.r_[np.arange(100, 500), np.arange(40_000, 40_300)]  # 100 gone, 300 new
            codes = np.r_[first.codes[100:], rng.normal(size=(300, 10))].astype(np.float32)
            codes[50:60] = rng.normal(size=(10, 10))
            second = gallery_of(codes, ids)
            store.sync("run", second, labels_for(second))
            for metric in METRICS:
                np.testing.assert_array_equal(store.ids(metric=metric), ids)
                check_answers(store, second, first.codes[:60], 20, metric=metric)
        second.save(tmp_path / "gallery.npz")
        kept, _ = gallery.load(tmp_path / "gallery.npz")
        with open_store() as store:
            changes = store.sync("run", kept, labels_for(kept))
            assert changes.unchanged >= 700
            assert changes.added == changes.changed == changes.removed == 0
            for metric in METRICS:
                np.testing.assert_array_equal(store.ids(metric=metric), ids)
                check_answers(store, second, first.codes[:60], 20, metric=metric)
            back = store.sync("run", first, labels_for(first))
            for metric in METRICS:
                np.testing.assert_array_equal(store.ids(metric=metric), first.ids)
            assert back.unchanged >= 390

    def test_only_the_named_classes_answer(self, store):
        content = random_gallery(300)
        store.sync("run", content, labels_for(content))
        for metric in METRICS:
            check_answers(store, content, content.codes[:60], 10, metric=metric, only=(2,))
            check_answers(store, content, content.codes[:60], 99, metric=metric, only=(1,), exclude=content.ids[:60])
            check_answers(store, content, content.codes[:60], 150, metric=metric, only=(0, 2), exclude=content.ids[:60])
        relabelled = np.where(content.ids == 5, 0, labels_for(content))
        store.sync("run", content, relabelled)
        for metric in METRICS:
            found = store.search(content.codes[5:6], 1, metric=metric, only=(0,))
            assert found.ids.tolist() == [[5]]
            assert 5 not in store.search(content.codes[5:6], 99, metric=metric, only=(2,)).ids

    def test_codes_of_another_encoder_replace_those_before(self, open_store):
        first, second = random_gallery(300), random_gallery(200, seed=1, encoder="another encoder")
        third = random_gallery(250, dim=4, encoder="third")
        for content in (first, second, third, first):
            with open_store("euclidean") as store:
                store.sync("run", content, labels_for(content))
                np.testing.assert_array_equal(store.ids(metric="euclidean"), content.ids)
                check_answers(store, content, content.codes[:5], 10, metric="euclidean")

    def test_galleries_of_other_names_are_left_alone(self, open_store):
        photos, run = random_gallery(100, seed=1), random_gallery(50)
        with open_store("cosine") as store:
            store.sync("run/photos", photos, labels_for(photos))
            store.sync("run", run, labels_for(run))
            np.testing.assert_array_equal(store.ids(metric="cosine"), run.ids)
            store.sync("run/photos", photos, labels_for(photos))
            check_answers(store, photos, run.codes, 100, metric="cosine")

    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize(
        ("codes", "options", "message"),
        [
            (np.zeros((2, 11)), {"k": 1}, r"Expected vectors of shape \(num_vectors, 10\), received \(2, 11\)"),
            (np.zeros(10), {"k": 1}, "shape"),
            (np.full((1, 10), np.nan), {"k": 1}, "finite"),
            (np.ones((2, 10)), {"k": 0}, "k = 0: expected 1 to 30"),
            (np.ones((2, 10)), {"k": 31}, "1 to 30"),
            (np.ones((2, 10)), {"k": 30, "exclude": np.arange(2)}, "1 to 29"),
            (np.ones((2, 10)), {"k": 11, "only": (1,)}, "1 to 10"),
            (np.ones((2, 10)), {"k": 1, "exclude": np.arange(3)}, "2 ids to exclude"),
        ],
    )
    def test_what_cannot_be_asked_is_refused_in_words(self, filled, codes, options, message, metric):
        with pytest.raises(ValueError, match=message):
            filled.search(codes, metric=metric, **options)

    @pytest.fixture(scope="class")
    def filled(self, open_for_class: OpenStore) -> Iterator[Store]:
        """Thirty codes, not to be changed."""
        content = random_gallery(30)
        with open_for_class() as store:
            store.sync("filled", content, labels_for(content))
            yield store


def changed(content: Gallery, seed: int) -> Gallery:
    """The same ids with other codes for some, a tenth gone, a tenth new."""
    rng = np.random.default_rng(seed)
    keep = rng.random(len(content.ids)) > 0.1
    codes = content.codes.copy()
    codes[rng.random(len(codes)) < 0.1] += 1
    new = rng.normal(size=(len(codes) // 10, codes.shape[1])).astype(np.float32)
    new_ids = content.ids.max() + 1 + np.arange(len(new))
    return dataclasses.replace(
        content, codes=np.concatenate([codes[keep], new]), ids=np.concatenate([content.ids[keep], new_ids])
    )
