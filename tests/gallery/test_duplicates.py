"""Planted copies are found, each pair once; even images and images of one kind are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from latentsearch.data import SPLITS, ImageSet, digits
from latentsearch.gallery import duplicates, image_matching, same_shot
from tests.gallery.test_image_matching import CORRUPTIONS, scenes


def find(images, codes=None, **keywords):
    """Duplicates among `images`; without codes worth the name if none are given."""
    codes = np.random.default_rng(1).normal(size=(len(images), 4)) if codes is None else codes
    return duplicates.find(images, codes, metric="euclidean", **keywords)


def as_set(found):
    return set(map(tuple, found.pairs.tolist()))


def dataset_of(images, is_test, class_names=("a", "b")):
    labels = np.arange(len(images)) % 2 if class_names else np.full(len(images), -1)
    split = np.where(is_test, SPLITS.index("test"), SPLITS.index("train"))
    return ImageSet("planted", images, labels, split, class_names, "", "", {}, Path())


def test_planted_copies_are_found_and_nothing_else():
    images = scenes(100)
    copies = np.stack([alter(images[10 * number]) for number, alter in enumerate(CORRUPTIONS)])
    done = []
    found = find(np.concatenate([images, copies, images[77:78]]), watch=done.append)
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 1)
    assert as_set(found) == {*((10 * number, 100 + number) for number in range(5)), (77, 105)}
    assert found.exact.tolist() == [True, False, False, False, False, False]
    assert (np.diff(found.likeness) <= 0).all()
    assert (found.pairs[:, 0] < found.pairs[:, 1]).all()
    assert found.mirrored.tolist() == [pair == (40, 104) for pair in map(tuple, found.pairs.tolist())]


def test_copies_with_text_over_them_are_found():
    images = scenes(100)
    copies = images[:10].copy()
    for copy, top in zip(copies, range(2, 22, 2), strict=True):
        copy[top : top + 4, 4:28:2] = 255  # strokes
        copy[top : top + 4, 5:28:4] = 0
    found = as_set(find(np.concatenate([images, copies])))
    assert found <= {(number, 100 + number) for number in range(10)}
    assert len(found) >= 7  # the fit of all of an image finds one


def tiles_of_photographs():
    """Tiles of scikit-learn's two photographs that are not of the sky, 32 x 32 pixels."""
    tiles = [
        Image.fromarray(photo[top : top + 64, left : left + 64]).resize((32, 32), Image.Resampling.BOX)
        for photo in load_sample_images().images
        for top in range(0, photo.shape[0] - 63, 64)
        for left in range(0, photo.shape[1] - 63, 64)
    ]
    return [tile for tile in tiles if np.std(tile.convert("L")) >= 20]


def test_small_copies_are_found_by_their_layout_though_they_lost_their_detail():
    tiles = tiles_of_photographs()
    small = [tile.resize((16, 16), Image.Resampling.BOX).resize((32, 32), Image.Resampling.BICUBIC) for tile in tiles]
    images, count = np.stack([np.asarray(image) for image in (*tiles, *small)]), len(tiles)
    planted = np.column_stack([np.arange(count), count + np.arange(count)])
    grey = image_matching.brightness(images)
    layouts = image_matching.layout_likeness(grey, planted)
    np.testing.assert_allclose(image_matching.layout_likeness(grey, planted[:, [0, 0]]), 1, atol=1e-5)
    shuffled = np.column_stack([planted[:, 0], np.roll(planted[:, 1], 1)])
    assert image_matching.layout_likeness(grey, shuffled).max() < np.quantile(layouts, 0.1)
    found = as_set(find(images))
    assert found <= set(map(tuple, planted.tolist()))
    assert len(found) >= 0.7 * count  # the fit of detail finds a fifth


def test_no_images_have_no_duplicates():
    found = find(np.empty((0, 32, 32, 3), np.uint8), np.empty((0, 4)))
    assert found.pairs.shape == (0, 2)
    assert len(found.first_copy) == 0


def test_even_images_and_dots_in_the_sky_are_no_duplicates():
    rng = np.random.default_rng(0)
    skies = np.tile(np.array([120, 160, 220]), (40, 32, 32, 1)) + np.linspace(0, 30, 32)[:, None, None]
    skies = (skies + rng.uniform(-20, 20, (40, 1, 1, 3)) + rng.normal(0, 1, skies.shape)).astype(np.uint8)
    planes = skies.copy()
    for plane, length in zip(planes, rng.integers(7, 12, len(planes)), strict=True):
        plane[15:17, 16 - length // 2 : 17 + length // 2] = 250
        plane[12:19, 15:17] = 250
    assert not len(find(np.concatenate([skies, planes])).pairs)


def test_different_digits_are_no_duplicates():
    images = digits.read().images[:200]
    codes = images[:, ::8, ::8, 0].reshape(len(images), -1).astype(np.float32)
    assert len(find(images, codes).pairs) < 0.01 * len(images)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_equal_images_make_a_star(count):
    found = find(np.repeat(scenes(1), count, axis=0))
    assert as_set(found) == {(0, copy) for copy in range(1, count)}
    assert found.exact.all()
    assert (found.likeness == 1).all()


def test_groups_and_leaks_reach_through_equal_images():
    base = scenes(20)
    # 20 equals 0, 21 is a near copy of 0, 22 a near copy of 5; test: 20 to 22 and 7.
    images = np.concatenate([base, base[:1], CORRUPTIONS[2](base[0])[None], CORRUPTIONS[0](base[5])[None]])
    found = find(images)
    assert as_set(found) == {(0, 20), (0, 21), (5, 22)}
    is_test = np.isin(np.arange(23), [7, 20, 21, 22])
    dataset = dataset_of(images, is_test)
    assert np.flatnonzero(found.with_duplicate_among(dataset.gallery_ids()) & is_test).tolist() == [20, 21, 22]
    assert found.with_duplicate_among(np.array([20]))[[0, 20, 21, 22, 5]].tolist() == [True, True, True, False, False]
    assert found.groups[0] == found.groups[20] == found.groups[21] != found.groups[5] == found.groups[22]
    assert len(np.unique(found.groups)) == 20
    assert found.counts(dataset) == {
        "within gallery": {"exact": 0, "near": 0},
        "across": {"exact": 1, "near": 2},
        "within test": {"exact": 0, "near": 0},
    }
    assert found.places(dataset_of(images, is_test | True)).tolist() == ["within test"] * 3


def test_the_table_has_classes_only_where_there_are_labels():
    images = scenes(20)
    images = np.concatenate([images, images[:1]])
    found = find(images)
    is_test = np.arange(21) == 20
    table = found.table(dataset_of(images, is_test))
    row = table.iloc[0].to_dict()
    assert row.pop("group") == found.groups[0]
    assert row == {
        "id_1": 0, "split_1": "train", "class_1": "a", "id_2": 20, "split_2": "test", "class_2": "a",
        "kind": "exact", "likeness": 1.0, "mirrored": False,
    }  # fmt: skip
    unlabelled = found.table(dataset_of(images, is_test, ()))
    assert list(unlabelled) == [name for name in table if "class" not in name]


def test_the_emptier_an_image_the_more_likeness_is_needed():
    needed = same_shot.needed_likeness(0.4, np.array([0.0, 0.1, 0.3, 0.8]))
    assert (np.diff(needed) < 0).all()
    assert (needed[:2] > 1).all()
    assert needed[3] == pytest.approx((0.4 + 0.3) * (1 + 0.1 / 0.8))
    assert (same_shot.needed_likeness(0.8, np.array([0.8])) > 1).all()


def resaved(image, rng):
    """A copy with faint noise, as JPEG."""
    return CORRUPTIONS[3](np.clip(image.astype(int) + rng.integers(-2, 3, image.shape), 0, 255).astype(np.uint8))


@pytest.mark.parametrize(("shots", "copies"), [(100, 3), (40, 5), (20, 10), (10, 2), (2, 20), (1, 40), (2, 2), (1, 2)])
def test_duplicates_are_found_at_any_rate(shots, copies):
    rng = np.random.default_rng(shots)
    images = np.stack([resaved(image, rng) for image in scenes(shots) for _ in range(copies)])
    shot = np.arange(shots).repeat(copies)
    found = find(images)
    assert (shot[found.pairs[:, 0]] == shot[found.pairs[:, 1]]).all()
    assert len(np.unique(found.groups)) == shots  # each wholly
    first_of_each = np.arange(0, len(images), copies)
    assert found.with_duplicate_among(first_of_each).sum() > shots


def test_a_shot_of_few_that_is_its_own_reflection_hides_no_copies():
    base = scenes(5)
    base[0, 16:] = base[0, 15::-1]  # a lake
    found = find(np.concatenate([base, *(np.stack([alter(image) for image in base]) for alter in CORRUPTIONS)]))
    assert (found.pairs[:, 0] % 5 == found.pairs[:, 1] % 5).all()
    # Copies of the lake itself are missed: it is as like its reflection as they are to it.
    assert np.isin(np.flatnonzero(np.arange(30) % 5), np.unique(found.pairs)).all()


def test_walls_of_one_pattern_are_no_duplicates_for_their_pattern_alone():
    y, x = np.mgrid[:32, :32]
    offsets = np.random.default_rng(0).uniform(0, 16, (20, 2))
    waves = np.stack([np.sin((x + dx) * 0.8) * np.sin((y + dy) * 0.8) for dx, dy in offsets])
    noise = np.random.default_rng(1).normal(0, 8, (20, 32, 32))
    walls = np.repeat((128 + 60 * waves + noise).clip(0, 255).astype(np.uint8)[..., None], 3, axis=-1)
    assert not len(find(np.concatenate([scenes(200), walls])).pairs)


@pytest.mark.parametrize("detail", [0, 1])
def test_frames_one_level_apart_leak_whatever_they_show(detail):
    frame = scenes(1)[0] if detail else np.tile(np.linspace(90, 160, 32).astype(np.uint8)[:, None, None], (1, 32, 3))
    frames = frame + np.eye(40, 32 * 32 * 3, dtype=np.uint8).reshape(40, 32, 32, 3)
    found = find(frames)
    assert not found.exact.any()
    assert found.with_duplicate_among(np.arange(36)).all()


def test_chance_is_that_of_the_kind_of_images_however_many_are_duplicates():
    photographs, strokes = scenes(60), digits.read().images[:60]
    chances = [
        same_shot.chance_likeness(image_matching.brightness(images))
        for images in (photographs, photographs.repeat(20, axis=0), strokes, strokes.repeat(20, axis=0))
    ]
    assert chances[0] == pytest.approx(chances[1], abs=0.03)
    assert chances[2] == pytest.approx(chances[3], abs=0.05)
    assert min(chances[2:]) > max(chances[:2]) + 0.2
