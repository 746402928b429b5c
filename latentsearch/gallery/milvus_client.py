"""A connection to Milvus, to Milvus Lite (a file of this machine) or to a server, with errors in words."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsearch.errors import InputError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

INSTALL = "python -m pip install -r requirements-milvus.txt"
_TO_CONNECT = 5  # seconds
_TO_ANSWER = 30
_NO_PINGS = {"grpc.keepalive_time_ms": 2**31 - 1}  # Milvus Lite closes a connection that pings while it is idle
_AGAIN = "What is missing is added when the same command runs again."


class MilvusConnection:
    """A connection to one Milvus, which reports errors in words.

    Args:
        where: FILE.db for Milvus Lite, or http://host:port, with https and user:password@ where the server has them.

    Attributes:
        where: The same address without the password.

    Raises:
        InputError: if pymilvus is not installed, `where` is neither, the file is in use by another process, or no
            Milvus answers there.
    """

    def __init__(self, where: str) -> None:
        self.where = re.sub(r"//.*@", "//", where)
        self._file = None if "://" in where else _checked_file(where)
        try:
            import pymilvus

            self._lite = None
            if self._file:
                import milvus_lite

                self._lite = milvus_lite
        except ImportError as error:
            raise InputError(f"--store needs {error.name}, which is not installed.\nInstall it: {INSTALL}") from None
        self._client = self._connected(pymilvus.MilvusClient, where)

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of pymilvus.MilvusClient by its name; see there.

        Raises:
            InputError: if Milvus cannot do it, or does not answer within half a minute.
        """
        import grpc
        import pymilvus

        try:
            return getattr(self._client, method)(*arguments, timeout=_TO_ANSWER, **options)
        except pymilvus.MilvusException as error:
            no_answer = isinstance(error.code, grpc.StatusCode) or error.code == pymilvus.Status.CONNECT_FAILED
            no_answer = no_answer or "Retry timeout" in error.message
            reason = "it does not answer" if no_answer else error.message.strip().partition("\n")[0]
        except grpc.RpcError as error:
            reason = f"it does not answer ({error.code().name})"
        raise InputError(f"--store {self.where}: Milvus could not {method}: {reason}.\n{_AGAIN}")

    def schema(self) -> Any:
        """Make a pymilvus.CollectionSchema without fields."""
        return self._client.create_schema(auto_id=False, enable_dynamic_field=False)

    def index_params(self) -> Any:
        """Make empty pymilvus.milvus_client.IndexParams."""
        return self._client.prepare_index_params()

    def close(self) -> None:
        """Close the connection, and free the file for other processes."""
        self._client.close()
        if self._lite:
            self._lite.server_manager_instance.release_server(str(self._file))

    def _connected(self, client: type[MilvusClient], where: str) -> MilvusClient:
        import grpc
        from pymilvus import MilvusException

        # Both log what they raise, with tracebacks; that of Milvus Lite is the only place where its reason is.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)
        heard = _LastError()
        logger = logging.getLogger("milvus_lite")
        logger.propagate, logger.handlers = False, [heard]
        try:
            # A connection of its own: a shared one would outlive close().
            return client(str(self._file or where), timeout=_TO_CONNECT, dedicated=True, grpc_options=_NO_PINGS)
        except (MilvusException, grpc.RpcError, ValueError) as error:
            failure = error
        if self._lite and isinstance(heard.error, self._lite.DataDirLockedError):
            raise InputError(
                f"--store {self.where} is in use by another process: a file of Milvus Lite takes one at a time.\n"
                "Wait until that has ended, or give the address of a Milvus server, which takes many."
            )
        if self._lite:
            raise InputError(f"--store {self.where} cannot be opened: {heard.error or failure}.\nGive another file.")
        if isinstance(failure, ValueError):
            raise InputError(f"--store {self.where}: {failure}. Expected FILE.db or http://host:port.")
        raise InputError(
            f"--store {self.where}: no Milvus answers there.\n"
            "Start it or mend the address, or leave out --store to search without it."
        )


class _LastError(logging.Handler):
    """A handler that keeps the last exception that was logged."""

    error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.error = record.exc_info[1]


def _checked_file(where: str) -> Path:
    path = Path(where).absolute()
    if path.suffix != ".db":
        raise InputError(
            f"--store {where}: expected FILE.db, which Milvus Lite keeps, or the address of a server, such as "
            "http://127.0.0.1:19530."
        )
    # What Milvus Lite calls a file is a folder.
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not (path / "LOCK").exists()):
        raise InputError(f"--store {where} is there, but not of this Milvus Lite. Give another name, or remove it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
