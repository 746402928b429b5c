"""Damaged files are read or refused in words, never anything else; `python -m benchmarks.fuzz` runs many more."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter

import numpy as np
import pytest

from fuzzing import damage
from fuzzing.damage import attempt
from fuzzing.readers import READERS

# Those that are slow get fewer.
CASES = {
    "weights": 12,
    "CIFAR-10 batches": 60,
    "gallery.npz": 40,
    "galleries of folders": 40,
    "arrays of a dataset": 40,
}
OTHERS = 150


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_refused(name, tmp_path):
    reader = READERS[name](tmp_path)
    outcomes = Counter(attempt(reader, 0, number) for number in range(CASES.get(name, OTHERS)))
    assert outcomes["read"], "the damage is never survived: it says little about what lies behind the first check"
    assert len(outcomes) > 1, "nothing was refused, or made anew"


@pytest.mark.parametrize("name", READERS)
def test_whole_files_are_read(name, tmp_path):
    reader = READERS[name](tmp_path)
    reader.read(reader.corpus[0])


def test_one_seed_gives_the_same_damage_and_another_does_not():
    corpus = [bytes(range(256)), b"other"]
    first, again, other = (
        [damage.mutate(np.random.default_rng([seed, number]), corpus) for number in range(30)] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert sum(content not in corpus for _, content in first) > 20


def test_checksums_are_right_after_damage():
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "PNG")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.json", json.dumps({"a": [1, 2, {"b": 3}]}))
        archive.writestr("b", b"content" * 9)
    changed = 0
    for number in range(50):
        rng = np.random.default_rng(number)
        png = damage.png(rng, file.getvalue(), [file.getvalue()])
        place = 8
        while place < len(png):  # Pillow's own check of a chunk
            size = int.from_bytes(png[place : place + 4], "big")
            chunk = png[place + 4 : place + 8 + size]
            assert damage.zlib.crc32(chunk) == int.from_bytes(png[place + 8 + size : place + 12 + size], "big")
            place += size + 12
        with zipfile.ZipFile(io.BytesIO(damage.archive(rng, packed.getvalue(), []))) as archive:
            assert archive.testzip() is None
            changed += [archive.read(name) for name in archive.namelist()] != [
                b'{"a": [1, 2, {"b": 3}]}',
                b"content" * 9,
            ]
        json.loads(damage.values(rng, b'{"a": [1, 2, {"b": 3}]}', []))
    assert changed > 30
