"""Images coded on a Spark cluster of two workers: the gallery of one process, whoever is killed on the way."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fuzzing.colours import MeanColours, make_photos
from latentsearch import spark
from latentsearch.data.scan import FoundFile, Skipped, find_images
from latentsearch.errors import InputError
from latentsearch.gallery import encode_spark
from latentsearch.gallery import folder as folder_gallery
from latentsearch.gallery.encode_spark import SparkEncoder
from latentsearch.gallery.folder import gallery_path
from latentsearch.gallery.sync import sync
from latentsearch.runs import Run
from tests.clusters import MASTER, executors, needs_spark, wait_for
from tests.conftest import REPOSITORY
from tests.photos import LoggedColours

pytestmark = [pytest.mark.engines, needs_spark]
NUM_PHOTOS = 24


@pytest.fixture(scope="module", autouse=True)
def session(tmp_path_factory):
    """One for all; its executors can import the encoders of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        with spark.session(MASTER, tmp_path_factory.mktemp("spark") / "spark.log") as opened:
            yield opened


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Images of one colour each, two of them equal, and one that is damaged."""
    monkeypatch.setattr(encode_spark, "_PART", 4)
    make_photos(tmp_path / "photos", NUM_PHOTOS)
    shutil.copy(tmp_path / "photos/a/1.png", tmp_path / "photos/b/c/again.png")
    (tmp_path / "photos/a/bad.png").write_bytes((tmp_path / "photos/a/3.png").read_bytes()[:50])
    (tmp_path / "photos" / os.fsdecode(b"\xff.png")).write_bytes((tmp_path / "photos/a/3.png").read_bytes())
    return tmp_path / "photos"


def coder(tmp_path, *, seconds=0.0, log="log"):
    opening = functools.partial(LoggedColours, tmp_path / log, seconds)
    return SparkEncoder(MASTER, Run(tmp_path, "photos"), tmp_path / "parts", open_encoder=opening)


def num_coded(tmp_path, log="log"):
    return sum(int(path.read_text()) for path in (tmp_path / log).glob("*/*"))


def assert_same_gallery(path, folder, tmp_path):
    """It is what one process makes of the folder: files, ids, codes, and what was skipped."""
    alone, _ = sync(tmp_path / "alone.npz", folder, MeanColours())
    kept = folder_gallery.load(path)
    assert kept.files == alone.files
    assert kept.digests == alone.digests
    assert kept.skipped == alone.skipped
    np.testing.assert_array_equal(kept.gallery.ids, alone.gallery.ids)
    np.testing.assert_allclose(kept.gallery.codes, alone.gallery.codes, rtol=0, atol=1e-5)


def test_two_executors_make_the_gallery_of_one_process_and_code_only_what_is_new(folder, tmp_path):
    path = tmp_path / "gallery.npz"
    _, changes = sync(path, folder, MeanColours(), encode=coder(tmp_path, seconds=0.5))
    assert (changes.added, changes.skipped) == (NUM_PHOTOS + 2, 1)
    assert_same_gallery(path, folder, tmp_path)
    assert len(list((tmp_path / "log").iterdir())) == 2
    assert len(list((tmp_path / "parts").glob("*/*.parquet"))) == 7
    shutil.rmtree(tmp_path / "parts")  # as open_corpus does
    (folder / "a/5.png").rename(folder / "moved.png")
    os.utime(folder / "a/7.png", (1, 1))
    make_photos(folder / "more", 2)
    _, changes = sync(path, folder, MeanColours(), encode=coder(tmp_path, log="second"))
    assert (changes.added, changes.moved, changes.changed) == (2, 1, 0)
    assert num_coded(tmp_path, "second") <= 2
    sync(tmp_path / "alone.npz", folder, MeanColours())
    assert folder_gallery.load(path).skipped[0].reason == "damaged"


def test_an_executor_that_is_killed_in_mid_job_costs_nothing(folder, tmp_path):
    path, killed = tmp_path / "gallery.npz", []

    def kill():
        wait_for(lambda: list((tmp_path / "parts").glob("*/[!.]*.parquet")))
        killed.append(executors()[0])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    sync(path, folder, MeanColours(), encode=coder(tmp_path, seconds=1.0))
    killer.join()
    assert killed
    assert killed[0] not in executors()
    assert_same_gallery(path, folder, tmp_path)
    assert len(list((tmp_path / "parts").glob("*/[!.]*.parquet"))) == 7


PROGRAM = """
import functools, sys
from pathlib import Path
from latentsearch.gallery import sync as folder_sync, encode_spark as spark_coding
from latentsearch.runs import Run
from fuzzing.colours import MeanColours
from tests.photos import LoggedColours
spark_coding._PART = 4
root = Path({root!r})
opening = functools.partial(LoggedColours, root / "log", 2.0)
coder = spark_coding.SparkEncoder({master!r}, Run(root, "photos"), root / "parts", open_encoder=opening)
folder_sync.sync(root / "gallery.npz", root / "photos", MeanColours(), encode=coder)
"""


def test_after_kill_9_of_the_driver_the_parts_that_were_finished_are_used(folder, tmp_path):
    path = tmp_path / "gallery.npz"
    program = PROGRAM.format(root=str(tmp_path), master=MASTER)
    driver = subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY)
    parts = tmp_path / "parts"
    try:
        wait_for(lambda: len(list(parts.glob("*/[!.]*.parquet"))) >= 2 or driver.poll() is not None, 300)
        left = executors(of=driver.pid)
    finally:
        driver.kill()
    assert driver.wait() == -signal.SIGKILL
    assert left
    wait_for(lambda: not any(Path(f"/proc/{process}").exists() for process in left))
    assert folder_gallery.load(path) is None
    [whole] = {part.parent for part in parts.glob("*/[!.]*.parquet")}
    done = encode_spark._read(whole, {})
    assert 8 <= len(done) < NUM_PHOTOS
    damaged = sorted(whole.glob("[!.]*.parquet"))[0]
    damaged.write_bytes(damaged.read_bytes()[:100])  # is made again
    sync(path, folder, MeanColours(), encode=coder(tmp_path, log="second"))
    assert_same_gallery(path, folder, tmp_path)
    assert num_coded(tmp_path, "second") <= NUM_PHOTOS + 2 - (len(done) - 4)


def test_what_stops_a_job_is_said_and_what_was_finished_is_kept(folder, tmp_path):
    path, other = tmp_path / "gallery.npz", MeanColours()
    other.fingerprint = "another"
    with pytest.raises(InputError, match=r"another encoder than the one.*\n0 of 7 parts are encoded and kept"):
        sync(path, folder, other, encode=coder(tmp_path))
    assert not path.exists()
    with pytest.raises(InputError, match=r"does not see .*nowhere: it must be on shared storage"):
        list(
            coder(tmp_path)(
                [FoundFile("x.png", 1, 1)], tmp_path / "nowhere", MeanColours(), fit="crop", code_of={},
                progress=False,
            )
        )  # fmt: skip


def test_a_file_that_cannot_be_read_is_told_and_tried_again_by_the_next_job(folder, tmp_path):
    found = [file for file in find_images(folder) if isinstance(file, FoundFile)]
    [file] = [file for file in found if file.path == "a/1.png"]

    def encoded():
        return dict(coder(tmp_path)(found, folder, MeanColours(), fit="crop", code_of={}, progress=False))

    (folder / "a/1.png").rename(tmp_path / "away.png")
    results = encoded()
    assert set(results) == set(found)
    assert results[file] == Skipped("a/1.png", "missing", results[file].detail)
    (tmp_path / "away.png").rename(folder / "a/1.png")
    np.testing.assert_allclose(encoded()[file].code, (10, 100, 245), atol=1)


def test_the_script_gives_codes_of_the_real_encoder(built_digits, folder, tmp_path, in_process):
    from latentsearch.models.encoder import Autoencoder

    run = Run(tmp_path, "digits")
    shutil.copy(run.initial_model, run.best_model)
    flags = ("--run", "digits", "--gallery", folder, "--k", 3, "--no-figure", "--root", tmp_path)
    answered = in_process("RetrieveSimilar.py", *flags, "--spark", MASTER)
    assert answered.returncode == 0, answered.stderr
    assert "26 added" in answered.stdout
    path = gallery_path(run.folder_galleries, folder)
    assert not path.with_suffix(".parts").exists()
    alone, _ = sync(tmp_path / "alone.npz", folder, Autoencoder(run.best_model, precision="int8"))
    np.testing.assert_allclose(folder_gallery.load(path).gallery.codes, alone.gallery.codes, rtol=0, atol=1e-5)
    for more in (("--no-sync",), ()):
        refused = in_process("RetrieveSimilar.py", *(flags if more else flags[:2]), *more, "--spark", MASTER)
        assert refused.returncode == 2
        assert "name it by --gallery, and leave out --no-sync" in refused.stderr


@pytest.mark.parametrize("module", ["search.open", "search.output", "page.app"])
def test_without_the_flag_nothing_of_spark_is_loaded(module):
    program = f"import sys, latentsearch.{module}; assert 'pyspark' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)
