"""Images that bring a profile of their colours look as they do in a viewer; odd profiles do not matter."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from sklearn.datasets import load_sample_images

from latentsearch.data.images import decode
from tests.data import bombs

SHAPE = (32, 32, 3)
PHOTO = Image.fromarray(load_sample_images().images[0]).resize((160, 160))


def numbers(*values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(gamma, *primaries, more=()):
    """A display profile: three primaries in XYZ under D50, and one curve. See section 8.3.3 of ICC.1:2010."""
    white = (0.9642, 1.0, 0.8249)
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + bytes(78),
        b"cprt": b"text\0\0\0\0free\0\0\0\0",
        b"wtpt": b"XYZ \0\0\0\0" + numbers(*white),
        **{name: b"XYZ \0\0\0\0" + numbers(*xyz) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries)},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
        **dict(more),
    }
    table, data = struct.pack(">I", len(tags)), b""
    for name, body in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    head = struct.pack(">I4xI", 128 + len(table) + len(data), 0x02400000) + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + numbers(*white)
    return head.ljust(128, b"\0") + table + data


ADOBE = profile(2.2, (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = profile(1.8, (0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249))
P3 = profile(2.2, (0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))


def in_colours_of(icc):
    """The photograph with the numbers that show it under a profile."""
    wanted = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    return ImageCms.profileToProfile(PHOTO, ImageCms.createProfile("sRGB"), wanted, outputMode="RGB")


def difference(content, mode="RGB"):
    return np.abs(decode(content, SHAPE).astype(int) - decode(bombs.saved(PHOTO.convert(mode), "PNG"), SHAPE)).mean()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("icc", [ADOBE, PROPHOTO, P3], ids=["Adobe RGB", "ProPhoto", "P3"])
def test_a_copy_in_other_colours_looks_as_the_original(icc, kind):
    copy, options = in_colours_of(icc), {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    as_told, as_numbers = (difference(bombs.saved(copy, kind, icc_profile=of, **options)) for of in (icc, b""))
    assert as_told < 0.5 * as_numbers
    assert as_told < 2.5


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_transparent_and_indexed_images_have_profiles_too(mode):
    copy = in_colours_of(PROPHOTO).convert(mode)
    assert difference(bombs.saved(copy, "PNG", icc_profile=PROPHOTO), mode) < 3.5
    clear = Image.new("RGBA", (40, 40), (9, 9, 9, 0))
    assert (decode(bombs.saved(clear, "PNG", icc_profile=PROPHOTO), SHAPE) == 255).all()


@pytest.mark.parametrize(
    "icc",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        ADOBE[:300],
        ADOBE.replace(b"RGB ", b"CMYK"),
        ADOBE.replace(b"rXYZ", b"xxxx"),
        profile(2.2, (0.6, 0.3, 0.0), (0.2, 0.6, 0.1), (0.1, 0.1, 0.7), more={b"A2B0": b"mft2" + bytes(60)}.items()),
        b"no profile" * 50,
    ],
    ids=["sRGB", "cut short", "of inks", "no red", "a table", "none"],
)
def test_what_cannot_or_need_not_be_converted_stays_as_it_is(icc):
    assert difference(bombs.saved(PHOTO, "PNG", icc_profile=icc)) == 0


def test_a_grey_image_with_a_profile_of_colours_stays_as_it_is():
    assert difference(bombs.saved(PHOTO.convert("L"), "PNG", icc_profile=PROPHOTO), "L") == 0


@given(st.integers(0, len(ADOBE) - 1), st.binary(min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_no_profile_hides_a_photograph(at, noise):
    icc = ADOBE[:at] + noise + ADOBE[at + len(noise) :]
    assert decode(bombs.saved(PHOTO, "TIFF", icc_profile=icc), SHAPE).shape == SHAPE
