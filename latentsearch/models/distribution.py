"""Data-parallel training on several GPUs of this machine.

Each device computes its part of every batch; gradients are added up over devices (`tf.distribute.MirroredStrategy`).
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Literal

from latentsearch.errors import InputError

KIND = "GPU"  # of the devices that are counted; tests count CPUs


def resolve(wanted: int | Literal["all"] | None) -> int:
    """Returns the number of devices that a training asks for; None means 1.

    Raises:
        InputError: if it is less than 1, this machine has fewer, or TF_CONFIG names several hosts.
    """
    if wanted in (None, 1):
        return 1
    if wanted != "all" and wanted < 1:
        raise InputError(f"--devices {wanted}: expected at least 1, or all.")
    if os.environ.get("TF_CONFIG"):
        raise InputError(
            f"--devices {wanted}: TF_CONFIG is set, so several hosts train together, each on one device. Leave out "
            "--devices, or, to train on the GPUs of this machine, unset TF_CONFIG."
        )
    found = len(_names())
    if found < (1 if wanted == "all" else wanted):
        raise InputError(
            f"--devices {wanted}: this machine has {found} {KIND}{'' if found == 1 else 's'} that TensorFlow can use. "
            "Give --devices 1: it trains on one of them, or on all cores of the processor where there is none."
        )
    return found if wanted == "all" else wanted


def scope(num_devices: int, batch_size: int) -> contextlib.AbstractContextManager[Any]:
    """Returns the scope to build or open a model in, so that `fit` trains it on so many devices; no strategy for 1.

    Raises:
        InputError: if this machine has fewer, or they cannot get as many images each of a batch.
    """
    if resolve(num_devices) == 1:
        return contextlib.nullcontext()
    if batch_size % num_devices:
        raise InputError(
            f"--devices {num_devices}: {batch_size} images a batch cannot be shared evenly. Give a --batch-size that "
            "is a multiple of it, or, to go on with a training, another number of devices."
        )
    import tensorflow as tf

    scope: contextlib.AbstractContextManager[Any] = tf.distribute.MirroredStrategy(_names()[:num_devices]).scope()
    return scope


def gathered(rows: Any) -> tuple[Any, Any]:
    """Gathers, in a training step, the rows of all devices in order; with them the number of this one's first row.

    Args:
        rows: A tensor `(num_rows, ...)`, with as many rows on each device.

    Returns:
        A tensor `(num_devices * num_rows, ...)`, and a whole number. Gradients flow back to the devices that the rows
        are of. Outside of a step on several devices: `rows` as they are, and 0.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return rows, 0
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()  # none while Keras builds a model
    if replica is None or replica.num_replicas_in_sync == 1:
        return rows, 0
    return replica.all_gather(rows, axis=0), replica.replica_id_in_sync_group * tf.shape(rows)[0]


def _names() -> list[str]:
    import tensorflow as tf

    return [device.name for device in tf.config.list_logical_devices(KIND)]
