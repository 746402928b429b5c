"""Bounds: what an image takes to be decoded, alone and beside others; too little memory is no verdict on a file."""

from __future__ import annotations

import io
import json
import resource
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from latentsearch.data import headers, images, memory
from latentsearch.data.image_files import ImageFileError
from latentsearch.data.images import decode, read_image
from latentsearch.data.memory import MAX_DECODE_BYTES, MemoryBudget
from tests.conftest import REPOSITORY
from tests.data import bombs

SHAPE = (32, 32, 3)

# Decodes the files that it is given, `threads` at a time; tells what became of them and how much memory it took.
PROGRAM = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from latentsearch.data import images

def memory(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))

def read(path):
    try:
        return images.read_image(path, (32, 32, 3)).mean().item()
    except images.ImageFileError as error:
        return error.reason

before = memory("VmRSS")
with ThreadPoolExecutor(int(sys.argv[1])) as pool:
    results = list(pool.map(read, sys.argv[2:]))
print(json.dumps([results, memory("VmHWM") - before, memory("VmRSS") - before]))
"""


def decoded_elsewhere(*paths, threads=1):
    """Results, bytes at the peak and bytes held afterwards, of a process of its own."""
    command = [sys.executable, "-c", PROGRAM, str(threads), *map(str, paths)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def written(tmp_path, contents):
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells of memory")


@needs_proc
def test_small_files_of_many_pixels_hold_the_bound_together_and_give_the_memory_back(tmp_path):
    contents = {
        "one.png": bombs.png(10_000, 10_000, mode="1"),
        "palette.png": bombs.png(9_000, 9_000, mode="P"),
        "progressive.jpg": bombs.jpeg(6000, 6000, progressive=True),
        "photo.webp": bombs.saved(Image.new("RGB", (3500, 3500)), "WEBP", method=0),
    }
    results, peak, after = decoded_elsewhere(*written(tmp_path, contents), threads=5)
    assert all(isinstance(result, float) for result in results)
    assert peak < MAX_DECODE_BYTES + 30_000_000  # what Python takes for itself to read images
    assert after < 60_000_000


@needs_proc
@pytest.mark.parametrize(
    "content",
    [
        bombs.png(10_000, 9_000, mode="RGB"),
        bombs.jpeg(12_000, 9_000, progressive=True),
        bombs.saved(Image.new("RGB", (5000, 5000)), "WEBP", method=0),
        bombs.saved(Image.new("RGB", (7000, 7000)), "TIFF", compression="packbits", tiffinfo={278: 7000}),
    ],
    ids=["png", "progressive", "webp", "one strip"],
)
def test_what_would_take_more_is_skipped_with_a_reason(content, tmp_path):
    (path,) = written(tmp_path, {"large": content})
    results, peak, _ = decoded_elsewhere(path)
    assert results == ["too large"]
    assert peak < 40_000_000
    with pytest.raises(ImageFileError, match=r"large: .*300 MB \(\d+ x \d+ pixels.* MB\)"):
        read_image(path, SHAPE)


@pytest.mark.parametrize("value", [b"abcd", b"\0\0\xc0\x7f", b"\0\0\x80\x7f"], ids=["text", "nan", "infinite"])
def test_a_tiff_whose_fields_are_of_odd_types_is_damaged(value, tmp_path):
    content = bombs.saved(Image.new("RGB", (64, 64)), "TIFF", compression="tiff_lzw", tiffinfo={278: 64})
    [field] = [at for kind in (3, 4) if (at := content.find(struct.pack("<HHL", 278, kind, 1))) > 0]
    kind, count = (2, 4) if value == b"abcd" else (11, 1)
    odd = content[:field] + struct.pack("<HHL", 278, kind, count) + value + content[field + 12 :]
    (path,) = written(tmp_path, {"odd.tif": odd})
    with pytest.raises(ImageFileError) as error:
        read_image(path, SHAPE)
    assert error.value.reason == "damaged"


@needs_proc
def test_photographs_of_a_hundred_and_two_hundred_megapixels_are_decoded_small(tmp_path):
    contents = {"108.jpg": bombs.jpeg(12_000, 9_000), "200.jpg": bombs.jpeg(16_320, 12_240)}
    results, peak, _ = decoded_elsewhere(*written(tmp_path, contents))
    np.testing.assert_allclose(results, 260 / 3, atol=2)
    assert peak < 80_000_000


def test_scans_are_counted_and_bounded():
    assert headers.jpeg_layout(io.BytesIO(bombs.jpeg(64, 48))) == (1, 0)
    many = bombs.jpeg(4000, 4000, progressive=True, extra_scans=300)
    assert headers.jpeg_layout(io.BytesIO(many)).num_scans > 300
    assert len(many) < 500_000
    with pytest.raises(ImageFileError, match=r"4000 x 4000 pixels in 310 scans") as caught:
        decode(many, SHAPE)
    assert caught.value.reason == "too large"
    small = decode(bombs.jpeg(640, 480, progressive=True, extra_scans=300), SHAPE)
    np.testing.assert_allclose(small[9, 9], [200, 30, 30], atol=3)


def test_a_thumbnail_in_the_metadata_is_no_scan():
    exif = Image.Exif()
    exif[0x010E] = "thumbnail: \xff\xda\xff\xc2 \xff\xda"
    content = bombs.jpeg(64, 48, exif=exif, comment=bombs.jpeg(16, 16, progressive=True))
    assert headers.jpeg_layout(io.BytesIO(content)) == (1, 0)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_the_buffer_of_a_progressive_jpeg_is_two_bytes_a_coefficient(subsampling):
    layout = headers.jpeg_layout(io.BytesIO(bombs.jpeg(640, 480, progressive=True, subsampling=subsampling)))
    assert layout.buffer == 640 * 480 * {0: 6, 1: 4, 2: 3}[subsampling]


@pytest.mark.parametrize("seed", range(5))
def test_a_budget_is_never_exceeded_and_always_given_back(seed):
    budget, held, most = MemoryBudget(100), [0], [0]
    lock, rng = threading.Lock(), np.random.default_rng(seed)

    def work(amounts):
        for amount in amounts:
            with budget.hold(amount):
                with lock:
                    held[0] += min(amount, 100)
                    most[0] = max(most[0], held[0])
                time.sleep(0.0005)
                with lock:
                    held[0] -= min(amount, 100)

    threads = [threading.Thread(target=work, args=(rng.integers(0, 130, 20).tolist(),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held == [0]
    assert 0 < most[0] <= 100
    assert budget.take(100)
    assert not budget.take(1)
    budget.free(100)
    with pytest.raises(ZeroDivisionError), budget.hold(100):
        raise ZeroDivisionError
    assert budget.take(100)


def test_too_little_memory_is_no_damage(tmp_path):
    """Under a limit of the process, as `ulimit -v` sets it, libraries call it damage."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3000, 3000, 3), dtype=np.uint8))
    ways = {"a.png": {}, "b.tif": {"compression": "tiff_lzw"}, "c.webp": {"method": 0}, "d.jpg": {"progressive": True}}
    for name, options in ways.items():
        noise.save(tmp_path / name, **options)
    program = PROGRAM.replace("before =", "import resource\nused = memory('VmSize')\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 30_000_000,) * 2)\nbefore =")  # fmt: skip
    command = [sys.executable, "-c", program, "1", *(str(tmp_path / name) for name in ways)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)[0] == ["too little memory"] * 4


def test_memory_that_runs_out_while_decoding_is_told(monkeypatch):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(images, "upright", fail)
    with pytest.raises(ImageFileError, match="too little memory to decode it now") as caught:
        decode(bombs.png(9, 9), SHAPE)
    assert caught.value.reason in images.TRANSIENT


def test_the_limit_is_asked_for():
    assert memory.is_there(1000)
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        assert not memory.is_there(2**60)
