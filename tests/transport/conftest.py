"""A server that does what a script says, byte by byte, and the connections under test."""

from __future__ import annotations

import contextlib
import functools
import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
import trustme

from fastget.config import Config
from fastget.core.messages import Headers, Request, ResponseHead
from fastget.core.urls import URL, Origin
from fastget.transport.connection import SocketConnection
from fastget.transport.fallback import HttpxConnection
from fastget.transport.protocol import Connection
from fastget.transport.route import Route
from fastget.transport.tls import client_context


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self.socket = sock
        self.requests: list[bytes] = []
        self._stopping = stopping

    def request(self) -> bytes:
        """Read one request head; empty when the client has gone."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                return b""
            head += byte
        self.requests.append(head)
        return head

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def trickle(self, data: bytes) -> None:
        """Send one byte at a time."""
        for index in range(len(data)):
            self.socket.sendall(data[index : index + 1])

    def answer(self, data: bytes) -> None:
        """Read a request and send `data`."""
        self.request()
        self.send(data)

    def finish(self) -> None:
        """End the stream as it is meant to be ended: with a close_notify where there is TLS."""
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.unwrap()
        else:
            self.socket.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """End the stream without a close_notify."""
        socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def connect(self, status: bytes = b"200 Connection established") -> None:
        """Be an HTTP proxy: take a CONNECT request, answer it and carry the tunnel."""
        authority = self.request().split(b" ")[1].decode()
        host, _, port = authority.rpartition(":")
        self.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
        if status.startswith(b"2"):
            self._carry(host.strip("[]"), int(port))

    def forward(self, port: int) -> None:
        """Be an HTTP proxy: pass requests in absolute form on to a port, as they are."""
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            upstream.sendall(self.request())
            self._relay(upstream)

    def socks5(self, credentials: bytes | None = None, reply: int = 0) -> None:
        """Be a SOCKS5 proxy (RFC 1928), with user and password (RFC 1929) where `credentials` are given."""
        self._read(self._read(2)[1])
        self.send(b"\x05\x00" if credentials is None else b"\x05\x02")
        if credentials is not None:
            name = self._read(self._read(2)[1])
            given = name + b":" + self._read(self._read(1)[0])
            self.send(b"\x01\x00" if given == credentials else b"\x01\x01")
        kind = self._read(4)[3]
        host = socket.inet_ntoa(self._read(4)) if kind == 1 else self._read(self._read(1)[0]).decode()
        (port,) = struct.unpack(">H", self._read(2))
        self.send(bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        if not reply:
            self._carry(host, port)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data

    def _carry(self, host: str, port: int) -> None:
        with socket.create_connection((host, port)) as upstream:
            self._relay(upstream)

    def _relay(self, upstream: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ, upstream)
            selector.register(upstream, selectors.EVENT_READ, self.socket)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                    if not data:
                        return
                    key.data.sendall(data)

    def stall(self) -> None:
        """Keep the connection open and silent until the test is over."""
        self._stopping.wait()


Script = Callable[[Peer], None]


class ScriptedServer:
    """Listens on the loopback; the n-th script serves the n-th connection, later ones are closed at once."""

    def __init__(self, scripts: tuple[Script, ...], context: ssl.SSLContext | None) -> None:
        self._scripts = scripts
        self._context = context
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.failures: list[Exception] = []
        self.peers: list[Peer] = []
        self.connections = 0
        self.port: int = self._listener.getsockname()[1]
        self._threads[0].start()

    @property
    def requests(self) -> list[bytes]:
        return [request for peer in self.peers for request in peer.requests]

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self._stopping.is_set():
                sock.close()
                return
            number = self.connections
            self.connections += 1
            self._sockets.append(sock)
            if number < len(self._scripts):
                thread = threading.Thread(target=self._serve, args=(sock, self._scripts[number]))
                self._threads.append(thread)
                thread.start()
            else:
                sock.close()

    def _serve(self, sock: socket.socket, script: Script) -> None:
        try:
            with contextlib.suppress(OSError):  # the client went away, as many tests want it to
                secured = self._context.wrap_socket(sock, server_side=True) if self._context else sock
                self._sockets.append(secured)
                with secured:
                    peer = Peer(secured, self._stopping)
                    self.peers.append(peer)
                    script(peer)
        except Exception as failure:  # noqa: BLE001 - shown by the test that made the script
            self.failures.append(failure)
        finally:
            sock.close()

    def stop(self) -> None:
        if self._stopping.is_set():
            return
        self._stopping.set()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        for sock in self._sockets:
            sock.close()
        assert not self.failures


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture(scope="session")
def trusted(authority: trustme.CA) -> ssl.SSLContext:
    """The server side of TLS with a certificate for localhost and 127.0.0.1."""
    return server_context(authority.issue_cert("localhost", "127.0.0.1"))


ServerMaker = Callable[..., ScriptedServer]


@pytest.fixture
def scripted(no_leaks: None) -> Iterator[ServerMaker]:
    """Makes servers from scripts, plain unless `context` is given, and stops them."""
    servers: list[ScriptedServer] = []

    def make(*scripts: Script, context: ssl.SSLContext | None = None) -> ScriptedServer:
        servers.append(ScriptedServer(scripts, context))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


class Client:
    """One connection under test, and short ways to use it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.url = URL.parse(f"{connection.origin}/object?signature=secret")

    def get(self, method: str = "GET", headers: tuple[tuple[str, str], ...] = ()) -> ResponseHead:
        return self.connection.exchange(self.request(method, headers))

    def request(self, method: str = "GET", headers: tuple[tuple[str, str], ...] = ()) -> Request:
        return Request(method, self.url, Headers(headers))

    @contextlib.contextmanager
    def aborted_at(self, moment: threading.Event) -> Iterator[None]:
        """Abort the connection from another thread once `moment` has come."""
        aborter = threading.Thread(target=lambda: self.connection.abort() if moment.wait(20) else None)
        aborter.start()
        yield
        aborter.join()

    def body(self, buffer_size: int = 65536) -> bytes:
        """The body, read through a buffer between two guards that must stay as they are."""
        guarded = bytearray(b"\xa5" * (buffer_size + 2))
        body = bytearray()
        while count := self.connection.read_into(memoryview(guarded)[1:-1]):
            assert count <= buffer_size
            assert (guarded[0], guarded[-1]) == (0xA5, 0xA5)
            body += guarded[1 : 1 + count]
        return bytes(body)


ClientMaker = Callable[..., Client]
_MODES = {"plain": "http", "tls": "https", "httpx": "http", "httpx-tls": "https"}


class Mode:
    """One implementation of `Connection`, over TCP or TLS, with a server and a client that fit together."""

    def __init__(
        self,
        name: str,
        scripted: ServerMaker,
        clients: list[Connection],
        trusted: ssl.SSLContext,
        bundle: str,
    ) -> None:
        self.name = name
        self.scheme = _MODES[name]
        self.is_data_plane = not name.startswith("httpx")
        self._scripted = scripted
        self._clients = clients
        self._trusted = trusted
        self._bundle = bundle

    def serve(self, *scripts: Script) -> ScriptedServer:
        return self._scripted(*scripts, context=self._trusted if self.scheme == "https" else None)

    def connect(self, server: ScriptedServer | int, **options: float | bool) -> Client:
        """A client of `server` (or of a port); `options` are those of Config."""
        port = server if isinstance(server, int) else server.port
        config = Config(ca_bundle=self._bundle, **options)  # type: ignore[arg-type]
        origin = Origin(self.scheme, "127.0.0.1", port)
        connection = connection_of(origin, config, is_data_plane=self.is_data_plane)
        self._clients.append(connection)
        return Client(connection)

    def client(self, *scripts: Script, **options: float | bool) -> Client:
        return self.connect(self.serve(*scripts), **options)


def connection_of(origin: Origin, config: Config, *, is_data_plane: bool) -> Connection:
    if not is_data_plane:
        return HttpxConnection(origin, None, config, lambda: client_context(config))
    route = Route(origin, None, config, functools.cache(lambda: client_context(config)))
    return SocketConnection(origin, route, response_timeout=config.response_timeout, stall_timeout=config.stall_timeout)


@pytest.fixture
def make_mode(scripted: ServerMaker, trusted: ssl.SSLContext, ca_bundle: str) -> Iterator[Callable[[str], Mode]]:
    clients: list[Connection] = []
    yield lambda name: Mode(name, scripted, clients, trusted, ca_bundle)
    for client in clients:
        client.close()


@pytest.fixture(params=list(_MODES))
def mode(request: pytest.FixtureRequest, make_mode: Callable[[str], Mode]) -> Mode:
    """Every implementation of `Connection`, over TCP and over TLS."""
    return make_mode(request.param)


@pytest.fixture(params=["plain", "tls"])
def data_plane(request: pytest.FixtureRequest, make_mode: Callable[[str], Mode]) -> Mode:
    """SocketConnection alone, over TCP and over TLS."""
    return make_mode(request.param)


@pytest.fixture(params=["tls", "httpx-tls"])
def secured(request: pytest.FixtureRequest, make_mode: Callable[[str], Mode]) -> Mode:
    """Every implementation of `Connection`, over TLS alone."""
    return make_mode(request.param)


@pytest.fixture
def unanswering() -> Iterator[int]:
    """A port that takes no more connections and refuses none: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
