"""Credentials of Milvus: from the environment alone, in no message, log or command line; TLS to a real server."""

from __future__ import annotations

import base64
import logging
import subprocess
from concurrent import futures
from contextlib import closing

import pytest

pytest.importorskip("pymilvus", reason="pymilvus is not installed: requirements-milvus.txt")

import grpc
import pymilvus
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc

from latentsearch.errors import InputError
from latentsearch.gallery.milvus_client import Credentials, MilvusConnection

SECRET = "pass-w0rd"
PREFIX = "LATENTSEARCH_MILVUS_"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"USER": "me"}, "USER is set, but not LATENTSEARCH_MILVUS_PASSWORD"),
        ({"PASSWORD": SECRET}, "PASSWORD is set, but not LATENTSEARCH_MILVUS_USER"),
        ({"KEY": "key.pem"}, "KEY is set, but not LATENTSEARCH_MILVUS_CERTIFICATE"),
        ({"CERTIFICATE": "a.pem", "KEY": "key.pem"}, "CERTIFICATE is set, but not LATENTSEARCH_MILVUS_CA"),
        ({"CA": "nowhere.pem"}, "CA names nowhere.pem, which is not a file"),
    ],
)
def test_half_of_the_credentials_is_refused_in_words(given, message):
    with pytest.raises(InputError, match=message) as told:
        Credentials.of({PREFIX + name: value for name, value in given.items()})
    assert SECRET not in str(told.value)


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(
        InputError, match=r"--store http://host:1: a command line shows.*\nSet LATENTSEARCH_MILVUS_TOKEN"
    ) as told:
        MilvusConnection(f"http://me:{SECRET}@host:1")
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("given", [{"TOKEN": f"me:{SECRET}"}, {"USER": "me", "PASSWORD": SECRET}, {"TOKEN": SECRET}])
def test_what_a_server_repeats_is_not_told(given, monkeypatch):
    class Repeating:
        def __init__(self, *_, **options):
            assert SECRET in options.get("token", "") or options["password"] == SECRET

        def flush(self, *_, timeout):
            raise pymilvus.MilvusException(1, f"no right for {' '.join(given.values())}")

    for name, value in given.items():
        monkeypatch.setenv(PREFIX + name, value)
    monkeypatch.setattr(pymilvus, "MilvusClient", Repeating)
    connection = MilvusConnection("http://127.0.0.1:1")
    with pytest.raises(InputError, match="no right for") as told:
        connection.call("flush", "photos")
    assert SECRET not in str(told.value)
    assert SECRET not in repr(connection._credentials)


class Guarded(milvus_pb2_grpc.MilvusServiceServicer):
    """A server that knows one token."""

    def __init__(self):
        self.seen = []

    def Connect(self, request, context):
        given = dict(context.invocation_metadata()).get("authorization", "")
        self.seen.append(base64.b64decode(given).decode())
        if self.seen[-1] != f"me:{SECRET}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"auth check failure, {self.seen[-1]}")
        status = common_pb2.Status(code=0)
        return milvus_pb2.ConnectResponse(status=status, server_info=common_pb2.ServerInfo(build_tags="2.3.5"))

    def ShowCollections(self, request, context):
        return milvus_pb2.ShowCollectionsResponse(status=common_pb2.Status(code=0), collection_names=["photos"])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A key, and a certificate of this machine that it signed itself."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "ca.pem"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return folder


@pytest.fixture
def guarded(certificate):
    """Such a server behind TLS, and its address."""
    server, servicer = grpc.server(futures.ThreadPoolExecutor(2)), Guarded()
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(servicer, server)
    pair = ((certificate / "key.pem").read_bytes(), (certificate / "ca.pem").read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    yield servicer, f"https://127.0.0.1:{port}"
    server.stop(None)


def test_token_and_tls_reach_a_server_and_nothing_else(guarded, certificate, monkeypatch, caplog, capfd):
    servicer, address = guarded
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(PREFIX + "CA", str(certificate / "ca.pem"))
    monkeypatch.setenv(PREFIX + "USER", "me")
    monkeypatch.setenv(PREFIX + "PASSWORD", SECRET)
    with closing(MilvusConnection(address)) as milvus:
        assert milvus.call("list_collections") == ["photos"]
        assert SECRET not in str(vars(milvus))
    assert servicer.seen[-1] == f"me:{SECRET}"
    monkeypatch.setenv(PREFIX + "PASSWORD", f"not {SECRET}")
    with pytest.raises(InputError, match="refuses these credentials") as told:
        MilvusConnection(address)
    assert SECRET not in str(told.value) + caplog.text + "".join(capfd.readouterr())


def test_a_server_whose_certificate_nobody_vouches_for_gets_no_token(guarded, monkeypatch):
    servicer, address = guarded
    monkeypatch.setenv(PREFIX + "TOKEN", f"me:{SECRET}")
    with pytest.raises(InputError, match="no Milvus answers there"):
        MilvusConnection(address)
    assert servicer.seen == []
