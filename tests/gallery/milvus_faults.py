"""Fills a store as RetrieveSimilar.py does, as a process that can be killed: WHERE GALLERY.npz [METHOD:NUMBER].

Ends as kill -9 would end it before that call of pymilvus, counted from 0.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def fill_command(where: str, path: Path, *die_at: str) -> list[str]:
    """The command that fills the store at `where` with the gallery at `path`."""
    return [sys.executable, str(Path(__file__)), where, str(path), *die_at]


def main(where: str, path: str, die_at: str = "") -> int:
    sys.path.insert(0, str(REPOSITORY))
    from latentsearch.errors import InputError
    from latentsearch.gallery import gallery
    from latentsearch.gallery.milvus_client import MilvusConnection
    from latentsearch.gallery.milvus_store import MilvusStore
    from tests.gallery.store_contract import labels_for

    call = MilvusConnection.call
    made: list[str] = []

    def counted(self, method, *arguments, **options):
        if f"{method}:{made.count(method)}" == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        made.append(method)
        return call(self, method, *arguments, **options)

    MilvusConnection.call = counted
    content, _ = gallery.load(Path(path))
    try:
        with closing(MilvusStore(where, ("euclidean",), Path(path).parent / "records")) as store:
            print(store.sync("run", content, labels_for(content)))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
