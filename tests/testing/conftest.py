"""Clients that hide nothing: raw sockets, curl and botocore."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

from fastget.core.messages import Headers
from fastget.testing import ObjectServer

PATIENCE = 10.0


@dataclass(frozen=True)
class RawAnswer:
    """Everything that a server sent on one connection, and how it ended: fin, reset or silence."""

    data: bytes
    ending: str

    @property
    def head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def status(self) -> int:
        return int(self.head.split(b" ")[1])

    @property
    def headers(self) -> Headers:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return Headers((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))


def _exchange(port: int, request: bytes, quiet_after: int | None) -> RawAnswer:
    data = bytearray()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
            sock.sendall(request)
            while received := _next(sock, data, quiet_after):
                data += received
    except (ConnectionResetError, BrokenPipeError):
        return RawAnswer(bytes(data), "reset")
    except TimeoutError:
        return RawAnswer(bytes(data), "silence")
    return RawAnswer(bytes(data), "fin")


def _next(sock: socket.socket, data: bytearray, quiet_after: int | None) -> bytes:
    """What comes next; only where nothing should come any more is the wait short."""
    body = data.partition(b"\r\n\r\n")[2] if b"\r\n\r\n" in data else None
    is_all = quiet_after is not None and (quiet_after < 0 or (body is not None and len(body) >= quiet_after))
    sock.settimeout(0.1 if is_all else PATIENCE)
    return sock.recv(65536)


Ask = Callable[..., RawAnswer]


@pytest.fixture
def ask() -> Ask:
    """Sends one request on a connection of its own, returns all that comes until the server ends it.

    Where it does not end it, silence is looked for after `quiet_after` body bytes (-1: instead of a head).
    """

    def send(
        server: ObjectServer,
        target: str = "/b/k",
        *,
        method: str = "GET",
        quiet_after: int | None = None,
        **headers: str,
    ) -> RawAnswer:
        lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return _exchange(server.port, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), quiet_after)

    return send


@dataclass(frozen=True)
class CurlRun:
    """What curl wrote and the status that it ended with (its manual, EXIT CODES)."""

    status: int
    output: bytes


Curl = Callable[..., CurlRun]


@pytest.fixture
def curl(server_not_found: Callable[[str, str], NoReturn]) -> Curl:
    """Runs curl, silent, with these arguments."""
    program = shutil.which("curl")
    if program is None:
        server_not_found("curl", "install curl")

    def run(*arguments: str) -> CurlRun:
        finished = subprocess.run((program, "-s", "-m", "20", *arguments), capture_output=True, check=False)
        return CurlRun(finished.returncode, finished.stdout)

    return run


@pytest.fixture(scope="session")
def botocore_session() -> Any:
    """One session for all clients, because reading its data is what takes time."""
    import botocore.session

    return botocore.session.Session()


@pytest.fixture
def s3_client(botocore_session: Any) -> Callable[[ObjectServer], Any]:
    """Makes a botocore client of a server, without signatures and without retries."""

    def make(server: ObjectServer) -> Any:
        from botocore import UNSIGNED
        from botocore.config import Config

        once = {"total_max_attempts": 1}
        options = Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}, retries=once)
        return botocore_session.create_client(
            "s3", region_name="us-east-1", endpoint_url=server.base_url, config=options
        )

    return make
