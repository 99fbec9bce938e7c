"""Which connections are kept, for how long, and who closes them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from fastget.config import Config
from fastget.core.addresses import Address
from fastget.core.messages import Request, ResponseHead
from fastget.core.urls import URL, Origin
from fastget.transport import pool as pool_module
from fastget.transport import resolver
from fastget.transport.cancellation import SocketCancellation
from fastget.transport.pool import MAXIMUM_IDLE, MAXIMUM_IDLE_SECONDS, Pool
from fastget.transport.resolver import Resolver

if TYPE_CHECKING:
    from tests.transport.conftest import Peer, ServerMaker

A = Origin("http", "a.example", 80)
B = Origin("http", "b.example", 80)


class Idle:
    """A connection of which nothing matters but whether it can be reused."""

    def __init__(
        self,
        origin: Origin = A,
        *,
        is_reusable: bool = True,
        is_shunned: bool = False,
        peer: resolver.Peer | None = None,
    ) -> None:
        self.origin = origin
        self.is_reusable = is_reusable
        self.is_shunned = is_shunned
        self.is_closed = False
        self.peer = peer
        self.avoided: object = None
        self.waited = 0.0

    def exchange(self, request: Request, patience: float | None = None) -> ResponseHead:
        raise AssertionError(request, patience)

    def ask(self, request: Request) -> bool:
        raise AssertionError(request)

    def read_into(self, buffer: memoryview, *more: memoryview) -> int:
        raise AssertionError(buffer, more)

    def ready(self, least: int, seconds: float) -> int:
        raise AssertionError(least, seconds)

    def avoid(self, peer: object) -> None:
        self.avoided = peer

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        raise AssertionError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pool's time, in seconds; it moves when a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(pool_module, "monotonic", lambda: now[0])
    return now


def test_a_released_connection_is_lent_again_to_its_origin_alone() -> None:
    pool, connection = Pool(Config()), Idle()
    pool.release(connection)
    assert pool.acquire(B) is not connection
    assert pool.acquire(A) is connection
    assert pool.acquire(A) is not connection


def test_the_connection_that_was_used_last_is_lent_first() -> None:
    pool, connections = Pool(Config()), [Idle(), Idle(B), Idle()]
    for connection in connections:
        pool.release(connection)
    assert pool.acquire(A) is connections[2]
    assert pool.acquire(A) is connections[0]


def test_a_new_connection_is_not_connected_yet() -> None:
    connection = Pool(Config()).acquire(Origin("https", "unreachable.invalid", 443))
    assert connection.origin.host == "unreachable.invalid"
    assert not connection.is_reusable


def test_a_connection_that_cannot_be_used_again_is_closed() -> None:
    pool, connection = Pool(Config()), Idle(is_reusable=False)
    pool.release(connection)
    assert connection.is_closed
    assert pool.acquire(A) is not connection


def test_a_connection_to_a_bad_address_is_lent_no_more() -> None:
    pool, shunned, good = Pool(Config()), Idle(is_shunned=True), Idle()
    pool.release(good)
    pool.release(shunned)
    assert pool.acquire(A) is good
    assert pool.acquire(A) is not shunned


def test_an_address_is_avoided_where_there_are_others() -> None:
    addresses = [Address(2, 1, 0, (f"10.0.0.{last}", 80)) for last in (1, 2)]
    host = Resolver(lambda *_: addresses).host("10.0.0.1", 80)
    peers = [resolver.Peer(host, address) for address in addresses]
    pool, first, second = Pool(Config()), Idle(peer=peers[0]), Idle(peer=peers[1])
    pool.release(second)
    pool.release(first)
    assert pool.acquire(A, avoiding=peers[0]) is first  # the only address, for all that is known
    assert first.avoided == peers[0]
    pool.release(first)
    host.resolve(1.0, SocketCancellation())
    assert pool.acquire(A, avoiding=peers[0]) is second
    assert pool.acquire(A, avoiding=peers[0]) is not first


def test_idle_connections_are_dropped_after_a_while(clock: list[float]) -> None:
    pool, old, young = Pool(Config()), Idle(), Idle()
    pool.release(old)
    clock[0] += MAXIMUM_IDLE_SECONDS / 2
    pool.release(young)
    clock[0] += MAXIMUM_IDLE_SECONDS / 2 + 1
    assert pool.acquire(B) is not old
    assert (old.is_closed, young.is_closed) == (True, False)
    assert pool.acquire(A) is young


def test_the_number_of_idle_connections_is_bounded() -> None:
    pool, connections = Pool(Config()), [Idle() for _ in range(MAXIMUM_IDLE + 3)]
    for connection in connections:
        pool.release(connection)
    assert [connection.is_closed for connection in connections[:4]] == [True, True, True, False]


def test_closing_the_pool_closes_what_is_idle_and_later_what_comes_back() -> None:
    pool, idle, lent = Pool(Config()), Idle(), Idle()
    pool.release(idle)
    pool.close()
    pool.close()
    assert idle.is_closed
    pool.release(lent)
    assert lent.is_closed


@pytest.mark.fault("N22")
def test_threads_never_share_a_connection() -> None:
    pool = Pool(Config())
    lent: list[object] = []
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait(20)
        for _ in range(200):
            connection = pool.acquire(A)
            lent.append(connection)
            assert lent.count(connection) == 1
            lent.remove(connection)
            pool.release(connection if isinstance(connection, Idle) else Idle())

    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []


def test_a_download_leaves_its_connection_for_the_next(scripted: ServerMaker) -> None:
    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    server = scripted(script)
    url = URL.parse(f"http://127.0.0.1:{server.port}/")
    pool = Pool(Config())
    for _ in range(3):
        connection = pool.acquire(url.origin)
        connection.exchange(Request("GET", url))
        assert connection.read_into(memoryview(bytearray(5))) == 5
        pool.release(connection)
    assert server.connections == 1
    pool.close()
