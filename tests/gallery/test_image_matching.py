"""Copies fit whatever was done to them, other images do not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from latentsearch.gallery import image_matching
from latentsearch.gallery.image_matching import SHIFT, SIDE


def scenes(count, side=SIDE, seed=0):
    """Images with structure of several sizes, uint8 `(count, side, side, 3)`."""
    noise = np.random.default_rng(seed).normal(size=(2, count, side, side, 3))
    layers = [
        ndimage.gaussian_filter(layer, (0, blur * side / SIDE, blur * side / SIDE, 0), mode="nearest")
        for layer, blur in zip(noise, (1, 3), strict=True)
    ]
    mixed = sum(layer / layer.std(axis=(1, 2, 3), keepdims=True) for layer in layers)
    return (128 + 35 * mixed).clip(0, 255).astype(np.uint8)


def shifted(image):
    return np.pad(image, ((0, 3), (2, 0), (0, 0)), mode="edge")[3:, : image.shape[1]]


def cropped(image):
    side = image.shape[0]
    box = (side * 0.04, side * 0.05, side * 0.96, side * 0.97)
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC, box=box))


def recoloured(image):
    return (image * np.array([0.5, 0.7, 0.6]) + np.array([60, 30, 5])).astype(np.uint8)


def recompressed(image):
    with io.BytesIO() as file:
        Image.fromarray(image).save(file, "JPEG", quality=50)
        return np.asarray(Image.open(file))


def mirrored(image):
    return image[:, ::-1]


CORRUPTIONS = [shifted, cropped, recoloured, recompressed, mirrored]


def against(images, copies):
    """Likeness of each image and its copy."""
    rows = np.arange(len(images))
    grey = image_matching.brightness(np.concatenate([images, copies]))
    return image_matching.likeness(grey, np.column_stack([rows, rows + len(images)]))


@pytest.mark.parametrize("side", [SIDE, 3 * SIDE])
@pytest.mark.parametrize("alter", CORRUPTIONS)
def test_altered_copies_are_alike_and_other_images_are_not(alter, side):
    images = scenes(6, side)
    likeness = against(images, np.stack([alter(image) for image in images]))
    as_it_is, turned = likeness.T
    assert (likeness.max(axis=1) > 0.8).all()
    assert ((turned > as_it_is) == (alter is mirrored)).all()
    others = against(images, np.stack([alter(image) for image in np.roll(images, 1, axis=0)]))
    assert others.max() < 0.6


def test_the_order_within_a_pair_does_not_matter():
    grey = image_matching.brightness(scenes(4))
    pairs = np.array([[0, 1], [2, 3]])
    np.testing.assert_allclose(
        image_matching.likeness(grey, pairs), image_matching.likeness(grey, pairs[:, ::-1]), atol=1e-5
    )


def test_the_fit_is_the_best_cosine_over_all_places():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 3, 10, 10)).astype(np.float32)
    expected = np.full((3, 2), -1.0)
    for number in range(3):
        middle = first[number, 2:8, 2:8]
        for column, laid in enumerate((middle, middle[:, ::-1])):
            for y in range(5):
                for x in range(5):
                    window = second[number, y : y + 6, x : x + 6]
                    cosine = np.sum(laid * window) / np.sqrt(np.sum(laid**2) * np.sum(window**2))
                    expected[number, column] = max(expected[number, column], cosine)
    np.testing.assert_allclose(image_matching.fit(first, second, 2), expected, atol=1e-5)


def test_the_fit_of_most_leaves_out_the_blocks_that_differ():
    """Of 36 blocks of 4 x 4 pixels, nine at the place of the best fit may hold anything."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=(1, 32, 32)).astype(np.float32)
    second = np.roll(first, (2, -3), axis=(1, 2))
    np.testing.assert_allclose(image_matching.fit_of_most(first, second, 4)[0, 0], 1, atol=1e-4)
    second[:, 6:14, 1:21] = rng.normal(size=(1, 8, 20))  # ten blocks
    assert image_matching.fit(first, second, 4)[0, 0] < 0.8
    second[:, 6:10, 17:21] = np.roll(first, (2, -3), axis=(1, 2))[:, 6:10, 17:21]  # nine
    np.testing.assert_allclose(image_matching.fit_of_most(first, second, 4)[0, 0], 1, atol=1e-4)
    mirrored = image_matching.fit_of_most(first, second[:, :, ::-1], 4)[0]
    assert mirrored[1] > 0.99 > 0.6 > mirrored[0]


def test_even_images_have_no_detail_and_fit_nothing():
    even = np.full((2, SIDE, SIDE, 3), 200, dtype=np.uint8)
    details = image_matching.detail(image_matching.brightness(even))
    np.testing.assert_allclose(details, 0, atol=1e-3)
    assert (image_matching.richness(details) < 1e-3).all()
    assert against(even, scenes(2)).max() < 0.1


def test_detail_is_as_strong_in_a_pale_copy_and_richness_tells_scenes_from_empty_ones():
    images = scenes(3)
    pale = (images * 0.6 + 50).astype(np.uint8)
    vivid, faint = (image_matching.detail(image_matching.brightness(kind)) for kind in (images, pale))
    np.testing.assert_allclose(faint, vivid, atol=0.5)
    assert image_matching.richness(vivid).min() > 0.6
    dotted = np.full_like(images, 180)
    dotted[:, 14:17, 10:20] = 60  # a plane in the sky
    assert image_matching.richness(image_matching.detail(image_matching.brightness(dotted))).max() < 0.4


def test_no_place_is_missed_up_to_the_largest_shift():
    wide = scenes(1, SIDE + SHIFT)[0]
    likeness = against(wide[None, :SIDE, :SIDE], wide[None, SHIFT:, SHIFT:])
    assert likeness[0, 0] > 0.9
