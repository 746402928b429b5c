"""Networks in LiteRT files, which open in hundredths of a second."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from latentsearch import environment
from latentsearch.config import EncoderPrecision
from latentsearch.terminal import quiet_libraries

PARTS = ("encoder", "decoder")  # of an autoencoder, each a file
DENOISER = "denoiser"  # a part that some have
SEALED = ("model", *PARTS, "fingerprint", "kind_dim", DENOISER, "noisy_above", "precision")

_SEAL = "latentsearch export 3"


@dataclass(frozen=True)
class ExportRecord:
    """The content of exported.json; see `export.export`."""

    model: str
    encoder: str
    decoder: str
    fingerprint: str
    seal: str
    kind_dim: int | None = None
    denoiser: str | None = None
    noisy_above: float | None = None
    precision: EncoderPrecision = "float32"


def seal(record: Mapping[str, Any]) -> str:
    """SHA-256 of the fingerprints in the record of an export, as 64 hexadecimal digits.

    It belongs to one model, both networks, the encoder's fingerprint and the parts of its code: a record that was put
    together from others, or whose digests were made to match changed files, does not have it.

    Args:
        record: With what `ExportRecord` has, but for the seal.
    """
    sealed = [_SEAL, *(record.get(key) for key in SEALED)]
    return hashlib.sha256(json.dumps(sealed).encode()).hexdigest()


class LiteRTNetwork:
    """A network of one input and one output that takes batches of any size.

    Threads that share it take turns.

    Args:
        content: Of its file, trusted: damaged ones may crash the process.
        cores: That it runs on. Default: all.

    Attributes:
        input_shape: Of one input, without the axis of the batch.
        output_shape: Likewise.
    """

    def __init__(self, content: bytes, *, cores: int | None = None) -> None:
        with quiet_libraries():  # it tells that it runs on the processor
            self._interpreter = Interpreter(model_content=content, num_threads=cores or environment.num_cores())
            self._interpreter.allocate_tensors()
        [self._input], [self._output] = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self.input_shape, self.output_shape = (tuple(map(int, of["shape"][1:])) for of in (self._input, self._output))
        self._batch = 1
        self._lock = threading.Lock()

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Computes the output of a batch: float32 `(batch, ...)` to float32 `(batch, ...)`."""
        with self._lock:
            if len(values) != self._batch:
                self._interpreter.resize_tensor_input(self._input["index"], values.shape)
                self._interpreter.allocate_tensors()
                self._batch = len(values)
            self._interpreter.set_tensor(self._input["index"], np.ascontiguousarray(values, np.float32))
            self._interpreter.invoke()
            result: np.ndarray = self._interpreter.get_tensor(self._output["index"])
            return result
