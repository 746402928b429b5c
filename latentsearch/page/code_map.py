"""The map of the codes of a gallery, drawn once by a process of its own, and kept beside the run."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import signal
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from latentsearch import environment
from latentsearch.bounds import load_npz
from latentsearch.files import replacing
from latentsearch.gallery.folder import gallery_path
from latentsearch.gallery.gallery import DAMAGE, Gallery
from latentsearch.plots.projection import project
from latentsearch.runs import Run

MOST = 4000  # codes on a map
FEWEST = 4  # that can be drawn
_SEED = 0

State = Literal["drawing", "ready", "failed", "too few images"]


class Points(NamedTuple):
    """Codes on a plane.

    Args:
        ids: Ids of the images, int64 `(num_points,)`.
        places: Coordinates, float32 `(num_points, 2)`.
    """

    ids: np.ndarray
    places: np.ndarray


def map_path(run: Run, folder: Path | None, collection: str | None = None) -> Path:
    """Return the path of the map of a folder, of a published collection, or of the dataset of `run`."""
    if collection is not None:
        return run.maps / "published" / f"{collection}.npz"
    return run.maps / "dataset.npz" if folder is None else gallery_path(run.maps, folder)


class CodeMap:
    """The map of at most 4,000 codes of a gallery, drawn at random.

    Args:
        path: The file; a map of other codes is replaced.
        gallery: The codes.

    Attributes:
        identity: Fingerprint of these codes.
    """

    def __init__(self, path: Path, gallery: Gallery) -> None:
        self._path = path
        rows = np.sort(np.random.default_rng(_SEED).permutation(len(gallery.ids))[:MOST])
        self._ids, self._codes = gallery.ids[rows], gallery.codes[rows]
        self.identity = hashlib.sha256(self._ids.tobytes() + self._codes.tobytes()).hexdigest()
        self._points = load(path, self.identity)
        self._process: BaseProcess | None = None

    def start(self) -> None:
        """Start to draw, if there is no map yet, and return at once. Drawing takes from seconds to a minute."""
        if self.state != "drawing" or self._process:
            return
        # Not a thread: it would hold up the responses. Not a fork: those of a process with threads may hang.
        context = multiprocessing.get_context("spawn")
        receiving, sending = context.Pipe(duplex=False)
        arguments = (self._path, self.identity, receiving)
        self._process = context.Process(target=_draw_apart, args=arguments, daemon=True)
        self._process.start()
        receiving.close()
        # It reads them when it has started, which takes its time.
        threading.Thread(target=_send, args=(sending, (self._ids, self._codes)), daemon=True).start()

    def stop(self) -> None:
        """Stop the drawing, if it goes on."""
        if self._process and self._process.is_alive():
            self._process.kill()

    @property
    def state(self) -> State:
        """The progress of the drawing."""
        if self.points:
            return "ready"
        if len(self._ids) < FEWEST:
            return "too few images"
        return "drawing" if self._process is None or self._process.is_alive() else "failed"

    @property
    def points(self) -> Points | None:
        """The map; None if it is not ready."""
        if self._points is None and self._process and self._process.exitcode == 0:
            self._points = load(self._path, self.identity)
        return self._points


def draw(path: Path, identity: str, ids: np.ndarray, codes: np.ndarray) -> None:
    """Draw a map, and save it at `path`, in the place of another one.

    Args:
        path: The file.
        identity: Fingerprint of these codes, which tells the map from that of others.
        ids: Ids of the images, int64 `(num_points,)`.
        codes: Codes, `(num_points, latent_dim)`, at least four.
    """
    places = project(codes, seed=_SEED)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, identity=np.array(identity), ids=ids, places=places)


def _send(connection: Connection, content: tuple[np.ndarray, np.ndarray]) -> None:
    with contextlib.suppress(OSError), connection:  # the page ended meanwhile
        connection.send(content)


def _draw_apart(path: Path, identity: str, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the page, which ends this
    threading.Thread(target=environment.end_with_parent, daemon=True).start()
    try:
        ids, codes = connection.recv()
    except (EOFError, OSError):
        return
    draw(path, identity, ids, codes)


def load(path: Path, identity: str) -> Points | None:
    """Load the map at `path`; None if there is none, it is damaged, or of other codes."""
    try:
        arrays = load_npz(path)
        kept, points = str(arrays["identity"]), Points(arrays["ids"], arrays["places"])
    except DAMAGE:
        return None
    return points if kept == identity and points.places.shape == (len(points.ids), 2) else None
