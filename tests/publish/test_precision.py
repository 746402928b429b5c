"""The arithmetic of a publication: that of its codes, unless the user asks for another."""

from __future__ import annotations

import shutil

import pytest

from latentsearch import files
from latentsearch.gallery.trained_run import fit_of
from latentsearch.models.encoder import Autoencoder
from latentsearch.publish import publish as publishing
from latentsearch.publish.config import PublishConfig
from tests.gallery.test_trained_run import make_trained


@pytest.fixture(scope="module")
def run(exported_root, tmp_path_factory):
    """A run whose untrained weights serve as trained ones, exported in both arithmetics."""
    run = make_trained(shutil.copytree(exported_root, tmp_path_factory.mktemp("published") / "root"))
    Autoencoder(run.best_model, precision="int8")
    return run


@pytest.fixture
def opened(run, monkeypatch):
    """What a call publishes with, in place of the publication, and what it says."""

    class NoPublication:
        def __init__(self, config, run, autoencoder, open_encoder, say):
            assert open_encoder().fingerprint == autoencoder.fingerprint
            self.run = lambda: autoencoder.precision

    def call(precision=None):
        said = []
        config = PublishConfig(
            gallery=run.root, store="http://host", collection="photos", run="digits", root=run.root,
            encoder_precision=precision,
        )  # fmt: skip
        return publishing.publish(config, said.append), said

    monkeypatch.setattr(publishing, "Publication", NoPublication)
    yield call
    files.remove(run.root / "data" / "published", within=run.root)


def keep(run, precision, kind):
    """Leave what a publication in an arithmetic leaves: parts where it was interrupted, or contents."""
    encoder = Autoencoder(run.best_model, precision=precision).fingerprint
    name = publishing._codes_name(encoder, fit_of(run))
    folder = run.root / "data" / "published" / "photos"
    files.make_folder(folder / "parts" / name if kind == "parts" else folder / "contents" / f"{name}-0123")
    if kind == "published":
        files.write_json(folder / "publication.json", {"owner": "me", "contents": f"{name}-0123"})


def test_a_first_publication_is_in_int8_unless_another_is_asked_for(opened):
    assert opened() == ("int8", [])
    assert opened("float32") == ("float32", [])


@pytest.mark.parametrize("kind", ["parts", "contents", "published"])
def test_what_was_published_or_interrupted_in_float32_goes_on_in_it(kind, opened, run):
    keep(run, "float32", kind)
    precision, [told] = opened()
    assert precision == "float32"
    assert told == "codes stay in float32, as before; --encoder-precision int8 encodes all anew"
    assert opened("int8") == ("int8", [])


def test_what_is_published_decides_not_what_was_begun_since(opened, run):
    keep(run, "float32", "published")
    keep(run, "int8", "parts")
    assert opened()[0] == "float32"
