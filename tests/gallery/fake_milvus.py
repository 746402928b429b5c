"""A stand-in for a Milvus with published codes: it compares all of a collection, or finds too few."""

from __future__ import annotations

import re

import numpy as np

from latentsearch.errors import InputError
from latentsearch.gallery.manifest import MANIFEST


class FakeMilvus:
    """Holds collections of rows by name, aliases, and properties.

    `most` hits are found of each query, by codes as the index has them: `as_indexed` makes them.
    """

    where = "http://fake:1"

    def __init__(self, _=None):
        self.collections, self.aliases, self.properties, self.most = {}, {}, {}, 10**6
        self.loaded, self.looked_up = set(), []
        self.as_indexed = lambda code: code
        self.meanwhile = lambda: None

    def publish(self, manifest, catalogue, rows, sample=()):
        """A publication whose only collection has these rows, and whose catalogue has those of a sample."""
        self.collections = {manifest.codes[0].collection: rows, catalogue: list(sample)}
        self.properties = {catalogue: {MANIFEST: manifest.as_property()}}
        self.aliases = {manifest.publication: catalogue}

    def call(self, method, name, **options):
        if method == "has_collection":
            return name in self.collections or name in self.aliases
        name = self.aliases.get(name, name)
        if name not in self.collections:
            raise InputError(f"can't find collection {name}")
        if method == "describe_collection":
            return {"collection_name": name, "properties": self.properties.get(name, {})}
        rows = self.collections[name]
        if method == "load_collection":
            self.loaded.add(name)
            return None
        if name not in self.loaded:
            raise InputError(f"collection not loaded {name}")
        if method == "query":
            if digest := re.match(r'digest == "(.*)"', options["filter"]):
                return [row for row in rows if row["digest"] == digest[1]]
            wanted = re.match(r"id in \[(.*)\]", options["filter"])
            ids = [int(one) for one in wanted[1].split(",")] if wanted else [row["id"] for row in rows]
            self.looked_up.append(ids)
            return [row for row in rows if row["id"] in ids]
        assert method == "search"
        self.meanwhile()
        found = []
        for query in options["data"]:
            far = [-float(np.dot(query, self.as_indexed(row["code"]))) for row in rows]
            order = np.argsort(far, kind="stable")[: min(options["limit"], self.most)]
            found.append([{"id": rows[row]["id"], "entity": dict(rows[row])} for row in order])
        return found

    def load(self, name):
        self.call("load_collection", name)

    def close(self):
        pass
