"""The SDKs of AWS and IBM beside fastget, all three asking one server that tells what it was asked."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import fastget
from fastget.engine.exchange.stores import Stores
from fastget.testing import ObjectServer

Ask = Callable[..., dict[str, Any]]
Serve = Callable[..., ObjectServer]


@pytest.fixture(scope="session")
def sdk_sessions() -> dict[str, Any]:
    """One session of each SDK for all clients, because reading its data is what takes time."""
    import botocore.session
    import ibm_botocore.session

    return {"aws": botocore.session.Session(), "ibm": ibm_botocore.session.Session()}


@pytest.fixture(scope="session")
def sdk_client(sdk_sessions: dict[str, Any]) -> Iterator[Callable[[str, ObjectServer], Any]]:
    """The client of an SDK (aws, ibm) for a server: signed, path style."""
    made: dict[tuple[str, str], Any] = {}

    def make(name: str, server: ObjectServer) -> Any:
        if (name, server.base_url) in made:
            return made[name, server.base_url]
        if name == "aws":
            from botocore.config import Config
        else:
            from ibm_botocore.config import Config
        options = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2})
        made[name, server.base_url] = sdk_sessions[name].create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=server.base_url,
            config=options,
            aws_access_key_id="AKIAMARKEDACCESSKEY0",
            aws_secret_access_key="marked-secret-key",
        )
        return made[name, server.base_url]

    yield make
    for client in made.values():
        client.close()


@pytest.fixture(scope="session")
def client_of() -> Iterator[Callable[..., fastget.Client]]:
    """The client whose options lead to a server; closed with the last test."""
    made: dict[tuple[Any, ...], fastget.Client] = {}

    def make(server: ObjectServer, **options: Any) -> fastget.Client:
        chosen: dict[str, Any] = {
            "endpoint_url": server.base_url,
            "region": "us-east-1",
            "addressing_style": "path",
            "access_key_id": "AKIAMARKEDACCESSKEY0",
            "secret_access_key": "marked-secret-key",
        }
        chosen |= options
        key = tuple(chosen.items())
        if key not in made:
            made[key] = fastget.Client(**chosen)
        return made[key]

    yield make
    for client in made.values():
        client.close()


@pytest.fixture
def get(client_of: Callable[..., fastget.Client]) -> Ask:
    """fastget.s3.get_object of the key k in bucket b of a server, unless other keywords say otherwise."""

    def ask(server: ObjectServer, **options: Any) -> dict[str, Any]:
        return fastget.s3.get_object(**{"Bucket": "b", "Key": "k", "client": client_of(server), **options})

    return ask


@pytest.fixture(scope="session")
def address() -> Iterator[int]:
    """A port of this process alone, on which nobody listens: one server after the other may (Linux)."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server of one test has taught is not believed of that of the next, which has its address."""
    monkeypatch.setattr("fastget.client._stores", Stores())


@pytest.fixture
def serve(address: int) -> Iterator[Serve]:
    """Start object servers that end with the test, the first of them at the same address in all tests.

    So the clients, which are made for addresses, can be shared: each takes megabytes, and a quarter of a second.
    """
    with ExitStack() as servers:
        ports = [address]

        def begin(objects: dict[str, Any] | None = None, **options: Any) -> ObjectServer:
            port = ports.pop() if ports and sys.platform == "linux" else 0
            return servers.enter_context(ObjectServer(objects or {}, port=port, **options))

        yield begin


@pytest.fixture(scope="session")
def await_gone() -> Callable[[ObjectServer], None]:
    """Waits until a server has no connection any more."""

    def wait(server: ObjectServer) -> None:
        deadline = time.monotonic() + 60.0
        while server.open_connections:
            assert time.monotonic() < deadline, "a connection stays open"
            time.sleep(0.005)

    return wait
