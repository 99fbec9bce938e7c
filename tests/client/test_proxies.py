"""Whole downloads through proxies: HTTP, CONNECT and SOCKS5, given by option and by environment."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import trustme

import fastget
from fastget import aio
from fastget.errors import ConfigError, NetworkError
from fastget.testing import Behaviour, ObjectServer, StoredObject, faults
from fastget.testing.received import ReceivedRequest

MIB = 1024 * 1024
Serve = Callable[..., ObjectServer]
AssertIdle = Callable[[int], None]

pytestmark = pytest.mark.usefixtures("no_leaks")

# A name that resolves nowhere: only a proxy can have brought what comes from it.
STORE = "store.invalid"
SEVERAL = {"connections": 3, "part_size": MIB}


class Tunnel:
    """A proxy for CONNECT (RFC 9110 §9.3.6) and SOCKS5 (RFC 1928), which leads to one port whatever it is asked for."""

    def __init__(self, target: int, *, accepts: bool = True) -> None:
        self.asked: list[str] = []
        self._target = target
        self._accepts = accepts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = False
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def close(self) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join()
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self._stopping:
                sock.close()
                return
            self._sockets.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            is_open = self._socks(sock) if sock.recv(1, socket.MSG_PEEK) == b"\x05" else self._connect(sock)
            if is_open:
                with socket.create_connection(("127.0.0.1", self._target)) as upstream:
                    self._relay(sock, upstream)

    def _connect(self, sock: socket.socket) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._read(sock, 1)
        self.asked.append(head.decode())
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n" if self._accepts else b"HTTP/1.1 403 Forbidden\r\n\r\n")
        return self._accepts

    def _socks(self, sock: socket.socket) -> bool:
        self._read(sock, self._read(sock, 2)[1])
        sock.sendall(b"\x05\x00")
        request = self._read(sock, 5)
        kind, length = request[3:5]
        request += self._read(sock, length + 2 if kind == 3 else 5)
        host = request[5:-2].decode() if kind == 3 else socket.inet_ntoa(request[4:8])
        self.asked.append(f"socks {host}:{struct.unpack('>H', request[-2:])[0]}")
        sock.sendall(bytes([5, 0 if self._accepts else 2, 0, 1, 0, 0, 0, 0, 0, 0]))
        return self._accepts

    def _read(self, sock: socket.socket, count: int) -> bytes:
        """Exactly so many bytes; ConnectionResetError where the client, cancelled perhaps, has gone before them."""
        data = b""
        while len(data) < count:
            more = sock.recv(count - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data

    def _relay(self, sock: socket.socket, upstream: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ, upstream)
            selector.register(upstream, selectors.EVENT_READ, sock)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                    if not data:
                        return
                    key.data.sendall(data)


@pytest.fixture
def tunnel() -> Iterator[Callable[..., Tunnel]]:
    """Makes tunnels to a port, which end with the test."""
    tunnels: list[Tunnel] = []

    def make(target: int, *, accepts: bool = True) -> Tunnel:
        tunnels.append(Tunnel(target, accepts=accepts))
        return tunnels[-1]

    yield make
    for one in tunnels:
        one.close()


@pytest.fixture
def plain(serve: Serve, stored: StoredObject) -> ObjectServer:
    """An object server, which answers requests in absolute form and so is an HTTP proxy as well."""
    return serve({"/b/k": stored})


@pytest.fixture
def secured(serve: Serve, stored: StoredObject, authority: trustme.CA) -> ObjectServer:
    """The same over TLS, under the name of the store."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(STORE).configure_cert(context)
    return serve({"/b/k": stored}, tls=context)


def assert_is(path: Path, stored: StoredObject) -> None:
    assert path.read_bytes() == stored.content.read()
    assert list(path.parent.iterdir()) == [path]


def test_http_goes_through_a_proxy_that_is_given_as_an_option(
    serve: Serve, stored: StoredObject, destination: Path, assert_idle: AssertIdle
) -> None:
    is_joined = threading.Event()

    def note(request: ReceivedRequest) -> None:
        if "range" in request.headers:
            is_joined.set()

    # The first answer stands still until a second connection has asked.
    plain = serve({"/b/k": stored}, faults=[faults.hold(is_joined, after=1000)], operations=[note])
    proxy = plain.base_url.replace("//", "//user:pass@")
    result = fastget.download(f"http://{STORE}/b/k", destination, proxy=proxy, **SEVERAL)
    assert result.verification.verified
    assert_is(destination, stored)
    assert {request.target for request in plain.requests} == {f"http://{STORE}/b/k"}
    assert {request.headers.get("host") for request in plain.requests} == {STORE}
    assert {request.headers.get("proxy-authorization") for request in plain.requests} == {"Basic dXNlcjpwYXNz"}
    assert len({request.connection for request in plain.requests}) > 1
    assert_idle(plain.port)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_http_goes_through_a_proxy_of_the_environment(
    plain: ObjectServer, stored: StoredObject, destination: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, plain.base_url)
    fastget.download(f"http://{STORE}/b/k", destination, **SEVERAL)
    assert_is(destination, stored)


def test_hosts_that_need_no_proxy_are_reached_without_one(
    plain: ObjectServer, stored: StoredObject, refusing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{refusing}")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    assert fastget.read(plain.url("/b/k"), 5, 50) == stored.content.read(5, 50)
    assert plain.requests[-1].target == "/b/k"


def test_an_empty_proxy_option_is_none_whatever_the_environment_says(
    plain: ObjectServer, stored: StoredObject, refusing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{refusing}")
    assert fastget.read(plain.url("/b/k"), proxy="") == stored.content.read()
    with pytest.raises(NetworkError):
        fastget.read(plain.url("/b/k"), retries=0)


def test_https_goes_through_a_tunnel_and_is_checked_against_the_stores_name(
    secured: ObjectServer,
    tunnel: Callable[..., Tunnel],
    stored: StoredObject,
    destination: Path,
    bundle: str,
    assert_idle: AssertIdle,
) -> None:
    proxy = tunnel(secured.port)
    secured.behaviour = Behaviour(rate_per_connection=4 * MIB)  # so that there is something left for other connections
    url = f"https://{STORE}/b/k?X-Amz-Signature=5ec2e7"
    result = fastget.download(
        url, destination, proxy=f"http://user:pass@127.0.0.1:{proxy.port}", ca_bundle=bundle, **SEVERAL
    )
    assert result.verification.verified
    assert_is(destination, stored)
    assert len(proxy.asked) == secured.connections > 1
    assert all(head.startswith(f"CONNECT {STORE}:443 HTTP/1.1\r\n") for head in proxy.asked)
    assert all("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n" in head for head in proxy.asked)
    assert not any("5ec2e7" in head for head in proxy.asked)
    assert not any(request.headers.get("proxy-authorization") for request in secured.requests)
    assert_idle(proxy.port)


def test_https_goes_through_a_tunnel_of_the_environment(
    secured: ObjectServer,
    tunnel: Callable[..., Tunnel],
    stored: StoredObject,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = tunnel(secured.port)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    with fastget.Client(ca_bundle=bundle) as client:
        for _ in range(3):
            assert client.read(f"https://{STORE}/b/k", 5, 50) == stored.content.read(5, 50)
    assert len(proxy.asked) == 1


def test_a_tunnel_does_not_make_a_certificate_good(
    secured: ObjectServer, tunnel: Callable[..., Tunnel], bundle: str, destination: Path
) -> None:
    proxy = tunnel(secured.port)
    with pytest.raises(NetworkError) as caught:
        fastget.download(
            "https://another.invalid/b/k", destination, proxy=f"http://127.0.0.1:{proxy.port}", ca_bundle=bundle
        )
    assert "another.invalid" in str(caught.value)
    assert caught.value.hint
    assert not secured.requests
    assert not list(destination.parent.iterdir())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_socks5_carries_a_whole_download(
    plain: ObjectServer,
    secured: ObjectServer,
    tunnel: Callable[..., Tunnel],
    stored: StoredObject,
    destination: Path,
    bundle: str,
    assert_idle: AssertIdle,
    scheme: str,
) -> None:
    proxy = tunnel((plain if scheme == "http" else secured).port)
    result = fastget.download(
        f"{scheme}://{STORE}/b/k",
        destination,
        proxy=f"socks5://127.0.0.1:{proxy.port}",
        ca_bundle=bundle,
        connections=3,
        part_size=2 * MIB,
    )
    assert result.verification.verified
    assert_is(destination, stored)
    assert set(proxy.asked) == {f"socks {STORE}:{80 if scheme == 'http' else 443}"}
    assert_idle(proxy.port)


def test_a_cancelled_download_lets_go_of_its_socks_proxy(
    serve: Serve,
    stored: StoredObject,
    tunnel: Callable[..., Tunnel],
    destination: Path,
    released: threading.Event,
    assert_idle: AssertIdle,
) -> None:
    reached = threading.Event()
    server = serve({"/b/k": stored}, faults=[faults.hold(released, after=1000, reached=reached).always()])
    proxy = tunnel(server.port)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            url, options = f"http://{STORE}/b/k", {"proxy": f"socks5://127.0.0.1:{proxy.port}", **SEVERAL}
            group.start_soon(lambda: aio.download(url, destination, **options))
            assert await anyio.to_thread.run_sync(reached.wait, 60)
            group.cancel_scope.cancel()

    anyio.run(main)
    assert_idle(proxy.port)
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("N23")
@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_a_proxy_that_refuses_is_named_without_its_password(
    tunnel: Callable[..., Tunnel], destination: Path, bundle: str, kind: str
) -> None:
    proxy = tunnel(1, accepts=False)
    with pytest.raises(NetworkError) as caught:
        fastget.download(
            f"https://{STORE}/b/k",
            destination,
            proxy=f"{kind}://127.0.0.1:{proxy.port}",
            ca_bundle=bundle,
            retries=0,
        )
    assert f"127.0.0.1:{proxy.port}" in str(caught.value)
    assert "refuses" in str(caught.value)
    assert not list(destination.parent.iterdir())


@pytest.mark.parametrize("proxy", ["ftp://host:1", "http://", "http://user:5ec2e7@host:abc"])
def test_a_proxy_url_that_cannot_be_meant_is_a_config_error_that_quotes_no_secret(
    destination: Path, proxy: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        fastget.download(f"http://{STORE}/b/k", destination, proxy=proxy)
    assert caught.value.hint
    assert "5ec2e7" not in str(caught.value)
