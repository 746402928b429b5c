"""Small files that declare much are refused before any of it is unpacked."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile
from unittest import mock

import h5py
import keras
import numpy as np
import pytest

from latentsearch import bounds, files
from latentsearch.bounds import TooLarge
from latentsearch.errors import InputError
from latentsearch.gallery import gallery
from latentsearch.models import architectures
from latentsearch.models.encoder import Autoencoder
from latentsearch.page import code_map
from tests.conftest import REPOSITORY
from tests.gallery.store_contract import random_gallery

_MUCH = 2**32  # bytes

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")


def add_zeros(path, name, *, size, header=b""):
    """Adds a packed member of a header and zeros to a zip archive, a piece at a time."""
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w", force_zip64=True) as member,
    ):
        member.write(header)
        for _ in range(size // 2**20):
            member.write(bytes(2**20))


def npy_header(shape, descr="<f4"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def peak_megabytes(program):
    """Peak memory of a process that runs `program`, and what it printed."""
    # Not resource's ru_maxrss, which is at least that of the process that started it.
    program += "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    command = [sys.executable, "-c", program]
    lines = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.split("\n")
    return int(lines[-2]) // 1024, lines[:-2]


@pytest.fixture
def kept(tmp_path):
    path = tmp_path / "gallery.npz"
    random_gallery(50).save(path)
    assert gallery.load(path) is not None
    return path


@needs_proc
def test_a_gallery_with_a_packed_member_takes_no_memory(kept):
    add_zeros(kept, "extra.npy", size=2**30, header=npy_header((2**28,)))
    assert kept.stat().st_size < 2**23
    peak, said = peak_megabytes(f"from pathlib import Path; from latentsearch.gallery import gallery; "
                                f"print(gallery.load(Path({str(kept)!r})))")  # fmt: skip
    assert said == ["None"]
    assert peak < 300


def hostile_npz(kind, path):
    """Writes an .npz file whose arrays ask for more than there is."""
    content = npy_header((10**12,)) + bytes(64)
    if kind == "more than there is":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("codes.npy", content)
    elif kind == "an array of objects":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("codes.npy", npy_header((2,), "|O") + bytes(16))
    elif kind == "packed":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("codes.npy", npy_header((2**16,)) + bytes(2**18))
    else:  # two names for one place in the file
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("codes.npy", npy_header((2**16,)) + bytes(2**18))
            for number in range(9):
                archive.filelist.append(archive.filelist[0])
                archive.NameToInfo[f"codes{number}.npy"] = archive.filelist[0]
            archive._didModify = True


@pytest.mark.parametrize("kind", ["more than there is", "an array of objects", "packed", "named twice"])
def test_an_npz_file_is_refused_before_an_array_is_read(kind, tmp_path):
    path = tmp_path / "map.npz"
    hostile_npz(kind, path)
    with mock.patch.object(np, "load", side_effect=AssertionError("it was read")):
        with pytest.raises(TooLarge):
            bounds.load_npz(path)
        assert gallery.load(path) is None
        assert code_map.load(path, "identity") is None


def test_what_savez_writes_is_read(tmp_path):
    arrays = {
        "codes": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32),
        "none": np.zeros((0, 2, 10)),
        "text": np.array("name"),
        "turned": np.asfortranarray(np.arange(6).reshape(2, 3)),
    }
    np.savez(tmp_path / "file.npz", **arrays)
    read = bounds.load_npz(tmp_path / "file.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


def with_weights(path, change):
    """Changes the HDF5 file in a .keras file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "a") as file:
        change(file)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (members | {"model.weights.h5": weights.getvalue()}).items():
            archive.writestr(name, content)


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "best.keras"
    architectures.build("compact", (8, 8, 3), 10).save(path)
    bounds.check_network(path)
    return path


def grow(file):
    packed = file.create_dataset("more", (_MUCH // 4,), "f4", chunks=(2**22,), compression="gzip")
    packed[: 2**22] = 0


def fill(file):
    file.create_dataset("more", (10**15,), "f8", chunks=(2**20,), fillvalue=1)


def elsewhere(file):
    file.create_dataset("more", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(file):
    layout = h5py.VirtualLayout((10**9,), "f4")
    layout[:4] = h5py.VirtualSource("other.h5", "of", (4,))
    file.create_virtual_dataset("more", layout)


@pytest.mark.parametrize("change", [fill, elsewhere, virtual])
def test_a_network_is_refused_before_its_weights_are_read(change, network):
    with_weights(network, change)
    with (
        mock.patch("keras.saving.load_model", side_effect=AssertionError("it was read")),
        pytest.raises(InputError, match=r"TooLarge.*model\.weights\.h5"),
    ):
        Autoencoder(network)


def described(path, change):
    """Changes the layers that a .keras file describes: gives each one's class and settings to `change`."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    whole = json.loads(members["config.json"])

    def go_through(value):
        if isinstance(value, dict) and isinstance(value.get("config"), dict):
            change(value.get("class_name"), value["config"])
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            go_through(inner)

    go_through(whole)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"config.json": json.dumps(whole).encode()}).items():
            archive.writestr(name, content)


def wide(kind, config):
    if kind == "Dense":
        config["units"] = 10**9


def deep(kind, config):
    if kind == "Conv2D":
        config["filters"] = 10**9


def with_a_wide_kernel(kind, config):
    if kind == "Conv2D":
        config["kernel_size"] = [30_000, 30_000]


def with_large_images(kind, config):
    if kind == "InputLayer" and config["batch_shape"][1:] == [8, 8, 3]:
        config["batch_shape"] = [None, 80_000, 80_000, 3]


def enlarging(kind, config):
    if kind == "UpSampling2D":
        config["size"] = [20_000, 20_000]


@needs_proc
def test_networks_with_packed_weights_and_huge_layers_take_no_memory(network, tmp_path):
    paths = [str(shutil.copy(network, tmp_path / "packed.keras"))]
    with_weights(paths[0], grow)
    for change in (wide, deep, with_a_wide_kernel, with_large_images, enlarging):
        paths.append(str(shutil.copy(network, tmp_path / f"{change.__name__}.keras")))
        described(paths[-1], change)
    peak, said = peak_megabytes(f"""
import time
from pathlib import Path
from latentsearch.models.encoder import Autoencoder
from latentsearch.models.export import load_model
from latentsearch.errors import InputError
for path in {paths}:
    begin = time.process_time()
    try:
        Autoencoder(Path(path)) if path.endswith("packed.keras") else load_model(Path(path))
    except InputError as error:
        words = str(error).splitlines()[0]
        print("TooLarge" in words or "Error" in words, time.process_time() - begin, words[:300])
""")
    assert [line.split()[0] for line in said] == ["True"] * 6
    assert "its arrays declare 4,29" in said[0]
    assert peak < 1000
    assert max(float(line.split()[1]) for line in said) < 5


def test_no_layer_gets_more_weights_than_the_file_has(network):
    described(network, wide)
    with pytest.raises(InputError, match=r"TooLarge.*asks for [\d,]+ weights"):
        Autoencoder(network)
    assert keras.layers.Dense(2)(np.zeros((1, 3))).shape == (1, 2)  # other layers are built as before


def test_records_have_a_greatest_size(tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"a": 1}))
    assert files.read_json(path, "again") == {"a": 1}
    with open(path, "r+b") as file:
        file.truncate(2**28 + 1)  # takes no room on disk
    with pytest.raises(InputError, match="268,435,457 bytes, expected at most 268,435,456"):
        files.read_json(path, "again")
