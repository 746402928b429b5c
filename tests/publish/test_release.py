"""What a release asks of Milvus."""

from __future__ import annotations

from types import SimpleNamespace

from latentsearch.publish import release


def test_codes_are_counted_however_long_a_busy_server_takes():
    """Of 10 million codes, a server of two cores did not answer within half a minute."""
    asked = []

    def call(method, collection, **options):
        asked.append((method, collection, options))
        return [{"count(*)": 7}]

    assert release._count(SimpleNamespace(call=call, load=lambda collection: None), "codes") == 7
    [(method, collection, options)] = asked
    assert (method, collection, options["consistency_level"]) == ("query", "codes", "Strong")
    assert options["timeout"] >= 600
