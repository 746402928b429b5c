"""Every stage on a full disk, and killed, at its changes of the disk: words, and all that was there is whole.

A few places of each stage in `make test`; `make torture` takes every place of a full disk, and 500 kills and more.
"""

from __future__ import annotations

import functools

import pytest

from tests.data.folders import fill, many
from tests.faults import Stages, compiled
from tests.torture import (
    AT_RANDOM_TIMES,
    FEW,
    KILLS,
    LIGHT,
    MOST,
    QUICK,
    SHARE,
    STAGES,
    assert_trained,
    assert_whole,
    copied,
    fill_the_disk,
    kill,
    look_before_each_change,
    note,
    places,
    run,
)


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """Starts what runs stages, by what they import."""
    folder = tmp_path_factory.mktemp("faults")
    library = compiled(folder)
    if library is None:
        pytest.skip("no C compiler, or no Linux")

    servers = []

    @functools.cache
    def started(imports):
        servers.append(Stages(folder, library, LIGHT + imports))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def finished(stages, tmp_path_factory):
    """A root in which the scripts ran, with notes of the user's, to be copied."""
    root = tmp_path_factory.mktemp("finished") / "root"
    fill(root / "photos", many(30, "a/"))
    for name in ("prepare", "prepare a folder", "build", "train", "retrieve in a folder"):
        end = run(stages, name, root)
        assert end.status == 0, end.output
    for folder in ("data/digits", "models/digits", "logs/digits", "reports/digits"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "notes.txt").write_text("mine")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_full_disk_is_told_and_harms_nothing(name, stages, finished, tmp_path):
    fill_the_disk(stages, finished, name, tmp_path, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_kill_harms_nothing(name, stages, finished, tmp_path):
    kill(stages, finished, name, tmp_path, FEW)


@pytest.mark.slow
def test_a_training_outlasts_a_kill_and_a_full_disk(stages, finished, tmp_path):
    root = copied(finished, tmp_path)
    assert run(stages, "train", root, "kill", 60).status is None
    assert_whole(root)
    full = run(stages, "train", root, "full", 30)
    assert (full.status, " cannot be written: the disk" in full.output) == (2, True), full
    assert_whole(root)
    assert_trained(root, "train")
    end = run(stages, "train", root)
    assert end.status == 0, end.output
    assert_whole(root)


@pytest.mark.torture
@pytest.mark.parametrize("name", STAGES)
def test_a_full_disk_at_every_write(name, stages, finished, tmp_path):
    fill_the_disk(stages, finished, name, tmp_path, max(2, round(SHARE * MOST)))


@pytest.mark.torture
@pytest.mark.parametrize("name", STAGES)
def test_a_full_disk_of_temporary_files(name, stages, finished, tmp_path):
    """Keras and TensorFlow keep files there while they write others."""
    temporary = tmp_path / "temporary"
    changes = run(stages, name, copied(finished, tmp_path), "full", disk=temporary).changes
    refused = 0
    for place in places(changes, 8, 0):
        root = copied(finished, tmp_path)
        end = run(stages, name, root, "full", place, disk=temporary)
        assert_whole(root)
        assert_trained(root, name)
        if end.refused:
            refused += 1
            assert end.status == 2, (place, end)
            assert "the disk of temporary files is full" in end.output, (place, end)
            assert f"bytes are left in {temporary}" in end.output, (place, end)
    note("full disk of temporary files", name, f"{len(changes)} writes", refused)


@pytest.mark.torture
@pytest.mark.parametrize("name", STAGES)
def test_500_kills(name, stages, finished, tmp_path):
    number, at_times = (max(2, round(SHARE * many[name])) for many in (KILLS, AT_RANDOM_TIMES))
    kill(stages, finished, name, tmp_path, number, at_times)


@pytest.mark.torture
@pytest.mark.parametrize("name", STAGES)
def test_what_a_kill_before_each_change_leaves(name, stages, finished, tmp_path):
    look_before_each_change(stages, finished, name, tmp_path, 10)
