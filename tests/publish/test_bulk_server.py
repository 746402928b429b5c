"""Publications that a real server takes in by its bulk insert, and one of them whose server is killed at it."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("pymilvus", reason="pymilvus is not installed: requirements-milvus.txt")

from fuzzing.colours import make_photos
from latentsearch import spark
from latentsearch.errors import InputError
from latentsearch.publish import contents
from tests.clusters import MASTER, needs_spark, wait_for
from tests.conftest import REPOSITORY
from tests.publish.publishing import on_disk, paths_in, publication

pytestmark = [pytest.mark.engines, pytest.mark.slow, needs_spark]


@pytest.fixture(scope="module", autouse=True)
def session(tmp_path_factory):
    """One for all; its executors can import the encoders of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        with spark.session(MASTER, tmp_path_factory.mktemp("spark") / "spark.log") as opened:
            opened.conf.set("spark.sql.shuffle.partitions", "4")
            yield opened


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Images of one colour each, in parts of few."""
    monkeypatch.setattr(contents, "_ROWS", 6)
    (tmp_path / "bulk").mkdir()
    make_photos(tmp_path / "photos", 30)
    return tmp_path / "photos"


def test_a_server_takes_in_what_it_reads_and_changes_are_followed(photos, empty_server, tmp_path):
    def publish():
        made, _ = publication(tmp_path, photos, empty_server.address, bulk_folder=tmp_path / "bulk")
        return made.run()

    assert publish().num_codes == 30
    assert paths_in(empty_server.address, photos) == on_disk(photos)
    next(photos.rglob("*.png")).unlink()
    assert publish().num_codes == 29
    assert paths_in(empty_server.address, photos) == on_disk(photos)
    assert list((tmp_path / "bulk").rglob("*.parquet")) == []


def test_a_folder_that_the_server_does_not_read_is_told(photos, empty_server, tmp_path):
    flags = {"bulk_folder": tmp_path / "bulk", "bulk_name": "/nowhere"}
    with pytest.raises(InputError, match=r"could not take in /nowhere/.*\.parquet: .* It must read --bulk-folder"):
        publication(tmp_path, photos, empty_server.address, **flags)[0].run()
    made, _ = publication(tmp_path, photos, empty_server.address, bulk_folder=tmp_path / "bulk")
    assert made.run().num_codes == 30
    assert paths_in(empty_server.address, photos) == on_disk(photos)


def test_a_server_killed_in_a_bulk_insert_has_each_image_once_after_the_next_call(photos, empty_server, tmp_path):
    def kill():
        wait_for(lambda: list((tmp_path / "data/published/photos/inserted").glob("*/*.begun")))
        empty_server.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(InputError, match=r"does not answer|no Milvus answers there"):
        publication(tmp_path, photos, empty_server.address, bulk_folder=tmp_path / "bulk")[0].run()
    killer.join()
    empty_server.start()
    made, _ = publication(tmp_path, photos, empty_server.address, bulk_folder=tmp_path / "bulk")
    assert made.run().num_codes == 30
    assert paths_in(empty_server.address, photos) == on_disk(photos)
