"""Runs a Milvus server in a network of its own, whose only door is one socket of this machine: SOCKET FOLDER.

Such a server listens on all interfaces of its network, whatever its settings say; here that network has no other
interface than its loopback. The socket was made outside, at 127.0.0.1, and stays there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import sys
import threading

_SET_FLAGS, _UP = 0x8914, 0x1
# Else it looks once a second or less often what there is to do, and takes one that was killed for alive for 30 seconds.
_SETTINGS = {
    "COMMON_SESSION_TTL": "6",  # seconds
    "DATACOORD_SEGMENT_ASSIGNMENTEXPIRATION": "500",  # milliseconds, as all below
    "DATANODE_TIMETICK_INTERVAL": "100",
    "PROXY_TIMETICKINTERVAL": "50",
    "QUERYCOORD_CHECKINTERVAL": "100",
    "QUERYCOORD_CHECKCHANNELINTERVAL": "100",
    "QUERYCOORD_CHECKSEGMENTINTERVAL": "100",
    "QUERYCOORD_CHECKINDEXINTERVAL": "500",
    "QUERYCOORD_CHECKHANDOFFINTERVAL": "500",
    "QUERYCOORD_DISTPULLINTERVAL": "100",
}


def main(descriptor: int, folder: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh", b"lo", _UP))
    import milvus  # looks at the ports of the network it is imported in

    os.environ.update(_SETTINGS)  # of which its file of settings has not all
    server = milvus.default_server
    server.set_base_dir(folder)
    server.start()
    listener = socket.socket(fileno=descriptor)
    print("ready", flush=True)
    while True:
        outside, _ = listener.accept()
        try:
            inside = socket.create_connection(("127.0.0.1", server.listen_port))
        except ConnectionRefusedError:
            sys.exit("Milvus has ended.")
        for source, target in ((outside, inside), (inside, outside)):
            threading.Thread(target=_carry, args=(source, target), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(1 << 16):
            target.sendall(content)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
