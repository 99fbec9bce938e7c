"""Workers that wait for their bytes without a buffer, and take turns at a few large ones."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

import fastget
from fastget.buffers import HAS_LOCK, Buffer, Buffers, shared_buffers
from fastget.core.checksums.algorithms import Algorithm
from fastget.engine.exchange.stopwatch import Stopwatch
from fastget.engine.workers import crew, reception
from fastget.engine.workers.turns import Turns
from fastget.errors import AccessDenied, NoSpace
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults
from tests.engine.conftest import KIB, MIB, sha256_of
from tests.engine.test_faults import MUTE, PASSING, assert_right

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = {"part_size": MIB, "connections": 4, "fsync": False}
IMPATIENT = {"stall_timeout": 0.5, "response_timeout": 1.0}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """All workers take turns, for as little as the objects here have. What each turn was good for, in bytes."""
    monkeypatch.setattr(crew, "FEW_WORKERS", 0)
    monkeypatch.setattr(reception, "SMALL_BUFFER", 16 * KIB)
    monkeypatch.setattr(reception, "READY", 32 * KIB)
    found: list[int] = []
    ready = reception.Reception._ready

    def noted(self: reception.Reception, left: int) -> int:
        if count := ready(self, left):
            found.append(count)
        return count

    monkeypatch.setattr(reception.Reception, "_ready", noted)
    return found


needs_lock = pytest.mark.skipif(not HAS_LOCK, reason="without the lock nobody takes turns at it")


@needs_lock
@pytest.mark.parametrize("rate", [None, 4 * MIB], ids=["as fast as it goes", "slow"])
def test_an_object_comes_right_through_shared_buffers(
    content: Content, content_digest: str, destination: Path, taken: list[int], rate: float | None
) -> None:
    stored = StoredObject(content, checksum=Algorithm.CRC64NVME)
    with ObjectServer({"/b/k": stored}, behaviour=Behaviour(rate_per_connection=rate)) as server:
        result = fastget.download(server.url("/b/k"), destination, **OPTIONS)
    assert_right(destination, content_digest)
    assert result.verification.verified
    assert taken


@needs_lock
@pytest.mark.fault("N1", "N2", "N3", "N4", "N5", "N6", "H17", "H40", "H42")
@pytest.mark.parametrize("fault", list(PASSING))
def test_a_fault_that_passes_is_survived_by_those_who_take_turns(
    content: Content, content_digest: str, destination: Path, taken: list[int], fault: str
) -> None:
    stored = StoredObject(content, checksum=Algorithm.CRC64NVME)
    options = OPTIONS | (IMPATIENT if fault in MUTE else {})
    with ObjectServer({"/b/k": stored}, faults=[PASSING[fault].on(request=3, ranged=True)]) as server:
        fastget.download(server.url("/b/k"), destination, **options)
    assert_right(destination, content_digest)
    assert taken


@needs_lock
def test_memory_is_the_pools_again_however_it_ends(
    content: Content, destination: Path, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Turns] = []

    def counted() -> Turns:
        made.append(Turns())
        return made[-1]

    monkeypatch.setattr(crew, "Turns", counted)
    stored = StoredObject(content, checksum=Algorithm.CRC64NVME)
    bound = 24 * MIB + 3  # of no other test
    refusal = faults.status(403).on(request=3, ranged=True).always()
    for given in ([], [refusal]):
        with ObjectServer({"/b/k": stored}, faults=given) as server:
            if given:
                with pytest.raises(AccessDenied):
                    fastget.download(server.url("/b/k"), destination, max_memory=bound, **OPTIONS)
            else:
                fastget.download(server.url("/b/k"), destination, max_memory=bound, **OPTIONS)
    assert [len(turns) > 0 for turns in made] == [True, True]
    assert shared_buffers(bound).resident == 0


def test_who_writes_in_order_and_who_is_limited_has_a_buffer_of_its_own(content: Content, taken: list[int]) -> None:
    """The one may have to wait for another with what it has received, the other with what it may receive."""
    stored = StoredObject(content, checksum=Algorithm.CRC64NVME)
    with ObjectServer({"/b/k": stored}) as server:
        with fastget.stream(server.url("/b/k"), part_size=MIB, connections=4) as chunks:
            assert b"".join(bytes(chunk) for chunk in chunks) == content.read()
        assert fastget.read(server.url("/b/k"), limit_rate=100 * MIB, part_size=MIB, connections=4) == content.read()
    assert not taken


def test_nobody_takes_turns_where_there_is_no_memory_for_it(
    content: Content, content_digest: str, destination: Path, taken: list[int]
) -> None:
    with ObjectServer({"/b/k": StoredObject(content)}) as server:
        fastget.download(server.url("/b/k"), destination, max_memory=MIB, **OPTIONS)
    assert_right(destination, content_digest)
    assert not taken


@needs_lock
@pytest.mark.parametrize("memory", [2 * MIB, 8 * MIB, 12 * MIB, 16 * MIB, 32 * MIB])
def test_no_connection_is_missing_for_it(
    content: Content, destination: Path, monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    """With little memory there are as many connections as there would be without."""
    counts = []
    for rest in (crew.REST, 0.0):
        monkeypatch.setattr(crew, "REST", rest)
        options = {"part_size": 256 * KIB, "connections": 20, "fsync": False, "max_memory": memory + 5}
        with ObjectServer({"/b/k": StoredObject(content)}, behaviour=Behaviour(rate_per_connection=MIB)) as server:
            counts.append(fastget.download(server.url("/b/k"), destination, overwrite=True, **options).connections)
    # On a busy machine all may be here before the last connections of either have begun.
    assert counts[0] >= counts[1] - 2


@needs_lock
def test_where_the_system_has_no_memory_for_it_nobody_takes_turns(
    content: Content, content_digest: str, destination: Path, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 20 * MIB + 7  # of no other test
    lent: list[int] = []

    def refuse(self: Buffers, least: int) -> Buffer | None:
        if len(lent) >= 2:
            raise NoSpace("there is no memory")
        lent.append(least)
        return self.offer(least)

    monkeypatch.setattr(Buffers, "spare", refuse)
    with ObjectServer({"/b/k": StoredObject(content)}) as server:
        fastget.download(server.url("/b/k"), destination, max_memory=bound, **OPTIONS)
    assert_right(destination, content_digest)
    assert lent == [MIB, MIB]
    assert shared_buffers(bound).resident == 0


def test_the_last_one_to_leave_gives_the_buffers_back() -> None:
    pool = Buffers(16 * MIB)
    turns = Turns()
    with turns:
        turns.add(pool.lend(MIB))
        turns.add(pool.lend(MIB))
        with turns:
            assert pool.held == 2 * MIB
        assert pool.held == 2 * MIB
    assert pool.held == 0


def test_who_comes_when_all_are_taken_waits_for_one_and_that_is_a_pause() -> None:
    pool, pauses, is_there = Buffers(16 * MIB), Stopwatch(), threading.Event()
    with Turns() as turns:
        turns.add(pool.lend(MIB))

        def wait() -> None:
            with turns.take(pauses):
                is_there.set()

        with turns.take(Stopwatch()) as first:
            other = threading.Thread(target=wait)
            other.start()
            while not pauses.is_running:
                pass
            assert not is_there.is_set()
            assert len(first) == MIB
        other.join(60)
        assert is_there.is_set()
        assert not pauses.is_running


def test_a_large_object_with_many_connections_is_the_same(destination: Path) -> None:
    """With nothing changed: from the fifth worker on."""
    content = Content.generated(48 * MIB, seed=5)
    stored = StoredObject(content, checksum=Algorithm.CRC64NVME)
    with ObjectServer({"/b/k": stored}, behaviour=Behaviour(rate_per_connection=24 * MIB)) as server:
        result = fastget.download(server.url("/b/k"), destination, connections=8, part_size=4 * MIB, fsync=False)
    assert_right(destination, sha256_of(content))
    assert result.connections == 8
