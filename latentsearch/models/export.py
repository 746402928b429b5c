"""Export of Keras networks to LiteRT files, which open in hundredths of a second and need no TensorFlow."""

from __future__ import annotations

import functools
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from latentsearch import files, runs  # noqa: F401 - compiled models name the metric of objectives
from latentsearch.bounds import at_most_weights, check_network, check_tensors
from latentsearch.config import EncoderPrecision
from latentsearch.errors import InputError
from latentsearch.failures import check_damage
from latentsearch.models import litert, losses, own_loss  # noqa: F401 - compiled models name the metric of objectives
from latentsearch.models.architectures import kind_dim, take_apart
from latentsearch.models.litert import PARTS, LiteRTNetwork
from latentsearch.terminal import quiet_libraries

_MEND = "Make it again with BuildingAutoencoder.py and TrainAutoencoder.py, or restore your copy of it."

_TOLERANCE, _TOLERANCE_INT8 = 1e-4, 0.1


def load_model(path: Path, *, compiled: bool = False) -> keras.Model:
    """Loads a model from a .keras file, with its optimizer's state if `compiled`.

    Raises:
        InputError: if the file is damaged or holds something else.
    """
    try:
        with at_most_weights(check_network(path)):
            # Keras refuses what would run code on loading (safe_mode, on by default); a test holds it to that.
            model = keras.saving.load_model(path, compile=compiled)
        check_tensors(model)
        return model
    except Exception as error:  # zip, JSON, HDF5 and Keras each raise their own
        check_damage(error)
        raise InputError(f"{path} cannot be opened as a model ({type(error).__name__}: {error}).\n{_MEND}") from None


def compress(path: Path) -> None:
    """Rewrites a .keras file, a zip archive that Keras leaves uncompressed: rounded weights take half the room.

    A file that is compressed already stays as it is.

    Raises:
        InputError: if the disk is full.
    """
    with zipfile.ZipFile(path) as archive:
        if all(member.compress_type == zipfile.ZIP_DEFLATED for member in archive.infolist()):
            return
        contents = {name: archive.read(name) for name in archive.namelist()}
    with files.replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in contents.items():
            # At level 4: 3 % larger than at level 6, in a fifth of its time.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, compresslevel=4)


def export(path: Path, record_path: Path, *, precision: EncoderPrecision = "float32") -> None:
    """Writes the encoder and the decoder of an autoencoder as LiteRT files, beside a record of what they are.

    Args:
        path: File written by BuildingAutoencoder.py or TrainAutoencoder.py.
        record_path: JSON file; encoder.tflite, decoder.tflite and, of an encoder that denoises noisy images, their
            denoiser.tflite are written into its folder. It holds the SHA-256 of `path` (model) and of the files
            (encoder, decoder, denoiser), fingerprint, that of the encoder's layers and weights, kind_dim (see
            `architectures.kind_dim`), noisy_above (see `architectures.take_apart`), precision, and seal, which binds
            them together (see `litert.seal`).
        precision: Arithmetic of the encoder; the others compute in float32.

    Raises:
        InputError: if the file is damaged or holds something else, or LiteRT cannot do what a layer does.
    """
    model_digest, model = files.file_fingerprint(path), load_model(path)
    try:
        encoder, decoder = (model.get_layer(part) for part in PARTS)
    except ValueError:
        raise InputError(f"{path} holds a model without encoder and decoder.\n{_MEND}") from None
    clean, denoiser, noisy_above = take_apart(encoder)
    digests = {}
    for part, network in zip((*PARTS, litert.DENOISER), (clean, decoder, denoiser), strict=True):
        if network is None:
            continue
        with files.replacing(record_path.with_name(f"{part}.tflite")) as temporary:
            quantised = part == PARTS[0] and precision == "int8"
            temporary.write_bytes(_converted(network, quantised=quantised))
            _check(path, temporary, network, _TOLERANCE_INT8 if quantised else _TOLERANCE)
            digests[part] = files.file_fingerprint(temporary)
    record: dict[str, Any] = {
        "model": model_digest,
        **digests,
        "fingerprint": _fingerprint(encoder),
        "kind_dim": kind_dim(encoder),
        "precision": precision,
    }
    if noisy_above is not None:
        record["noisy_above"] = noisy_above
    files.write_json(record_path, {**record, "seal": litert.seal(record)})


def _converted(network: keras.Model, *, quantised: bool) -> bytes:
    """Return a network as the content of a LiteRT file.

    Keras's own export writes a SavedModel, reads it and converts that; converted at once, the networks are the same
    in a third of the time.
    """
    images = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32)
    function = tf.function(functools.partial(network, training=False), input_signature=[images], autograph=False)
    with quiet_libraries():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
        converter.experimental_lower_to_saved_model = False
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        if quantised:  # weights now, what layers pass on while they run: no sample of images decides
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return bytes(converter.convert())


def _check(path: Path, exported: Path, network: keras.Model, tolerance: float) -> None:
    """Raises an error if an exported network does not compute what the Keras network computes.

    Raises:
        InputError: if values differ by more than `tolerance` of the largest, or of 1.
    """
    values = np.random.default_rng(0).random((3, *network.input_shape[1:]), dtype=np.float32)
    expected = keras.ops.convert_to_numpy(network(values, training=False))
    try:
        difference = np.abs(LiteRTNetwork(exported.read_bytes())(values) - expected).max()
    except RuntimeError as error:  # a layer that LiteRT does not know
        raise InputError(f"The {network.name} of {path} cannot be exported to LiteRT: {error}") from None
    if difference > tolerance * max(np.abs(expected).max(), 1):
        raise InputError(f"The {network.name} of {path}, exported to LiteRT, is off by {difference:.2g}.")


def _fingerprint(encoder: keras.Model) -> str:
    digest = hashlib.sha256(json.dumps(encoder.get_config(), sort_keys=True, default=str).encode())
    for weights in encoder.get_weights():
        digest.update(f"{weights.dtype} {weights.shape}".encode())
        digest.update(weights.tobytes())
    return digest.hexdigest()
