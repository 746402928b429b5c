"""Names, ids and paths of what is published, and which collection answers which flags."""

from __future__ import annotations

import os

import hypothesis
import msgspec
import pytest
from hypothesis import strategies

from latentsearch.errors import InputError
from latentsearch.gallery.manifest import Manifest, PublishedCodes, id_of, path_of, text_of


def manifest(*codes, kind_dim=None, **more):
    """A manifest of collections of codes for (metric, look)."""
    collections = tuple(PublishedCodes(f"c{n}", metric, look, "flat", {}) for n, (metric, look) in enumerate(codes))
    fields = {"publication": "photos", "owner": "me", "key": "key", "run": "run", "encoder": "encoder", "fit": "crop"}
    fields |= {"latent_dim": 4, "kind_dim": kind_dim, "num_codes": 9, "classes": (), "codes": collections}
    return Manifest(**fields | more)


@hypothesis.given(strategies.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_every_path_is_kept_in_text_that_is_valid(name):
    path = b"/" + name.replace(b"/", b"_")
    text = text_of(path)
    assert os.fsencode(path_of(text.encode().decode())) == path
    assert 0 <= id_of(path) < 2**63


def test_ids_stay_those_of_before():
    assert id_of(b"/photos/a.png") == 6670803229343345265  # published collections hold them


def test_the_codes_of_a_metric_and_a_look_are_found_or_named():
    both = manifest(("cosine", 0.2), ("cosine", 1.0), ("euclidean", 0.5), kind_dim=2)
    assert both.with_look("cosine", None).collection == "c0"
    assert both.with_look("cosine", 1).collection == "c1"
    assert both.with_look("euclidean", None).collection == "c2"  # the only one
    for metric, look, message in (
        ("cosine", 0.5, r"not published for cosine, look 0.5; it is for: cosine, look 0.2, cosine, look 1, euclidean"),
        ("euclidean", 0.2, "not published for euclidean, look 0.2"),
        ("cosine", 2, "--look 2: expected 0"),
    ):
        with pytest.raises(InputError, match=message):
            both.with_look(metric, look)
    single = manifest(("cosine", 0.0))
    assert single.with_look("cosine", None).collection == "c0"
    with pytest.raises(InputError, match="a single code"):
        single.with_look("cosine", 0.2)


def test_the_manifest_survives_being_a_property():
    one = manifest(("cosine", 0.2), kind_dim=2, classes=("cat", "dög"))
    assert msgspec.json.decode(one.as_property(), type=Manifest) == one


def test_the_effort_of_a_search_is_at_least_its_limit():
    codes = {kind: PublishedCodes("c", "cosine", 0.0, kind, {}, effort=40) for kind in ("flat", "ivf_flat", "hnsw")}
    assert codes["flat"].params(99) == {}
    assert codes["ivf_flat"].params(99) == {"nprobe": 40}
    assert codes["hnsw"].params(99) == {"ef": 99}
    assert codes["hnsw"].params(9) == {"ef": 40}


def test_eight_bits_give_many_candidates_to_put_in_order():
    codes = {kind: PublishedCodes("c", "cosine", 0.0, kind, {}) for kind in ("flat", "ivf_flat", "ivf_sq8")}
    assert {kind: one.num_candidates(10) for kind, one in codes.items()} == {"flat": 19, "ivf_flat": 19, "ivf_sq8": 98}
    assert codes["ivf_sq8"].params(98) == {"nprobe": 1}
