"""Servers of any behaviour, the command as a process, and a look at what is left."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import Any, NoReturn

import pytest

import fastget
from fastget.events import Result
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject

MIB = 1024 * 1024
_HOME = Path(__file__).resolve().parents[2]
_LIMIT = 60.0

Handle = Callable[[socket.socket, int], None]
Serve = Callable[..., ObjectServer]
Fetch = Callable[..., Result]
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
NotFound = Callable[[str, str], NoReturn]


class RawServer:
    """Hands every connection, numbered from 1, to `handle` in a thread of its own. `heads` are the requests read."""

    def __init__(self, handle: Handle, host: str = "127.0.0.1") -> None:
        self.heads: list[bytes] = []
        self._handle = handle
        self._listener = socket.create_server((host, 0))
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def url(self, path: str = "/k") -> str:
        return f"http://{self.host}:{self.port}{path}"

    def read_head(self, connection: socket.socket) -> bytes:
        """The head of the next request; empty where the client has gone."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            if not (more := connection.recv(65536)):
                return b""
            data += more
        self.heads.append(data)
        return data

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._run, args=(connection, len(self._open)))
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket, number: int) -> None:
        # A client that has seen enough closes, and the rest of the script meets that.
        with connection, contextlib.suppress(OSError):
            self._handle(connection, number)

    def close(self) -> None:
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in (self._acceptor, *self._threads):
            thread.join(_LIMIT)


@pytest.fixture(autouse=True)
def _asked_for_ranges(two_to_begin_with: None) -> None:
    """What goes wrong with ranges shows only where some are asked for."""


@pytest.fixture
def raw() -> Iterator[Callable[..., RawServer]]:
    """Start raw servers that end with the test: a handler gets the server, a connection and its number."""
    with ExitStack() as stack:

        def begin(handle: Callable[[RawServer, socket.socket, int], None], host: str = "127.0.0.1") -> RawServer:
            server: list[RawServer] = []
            ready = threading.Event()

            def handle_one(connection: socket.socket, number: int) -> None:
                ready.wait()
                handle(server[0], connection, number)

            server.append(RawServer(handle_one, host))
            ready.set()
            stack.callback(server[0].close)
            return server[0]

        yield begin


@pytest.fixture
def answering(raw: Callable[..., RawServer]) -> Callable[[bytes], RawServer]:
    """A raw server that answers every request with the same bytes, and then closes."""

    def begin(data: bytes) -> RawServer:
        def handle(server: RawServer, connection: socket.socket, _: int) -> None:
            if server.read_head(connection):
                connection.sendall(data)

        return raw(handle)

    return begin


@pytest.fixture(scope="session")
def content() -> Content:
    """3 MiB and some bytes: uneven against every piece size here."""
    return Content.generated(3 * MIB + 4321, seed=3)


@pytest.fixture(scope="session")
def stored(content: Content) -> StoredObject:
    """The content with a checksum of the whole."""
    return StoredObject(content, checksum=Algorithm.CRC64NVME)


@pytest.fixture
def fetch(destination: Path) -> Fetch:
    """Download to the destination in small pieces over four connections."""

    def run(url: str, **options: Any) -> Result:
        return fastget.download(url, destination, **{"part_size": MIB, "connections": 4, "fsync": False, **options})

    return run


@pytest.fixture
def assert_arrived(content: Content, destination: Path) -> Callable[[], None]:
    """Asserts that the content stands at the destination, and nothing beside it."""

    def check() -> None:
        digest = hashlib.sha256(content.read(0, content.size)).digest()
        assert hashlib.sha256(destination.read_bytes()).digest() == digest
        assert list(destination.parent.iterdir()) == [destination]

    return check


@pytest.fixture
def assert_absent(destination: Path) -> Callable[[], None]:
    """Asserts that nothing stands at the destination; what a later run goes on with may lie beside it, hidden."""

    def check() -> None:
        assert [name for name in destination.parent.iterdir() if not name.name.startswith(".")] == []

    return check


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command in `tmp_path` to its end; `before` stands in front of it, `limit` runs in the child first."""

    def begin(
        *arguments: str,
        before: tuple[str, ...] = (),
        limit: Callable[[], None] | None = None,
        env: dict[str, str] | None = None,
        **options: Any,
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            (*before, sys.executable, "-m", "fastget", *arguments),
            cwd=tmp_path,
            env=environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT,
            preexec_fn=limit,
            check=False,
            **options,
        )

    return begin


@pytest.fixture
def script(tmp_path: Path) -> Run:
    """Run a script in an interpreter of its own; `limit` runs in the child first."""

    def begin(
        source: str, *arguments: object, limit: Callable[[], None] | None = None, **env: str
    ) -> subprocess.CompletedProcess[bytes]:
        path = tmp_path / "script.py"
        path.write_text(dedent(source))
        return subprocess.run(
            (sys.executable, str(path), *map(str, arguments)),
            cwd=tmp_path,
            env=environment(**env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT,
            preexec_fn=limit,
            check=False,
        )

    return begin


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the command; it is killed with the test."""
    with ExitStack() as processes:

        def begin(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
            # A test run in the background ignores SIGINT, one under nohup SIGHUP; its children would inherit that.
            before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGHUP)}
            try:
                process = subprocess.Popen(
                    (sys.executable, "-m", "fastget", *arguments),
                    cwd=tmp_path,
                    env=environment(),
                    **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
                )
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
            processes.enter_context(process)
            processes.callback(process.kill)
            return process

        yield begin


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_HOME), "NO_PROXY": "127.0.0.1", "TERM": "xterm", **variables}


@pytest.fixture(scope="session")
def strace(server_not_found: NotFound) -> Callable[..., tuple[str, ...]]:
    """The words that go before a command whose system calls are to fail as told."""
    program = _program("strace")
    probe = (program or "false", "-qq", "-o", os.devnull, "-e", "trace=none", "true")
    # Where processes may not be traced (some containers), it is there and of no use.
    if program is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        server_not_found("strace", "apt-get install strace, and permission to trace")

    def words(*injections: str, output: str = os.devnull) -> tuple[str, ...]:
        injected = [word for injection in injections for word in ("-e", f"inject={injection}")]
        calls = ",".join(sorted({name for one in injections for name in one.partition(":")[0].split(",")}))
        return (program, "-f", "-qq", "-o", output, "-e", f"trace={calls}", *injected)

    return words


@pytest.fixture(scope="session")
def haproxy(server_not_found: NotFound) -> str:
    """The path of haproxy."""
    return _program("haproxy") or server_not_found("haproxy", "apt-get install haproxy")


def _program(name: str) -> str | None:
    import shutil

    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
