"""Image matching: the likeness of two images, which tells whether they show the same shot, edited or not.

Only the fine detail is compared: the brightness less that of a blurred copy, at equal strength everywhere. Colours,
brightness and contrast do not count then, and two scenes that agree only in their layout (sky above, sea below) have
nothing in common. The detail of one image is laid over that of the other at every shift of up to an eighth of a side,
mirrored and not, and enlarged a little, and the best fit counts: of all of it, or of the three quarters that fit best.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from scipy import fft, ndimage

from latentsearch.data.imageset import pieces
from latentsearch.gallery.threads import in_threads

SIDE = 32  # pixels that images are brought to
SHIFT = 4  # pixels of SIDE that one image may be moved by against the other
ZOOMS = (1.0, 1.07, 1.14)

Fit = Callable[..., np.ndarray]  # `fit` or `fit_of_most`
Windows = tuple[np.ndarray, np.ndarray]

_BLUR = 2.0  # pixels, standard deviation: what is larger is layout, not detail
_FAINT = 6.0  # grey levels: contrast well below is noise and stays small
_BLOCK = 4  # pixels of SIDE
_LEFT_OUT = 4  # of so many blocks, one is left out by `fit_of_most`
_BATCH = 256
_SHARING = 16  # batches of pairs that share the details of their images: 12 KB an image


def brightness(images: np.ndarray) -> np.ndarray:
    """Convert images to grey at `SIDE` x `SIDE` pixels, uint8 `(num_images, SIDE, SIDE)`.

    Args:
        images: uint8 `(num_images, height, width, 3)`, possibly memory-mapped.
    """
    grey = np.empty((len(images), SIDE, SIDE), dtype=np.uint8)
    for start, piece in pieces(images):
        for row, image in enumerate(piece, start):
            grey[row] = np.asarray(Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))
    return grey


def small(image: np.ndarray) -> np.ndarray:
    """Resize an image `(height, width, 3)` to `SIDE` x `SIDE` pixels in colour, uint8 `(SIDE, SIDE, 3)`."""
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX))


def detail(grey: np.ndarray, zoom: float = 1.0) -> np.ndarray:
    """Compute the fine detail at equal strength everywhere, float32 of the same shape, around 0; 0 where there is none.

    Args:
        grey: uint8 `(num_images, side, side)`.
        zoom: Factor by which the middle of the images is enlarged first, at least 1.
    """
    side = grey.shape[1]
    values = grey.astype(np.float32)
    if zoom != 1:
        values = _along_both_sides(_enlarging(side, zoom), values)
    blurring = _blurring(side)
    values -= _along_both_sides(blurring, values)
    strength = np.sqrt(_along_both_sides(blurring, np.square(values)) + _FAINT**2)
    return values / strength


@functools.cache
def _blurring(side: int) -> np.ndarray:
    """Build the matrix that blurs a row of pixels, `(side, side)`."""
    return _matrix(lambda row: ndimage.gaussian_filter1d(row, _BLUR, mode="nearest"), side)


@functools.cache
def _enlarging(side: int, zoom: float) -> np.ndarray:
    """Build the matrix that enlarges the middle of a row of pixels, `(side, side)`."""
    offset = (side - 1) / 2 * (1 - 1 / zoom)
    return _matrix(lambda row: ndimage.affine_transform(row, [1 / zoom], offset, order=1, mode="nearest"), side)


def _matrix(operation: Callable[[np.ndarray], np.ndarray], side: int) -> np.ndarray:
    """Build the matrix of an operation on rows that is linear, `(side, side)`."""
    return np.stack([operation(row) for row in np.eye(side, dtype=np.float32)], axis=1)


def _along_both_sides(matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Apply a matrix to rows and columns of `(num_images, side, side)`: many times faster than loops of SciPy."""
    rows = np.reshape(values.reshape(-1, len(matrix)) @ matrix.T, values.shape)
    applied: np.ndarray = matrix @ rows
    return applied


def halved(values: np.ndarray) -> np.ndarray:
    """Average blocks of 2 x 2 of `(num_images, side, side)`, to `(num_images, side / 2, side / 2)`."""
    count, side = values.shape[:2]
    means: np.ndarray = values.reshape(count, side // 2, 2, side // 2, 2).mean(axis=(2, 4))
    return means


def layout(grey: np.ndarray) -> np.ndarray:
    """Compute the coarse brightness without its mean, to look up layouts, float32 `(num_images, side / 4, side / 4)`.

    Args:
        grey: uint8 `(num_images, side, side)`.
    """
    coarse = halved(halved(grey.astype(np.float32)))
    centred: np.ndarray = coarse - coarse.mean(axis=(1, 2), keepdims=True)
    return centred


def pattern(details: np.ndarray) -> np.ndarray:
    """Compute magnitudes of frequencies, which ignore positions, float32 `(num_images, side, side / 2 + 1)`.

    Args:
        details: `(num_images, side, side)`.
    """
    fade = np.hanning(details.shape[1]).astype(np.float32)  # so that borders make no frequencies of their own
    magnitudes: np.ndarray = np.abs(fft.rfft2(details * fade[:, None] * fade))
    return magnitudes


def fit(first: np.ndarray, second: np.ndarray, shift: int, windows: Windows | None = None) -> np.ndarray:
    """Fit the middle of each `first` onto its `second`, as it is and mirrored, float32 `(num_pairs, 2)`.

    The highest cosine over all positions, in [-1, 1]; 0 for an image without any detail.

    Args:
        first: Details `(num_pairs, side, side)`.
        second: Same shape.
        shift: Pixels that the middle leaves out on every side, and its largest shift.
        windows: `windows_of(second, shift)`, where several are fitted onto the same.
    """
    windows = windows or windows_of(second, shift)
    return np.stack([cosines.max(axis=1) for _, cosines in _at_all_places(first, windows, shift)], axis=1)


def fit_of_most(first: np.ndarray, second: np.ndarray, shift: int, windows: Windows | None = None) -> np.ndarray:
    """Fit as `fit` does, then leave out the quarter of the blocks that differ most: text or a logo over one image.

    Args:
        first: Details `(num_pairs, side, side)`; `side - 2 * shift` is a multiple of 4.
        second: Same shape.
        shift: Pixels that the middle leaves out on every side, and its largest shift.
        windows: `windows_of(second, shift)`, where several are fitted onto the same.
    """
    width = first.shape[1] - 2 * shift
    views = sliding_window_view(second, (width, width), axis=(1, 2))
    best = []
    for laid, cosines in _at_all_places(first, windows or windows_of(second, shift), shift):
        down, right = np.unravel_index(cosines.argmax(axis=1), views.shape[1:3])
        window = views[np.arange(len(second)), down, right]
        product, own, other = _sums_of_blocks(laid * window), _sums_of_blocks(laid**2), _sums_of_blocks(window**2)
        order = np.argsort(product / np.sqrt((own * other).clip(min=1e-6)), axis=1)[:, product.shape[1] // _LEFT_OUT :]
        kept = [np.take_along_axis(sums, order, axis=1).sum(axis=1) for sums in (product, own, other)]
        best.append(kept[0] / np.sqrt(kept[1] * kept[2]).clip(min=1e-3))
    return np.stack(best, axis=1)


def _sums_of_blocks(values: np.ndarray) -> np.ndarray:
    """Sum up blocks of 4 x 4 of `(num_pairs, side, side)`, `(num_pairs, side / 4 * side / 4)`."""
    count, side = values.shape[:2]
    sums: np.ndarray = values.reshape(count, side // _BLOCK, _BLOCK, side // _BLOCK, _BLOCK).sum(axis=(2, 4))
    return sums.reshape(count, -1)


def windows_of(details: np.ndarray, shift: int) -> Windows:
    """Compute what the middle of an image is fitted onto: spectra, and lengths of the windows `(num, places, places)`.

    Args:
        details: `(num_images, side, side)`.
        shift: Pixels that the middle leaves out on every side, and its largest shift.
    """
    side, places = details.shape[1], 2 * shift + 1
    # Sums over the windows at all places: over rows and columns by a matrix of zeros and ones each.
    band = np.tri(places, side, side - places, dtype=np.float32) - np.tri(places, side, -1, dtype=np.float32)
    return fft.rfft2(details), np.sqrt((band @ np.square(details) @ band.T).clip(min=1e-6))


def _at_all_places(first: np.ndarray, windows: Windows, shift: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the middle of each `first`, as it is and mirrored, and its cosines at all places, `(num_pairs, places)`."""
    side, places = first.shape[1], 2 * shift + 1
    middle = first[:, shift : side - shift, shift : side - shift]
    spectrum, lengths = windows
    lengths = lengths * np.sqrt(np.square(middle).sum(axis=(1, 2))).clip(min=1e-3)[:, None, None]
    for laid in (middle, np.ascontiguousarray(middle[:, :, ::-1])):  # SciPy is slow on reversed rows
        product = spectrum * fft.rfft2(laid, (side, side)).conj()
        # No window wraps around, as side - 2 * shift pixels at up to 2 * shift fill the side; other places are cut off.
        sums = fft.irfft(fft.ifft(product, axis=1)[:, :places], side, axis=2)[:, :, :places]
        yield laid, (sums / lengths).reshape(len(first), -1)


def richness(details: np.ndarray) -> np.ndarray:
    """Compute the share of each image with detail, `(num_images,)`: 0 for an even one, about 0.8 for photographs."""
    shares: np.ndarray = np.square(details[:, SHIFT:-SHIFT, SHIFT:-SHIFT]).mean(axis=(1, 2))
    return shares


def likeness(grey: np.ndarray, pairs: np.ndarray, fitted: Fit = fit) -> np.ndarray:
    """Compute the likeness of pairs, as they are and with one mirrored, in [-1, 1], float32 `(num_pairs, 2)`.

    Args:
        grey: Images from `brightness`.
        pairs: int `(num_pairs, 2)`, rows of `grey`; the order within a pair does not matter.
        fitted: `fit` or `fit_of_most`.
    """
    result = np.empty((len(pairs), 2), dtype=np.float32)
    # The details of an image are made once for all pairs in which it stands, while they fit into memory.
    most = _SHARING * _BATCH
    stands_in_one = np.zeros(len(grey), dtype=bool)
    stands_in_one[pairs] = True
    together = len(pairs) if stands_in_one.sum() <= 2 * most else most
    for many in batches(len(pairs), max(together, 1)):
        images, places = np.unique(pairs[many], return_inverse=True)
        one, other = places.reshape(-1, 2).T
        zoomed = [_details(grey, images, zoom) for zoom in ZOOMS]
        fits = functools.partial(_best_fits, zoomed, one, other, fitted)
        result[many] = np.concatenate(in_threads(fits, batches(len(one))))
    return result


def _details(grey: np.ndarray, images: np.ndarray, zoom: float) -> np.ndarray:
    """Compute the details of some of the images, `(len(images), SIDE, SIDE)`."""
    return np.concatenate(in_threads(lambda rows: detail(grey[images[rows]], zoom), batches(len(images))))


def _best_fits(zoomed: list[np.ndarray], one: np.ndarray, other: np.ndarray, fitted: Fit, rows: slice) -> np.ndarray:
    """Fit either image of some pairs, at each zoom, onto the other as it is; the best by pair, `(num_pairs, 2)`."""
    fits = []
    for first, second in ((one, other), (other, one)):
        seen = zoomed[0][second[rows]]
        windows = windows_of(seen, SHIFT)
        fits += [fitted(enlarged[first[rows]], seen, SHIFT, windows) for enlarged in zoomed]
    best: np.ndarray = np.max(fits, axis=0)
    return best


def layout_likeness(grey: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Compute the likeness of the layouts of pairs, laid over each other as they are, float32 `(num_pairs,)`.

    The cosine of the brightness less its mean, at half the resolution, in [-1, 1]; 0 for an even image.

    Args:
        grey: Images from `brightness`.
        pairs: int `(num_pairs, 2)`, rows of `grey`.
    """
    cosines = np.empty(len(pairs), dtype=np.float32)
    for rows in batches(len(pairs)):
        one, other = (halved(grey[of].astype(np.float32)).reshape(len(of), -1) for of in pairs[rows].T)
        one, other = (values - values.mean(axis=1, keepdims=True) for values in (one, other))
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        cosines[rows] = (one * other).sum(axis=1) / lengths.clip(min=1e-3)
    return cosines


def batches(count: int, size: int = _BATCH) -> Iterator[slice]:
    """Yield slices of `size` that cover `count` rows."""
    return (slice(start, start + size) for start in range(0, count, size))
