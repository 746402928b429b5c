"""Any name of a file can be printed on one line."""

import os

from hypothesis import given
from hypothesis import strategies as st

from latentsearch.text import printable


def test_controls_and_broken_characters_become_escapes():
    assert printable(os.fsdecode(b"a\xffb\nc\x1b[31m.png")) == r"a\xffb\nc\x1b[31m.png"
    assert printable("photo \u00e9\u732b.png") == "photo \u00e9\u732b.png"


@given(st.binary(max_size=40).filter(lambda name: b"\0" not in name))
def test_every_name_is_printable_as_utf_8(name):
    text = printable(os.fsdecode(name))
    assert text.isprintable()
    assert text.encode("utf-8").decode("utf-8") == text
