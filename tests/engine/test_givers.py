"""Which address has brought what: the one that brought damage comes last, and a repair goes to another one."""

from __future__ import annotations

import socket
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastget.core.addresses import Address, Trouble
from fastget.core.planner import Chunk
from fastget.core.ranges import Span
from fastget.engine.pieces.givers import MOST_EXCUSES, Givers
from fastget.transport.cancellation import SocketCancellation
from fastget.transport.resolver import Host, Peer

CHUNK = Chunk(3, Span(300, 400))


def address(last: int) -> Address:
    return Address(socket.AF_INET, socket.SOCK_STREAM, 0, (f"192.0.2.{last}", 80))


@pytest.fixture
def host() -> Host:
    found = Host("store.example", 80, lambda *_: [address(1), address(2)])
    found.resolve(20, SocketCancellation())
    return found


@pytest.fixture
def one(host: Host) -> Peer:
    return Peer(host, address(1))


@pytest.fixture
def two(host: Host) -> Peer:
    return Peer(host, address(2))


def first_of(host: Host) -> Address:
    """Where the next connection would go to."""
    order = host.reserve(lambda _: True)
    host.closed(order[0])
    return order[0]


def test_the_address_that_has_brought_a_damaged_chunk_comes_last_from_then_on(host: Host, one: Peer) -> None:
    givers = Givers()
    givers.note(CHUNK, CHUNK.span.start, one)
    assert first_of(host) == address(1)
    givers.blame(CHUNK.index, Trouble.DAMAGED)

    assert first_of(host) == address(2)
    assert one.is_shunned


def test_what_is_remembered_of_a_chunk_does_not_add_up_to_much_for_tens_of_thousands(one: Peer, two: Peer) -> None:
    givers = Givers()
    chunks = [Chunk(index, Span(index * 100, (index + 1) * 100)) for index in range(20_000)]
    tracemalloc.start()
    try:
        for chunk in chunks:
            givers.note(chunk, chunk.span.start, one if chunk.index % 2 else two)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 100 * len(chunks)


def test_nobody_is_blamed_for_a_chunk_that_several_have_brought(host: Host, one: Peer, two: Peer) -> None:
    givers = Givers()
    givers.note(CHUNK, 300, one)
    givers.note(CHUNK, 350, two)
    givers.blame(CHUNK.index, Trouble.DAMAGED)

    assert not any(peer.is_shunned for peer in (one, two))
    givers.begin_pass()
    assert givers.to_avoid(CHUNK.index) is None


def test_who_begins_a_chunk_anew_has_brought_it_alone(one: Peer, two: Peer) -> None:
    givers = Givers()
    givers.note(CHUNK, 300, one)
    givers.note(CHUNK, 350, one)
    givers.note(CHUNK, 300, two)
    givers.blame(CHUNK.index, Trouble.DAMAGED)

    assert two.is_shunned
    assert givers.count == 2


def test_a_chunk_is_asked_of_another_address_in_the_next_pass_alone(one: Peer, two: Peer) -> None:
    givers = Givers()
    givers.note(CHUNK, 300, one)
    assert givers.to_avoid(CHUNK.index) is None
    givers.begin_pass()
    assert givers.to_avoid(CHUNK.index) == one
    assert givers.to_avoid(CHUNK.index + 1) is None

    givers.note(CHUNK, 300, two)
    givers.begin_pass()
    assert givers.to_avoid(CHUNK.index) == two


def test_bytes_that_came_through_a_proxy_are_nobodys() -> None:
    givers = Givers()
    givers.note(CHUNK, 300, None)
    givers.blame(CHUNK.index, Trouble.DAMAGED)
    givers.begin_pass()

    assert givers.to_avoid(CHUNK.index) is None
    assert givers.count == 0


def test_another_version_is_excused_of_other_addresses_alone_and_not_for_ever(one: Peer, two: Peer) -> None:
    givers = Givers()
    assert not givers.excuse(two)  # nobody's version is known yet
    givers.home = one
    assert not givers.excuse(one)
    assert not givers.excuse(None)
    assert not givers.excuse(Peer(Host("other.example", 80), address(2)))

    assert [givers.excuse(two) for _ in range(MOST_EXCUSES + 1)] == [True] * MOST_EXCUSES + [False]


def test_many_threads_are_excused_as_often_as_one(one: Peer, two: Peer) -> None:
    givers = Givers()
    givers.home = one
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(lambda _: givers.excuse(two), range(10 * MOST_EXCUSES))) == MOST_EXCUSES
