"""Training on several hosts: two processes of this machine, over loopback, stand for two hosts."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import pandas as pd
import pytest
import tensorflow as tf

from latentsearch.config import BuildConfig
from latentsearch.errors import InputError
from latentsearch.models.build import build_run
from latentsearch.runs import Run
from latentsearch.training import hosts
from tests.conftest import REPOSITORY
from tests.training.trainings import assert_same_training, train

TRAIN = """
import os, pathlib, signal, sys
from latentsearch.training import hosts
dies_at = int(sys.argv[1])
class Die(hosts.keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if self.model.optimizer.iterations == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
together = hosts.Hosts.callbacks
hosts.Hosts.callbacks = lambda self, learner: [*together(self, learner), Die()]
sys.argv[1:] = sys.argv[2:]
sys.argv[0] = "TrainAutoencoder.py"
import runpy
runpy.run_path("TrainAutoencoder.py", run_name="__main__")
"""


def free_ports(number):
    """Free ports that no outgoing connection gets before the hosts listen, seconds later: those are above 32,768."""
    start = 20_000 + os.getpid() % 10_000
    ports = []
    for port in range(start, start + 1000):
        with socket.socket() as listening, contextlib.suppress(OSError):
            listening.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == number:
            break
    return ports


def train_together(root, *flags, dies=None, dies_at=-1):
    """Trains a run "digits" on two hosts; returns their exit statuses and what they printed."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        command = [sys.executable, "-c", TRAIN, str(dies_at if index == dies else -1)]
        command += ["--run", "digits", "--root", str(root), *flags]
        environment = os.environ | {"TF_CONFIG": json.dumps(config)}
        processes.append(
            subprocess.Popen(
                command, cwd=REPOSITORY, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        )
    try:
        output = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()  # where one waits for the other in vain
    return [process.returncode for process in processes], output


def losses(root):
    return pd.read_csv(Run(root, "digits").history)[["loss", "val_loss"]]


FLAGS = ("--epochs", "3", "--batch-size", "32", "--shift", "0")


@pytest.fixture(scope="module")
def together(small_root, tmp_path_factory):
    """A root whose run "digits" two hosts trained."""
    root = shutil.copytree(small_root, tmp_path_factory.mktemp("hosts") / "2")
    statuses, output = train_together(root, *FLAGS)
    assert statuses == [0, 0], output
    return root


@pytest.mark.engines
def test_two_hosts_learn_what_one_learns(together, small_root, tmp_path):
    one = shutil.copytree(small_root, tmp_path / "1")
    train(one, epochs=3)
    pd.testing.assert_frame_equal(losses(one), losses(together), rtol=1e-3)  # rounding alone differs


@pytest.mark.engines
@pytest.mark.parametrize("dies", [0, 1])
def test_two_hosts_go_on_after_kill_9_of_one(dies, together, small_root, tmp_path):
    killed = shutil.copytree(small_root, tmp_path / "killed")
    statuses, output = train_together(killed, *FLAGS, dies=dies, dies_at=4 + 2)  # in the second epoch of 4 steps
    assert statuses[dies] == -signal.SIGKILL, output
    assert statuses[1 - dies] not in (0, None), output
    assert not json.loads(Run(killed, "digits").training_record.read_text())["finished"]
    statuses, output = train_together(killed, *FLAGS, "--resume")
    assert statuses == [0, 0], output
    assert_same_training(together, killed)


@pytest.mark.engines
def test_two_hosts_learn_both_codes_as_one_does(small_root, tmp_path):
    one, two = (shutil.copytree(small_root, tmp_path / name) for name in "12")
    for root in (one, two):
        build_run(BuildConfig(run="digits", dataset="digits", root=root, overwrite=True))
    flags = {"epochs": 2, "view_side": 16, "precision": "float32", "neighbours_from": 0.5, "denoiser_epochs": 0}
    train(one, **flags)
    words = [word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    statuses, output = train_together(two, *words, "--batch-size", "32", "--shift", "0")
    assert statuses == [0, 0], output
    pd.testing.assert_frame_equal(losses(one)[:1], losses(two)[:1], rtol=1e-3)
    pd.testing.assert_frame_equal(losses(one), losses(two), rtol=0.02)  # Muon makes rounding larger


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": [1, 2]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_what_names_no_hosts_is_refused(text, monkeypatch):
    monkeypatch.setenv(hosts.VARIABLE, text)
    with pytest.raises(InputError, match=re.escape('Expected {"cluster": {"worker": ["one:2222", "two:2222"]}')):
        hosts.connect()


def test_a_port_that_another_process_has_is_told(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        described = {"cluster": {"worker": [address, "b:1"]}, "task": {"type": "worker", "index": 0}}
        monkeypatch.setenv(hosts.VARIABLE, json.dumps(described))
        with pytest.raises(InputError, match=rf"this host is {address}, but it cannot listen there.*free port"):
            hosts.connect()


def test_a_port_that_is_taken_in_the_last_moment_is_told(monkeypatch):
    def strategy():
        raise tf.errors.UnknownError(None, None, "Could not start gRPC server")

    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", strategy)
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    described = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv(hosts.VARIABLE, json.dumps(described))
    with pytest.raises(InputError, match=rf"this host is {addresses[1]}, but it cannot listen there.*gRPC"):
        hosts.connect()


def test_a_host_that_waits_for_others_says_so_and_ends_by_ctrl_c():
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    described = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
    waiting = subprocess.Popen(
        [sys.executable, "-c", "from latentsearch.training import hosts; hosts.connect()"],
        cwd=REPOSITORY,
        env=os.environ | {hosts.VARIABLE: json.dumps(described)},
        text=True,
        stdout=subprocess.PIPE,
    )
    try:
        assert waiting.stdout.readline().startswith("Waiting for the other hosts of TF_CONFIG")
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(60) == -signal.SIGINT
    finally:
        waiting.kill()
        waiting.wait()


def test_one_host_needs_no_connection(monkeypatch):
    monkeypatch.setenv(hosts.VARIABLE, '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}')
    assert hosts.connect() == hosts.Hosts()
    assert hosts.Hosts().writes
    assert hosts.Hosts().callbacks(None) == []


def test_batches_that_hosts_cannot_share_are_refused():
    hosts.Hosts(number=2).check_shares(32)
    with pytest.raises(InputError, match=r"32 images a batch cannot be shared evenly by 3 hosts.*--batch-size"):
        hosts.Hosts(number=3).check_shares(32)


@pytest.mark.parametrize("others", ["4 epochs", "3 epochs"])
def test_hosts_that_begin_otherwise_are_refused(others, monkeypatch):
    """What a host says of itself is a row of numbers; that of the other one stands for the mean with its own."""
    said = []
    monkeypatch.setattr(hosts.Hosts, "mean", lambda self, values: said.extend(values) or values)
    hosts.Hosts().agree(others)
    [theirs] = said
    monkeypatch.setattr(hosts.Hosts, "mean", lambda self, values: [(values[0] + theirs) / 2])
    if others == "4 epochs":
        hosts.Hosts().agree("4 epochs")
    else:
        with pytest.raises(InputError, match=r"do not begin alike.*--root"):
            hosts.Hosts().agree("4 epochs")
