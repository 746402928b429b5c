"""Training on several hosts: each computes its part of every batch; gradients are summed over all of them.

Keras 3.15 cannot `fit` a model that belongs to a `tf.distribute.MultiWorkerMirroredStrategy` (keras-team/keras, issue
20585). So the model belongs to none here: each host has its own copy, and the strategy only carries what the hosts tell
each other in a step.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from latentsearch.errors import InputError

VARIABLE = "TF_CONFIG"
_EXAMPLE = (
    '{"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type": "worker", "index": 0}}, with another index on '
    "each host"
)


@dataclass(frozen=True)
class Hosts:
    """The hosts of a training.

    Args:
        number: Their number.
        index: Index of this one; 0 writes the files, the others compute alone.
        strategy: Connects them; None if there is one host.
    """

    number: int = 1
    index: int = 0
    strategy: tf.distribute.Strategy | None = None

    @property
    def writes(self) -> bool:
        """Whether this host writes the files."""
        return self.index == 0

    def check_shares(self, batch_size: int) -> None:
        """Checks that batches can be shared.

        Raises:
            InputError: if the hosts cannot get as many images each.
        """
        if batch_size % self.number:
            raise InputError(
                f"{VARIABLE}: {batch_size} images a batch cannot be shared evenly by {self.number} hosts. Give a "
                "--batch-size that is a multiple of it."
            )

    def shared(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the part of each batch that this host computes.

        Args:
            batches: The same on all hosts, of which every tensor has a multiple of the number of hosts as first side.
        """
        if self.strategy is None:
            return batches
        number, index = self.number, self.index

        def part(values: tf.Tensor) -> tf.Tensor:
            size = values.shape[0] // number
            return values[index * size : (index + 1) * size]

        return batches.map(lambda *batch: tf.nest.map_structure(part, batch))

    def mean(self, values: list[Any]) -> list[np.ndarray]:
        """Computes the mean of arrays of one type over all hosts, each of which must call this."""
        if self.strategy is None:
            return values
        strategy = self.strategy

        def all_reduced(tensors: Any) -> Any:
            placed = [tf.identity(tensor) for tensor in tensors]  # on the device of this host
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, placed)

        @tf.function
        def reduced(tensors: Any) -> Any:
            return strategy.run(all_reduced, args=(tensors,))

        with told():
            return [np.asarray(_own(value, strategy)) for value in reduced([tf.constant(value) for value in values])]

    def agree(self, what: str) -> None:
        """Waits for all hosts, and checks that they go on from the same state.

        Args:
            what: Describes the state: settings, epochs that are finished, weights.

        Raises:
            InputError: if another host has another.
        """
        numbers = np.frombuffer(what.encode().ljust(256)[:256], np.uint8).astype(np.float64)
        [mean] = self.mean([numbers])
        if not np.array_equal(mean, numbers):
            raise InputError(
                "the hosts of TF_CONFIG do not begin alike: other flags, or another state of the run. Give all of them "
                "the same command, and a --root that they share."
            )

    def callbacks(self, learner: keras.Model) -> list[keras.callbacks.Callback]:
        """Builds the callbacks that come first: at the end of an epoch, measures and weights become those of all."""
        return [] if self.strategy is None else [_Together(self, learner)]

    def prepare(self, learner: keras.Model) -> None:
        """Lets `fit` train a model on all hosts.

        Args:
            learner: Compiled, with its state created, and the same weights on all hosts.
        """
        if self.strategy is None:
            return
        step = _step(learner, self.strategy)

        def make_train_function(force: bool = False) -> Callable[[Iterator[Any]], Any]:
            learner.train_function = step
            return step

        learner.make_train_function = make_train_function


def connect() -> Hosts:
    """Connects the hosts that TF_CONFIG names; without it there is one. Call it before TensorFlow computes anything.

    Raises:
        InputError: if TF_CONFIG cannot be understood.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return Hosts()
    try:
        described = json.loads(text)
        addresses, task = described["cluster"]["worker"], described["task"]
        index = task["index"]
        understood = (
            set(described["cluster"]) == {"worker"}
            and task["type"] == "worker"
            and all(isinstance(address, str) for address in addresses)
            and type(index) is int
            and 0 <= index < len(addresses)
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        understood = False
    if not understood:
        raise InputError(f"{VARIABLE} is set, but does not name the hosts of a training. Expected {_EXAMPLE}.")
    if len(addresses) == 1:
        return Hosts()
    _check_port(addresses[index])
    # One device a host: its copy of the weights lies there.
    tf.config.set_visible_devices(tf.config.list_physical_devices("GPU")[:1], "GPU")
    try:
        with told(), _ended_by_ctrl_c():
            print(f"Waiting for the other hosts of {VARIABLE}, an hour at most. Ctrl-C ends it.", flush=True)
            return Hosts(len(addresses), index, tf.distribute.MultiWorkerMirroredStrategy())
    except tf.errors.UnknownError as error:  # the port was taken just now
        raise _cannot_listen(addresses[index], error) from None


def _check_port(address: str) -> None:
    """Checks that this host can listen where TF_CONFIG says: the others would wait for it in vain.

    Raises:
        InputError: if another process has the port, or it is none.
    """
    port = address.rpartition(":")[2]
    try:
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
            listening.bind(("", int(port)))
    except (OSError, ValueError, OverflowError) as error:
        raise _cannot_listen(address, error) from None


def _cannot_listen(address: str, error: Exception) -> InputError:
    return InputError(
        f"{VARIABLE} says that this host is {address}, but it cannot listen there ({error}). Give it a free port, in "
        f"the {VARIABLE} of every host."
    )


@contextlib.contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """Lets Ctrl-C end the process at once: Python's own answer to it would wait until TensorFlow returns."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turns the end of another host into an error in words.

    Raises:
        InputError: in the place of what TensorFlow raises.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError) as error:
        raise InputError(
            f"another host of {VARIABLE} cannot be reached any more, or has ended ({type(error).__name__}).\n"
            "Start all of them again, with --resume: the training goes on from the last finished epoch."
        ) from None


def _own(value: Any, strategy: tf.distribute.Strategy) -> tf.Tensor:
    """Returns what this host has of a value of all hosts."""
    return strategy.experimental_local_results(value)[0]


def _step(learner: keras.Model, strategy: tf.distribute.Strategy) -> Callable[[Iterator[Any]], Any]:
    """Builds a step of training: as that of Keras, with the gradients of all hosts."""
    total = next(metric for metric in learner.metrics if metric.name == "loss")

    def gradients_of(data: Any) -> Any:
        inputs, targets = data
        with tf.GradientTape() as tape:
            outputs = learner(inputs, training=True)
            loss = learner.compute_loss(inputs, targets, outputs, training=True)  # a part of that of the whole batch
        gradients = tape.gradient(loss, learner.trainable_weights)
        rows = tf.shape(tf.nest.flatten(inputs)[0])[0]
        total.update_state(loss * strategy.num_replicas_in_sync, sample_weight=rows)
        learner.compute_metrics(inputs, targets, outputs)
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)

    @tf.function(reduce_retracing=True)
    def step_on(data: Any) -> Any:
        gradients = strategy.run(gradients_of, args=(data,))
        summed = [_own(gradient, strategy) for gradient in gradients]
        learner.optimizer.apply_gradients(zip(summed, learner.trainable_weights, strict=True))
        return learner.get_metrics_result()

    def step(iterator: Iterator[Any]) -> Any:
        return step_on(next(iterator))

    return step


class _Together(keras.callbacks.Callback):
    """Averages measures and weights over hosts, whose processors may round differently, at the end of an epoch."""

    def __init__(self, hosts: Hosts, learner: keras.Model) -> None:
        super().__init__()
        self._hosts, self._learner = hosts, learner

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        names = sorted(name for name, value in logs.items() if np.ndim(value) == 0)
        means = self._hosts.mean([np.float64(logs[name]) for name in names])
        logs.update({name: float(mean) for name, mean in zip(names, means, strict=True)})
        self._learner.set_weights(self._hosts.mean(self._learner.get_weights()))
