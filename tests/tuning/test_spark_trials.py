"""A search on a Spark cluster of two workers: real trainings, one that fails, an executor that is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from latentsearch import data, spark
from latentsearch.config import PrepareConfig
from latentsearch.data import digits
from latentsearch.errors import InputError
from latentsearch.runs import Run
from latentsearch.tuning import report, storage
from latentsearch.tuning.config import TuneConfig
from latentsearch.tuning.sampler import suggest
from latentsearch.tuning.space import Space
from latentsearch.tuning.tune import tune
from tests.clusters import MASTER, executor_with_open, executors, needs_spark, wait_for
from tests.conftest import a_part_of_the_digits
from tests.tuning.test_tune import StandIn

pytestmark = [pytest.mark.engines, needs_spark]

# With seed 0 the network of trial 1 has more, those of the others have fewer.
MAX_WEIGHTS = 4_000_000
TOO_LARGE = "001"


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Root, flags and result of a search in which an executor is killed; the executors of its trials; the session."""
    root = tmp_path_factory.mktemp("spark")
    config = TuneConfig(
        run="tuned", dataset="digits", trials=3, epochs=1, subset=100, shift=0, flip=False, mark=(), root=root,
        max_weights=MAX_WEIGHTS, spark=MASTER,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "read", a_part_of_the_digits)
        data.prepare(PrepareConfig(source="digits", root=root))
        patch.setattr(report, "write", lambda *_: [])
        worked, run = [], Run(root, config.run)

        def kill():
            """Kills the executor of trial 2, and notes on which the three trials began."""
            for name in ("000", "001", "002"):
                lock = run.tuning / f"{name}.lock"
                worked.append(wait_for(lambda lock=lock: executor_with_open(lock), seconds=300))
            wait_for(run.trial("002").build_record.exists, seconds=300)
            os.kill(worked[-1], signal.SIGKILL)

        with spark.session(MASTER, root / "spark.log") as session:
            killer = threading.Thread(target=kill)
            killer.start()
            result = tune(config, StandIn())
            killer.join()
            yield root, config, result, worked, session


def test_two_executors_work_and_all_trials_end_though_one_is_killed_in_mid_trial(searched):
    root, config, result, worked, _ = searched
    assert len(set(worked[:2])) == 2
    assert worked[2] not in executors()
    assert [trial.name for trial in result.tried] == ["000", "001", "002"]
    assert storage.load(Run(root, config.run)) == result.tried
    for trial in result.tried:
        if trial.name == TOO_LARGE:
            assert trial.status == "failed"
            assert "more than --max-weights" in trial.reason
        else:
            assert (trial.status, len(trial.scores)) == ("finished", 1), trial.reason
            assert Run(root, config.run).trial(trial.name).best_model.stat().st_size


def test_suggestions_are_those_of_a_search_of_one_process(searched):
    _, config, result, _, _ = searched
    space, before = Space(latent_dim=config.latent_dims), []
    for trial in result.tried:
        assert trial.draws == suggest(space, before, seed=config.seed).draws
        before.append((trial.draws, trial.loss))


def test_a_trial_that_was_begun_and_not_ended_is_done_first_with_what_was_suggested(searched):
    root, config, result, _, _ = searched
    records = {trial.name: Run(root, config.run).trial(trial.name).trial_record for trial in result.tried}
    records[TOO_LARGE].unlink()
    kept = {name: path.stat().st_mtime_ns for name, path in records.items() if path.exists()}
    again = tune(replace(config, resume=True), StandIn())
    assert [trial.draws for trial in again.tried] == [trial.draws for trial in result.tried]
    assert again.tried[1].status == "failed"
    assert kept == {name: records[name].stat().st_mtime_ns for name in kept}


def test_what_the_executors_do_not_see_is_said_before_a_trial_is_lost(searched):
    with pytest.raises(InputError, match=r"the executors do not see /nowhere/to/be/seen\. .*all machines share"):
        spark.check_shared(searched[-1], "/nowhere/to/be/seen")


def test_without_java_the_flag_says_what_to_install(searched, monkeypatch):
    _, config, _, _, _ = searched
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(InputError, match=r"no java below JAVA_HOME, /nowhere.*(?s:.)*apt-get install openjdk"):
        tune(replace(config, run="other"), StandIn())
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="no java on the PATH"):
        tune(replace(config, run="other"), StandIn())
    assert not Run(config.root, "other").models.exists()


def test_no_port_is_open_to_other_machines(searched):
    """Of this process and those below it: only Spark's listen, in their tables of sockets."""
    inodes = set()
    for process in (*executors(), os.getpid()):
        for link in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed in the meantime
                inodes |= {str(link.readlink()).removeprefix("socket:[").removesuffix("]")}
    listening = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, state, inode = (line.split()[column] for column in (1, 3, 9))
            if state == "0A" and inode in inodes:
                listening += 1
                assert address.split(":")[0] in ("0100007F", "0000000000000000FFFF00000100007F"), address
    assert listening
