"""The disk of a Milvus server fills up while images are published to it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("pymilvus", reason="pymilvus is not installed: requirements-milvus.txt")

from latentsearch.errors import InputError
from tests.clusters import needs_spark
from tests.gallery import milvus_server
from tests.publish.publishing import on_disk, paths_in, publication
from tests.publish.test_publish import photos, session

__all__ = ["photos", "session"]  # fixtures

pytestmark = [pytest.mark.engines, pytest.mark.slow, needs_spark]
_DISK = "size=700m"  # the server unpacks its programs there, 470 MB


@pytest.fixture
def disk(tmp_path_factory):
    """A small disk of its own."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", _DISK, "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here: only root can")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> None:
    """Fill a disk, on which a server writes too."""
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**20))


def test_it_is_told_and_the_same_call_goes_on_when_there_is_room_again(disk, photos, tmp_path):
    (disk / "server").mkdir()
    with milvus_server.running(disk / "server") as server:
        publication(tmp_path, photos, server.address)[0].run()
        before = on_disk(photos)
        shutil.copytree(photos / "a", photos / "c")
        fill(disk)
        with pytest.raises(InputError, match=f"{server.address}.*\n.*the same command"):
            publication(tmp_path, photos, server.address)[0].run()
        (disk / "filler").unlink()
        server.kill()  # Milvus ends where it cannot write its log, sooner or later
        server.start()
        again, said = publication(tmp_path, photos, server.address)
        again.run()
        assert "0 encoded now" in said[0]
        assert paths_in(server.address, photos) == on_disk(photos) > before
