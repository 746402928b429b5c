"""Who can reach what a process listens at: read from Linux."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_LISTENS = "0A"
_LOOPBACK = {"0100007F": "127.0.0.1", "0000000000000000FFFF00000100007F": "127.0.0.1"}  # as such, and in IPv6


def addresses_of(pids: Iterable[int]) -> dict[int, str]:
    """Of each port of this machine at which these processes listen, the address, as "127.0.0.1" or as Linux has it."""
    sockets = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except OSError:  # closed meanwhile
                continue
            if target.startswith("socket:["):
                sockets.add(target.removeprefix("socket:[").removesuffix("]"))
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS and fields[9] in sockets:
                address, port = fields[1].split(":")
                found[int(port, 16)] = _LOOPBACK.get(address, address)
    return found
