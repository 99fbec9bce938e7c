"""Small objects that are asked for while the one before is on its way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from fastget.config import Config
from fastget.engine.cancellation import Cancellation
from fastget.engine.exchange.stores import Stores
from fastget.engine.small import ahead
from fastget.engine.small.objects import SmallObjects
from fastget.errors import Cancelled
from fastget.sinks.kept import KeptFile
from fastget.sources.protocol import Source
from fastget.sources.resolve import resolve
from fastget.testing import Algorithm, Content, Fault, ObjectServer, StoredObject, faults
from fastget.testing.received import ReceivedRequest
from fastget.transport.pool import Pool

Serve = Callable[..., ObjectServer]
CONFIG = Config(fsync=False)
BODIES = {str(number): bytes([65 + number]) * (1000 + number) for number in range(10)}
# Of one thread's objects the first shows how near the server is, and the second that another connection is served.
FIRST_AHEAD = 3

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture(autouse=True)
def near(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of this machine counts as near and as quick to serve another connection, however busy the machine is."""
    monkeypatch.setattr(ahead, "FAR", 60.0)
    monkeypatch.setattr(ahead, "PATIENCE", 60.0)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server with `BODIES` below /b/."""
    objects = {
        f"/b/{key}": StoredObject(Content.of(body), checksum=Algorithm.CRC64NVME) for key, body in BODIES.items()
    }
    with ExitStack() as servers:
        yield lambda **options: servers.enter_context(ObjectServer(objects, **options))


class Thread:
    """What one thread of a pull does, into a directory."""

    def __init__(self, directory: Path, scope: Cancellation | None = None, **options: Any) -> None:
        self.stores = Stores()
        self.pool = Pool(CONFIG)
        self.small: SmallObjects[Source] = SmallObjects(self.pool, self.stores, scope or Cancellation(), **options)
        self.directory = directory
        self.asked_ahead: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.small.close()
        self.pool.close()

    def fetch(self, source: Source, following: Source | None = None) -> bool:
        """One object; whether it is here. `following` is asked for meanwhile."""
        sink = KeptFile(self.directory / source.filename, fsync=False)
        return self.small.fetch(source, sink, CONFIG, following=lambda: self._follow(following)) is not None

    def fetch_all(self, server: ObjectServer) -> None:
        """All of them, each but the last with the next one ahead."""
        sources = [resolve(server.url(f"/b/{key}"), CONFIG) for key in BODIES]
        for source, following in zip(sources, [*sources[1:], None], strict=True):
            assert self.fetch(source, following)

    def _follow(self, following: Source | None) -> Source | None:
        if following is not None:
            self.asked_ahead.append(following.filename)
        return following

    def in_flight(self, source: Source) -> int:
        """How many of the store's requests are taken for running."""
        gate = self.stores.of(source.store).gate
        before = gate.most
        with ExitStack() as scopes:
            for _ in range(before + 1):
                scopes.enter_context(gate.passing(Cancellation()))
        return gate.most - before - 1


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_the_next_request_goes_out_before_an_answer_is_there(serve: Serve, tmp_path: Path) -> None:
    """From the third object on, no answer comes before the next object has been asked for."""
    asked = [threading.Event() for _ in BODIES]
    overlapped = []

    def wait_for_the_next(request: ReceivedRequest) -> None:
        number = int(request.path.rpartition("/")[2])
        asked[number].set()
        if FIRST_AHEAD - 1 <= number < len(BODIES) - 1:
            overlapped.append(asked[number + 1].wait(30.0))

    server = serve(operations=[wait_for_the_next])
    with Thread(tmp_path) as thread:
        thread.fetch_all(server)
        assert thread.in_flight(resolve(server.url("/b/0"), CONFIG)) == 0
    assert files(tmp_path) == BODIES
    assert overlapped == [True] * (len(BODIES) - FIRST_AHEAD)
    assert len(server.requests) == len(BODIES)
    assert server.connections == 2


def test_a_server_that_serves_one_connection_is_asked_over_one(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "PATIENCE", 0.1)
    server = serve(max_connections=1)
    with Thread(tmp_path) as thread:
        thread.fetch_all(server)
    assert files(tmp_path) == BODIES
    assert thread.asked_ahead == []


@pytest.mark.parametrize("ending", [faults.field("Connection", "close"), faults.close_idle_connection()])
def test_a_server_that_ends_its_connections_is_asked_no_more_often(serve: Serve, tmp_path: Path, ending: Fault) -> None:
    server = serve(faults=[ending.always()])
    with Thread(tmp_path) as thread:
        thread.fetch_all(server)
    assert files(tmp_path) == BODIES
    assert len(server.requests) == len(BODIES)


def test_far_away_nothing_is_asked_for_ahead(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "FAR", 0.0)
    server = serve()
    with Thread(tmp_path) as thread:
        thread.fetch_all(server)
    assert files(tmp_path) == BODIES
    assert (thread.asked_ahead, server.connections) == ([], 1)


def test_where_few_connections_are_served_nothing_is_asked_for_ahead(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    with Thread(tmp_path) as thread:
        thread.stores.of(resolve(server.url("/b/0"), CONFIG).store).learn(bears=2)
        thread.fetch_all(server)
    assert (thread.asked_ahead, server.connections) == ([], 1)


def test_what_the_connections_are_not_for_is_not_asked_for_over_them(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    with Thread(tmp_path, accepts=lambda source: source.filename != "5") as thread:
        thread.fetch_all(server)
    assert files(tmp_path) == BODIES
    assert len(server.requests) == len(BODIES)


@pytest.mark.parametrize("how", ["another is fetched", "this one is not taken", "it is let go", "all is over"])
def test_an_answer_that_is_not_wanted_any_more_is_dropped(serve: Serve, tmp_path: Path, how: str) -> None:
    damage = faults.flip_bit(offset=1).on(path="/b/3").always()
    server = serve(faults=[damage] if how == "this one is not taken" else [])
    sources = {key: resolve(server.url(f"/b/{key}"), CONFIG) for key in BODIES}
    with Thread(tmp_path) as thread:
        for key in "012":
            assert thread.fetch(sources[key], sources[str(int(key) + 1)])
        if how == "another is fetched":
            assert thread.fetch(sources["7"])
        elif how == "this one is not taken":
            assert not thread.fetch(sources["3"], sources["4"])
        elif how == "it is let go":
            thread.small.drop()
        else:
            thread.small.close()
        assert thread.in_flight(sources["0"]) == 0
        assert thread.fetch(sources["8"], sources["9"])
        assert thread.fetch(sources["9"])
    assert {key: files(tmp_path)[key] for key in "01289"} == {key: BODIES[key] for key in "01289"}


def test_a_cancelled_thread_leaves_no_request_behind(serve: Serve, tmp_path: Path) -> None:
    scope, is_asked = Cancellation(), threading.Event()

    def hold(request: ReceivedRequest) -> None:
        if request.path == "/b/4":
            is_asked.set()
        elif request.path == "/b/3":
            is_asked.wait(30.0)
            scope.cancel()

    server = serve(operations=[hold])
    with Thread(tmp_path, scope) as thread:
        with pytest.raises(Cancelled):
            thread.fetch_all(server)
        assert thread.in_flight(resolve(server.url("/b/0"), CONFIG)) == 0
