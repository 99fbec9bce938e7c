"""Downloads through proxies of every kind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from fastget.config import Config
from fastget.core.messages import Headers, Request
from fastget.core.urls import URL
from fastget.errors import ConfigError, FastgetError, NetworkError, ProtocolError, Stalled
from fastget.transport.connection import SocketConnection
from fastget.transport.fallback import HttpxConnection
from fastget.transport.pool import Pool

if TYPE_CHECKING:
    import ssl

    from fastget.transport.protocol import Connection
    from tests.transport.conftest import Peer, ScriptedServer, ServerMaker

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
Connect = Callable[..., "Connection"]


def hello(peer: Peer) -> None:
    while peer.request():
        peer.send(HELLO)


@pytest.fixture
def connect(ca_bundle: str) -> Iterator[Connect]:
    """Makes connections to a scheme and port of the loopback through a proxy."""
    pools: list[Pool] = []
    connections: list[Connection] = []

    def make(scheme: str, port: int, proxy: str, **options: float) -> Connection:
        config = Config(proxy=proxy, ca_bundle=ca_bundle, **options)  # type: ignore[arg-type]
        pools.append(Pool(config))
        connections.append(pools[-1].connection(URL.parse(f"{scheme}://127.0.0.1:{port}/").origin))
        return connections[-1]

    yield make
    for connection in connections:
        connection.close()
    for pool in pools:
        pool.close()


def fetch(connection: Connection, path: str = "/object?signature=secret") -> bytes:
    """One GET: the body's first five bytes."""
    url = URL.parse(f"{connection.origin}{path}")
    connection.exchange(Request("GET", url, Headers([("Authorization", "origin-secret")])))
    buffer = memoryview(bytearray(64))
    count = connection.read_into(buffer)
    assert connection.read_into(buffer[count:]) == 0
    return buffer[:count].tobytes()


def failure(connection: Connection) -> FastgetError:
    with pytest.raises(FastgetError) as caught:
        fetch(connection)
    return caught.value


def test_http_goes_to_an_http_proxy_in_absolute_form(scripted: ServerMaker, connect: Connect) -> None:
    origin = scripted(hello)
    proxy = scripted(lambda peer: peer.forward(origin.port))
    connection = connect("http", origin.port, f"http://user:pass@127.0.0.1:{proxy.port}")
    assert isinstance(connection, SocketConnection)
    assert fetch(connection) == b"hello"
    assert connection.is_reusable
    lines = proxy.requests[0].split(b"\r\n")
    assert lines[0] == b"GET http://127.0.0.1:%d/object?signature=secret HTTP/1.1" % origin.port
    assert b"Proxy-Authorization: Basic dXNlcjpwYXNz" in lines


@pytest.mark.fault("N23")
def test_https_goes_through_a_tunnel_that_sees_no_secret(
    scripted: ServerMaker, connect: Connect, trusted: ssl.SSLContext
) -> None:
    origin = scripted(hello, context=trusted)
    proxy = scripted(lambda peer: peer.connect())
    connection = connect("https", origin.port, f"http://user:pass@127.0.0.1:{proxy.port}")
    assert isinstance(connection, SocketConnection)
    assert fetch(connection) == b"hello"
    assert fetch(connection) == b"hello"
    assert proxy.connections == 1
    authority = b"127.0.0.1:%d" % origin.port
    assert proxy.requests[0].split(b"\r\n") == [
        b"CONNECT " + authority + b" HTTP/1.1",
        b"Host: " + authority,
        b"Proxy-Authorization: Basic dXNlcjpwYXNz",
        b"",
        b"",
    ]
    assert b"Proxy-Authorization" not in origin.requests[0]


def test_http_goes_to_a_tls_proxy_in_absolute_form(
    scripted: ServerMaker, connect: Connect, trusted: ssl.SSLContext
) -> None:
    origin = scripted(hello)
    proxy = scripted(lambda peer: peer.forward(origin.port), context=trusted)
    connection = connect("http", origin.port, f"https://127.0.0.1:{proxy.port}")
    assert isinstance(connection, SocketConnection)
    assert fetch(connection) == b"hello"
    assert proxy.requests[0].startswith(b"GET http://127.0.0.1:%d/object" % origin.port)


def test_https_goes_through_a_tls_proxy(scripted: ServerMaker, connect: Connect, trusted: ssl.SSLContext) -> None:
    origin = scripted(hello, context=trusted)
    proxy = scripted(lambda peer: peer.connect(), context=trusted)
    connection = connect("https", origin.port, f"https://user:pass@127.0.0.1:{proxy.port}")
    assert isinstance(connection, HttpxConnection)
    assert fetch(connection) == b"hello"
    assert origin.requests[0].startswith(b"GET /object?signature=secret HTTP/1.1")
    assert b"Proxy-Authorization" not in origin.requests[0]
    assert b"origin-secret" not in proxy.requests[0]


def test_a_path_with_dot_segments_is_never_changed_on_its_way(
    scripted: ServerMaker, connect: Connect, trusted: ssl.SSLContext
) -> None:
    origin = scripted(hello, context=trusted)
    socks = scripted(lambda peer: peer.socks5())
    assert fetch(connect("https", origin.port, f"socks5://127.0.0.1:{socks.port}"), "/a/../b") == b"hello"
    assert origin.requests[0].startswith(b"GET /a/../b HTTP/1.1")
    with pytest.raises(ConfigError, match="dot segments"):
        fetch(connect("https", origin.port, "https://127.0.0.1:1"), "/a/../b")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("credentials", [None, b"user:pass"])
def test_everything_goes_through_a_socks_proxy(
    scripted: ServerMaker, connect: Connect, trusted: ssl.SSLContext, scheme: str, credentials: bytes | None
) -> None:
    origin = scripted(hello, context=trusted if scheme == "https" else None)
    proxy = scripted(lambda peer: peer.socks5(credentials))
    userinfo = "" if credentials is None else credentials.decode() + "@"
    connection = connect(scheme, origin.port, f"socks5h://{userinfo}127.0.0.1:{proxy.port}")
    assert isinstance(connection, HttpxConnection)
    assert fetch(connection) == b"hello"


def test_a_socks_proxy_that_refuses_is_a_network_error(scripted: ServerMaker, connect: Connect) -> None:
    proxy = scripted(lambda peer: peer.socks5(b"user:pass"), lambda peer: peer.socks5(reply=5))
    bad = failure(connect("http", 1, f"socks5://user:wrong@127.0.0.1:{proxy.port}"))
    assert isinstance(bad, NetworkError)
    assert not bad.is_transient
    assert "wrong" not in str(bad)
    away = failure(connect("http", 1, f"socks5://127.0.0.1:{proxy.port}"))
    assert isinstance(away, NetworkError)
    assert away.is_transient


@pytest.mark.parametrize("reply", [b"", b"\x05", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\x00\x05\x00\x00\x03"])
def test_a_socks_proxy_that_answers_nonsense_is_a_network_error(
    scripted: ServerMaker, connect: Connect, reply: bytes
) -> None:
    def script(peer: Peer) -> None:
        peer.socket.recv(64)
        peer.send(reply)

    proxy = scripted(script)
    assert isinstance(failure(connect("http", 1, f"socks5://127.0.0.1:{proxy.port}")), NetworkError)


def test_a_socks_proxy_that_keeps_silent_is_a_stall(scripted: ServerMaker, connect: Connect) -> None:
    proxy = scripted(lambda peer: peer.stall())
    options = {"connect_timeout": 0.2, "response_timeout": 0.1}
    assert isinstance(failure(connect("http", 1, f"socks5://127.0.0.1:{proxy.port}", **options)), Stalled)


def test_socks_without_its_package_says_what_to_install(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    error = failure(connect("http", 1, "socks5://127.0.0.1:1"))
    assert isinstance(error, ConfigError)
    assert "fastget[socks]" in (error.hint or "")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "proxy", ["http://u:secret@127.0.0.1:1", "socks5://u:secret@127.0.0.1:1", "http://nobody.invalid:1"]
)
def test_a_proxy_that_is_not_there_is_told_apart_from_the_server(connect: Connect, scheme: str, proxy: str) -> None:
    error = failure(connect(scheme, 2, proxy))
    named = proxy.replace("u:secret@", "")
    assert isinstance(error, NetworkError)
    assert str(error).startswith(f"the proxy {named} cannot be reached: ")
    assert "--proxy" in (error.hint or "")


REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.fault("N23")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_asks_for_credentials_is_named_without_those_given(
    scripted: ServerMaker, connect: Connect, scheme: str
) -> None:
    proxy = scripted(lambda peer: peer.answer(REFUSAL))
    error = failure(connect(scheme, 1, f"http://user:wrong@127.0.0.1:{proxy.port}"))
    assert isinstance(error, NetworkError)
    assert not error.is_transient
    assert f"http://127.0.0.1:{proxy.port}" in str(error)
    assert "wrong" not in f"{error} {error.hint}"


@pytest.mark.parametrize(("status", "is_transient"), [(b"403 Forbidden", False), (b"502 Bad Gateway", True)])
def test_a_proxy_that_refuses_a_tunnel_is_a_network_error(
    scripted: ServerMaker, connect: Connect, status: bytes, is_transient: bool
) -> None:
    proxy = scripted(lambda peer: peer.connect(status))
    error = failure(connect("https", 1, f"http://127.0.0.1:{proxy.port}"))
    assert isinstance(error, NetworkError)
    assert error.is_transient == is_transient
    assert status.decode() in str(error)


def reset(peer: Peer) -> None:
    peer.request()
    peer.reset()


@pytest.mark.fault("N23")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_resets_is_a_network_error(scripted: ServerMaker, connect: Connect, scheme: str) -> None:
    proxy: ScriptedServer = scripted(reset)
    error = failure(connect(scheme, 1, f"http://127.0.0.1:{proxy.port}"))
    assert isinstance(error, NetworkError)
    assert proxy.connections == 1


@pytest.mark.fault("N23")
def test_a_proxy_that_ends_without_an_answer_is_a_network_error_and_nothing_else(
    scripted: ServerMaker, connect: Connect
) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.cut()

    error = failure(connect("https", 1, f"http://127.0.0.1:{scripted(script).port}"))
    assert type(error) is NetworkError
    assert "without an answer" in str(error)


def test_bytes_that_a_proxy_puts_into_the_tunnel_are_refused(scripted: ServerMaker, connect: Connect) -> None:
    proxy = scripted(lambda peer: peer.answer(b"HTTP/1.1 200 OK\r\n\r\n" + HELLO))
    assert isinstance(failure(connect("https", 1, f"http://127.0.0.1:{proxy.port}")), ProtocolError)


@pytest.mark.fault("N23")
@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])
def test_a_proxy_that_answers_nonsense_is_named(scripted: ServerMaker, connect: Connect, answer: bytes) -> None:
    proxy = scripted(lambda peer: peer.answer(answer))
    error = failure(connect("https", 1, f"http://127.0.0.1:{proxy.port}"))
    assert isinstance(error, ProtocolError)
    assert f"the proxy http://127.0.0.1:{proxy.port}" in str(error)
    assert "scheme and the port of the URL" not in (error.hint or "")


def test_a_proxy_that_never_answers_is_a_stall(scripted: ServerMaker, connect: Connect) -> None:
    proxy = scripted(lambda peer: peer.stall())
    error = failure(connect("https", 1, f"http://127.0.0.1:{proxy.port}", response_timeout=0.2))
    assert isinstance(error, Stalled)
    assert "proxy" in str(error)
