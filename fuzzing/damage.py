"""Seeded damage: what a disk, a network or an enemy makes of a file."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentsearch.errors import InputError

Mutator = Callable[[np.random.Generator, bytes, Sequence[bytes]], bytes]

# Sizes and numbers that readers trip over, as 1, 2, 4 and 8 bytes.
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x00FF_FFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 2**40, 2**63 - 1, 2**64 - 1)
_ODD_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**31, 10**400, float("nan"), float("inf")),
    *("", "\0", "../../x", "1", "\ud800", "a" * 5000, [], {}, [[]], [None], {"a": 1}, [10**9], [[[1]]]),
)


def truncate(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    return content[: rng.integers(len(content) + 1)]


def flip_bits(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    changed = np.frombuffer(content, np.uint8).copy()
    places = _places(rng, len(changed), int(rng.choice([1, 2, 8, 64])))
    changed[places] ^= (1 << rng.integers(0, 8, len(places))).astype(np.uint8)
    return changed.tobytes()


def swap_bytes(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    changed = bytearray(content)
    for first, second in rng.integers(0, len(changed), (int(rng.choice([1, 4, 32])), 2)):
        changed[first], changed[second] = changed[second], changed[first]
    return bytes(changed)


def lie(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    """Puts huge, zero or odd numbers over some bytes, mostly near the beginning, where headers are."""
    changed = bytearray(content)
    for place in _places(rng, len(changed), int(rng.choice([1, 1, 2, 4]))):
        size = int(rng.choice([1, 2, 4, 8]))
        number = _NUMBERS[rng.integers(len(_NUMBERS))] % 256**size
        changed[place : place + size] = number.to_bytes(size, "big" if rng.integers(2) else "little")
    return bytes(changed)


def splice(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    other = corpus[rng.integers(len(corpus))]
    return content[: rng.integers(len(content) + 1)] + other[rng.integers(len(other) + 1) :]


def append(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    return content + rng.bytes(int(rng.integers(1, 4096)))


def cut_out(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    begin, end = sorted(rng.integers(0, len(content) + 1, 2))
    return content[:begin] + content[end:]


def repeat(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    begin, end = sorted(rng.integers(0, len(content) + 1, 2))
    return content[:end] + content[begin:]


def blank(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    """Zeros in the place of a part, as a disk leaves them."""
    begin, end = sorted(rng.integers(0, len(content) + 1, 2))
    return content[:begin] + bytes(end - begin) + content[end:]


def exchange(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    """Another file under this one's name."""
    return corpus[rng.integers(len(corpus))]


BYTES: tuple[Mutator, ...] = (
    *(truncate, flip_bits, swap_bytes, lie, lie, splice, append, cut_out, repeat, blank, exchange),
)


def png(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    """Damages one chunk of a PNG file and makes its checksum right again; other files as `lie` does."""
    if not content.startswith(b"\x89PNG"):
        return lie(rng, content, corpus)
    chunks, place = [], 8
    while place < len(content):
        (size,) = struct.unpack(">I", content[place : place + 4])
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += size + 12
    chosen = 0 if rng.integers(2) else rng.integers(len(chunks))  # the first one holds width, height and kind
    result = content[:8]
    for number, (kind, body) in enumerate(chunks):
        new = _one(rng, (lie, flip_bits, truncate), body, corpus) if number == chosen and body else body
        result += struct.pack(">I", len(new)) + kind + new + struct.pack(">I", zlib.crc32(kind + new))
    return result


def archive(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    """Damages one member of a zip archive, of JSON by its values, and packs all again with right checksums."""
    with zipfile.ZipFile(io.BytesIO(content)) as members:
        files = {name: members.read(name) for name in members.namelist()}
        packed = {member.filename: member.compress_type for member in members.infolist()}
    chosen = list(files)[rng.integers(len(files))]
    if rng.integers(20) == 0:
        del files[chosen]
    else:
        files[chosen] = _one(rng, (values,) if chosen.endswith(".json") else BYTES, files[chosen], [files[chosen]])
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as members:
        for name, body in files.items():
            members.writestr(name, body, packed[name])
    return result.getvalue()


def values(rng: np.random.Generator, content: bytes, corpus: Sequence[bytes]) -> bytes:
    """Puts odd values into JSON, or takes some out."""
    whole = [json.loads(content)]
    for _ in range(int(rng.choice([1, 1, 2, 5]))):
        places = list(_containers(whole))
        inside = places[rng.integers(len(places))]
        keys = list(inside) if isinstance(inside, dict) else range(len(inside))
        if len(keys) == 0:
            continue
        key = keys[rng.integers(len(keys))]
        if rng.integers(4) == 0 and inside is not whole:
            del inside[key]
        else:
            inside[key] = json.loads(json.dumps(_ODD_VALUES[rng.integers(len(_ODD_VALUES))]))
    return json.dumps(whole[0]).encode()


def mutate(rng: np.random.Generator, corpus: Sequence[bytes], mutators: Sequence[Mutator] = BYTES) -> tuple[str, bytes]:
    """One of the files of `corpus`, damaged once or a few times.

    Args:
        rng: Decides what is done; the same state gives the same bytes.
        corpus: Whole files.
        mutators: What may be done; those that understand a format go first, the rest is of bytes.

    Returns:
        What was done, in words, and the bytes.
    """
    content = corpus[rng.integers(len(corpus))]
    first = mutators[rng.integers(len(mutators))]
    content, names = first(rng, content, corpus), [first.__name__]
    while content and rng.integers(3) == 0:
        again = BYTES[rng.integers(len(BYTES))]
        content = again(rng, content, corpus)
        names.append(again.__name__)
    return " + ".join(names), content


@dataclass(frozen=True)
class Reader:
    """Something that reads a file from outside.

    Args:
        corpus: Whole files that it reads.
        read: Reads such bytes; InputError is the only exception that it may raise for damaged ones. It may return what
            it did with them instead, such as "made anew".
        mutators: What is done to them.
    """

    corpus: list[bytes]
    read: Callable[[bytes], object]
    mutators: Sequence[Mutator] = BYTES


def attempt(reader: Reader, seed: int, number: int) -> str:
    """Damages a file and reads it.

    Args:
        reader: What reads it.
        seed: Of all cases.
        number: Of this one.

    Returns:
        "read", what the reader says, or the reason why it was refused. Any other exception passes on, with a note of
        the case.
    """
    what, content = mutate(np.random.default_rng([seed, number]), reader.corpus, reader.mutators)
    try:
        said = reader.read(content)
    except InputError as error:
        return getattr(error, "reason", "refused")
    except Exception as error:
        error.add_note(f"case {number} of seed {seed}: {what}, {len(content)} bytes")
        raise
    return said if isinstance(said, str) else "read"


def _one(rng: np.random.Generator, mutators: Sequence[Mutator], content: bytes, corpus: Sequence[bytes]) -> bytes:
    return mutators[rng.integers(len(mutators))](rng, content, corpus) if content else content


def _places(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    """Random positions, most of them near the beginning."""
    return (size * rng.random(count) ** int(rng.choice([1, 3, 8]))).astype(int)


def _containers(value: Any) -> list[Any]:
    """All lists and objects in JSON, the whole included."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [value] if isinstance(value, dict | list) else []
    return found + [deeper for element in inner for deeper in _containers(element)]
