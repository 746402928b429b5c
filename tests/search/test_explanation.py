"""What a query and a hit share, and what keeps them apart, by the numbers of their codes."""

from __future__ import annotations

import numpy as np
import pytest

from fuzzing.colours import MeanColours
from latentsearch.config import METRICS
from latentsearch.gallery.gallery import Gallery
from latentsearch.runs import Run
from latentsearch.search import explanation, percentiles
from latentsearch.search.corpus import Corpus
from latentsearch.search.explanation import Explainer, shares
from latentsearch.search.queries import NOT_IN_CORPUS


class AnyCodes(MeanColours):
    """Stands for an autoencoder whose codes have so many numbers; its pictures are as bright as the first of them."""

    def __init__(self, latent_dim, kind_dim):
        super().__init__()
        self.latent_dim, self.kind_dim = latent_dim, kind_dim

    def decode(self, codes):
        return np.tile(codes[:, :1, None, None], (1, 8, 8, 3))


class CodesCorpus(Corpus):
    """Images of which only the codes matter. `names` are their classes, `gone` those whose files are."""

    examples, store_name, class_names = np.empty(0, np.int64), "codes", ()

    def __init__(self, tmp_path, codes, kind_dim=None, look=None, names=None, gone=(), same=()):
        copies = np.stack([codes[:10], codes[:10] + 0.01], axis=1).astype(np.float32)
        gallery = Gallery(
            codes.astype(np.float32), 100 + np.arange(len(codes)), copies, np.empty(0, np.float32), "", {}
        )
        self.names, self.gone, self.same = names, gone, frozenset(same)
        self.class_names = tuple(sorted(set(names))) if names else ()
        super().__init__(
            Run(tmp_path, "codes"), AnyCodes(codes.shape[1], kind_dim), gallery, fit="crop", name="codes", look=look
        )

    def images(self, ids):
        return np.zeros((len(ids), 8, 8, 3), np.uint8)

    def path_of(self, image_id):
        return None

    def id_of(self, path):
        return None

    def class_of(self, image_id):
        return self.names[image_id - 100] if self.names else ""

    def is_there(self, image_id):
        return image_id not in self.gone

    def same_file(self, image_id):
        return super().same_file(image_id) | (self.same if image_id in self.same else frozenset())


@pytest.fixture(autouse=True)
def fewer_pairs(monkeypatch):
    monkeypatch.setattr(percentiles, "_NUM_PAIRS", 5000)


RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(300, 6))
CODES[:2] = [[0, 3, 0.5, -0.2, -2.5, 0.1], [0.1, 2.8, -0.9, -0.2, -2.4, 0.9]]  # a query and its neighbour


def explained(corpus, query=100, neighbour=101, metric="euclidean"):
    codes = corpus.gallery.codes
    return Explainer(corpus, metric).explain(query, codes[query - 100], neighbour, codes[neighbour - 100])


def outermost(codes, number, is_high, without=(0, 1)):
    order = np.argsort(codes[:, number] * (-1 if is_high else 1))
    return [100 + row for row in order.tolist() if row not in without]


def test_shares_of_a_case_that_can_be_reckoned_by_hand():
    first, second = np.array([3.0, 0, 4], np.float32), np.array([0.0, 0, 5], np.float32)
    np.testing.assert_allclose(shares(first, second, metric="manhattan"), [0.75, 0, 0.25])
    np.testing.assert_allclose(shares(first, second, metric="euclidean"), [0.9, 0, 0.1])
    # At length 1: (0.6, 0, 0.8) and (0, 0, 1).
    np.testing.assert_allclose(shares(first, second, metric="cosine"), [0.9, 0, 0.1])


@pytest.mark.parametrize("metric", METRICS)
def test_shares_add_up_to_one_or_are_nothing(metric):
    first, second = np.random.default_rng(0).normal(size=(2, 10)).astype(np.float32)
    assert shares(first, second, metric=metric).sum() == pytest.approx(1)
    assert not shares(first, first, metric=metric).any()
    assert np.isfinite(shares(np.zeros(10), first, metric=metric)).all()
    assert shares(first, 2 * first, metric=metric).any() == (metric != "cosine")


def test_the_codes_are_alike_where_both_lie_farthest_out_at_one_end(tmp_path):
    found = explained(CodesCorpus(tmp_path, CODES, kind_dim=3, look=0.5)).alike
    assert [(one.name, one.end.is_high) for one in found] == [("kind 2", True), ("look 2", False)]
    for one, number in zip(found, (1, 4), strict=True):
        others = CODES[2:, number] * (1 if one.end.is_high else -1)
        sign = 1 if one.end.is_high else -1
        assert one.beyond == pytest.approx([(others < sign * code[number]).mean() for code in CODES[:2]])
        assert one.end.ids == outermost(CODES, number, one.end.is_high)[:3]


def test_the_codes_differ_most_where_the_share_of_the_distance_is_largest(tmp_path):
    first, second = explained(CodesCorpus(tmp_path, CODES)).apart
    assert (first.name, second.name) == ("number 3", "number 6")
    squares = np.square(CODES[0] - CODES[1])
    assert (first.share, second.share) == pytest.approx(squares[[2, 5]] / squares.sum(), rel=1e-4)
    for one, number in ((first, 2), (second, 5)):
        low, high = np.percentile(CODES[2:, number], [0.5, 99.5])
        assert one.places == pytest.approx((CODES[:2, number] - low) / (high - low), abs=1e-5)
        for end, is_high in zip(one.ends, (False, True), strict=True):
            assert (end.is_high, end.ids) == (is_high, outermost(CODES, number, is_high)[:3])


def test_a_query_from_elsewhere_is_beyond_all_at_most(tmp_path):
    corpus = CodesCorpus(tmp_path, CODES)
    far = np.array([0, 3.9, 90, -0.2, -3.9, -90], np.float32)
    found = Explainer(corpus, "euclidean").explain(NOT_IN_CORPUS, far, 101, corpus.gallery.codes[1])
    assert {one.name: one.beyond[0] for one in found.alike} == {"number 2": 1, "number 5": 1}
    assert {one.name: one.places[0] for one in found.apart} == {"number 3": 1, "number 6": 0}


def test_neither_the_pair_nor_a_copy_nor_another_name_of_its_files_stands_at_an_end(tmp_path):
    codes = CODES.copy()
    codes[2] = codes[0]  # a copy of the query
    codes[3, 1] = 9  # another name of the query's file
    codes[4, 1] = 8
    (one, *_) = explained(CodesCorpus(tmp_path, codes, same=(100, 103))).alike
    assert one.end.ids == outermost(codes, 1, True, (0, 1, 2, 3))[:3]
    assert one.end.ids[0] == 104


def test_images_that_are_gone_are_not_shown(tmp_path):
    gone = outermost(CODES, 1, True)[:2]
    (one, *_) = explained(CodesCorpus(tmp_path, CODES, gone=gone)).alike
    assert one.end.ids == outermost(CODES, 1, True)[2:5]


def test_of_two_shots_at_an_end_one_is_shown_where_there_are_others(tmp_path):
    codes = CODES.copy()
    codes[2:5, 1] = [9, 8.99999, 8.9]
    codes[3, [0, 2, 3, 4, 5]] = codes[2, [0, 2, 3, 4, 5]]
    (one, *_) = explained(CodesCorpus(tmp_path, codes)).alike
    assert one.end.ids == [102, 104, outermost(codes, 1, True)[3]]
    few = np.array([[0, 12], [0.5, 11.9], [0, 9], [0, 9], [0.5, -1], [1, -2]])
    (one, *_) = explained(CodesCorpus(tmp_path, few)).alike
    assert one.end.ids == [102, 103]


def test_an_end_is_told_by_the_class_of_most_of_its_images(tmp_path):
    names = ["frog" if code[1] > 1 else "cat" if number % 2 else "dog" for number, code in enumerate(CODES)]
    corpus = CodesCorpus(tmp_path, CODES, names=names)
    high, low = explained(corpus).alike
    assert high.end.of_class.in_words == "100 % of class frog"
    there = [names[image_id - 100] for image_id in outermost(CODES, 4, False)[:20]]
    most = max(there.count(name) for name in names)
    assert low.end.of_class.share == (most / 20 if most > 10 else 0)
    mixed = CodesCorpus(tmp_path, CODES, names=["cat", "dog", "frog"] * 100)
    assert [one.end.of_class.in_words for one in explained(mixed).alike] == ["", ""]
    few = CodesCorpus(tmp_path, CODES[:90], names=names[:90])
    assert [one.end.of_class.in_words for one in explained(few).alike] == ["", ""]


@pytest.mark.parametrize(("look", "kinds"), [(0, {"kind"}), (1, {"look"})])
def test_a_code_that_does_not_count_is_not_named(look, kinds, tmp_path):
    corpus = CodesCorpus(tmp_path, CODES, kind_dim=3, look=look)
    for metric in METRICS:
        found = explained(corpus, metric=metric)
        assert {one.name.split()[0] for one in (*found.alike, *found.apart)} == kinds


def test_ranks_in_large_galleries_are_those_of_a_sample(tmp_path, monkeypatch):
    codes = np.concatenate([CODES[:2], RNG.normal(size=(20_000, 6))])
    corpus = CodesCorpus(tmp_path, codes)
    exact = explained(corpus)
    monkeypatch.setattr(explanation, "_MOST", 2000)
    sampled = explained(corpus)
    for one, other in zip(exact.alike, sampled.alike, strict=True):
        assert one.name == other.name
        assert other.beyond == pytest.approx(one.beyond, abs=0.02)
        assert 0 < len(other.end.ids) == len({*other.end.ids})
    assert sampled.shares.tolist() == exact.shares.tolist()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("count", [2, 3, 4, 5, 9])
@pytest.mark.parametrize("dim", [1, 2, 64])
def test_small_galleries_and_codes_of_any_length_are_explained(dim, count, metric, tmp_path):
    codes = np.random.default_rng(count).normal(size=(count, dim))
    found = explained(CodesCorpus(tmp_path, codes), metric=metric)
    assert len(found.names) == len(found.shares) == dim
    assert len(found.apart) == min(2, max(1, dim // 2), np.count_nonzero(found.shares))
    for one in found.apart:
        assert all(0 <= place <= 1 for place in one.places)
        low, high = (end.ids for end in one.ends)
        if dim > 1 or metric != "cosine":  # codes of one number have one of two directions
            assert len(low) == len(high) == min(3, (count - 2) // 2)
        assert not {*low} & {*high}
        assert not {100, 101} & {*low, *high}


def test_equal_codes_differ_in_nothing_and_flat_ones_are_alike_in_nothing(tmp_path):
    flat = CodesCorpus(tmp_path, np.full((9, 3), 0.5))
    found = explained(flat)
    assert (found.alike, found.apart) == ([], [])
    assert not found.shares.any()
    twins = CODES.copy()
    twins[1] = twins[0]
    found = explained(CodesCorpus(tmp_path, twins))
    assert found.apart == []
    assert {"number 2", "number 5"} <= {one.name for one in found.alike}


def test_what_the_codes_hold_is_decoded_from_them(tmp_path):
    decoded = explained(CodesCorpus(tmp_path, CODES)).decoded
    assert decoded.shape == (2, 8, 8, 3)
    np.testing.assert_allclose(decoded[:, 0, 0, 0], [0, 0.1], atol=1e-6)
