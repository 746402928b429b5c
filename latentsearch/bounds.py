"""Bounds of what files declare to hold, checked before unpacking: a small file cannot ask for much memory."""

from __future__ import annotations

import contextlib
import io
import math
import threading
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import h5py

_RECORD_BYTES = 2**28  # of JSON and CSV: the paths of a million files take a third
_TENSOR_NUMBERS = 2**26  # of one image: of 1,024 x 1,024 pixels with 64 channels
_NETWORK_SHARE, _NETWORK_BYTES = 4, 2**24  # rounded weights shrink by a half, the text that describes layers by more
_building = threading.Lock()


class TooLarge(ValueError):
    """An error for a file that declares more than it may hold."""


def check_size(path: Path, most: int = _RECORD_BYTES) -> None:
    """Check the size of a file that is read as a whole.

    Args:
        path: The file.
        most: Largest size in bytes. Default: that of a record, 256 MiB.

    Raises:
        TooLarge: if it has more.
        OSError: if it is not there.
    """
    size = path.stat().st_size
    if size > most:
        raise TooLarge(f"{size:,} bytes, expected at most {most:,}")


def load_npz(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file that `numpy.savez` wrote, which packs nothing.

    Memory taken is about the size of the file, whatever it declares.

    Args:
        path: The file.
        names: Of the arrays. Default: all.

    Raises:
        TooLarge: if its members declare more bytes than the file has, or an array more than its member has.
        OSError, ValueError, and others of NumPy and zipfile: if it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        _check_unpacked(archive, path.stat().st_size, path)
        for member in archive.infolist():
            with archive.open(member) as file:
                shape, dtype = _header(file)
                room = member.file_size - file.tell()
            if dtype.hasobject or math.prod(shape) * dtype.itemsize != room:
                raise TooLarge(f"{member.filename} declares {dtype} {shape} and has {room:,} bytes")
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in names or file.files}


def check_network(path: Path) -> int:
    """Check what a .keras file, a zip archive with an HDF5 file, declares to hold.

    Returns:
        Bytes of the HDF5 file: its layers have no more weights, see `at_most_weights`.

    Raises:
        TooLarge: if its members are packed far beyond the size of the file, or the arrays of the HDF5 file declare more
            bytes than that has: Keras packs none, so packed ones, or ones that lie elsewhere, are not its own.
        OSError, ValueError, and others of zipfile and h5py: if it is damaged.
    """
    import h5py

    size, weights_bytes = path.stat().st_size, 0
    with zipfile.ZipFile(path) as archive:
        _check_unpacked(archive, _NETWORK_SHARE * size + _NETWORK_BYTES, path)
        for member in archive.infolist():
            if member.filename.endswith((".h5", ".hdf5")):
                with h5py.File(io.BytesIO(archive.read(member)), "r") as file:
                    _check_arrays(file, member)
                weights_bytes += member.file_size
    return weights_bytes


@contextlib.contextmanager
def at_most_weights(most: int) -> Iterator[None]:
    """While the block runs, layers that this thread builds are refused before they get more weights than `most`.

    Layers are described in words, which may ask for any number.

    Raises:
        TooLarge: by what builds the layers.
    """
    import keras

    with _building:
        thread, add_weight, asked = threading.get_ident(), keras.Layer.add_weight, 0

        def checked(layer: Any, shape: Sequence[int] | None = None, *arguments: Any, **keywords: Any) -> Any:
            nonlocal asked
            if threading.get_ident() == thread:
                asked += math.prod(shape or ())
                if asked > most:
                    raise TooLarge(
                        f"layer {layer.name:.100} asks for {asked:,} weights, and the file has {most:,} bytes of them"
                    )
            return add_weight(layer, shape, *arguments, **keywords)

        keras.Layer.add_weight = checked
        try:
            yield
        finally:
            keras.Layer.add_weight = add_weight


def check_tensors(model: Any) -> None:
    """Checks how large the images and tensors of a Keras model are, of one image.

    Raises:
        TooLarge: if one has more than 2^26 numbers.
    """
    for layer in model.layers:
        if hasattr(layer, "layers"):
            check_tensors(layer)
    operations = getattr(model, "operations", model.layers)  # a Sequential model has layers alone
    for tensor in (*model.inputs, *(operation.output for operation in operations)):
        shape = getattr(tensor, "shape", ())
        if math.prod(side or 1 for side in shape[1:]) > _TENSOR_NUMBERS:
            raise TooLarge(f"{model.name:.100} makes tensors of {tuple(shape[1:])}")


def _check_unpacked(archive: zipfile.ZipFile, most: int, path: Path) -> None:
    # zipfile unpacks no more of a member than it declares.
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > most:
        raise TooLarge(f"{unpacked:,} bytes packed into {path.stat().st_size:,}")


def _check_arrays(file: h5py.File, member: zipfile.ZipInfo) -> None:
    """Check the sizes that the arrays of an HDF5 file declare; only their headers are read."""
    import h5py

    declared = 0

    def add(name: str, kind: object) -> None:
        nonlocal declared
        if isinstance(kind, h5py.Dataset):
            if kind.external or kind.is_virtual:
                raise TooLarge(f"{member.filename}: {name:.100} lies in another file")
            declared += kind.size * kind.dtype.itemsize if kind.size else 0
            if declared > member.file_size:
                raise TooLarge(f"{member.filename} has {member.file_size:,} bytes, and its arrays declare {declared:,}")

    file.visititems(add)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Read shape and dtype of an .npy file, up to the end of its header."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"a .npy file of version {version}")
    shape, _, dtype = read(file)
    return shape, dtype
