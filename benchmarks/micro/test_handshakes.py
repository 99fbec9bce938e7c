"""A connection over TLS, from its first packet to the first byte of an answer: by a whole handshake, or going on."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
import trustme

from fastget.config import Config
from fastget.transport.cancellation import SocketCancellation
from fastget.transport.tls import client_context, handshake
from fastget.transport.wire import TlsWire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


class Server:
    """Answers every connection over TLS with one byte, in a thread."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            with sock, contextlib.suppress(OSError), self._context.wrap_socket(sock, server_side=True) as secured:
                if secured.recv(1) == b"q":
                    return
                secured.sendall(b"a")

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


@pytest.fixture(params=list(VERSIONS))
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    return VERSIONS[request.param]


@pytest.fixture(params=list(trustme.KeyType), ids=lambda kind: kind.name)
def key(request: pytest.FixtureRequest) -> trustme.KeyType:
    kind: trustme.KeyType = request.param
    return kind


@pytest.fixture
def authority(key: trustme.KeyType) -> trustme.CA:
    return trustme.CA(key_type=key)


@pytest.fixture
def client(authority: trustme.CA, tmp_path: Path) -> ssl.SSLContext:
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    return client_context(Config(ca_bundle=str(bundle)))


@pytest.fixture
def server(
    authority: trustme.CA, key: trustme.KeyType, client: ssl.SSLContext, version: ssl.TLSVersion
) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    authority.issue_cert("127.0.0.1", key_type=key).configure_cert(context)
    running = Server(context)
    yield running
    with connected(running, client) as last:
        last.sendall(b"q")
    running.close()


def connected(server: Server, client: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    sock = socket.create_connection(server.address)
    secured = handshake(sock, "127.0.0.1", client, 20.0, SocketCancellation(), session)
    TlsWire(secured, 20.0)  # which sets what a connection has
    return secured


def ask(server: Server, client: ssl.SSLContext, session: ssl.SSLSession | None) -> None:
    with connected(server, client, session) as secured:
        secured.sendall(b"a")
        assert secured.recv(1) == b"a"
        assert secured.session_reused == (session is not None)


def session_with(server: Server, client: ssl.SSLContext) -> ssl.SSLSession | None:
    with connected(server, client) as secured:
        secured.sendall(b"a")
        secured.recv(1)
        return secured.session


@pytest.mark.parametrize("goes_on", [False, True], ids=["whole", "going on"])
def test_a_connection(benchmark: BenchmarkFixture, server: Server, client: ssl.SSLContext, goes_on: bool) -> None:
    session = session_with(server, client) if goes_on else None
    benchmark(ask, server, client, session)
