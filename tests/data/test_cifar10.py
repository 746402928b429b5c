"""The pickles of CIFAR-10: read without trust, whatever they ask for."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import tracemalloc

import numpy as np
import pytest

from latentsearch import data as datasets
from latentsearch.config import PrepareConfig
from latentsearch.data import cifar10
from latentsearch.errors import InputError


def test_the_unpickler_builds_nothing_but_arrays_and_plain_values():
    for forbidden in (os.system, subprocess.Popen, eval, io.FileIO, np.memmap):
        with pytest.raises(pickle.UnpicklingError, match="does not need"):
            cifar10._ArraysUnpickler(io.BytesIO(pickle.dumps(forbidden)), encoding="bytes").load()
    called = b"cnumpy\nndarray\n((I5\ntS'O'\ntR."  # numpy.ndarray((5,), "O")
    with pytest.raises(pickle.UnpicklingError, match="made by a call"):
        cifar10._ArraysUnpickler(io.BytesIO(called), encoding="bytes").load()


def test_a_few_bytes_of_pickle_take_no_memory():
    """Python's unpickler in C makes room for as many things as the largest number under which it keeps one."""
    huge = (2**24).to_bytes(4, "little")
    tracemalloc.start()
    cifar10._ArraysUnpickler(io.BytesIO(b"\x80\x02}r" + huge + b"."), encoding="bytes").load()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6


@pytest.mark.parametrize(
    ("shape", "dtype", "order", "data", "message"),
    [
        ("(I20\nI3072\nt", "S'u1'", "I00", "S'short'", "not 61,440 bytes"),
        ("(I20\nI3072\nt", "S'u1'", "I00", "N", "not 61,440 bytes"),
        ("(I20\nI3072\nt", "S'u1'", "I01", "S'short'", "another order"),
        ("(lI20\na", "S'u1'", "I00", "S'short'", "the shape of an array"),
        ("(I20\nI3072\nt", "S'V99999999999'", "I00", "S'short'", "V99999999999' is not allowed"),
        ("(I20\nI3072\nt", "]", "I00", "S'short'", r"\[\] is not allowed"),
    ],
)
def test_an_array_is_what_it_says_or_refused(shape, dtype, order, data, message, cifar_copy, tmp_path):
    dtype, order, data = (f"{text}\n" if text[0] in "SI" else text for text in (dtype, order, data))
    array = "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n"
    state = f"{shape}cnumpy\ndtype\n({dtype}I0\nI1\ntR(I3\nS'|'\ntb{order}{data}tb"
    content = f"(dS'data'\n{array}{state}sS'labels'\n(lI0\nas."
    (cifar_copy / "data_batch_2").write_bytes(content.encode())
    with pytest.raises(InputError, match=message):
        datasets.prepare(PrepareConfig(source=str(cifar_copy), root=tmp_path))
