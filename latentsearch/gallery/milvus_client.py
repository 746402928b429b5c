"""A connection to Milvus, to Milvus Lite (a file of this machine) or to a server, with errors in words."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsearch import failures
from latentsearch.errors import InputError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

INSTALL = "python -m pip install -r requirements-milvus.txt"
_TO_CONNECT = 5  # seconds
_TO_ANSWER = 30
_TO_LOAD = 3600
_WITHOUT_PROGRESS = 600  # the server builds the index of a segment at a time, and tells of whole ones
_NO_PINGS = {"grpc.keepalive_time_ms": 2**31 - 1}  # Milvus Lite closes a connection that pings while it is idle
_AGAIN = "What is missing is added when the same command runs again."


_VARIABLE = "LATENTSEARCH_MILVUS_"


@dataclass(frozen=True)
class Credentials:
    """What a server asks of its clients, from the environment: a command line would show it to all users.

    Args:
        token: LATENTSEARCH_MILVUS_TOKEN.
        user: LATENTSEARCH_MILVUS_USER.
        password: LATENTSEARCH_MILVUS_PASSWORD.
        ca: LATENTSEARCH_MILVUS_CA, the file of the authority (PEM) that signed the certificate of the server.
        certificate: LATENTSEARCH_MILVUS_CERTIFICATE, that of the client (PEM), where the server asks for one.
        key: LATENTSEARCH_MILVUS_KEY, the key to it (PEM).
    """

    token: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    ca: str = ""
    certificate: str = ""
    key: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Credentials:
        """Read the credentials from environment variables.

        Raises:
            InputError: if one lacks the other that it needs, or names a file that is not there.
        """
        names = ("token", "user", "password", "ca", "certificate", "key")
        found = {name: environment.get(_VARIABLE + name.upper(), "") for name in names}
        for one, other in (("user", "password"), ("password", "user"), ("certificate", "key"), ("key", "certificate")):
            if found[one] and not found[other]:
                raise InputError(f"{_VARIABLE}{one.upper()} is set, but not {_VARIABLE}{other.upper()}: set both.")
        if found["certificate"] and not found["ca"]:
            raise InputError(f"{_VARIABLE}CERTIFICATE is set, but not {_VARIABLE}CA: set both.")
        for name in ("ca", "certificate", "key"):
            if found[name] and not Path(found[name]).is_file():
                raise InputError(f"{_VARIABLE}{name.upper()} names {found[name]}, which is not a file.")
        return cls(**found)

    def options(self, where: str) -> dict[str, Any]:
        """Return the options of pymilvus.MilvusClient for a server at `where`; TLS where that begins with https."""
        options: dict[str, Any] = {"secure": True} if where.startswith("https://") else {}
        options |= {"token": self.token} if self.token else {"user": self.user, "password": self.password}
        files = {"client_pem_path": self.certificate, "client_key_path": self.key, "ca_pem_path": self.ca}
        if not self.certificate:  # pymilvus reads the authority from one option with a client's certificate, else here
            files = {"server_pem_path": self.ca}
        return {name: value for name, value in (options | files).items() if value}

    def hidden_in(self, text: str) -> str:
        """Return a text without the credentials: a server may repeat what it was given."""
        for secret in filter(None, (self.token, *self.token.split(":")[1:], self.password)):
            text = text.replace(secret, "***")
        return text


class MilvusConnection:
    """A connection to one Milvus, which reports errors in words.

    Args:
        where: FILE.db for Milvus Lite, or http://host:port; https:// for TLS. Credentials come from the environment;
            see `Credentials`.

    Attributes:
        where: The same address.

    Raises:
        InputError: if pymilvus is not installed, `where` is neither, or holds a password, the file is in use by another
            process, or no Milvus answers there.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        if "://" in where and "@" in where:
            raise InputError(
                f"--store {re.sub(r'//.*@', '//', where)}: a command line shows its passwords to all users of a "
                f"machine.\nSet {_VARIABLE}TOKEN, or {_VARIABLE}USER and {_VARIABLE}PASSWORD, in the environment."
            )
        self._file = None if "://" in where else _checked_file(where)
        self._credentials = Credentials() if self._file else Credentials.of(os.environ)
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

        Args:
            method: Name of the method.
            arguments: Its arguments.
            options: Its named arguments; timeout is half a minute unless it is among them.

        Raises:
            InputError: if Milvus cannot do it, or does not answer in time.
        """
        return self._asked(getattr(self._client, method), method, *arguments, **options)

    def bulk(self, method: str, *arguments: Any) -> Any:
        """Call a method of the bulk insert of a server by its name, as pymilvus.utility has them.

        Raises:
            InputError: if Milvus cannot do it, or does not answer in time.
        """
        # The functions of pymilvus.utility, which go in 3.1, want a second connection; this is what they call.
        return self._asked(getattr(self._client._get_connection(), method), method, *arguments)

    def _asked(self, function: Callable[..., Any], method: str, *arguments: Any, **options: Any) -> Any:
        import grpc
        import pymilvus

        try:
            return function(*arguments, **{"timeout": _TO_ANSWER} | options)
        except pymilvus.MilvusException as error:
            no_answer = isinstance(error.code, grpc.StatusCode) or error.code == pymilvus.Status.CONNECT_FAILED
            no_answer = no_answer or "Retry timeout" in error.message
            reason = "it does not answer" if no_answer else error.message.strip().partition("\n")[0]
        except grpc.RpcError as error:
            reason = f"it does not answer ({error.code().name})"
        reason = self._credentials.hidden_in(reason)
        raise InputError(f"--store {self.where}: Milvus could not {method}: {reason}.\n{_AGAIN}")

    def schema(self) -> Any:
        """Make a pymilvus.CollectionSchema without fields."""
        return self._client.create_schema(auto_id=False, enable_dynamic_field=False)

    def create(self, collection: str, fields: Mapping[str, tuple[str, dict[str, Any]]], record: dict[str, str]) -> None:
        """Create a collection, which answers after each change as it is then.

        Args:
            collection: Name of the collection.
            fields: Name of a type of pymilvus.DataType, and options, by name; the first one is the key.
            record: Properties to keep with it.
        """
        from pymilvus import DataType

        schema = self.schema()
        for number, (name, (kind, options)) in enumerate(fields.items()):
            schema.add_field(name, DataType[kind], is_primary=number == 0, **options)
        self.call("create_collection", collection, schema=schema, properties=record, consistency_level="Strong")

    def build_index(self, collection: str, kind: str, metric_type: str, params: dict[str, int]) -> None:
        """Build the index of the field "code" of a collection, and load it; both may take the server long.

        Raises:
            InputError: if Milvus cannot build it, or does not answer.
        """
        index = self.index_params()
        index.add_index("code", index_type=kind, metric_type=metric_type, params=params)
        self.call("create_index", collection, index, sync=False)
        done, since = -1, time.monotonic()
        while (found := self.call("describe_index", collection, "code"))["state"] != "Finished":
            if found["indexed_rows"] != done:
                done, since = found["indexed_rows"], time.monotonic()
            if found["state"] == "Failed" or time.monotonic() - since > _WITHOUT_PROGRESS:
                why = self._credentials.hidden_in(str(found.get("index_state_fail_reason") or "it made no progress"))
                raise InputError(
                    f"--store {self.where}: Milvus could not build the index {kind}: {why}.\nGive another --index: "
                    "not every Milvus has each."
                )
            time.sleep(0.2)
        self.load(collection)

    def load(self, collection: str) -> None:
        """Load a collection into the memory of the server, which takes long right after the server was restarted."""
        self.call("load_collection", collection, timeout=_TO_LOAD)

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
            options = {"dedicated": True, "grpc_options": _NO_PINGS} | self._credentials.options(where)
            return client(str(self._file or where), timeout=_TO_CONNECT, **options)
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
            why = self._credentials.hidden_in(str(failure))
            raise InputError(f"--store {self.where}: {why}. Expected FILE.db or http://host:port.")
        if _is_refusal(failure):
            raise InputError(
                f"--store {self.where}: Milvus there refuses these credentials.\nSet {_VARIABLE}TOKEN, or "
                f"{_VARIABLE}USER and {_VARIABLE}PASSWORD, in the environment."
            )
        raise InputError(
            f"--store {self.where}: no Milvus answers there.\n"
            "Start it or mend the address, then give the same command again.\n"
            "A gallery on this machine is searched without --store too."
        )


def _is_refusal(failure: BaseException) -> bool:
    """Tell whether an error, or one that caused it, says that the credentials are not those of the server."""
    return any(re.search("UNAUTHENTICATED|auth check failure", f"{one!r} {one}") for one in failures.chain(failure))


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
