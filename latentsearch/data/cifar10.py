"""CIFAR-10: downloaded by Keras, or read from a copy that the user has."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from latentsearch.bounds import TooLarge, check_size
from latentsearch.data.imageset import SPLITS
from latentsearch.data.source import SourceImages
from latentsearch.errors import InputError
from latentsearch.failures import check_damage, is_disk_full
from latentsearch.terminal import quiet_libraries

ARCHIVE = "cifar-10-python.tar.gz"
ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
FOLDER = "cifar-10-batches-py"
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
OFFICIAL_MD5 = {  # in this order; the last one is test
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
IMAGES_PER_BATCH = 10_000
IMAGE_BYTES = 3 * 32 * 32

_HOME = "https://www.cs.toronto.edu/~kriz/cifar.html"
_MAX_BATCH_BYTES = 2 * IMAGES_PER_BATCH * IMAGE_BYTES  # an official batch has half of this
# What an array in a batch may be of: whole numbers only, and uint8 alone is taken; the others are told by name.
_DTYPES = {
    f"{kind}{size}": f"{name}{8 * size}" for kind, name in (("u", "uint"), ("i", "int")) for size in (1, 2, 4, 8)
}
_PICKLE_ERRORS: tuple[type[Exception], ...] = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
)
_PICKLE_ERRORS += (struct.error, AssertionError, ImportError, UnicodeError, MemoryError, OverflowError, RecursionError)


def is_copy(path: Path) -> bool:
    """Tell whether `path` looks like a copy of CIFAR-10: a folder with one of its batches, or an archive."""
    if path.is_dir():
        return path.name == FOLDER or any((path / name).is_file() for name in OFFICIAL_MD5)
    return path.is_file() and path.name.endswith((".tar.gz", ".tgz"))


def download() -> SourceImages:
    """Download CIFAR-10 by Keras, once, with its hash verified, to ~/.keras/datasets.

    Raises:
        InputError: if it is not there and cannot be downloaded.
    """
    with quiet_libraries():
        import keras

    try:
        (train_images, train_labels), (test_images, test_labels) = keras.datasets.cifar10.load_data()
    except Exception as error:  # keras passes on whatever urllib, tarfile and the operating system raise
        check_damage(error)
        if is_disk_full(error):
            raise
        raise InputError(
            f"CIFAR-10 could not be downloaded ({str(error).splitlines()[0] if str(error) else error!r}).\n"
            f"Get {ARCHIVE} from {_HOME} on a machine that has internet, put it anywhere here, and run\n"
            f"    python DataPreperation.py --source PATH/TO/{ARCHIVE}\n"
            f"(or the PATH of a {FOLDER} folder). To see everything work offline, now:\n"
            "    python DataPreperation.py --source digits"
        ) from None
    return _source(
        [(train_images, train_labels.ravel()), (test_images, test_labels.ravel())],
        origin="keras.datasets.cifar10, hash verified",
    )


def read(path: Path) -> SourceImages:
    """Read CIFAR-10 from a `cifar-10-batches-py` folder or from the official archive.

    Raises:
        InputError: if a batch is missing, truncated, or does not hold CIFAR-10; or if the archive is not the
            official one.
    """
    if path.is_dir():
        batches = [_read_batch(lambda name: _open_in_folder(path, name), name) for name in OFFICIAL_MD5]
        changed = [name for name, md5 in OFFICIAL_MD5.items() if _md5(path / name) != md5]
        origin = f"folder {path.name}, " + (
            f"structure and counts verified, but these are not the official files: {', '.join(changed)}"
            if changed
            else "hashes verified"
        )
    else:
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 != ARCHIVE_SHA256:
            raise InputError(
                f"{path} is not the official {ARCHIVE}: its SHA-256 is {sha256}, expected {ARCHIVE_SHA256}.\n"
                f"Download it again from {_HOME}; or, if you trust it, unpack it and give the {FOLDER} folder."
            )
        try:
            with tarfile.open(path, "r:gz") as archive:
                batches = [_read_batch(lambda name: _open_in_archive(archive, name), name) for name in OFFICIAL_MD5]
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            check_damage(error)
            raise InputError(f"{path} cannot be unpacked ({error}).\nDownload it again from {_HOME}.") from None
        origin = f"archive {path.name}, hash verified"
    return _source(batches, origin)


def _source(batches: list[tuple[np.ndarray, np.ndarray]], origin: str) -> SourceImages:
    """Join batches of (images, labels), the last of which is test, and check the counts per class."""
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches]).astype(np.int64)
    is_test = np.arange(len(images)) >= len(images) - len(batches[-1][0])
    for split, mask in (("training", ~is_test), ("test", is_test)):
        counts = np.bincount(labels[mask], minlength=len(CLASS_NAMES))
        if len(set(counts)) != 1:
            raise InputError(
                f"The {split} batches hold {counts.tolist()} images of the ten classes; CIFAR-10 holds as many of "
                f"each. The files were changed: get them again from {_HOME}."
            )
    return SourceImages(
        images=images,
        labels=labels,
        split=np.where(is_test, SPLITS.index("test"), SPLITS.index("train")).astype(np.uint8),
        class_names=CLASS_NAMES,
        kind="cifar10",
        origin=origin,
    )


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _open_in_folder(folder: Path, name: str) -> IO[bytes]:
    path = folder / name
    if not path.is_file():
        raise InputError(
            f"{path} is missing: expected {', '.join(OFFICIAL_MD5)} in {folder}.\n"
            f"Get them from {_HOME} ({ARCHIVE}, unpacked)."
        )
    try:
        check_size(path, _MAX_BATCH_BYTES)
    except TooLarge as error:
        raise InputError(f"{path} is not a batch of CIFAR-10, which has about 31 million bytes: {error}.") from None
    return open(path, "rb")


def _open_in_archive(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        member = archive.getmember(f"{FOLDER}/{name}")
    except KeyError:
        raise InputError(f"{archive.name!s} has no {FOLDER}/{name}. Download it again from {_HOME}.") from None
    file = archive.extractfile(member) if member.isfile() and member.size <= _MAX_BATCH_BYTES else None
    if file is None:
        raise InputError(f"{FOLDER}/{name} in {archive.name!s} is not a file of at most {_MAX_BATCH_BYTES:,} bytes.")
    return file


def _read_batch(opened: Callable[[str], IO[bytes]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one batch: images uint8 `(10000, 32, 32, 3)` and labels int64 `(10000,)`."""
    again = f"Get CIFAR-10 again from {_HOME}."
    with opened(name) as file:
        try:
            # From memory, because a file allots as many bytes as the pickle asks for, a buffer as many as there are.
            batch = _ArraysUnpickler(io.BytesIO(file.read()), encoding="bytes").load()
        except _PICKLE_ERRORS as error:
            raise InputError(f"batch {name} is truncated or damaged ({error}).\n{again}") from None
    data, labels = (batch.get(b"data"), batch.get(b"labels")) if isinstance(batch, dict) else (None, None)
    expected = (IMAGES_PER_BATCH, IMAGE_BYTES)
    if not isinstance(data, _Array) or data.dtype != "uint8" or data.shape != expected:
        came = f"{data.dtype} {data.shape}" if isinstance(data, _Array) else type(data).__name__
        raise InputError(f"batch {name}: its images are {came}, expected uint8 {expected}.\n{again}")
    if not isinstance(data.content, bytes) or len(data.content) != IMAGES_PER_BATCH * IMAGE_BYTES:
        raise InputError(f"batch {name}: its images are not {IMAGES_PER_BATCH * IMAGE_BYTES:,} bytes.\n{again}")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise InputError(f"batch {name}: its labels are not a list of whole numbers.\n{again}")
    if len(labels) != IMAGES_PER_BATCH or not all(0 <= label < len(CLASS_NAMES) for label in labels):
        raise InputError(f"batch {name}: expected {IMAGES_PER_BATCH} labels from 0 to 9.\n{again}")
    # Stored channel by channel.
    images = np.frombuffer(data.content, np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), np.array(labels, dtype=np.int64)


class _DType:
    """A stand-in for numpy.dtype in a pickle."""

    def __init__(self, code: Any, *_flags: Any) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else code
        name = _DTYPES.get(text) if isinstance(text, str) else None
        if name is None:
            raise pickle.UnpicklingError(f"an array of {text!r:.50} is not allowed in a batch")
        self.name = name

    def __setstate__(self, _state: Any) -> None:
        """Ignore the byte order of numbers of several bytes, which a batch does not need."""


class _Array:
    """A stand-in for numpy.ndarray in a pickle: it keeps its arguments, to be checked afterwards."""

    dtype: str = ""
    shape: tuple[int, ...] = ()
    content: bytes = b""

    def __new__(cls, *arguments: Any) -> _Array:
        if arguments:
            raise pickle.UnpicklingError("an array that is made by a call is not allowed in a batch")
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        _version, shape, dtype, fortran, self.content = state
        if not isinstance(shape, tuple) or not all(type(size) is int for size in shape):
            raise pickle.UnpicklingError("the shape of an array is not one of whole numbers")
        if not isinstance(dtype, _DType) or fortran:
            raise pickle.UnpicklingError("an array in another order than that of its rows is not allowed in a batch")
        self.dtype, self.shape = dtype.name, shape


def _empty_array(kind: Any, *_shape_and_type: Any) -> _Array:
    if kind is not _Array:
        raise pickle.UnpicklingError(f"{kind!r:.50} as an array is not allowed in a batch")
    return _Array()


class _ArraysUnpickler(pickle._Unpickler):
    """An unpickler that builds plain values and stand-ins for arrays, nothing else, whatever the pickle asks for.

    Nothing of NumPy is called with the content of the pickle, because NumPy trusts it. The unpickler is Python's own in
    Python: that in C takes gigabytes for a pickle of twelve bytes that puts something at a large number of its memory.
    """

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _DType,
            ("numpy.core.multiarray", "_reconstruct"): _empty_array,
            ("numpy._core.multiarray", "_reconstruct"): _empty_array,
            ("_codecs", "encode"): _encode_latin1,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a CIFAR-10 batch does not need")
        return allowed[module, name]


def _encode_latin1(text: Any, encoding: Any) -> bytes:
    """Encode text as latin1: so Python 3 writes bytes in an old pickle protocol."""
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("text may only be encoded as latin1 in a batch")
    return text.encode("latin1")
