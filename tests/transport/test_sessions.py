"""What further connections over TLS go on from, and where they begin anew."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, cast

import pytest

from fastget.config import Config
from fastget.core.messages import Request
from fastget.core.urls import URL
from fastget.errors import NetworkError
from fastget.transport.pool import Pool
from fastget.transport.sessions import FIRST_WHILE, LONGEST_WHILE, MOST_SESSIONS, Sessions

if TYPE_CHECKING:
    from collections.abc import Iterator

    import trustme

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
# What a server does with a connection: serve it, or end it in the handshake; as a proxy: let it through, or refuse it.
SERVED, ENDED, TUNNELLED, REFUSED = "served", "ended", "tunnelled", "refused"


class Server:
    """Serves connections over TLS one after the other; `resumed` says of each handshake whether it was a short one."""

    def __init__(self, context: ssl.SSLContext, fates: tuple[str, ...]) -> None:
        self.resumed: list[bool] = []
        self._context = context
        self._fates = fates
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for fate in self._fates:
            sock, _ = self._listener.accept()
            with sock:
                sock.settimeout(20)
                if fate == ENDED:
                    sock.recv(1)
                    continue
                if fate in (TUNNELLED, REFUSED):
                    sock.recv(4096)
                    status = b"200 OK" if fate == TUNNELLED else b"502 Bad Gateway\r\nContent-Length: 0"
                    sock.sendall(b"HTTP/1.1 " + status + b"\r\n\r\n")
                if fate == REFUSED:
                    continue
                try:
                    with self._context.wrap_socket(sock, server_side=True) as secured:
                        self.resumed.append(bool(secured.session_reused))
                        secured.recv(4096)
                        secured.sendall(HELLO)
                except ssl.SSLError:  # the client does not trust it
                    continue

    def stop(self) -> None:
        self._thread.join(20)
        self._listener.close()
        assert not self._thread.is_alive()


ServerMaker = Callable[..., Server]


@pytest.fixture
def serve(no_leaks: None) -> Iterator[Callable[[ssl.SSLContext, tuple[str, ...]], Server]]:
    servers: list[Server] = []

    def make(context: ssl.SSLContext, fates: tuple[str, ...]) -> Server:
        servers.append(Server(context, fates))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@contextmanager
def pool_of(ca_bundle: str, proxy: str | None = None) -> Iterator[Pool]:
    with closing(Pool(Config(ca_bundle=ca_bundle, proxy=proxy))) as pool:
        yield pool


def get(pool: Pool, url: str) -> bytes:
    """An object over a connection of its own."""
    asked = URL.parse(url)
    connection = pool.connection(asked.origin)
    try:
        connection.exchange(Request("GET", asked))
        buffer = bytearray(5)
        connection.read_into(memoryview(buffer))
        return bytes(buffer)
    finally:
        connection.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_further_connections_go_on_from_the_session_of_the_first(
    serve: ServerMaker, authority: trustme.CA, ca_bundle: str, version: ssl.TLSVersion
) -> None:
    server = serve(context_of(authority, version), (SERVED,) * 3)
    with pool_of(ca_bundle) as pool:
        assert [get(pool, f"https://127.0.0.1:{server.port}/") for _ in range(3)] == [b"hello"] * 3
    assert server.resumed == [False, True, True]


def test_another_pool_and_another_name_begin_anew(serve: ServerMaker, authority: trustme.CA, ca_bundle: str) -> None:
    server = serve(context_of(authority), (SERVED,) * 3)
    with pool_of(ca_bundle) as one, pool_of(ca_bundle) as other:
        get(one, f"https://127.0.0.1:{server.port}/")
        get(other, f"https://127.0.0.1:{server.port}/")
        get(one, f"https://localhost:{server.port}/")
    assert server.resumed == [False, False, False]


def test_a_server_that_fails_at_it_is_asked_anew_at_once_and_not_for_it_for_a_while(
    serve: ServerMaker, authority: trustme.CA, ca_bundle: str
) -> None:
    server = serve(context_of(authority), (SERVED, ENDED, SERVED, SERVED))
    with pool_of(ca_bundle) as pool:
        assert [get(pool, f"https://127.0.0.1:{server.port}/") for _ in range(3)] == [b"hello"] * 3
    assert server.resumed == [False, False, False]


def test_a_server_that_fails_at_whole_handshakes_too_is_told_as_ever(
    serve: ServerMaker, authority: trustme.CA, ca_bundle: str
) -> None:
    server = serve(context_of(authority), (SERVED, ENDED, ENDED))
    with pool_of(ca_bundle) as pool:
        get(pool, f"https://127.0.0.1:{server.port}/")
        with pytest.raises(NetworkError, match="handshake"):
            get(pool, f"https://127.0.0.1:{server.port}/")


def test_a_proxy_that_refuses_a_tunnel_is_asked_once_and_says_nothing_of_the_session(
    serve: ServerMaker, authority: trustme.CA, ca_bundle: str
) -> None:
    server = serve(context_of(authority), (TUNNELLED, REFUSED, TUNNELLED))
    with pool_of(ca_bundle, proxy=f"http://127.0.0.1:{server.port}") as pool:
        get(pool, "https://localhost/")
        with pytest.raises(NetworkError, match="502"):
            get(pool, "https://localhost/")
        get(pool, "https://localhost/")
    assert server.resumed == [False, True]


def test_a_certificate_that_is_not_trusted_is_no_session_to_go_on_from(
    serve: ServerMaker, authority: trustme.CA, ca_bundle: str
) -> None:
    server = serve(context_of(authority, name="elsewhere.example"), (SERVED,) * 2)
    with pool_of(ca_bundle) as pool:
        for _ in range(2):
            with pytest.raises(NetworkError, match="not trusted"):
                get(pool, f"https://127.0.0.1:{server.port}/")


def test_a_server_that_failed_at_it_once_is_asked_for_it_again_later(
    serve: ServerMaker, authority: trustme.CA, ca_bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = time.monotonic() + FIRST_WHILE + 20
    server = serve(context_of(authority), (SERVED, ENDED, SERVED, SERVED, SERVED))
    with pool_of(ca_bundle) as pool:
        for _ in range(2):
            get(pool, f"https://127.0.0.1:{server.port}/")
        monkeypatch.setattr("fastget.transport.sessions.monotonic", lambda: later)
        for _ in range(2):
            get(pool, f"https://127.0.0.1:{server.port}/")
    assert server.resumed == [False, False, False, True]


def test_the_latest_sessions_are_kept() -> None:
    sessions, session = Sessions(), cast("ssl.SSLSession", object())
    for port in range(MOST_SESSIONS + 1):
        sessions.learn(("host", port), session)
    assert sessions.find(("host", 0)) is None
    assert sessions.find(("host", 1)) is session
    sessions.learn(("host", 1), None)
    assert sessions.find(("host", 1)) is session


def test_an_end_that_fails_again_is_given_up_for_longer_and_as_often_as_it_fails_at_once_for_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sessions, session, end = Sessions(), cast("ssl.SSLSession", object()), ("host", 443)
    now = 0.0
    monkeypatch.setattr("fastget.transport.sessions.monotonic", lambda: now)
    for seconds in (FIRST_WHILE, FIRST_WHILE * 2, FIRST_WHILE * 4):
        for _ in range(3):
            sessions.give_up(end)
        now += seconds - 1
        sessions.learn(end, session)
        assert sessions.find(end) is None
        now += 1
        sessions.learn(end, session)
        assert sessions.find(end) is session
    for _ in range(100):
        now += LONGEST_WHILE
        sessions.give_up(end)
    now += LONGEST_WHILE
    sessions.learn(end, session)
    assert sessions.find(end) is session


def context_of(
    authority: trustme.CA, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, name: str | None = None
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    names = [name] if name is not None else ["localhost", "127.0.0.1"]
    authority.issue_cert(*names).configure_cert(context)
    return context
