"""Streams that hold a download up are cut, and somebody else goes on where they stood; healthy ones are left alone."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.core.ranges import Span
from fastget.engine.workers import rescue
from fastget.engine.workers.cut import Cut
from fastget.engine.workers.worker import Worker
from fastget.errors import Stalled
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults
from fastget.testing.record import RecordedRequest

MIB = 1024 * 1024
SIZE = 24 * MIB + 7
PARTS = (6 * MIB, 6 * MIB, 6 * MIB, 6 * MIB + 7)
# The third piece, and the third part.
SLOW = Span(12 * MIB, 18 * MIB)


@pytest.fixture(autouse=True)
def _quick_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same judgement over shorter times."""
    monkeypatch.setattr("fastget.core.straggler.WINDOW", 0.3)
    monkeypatch.setattr("fastget.core.straggler.FRESH_START", 0.05)
    monkeypatch.setattr("fastget.core.straggler.LONG_STALL", 1.0)
    monkeypatch.setattr(rescue, "WINDOW", 0.3)
    monkeypatch.setattr(rescue, "LOOK", 0.05)


@pytest.fixture(scope="module")
def stored() -> StoredObject:
    return StoredObject(Content.generated(SIZE, seed=31), checksum=Algorithm.CRC64NVME)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.fault("N9")
def test_a_stream_far_slower_than_its_siblings_is_cut_and_finished_by_another(
    stored: StoredObject, destination: Path
) -> None:
    crawl = faults.drip(100_000, rate=30_000).on(ranged=True, request=3)
    with ObjectServer({"/o": stored}, faults=[crawl], behaviour=Behaviour(rate_per_connection=20 * MIB)) as server:
        result = fastget.download(server.url("/o"), destination, connections=4, part_size=2 * MIB, fsync=False)

    assert result.rescues >= 1
    assert result.retries == 0
    assert result.verification.verified
    assert digest(destination) == hashlib.sha256(stored.content.read()).hexdigest()
    assert result.bytes_received <= SIZE * 1.05


# What store kinds digest their content by, and whether a piece of it can be fetched in shares.
KINDS: dict[str, tuple[dict[str, Any], bool]] = {
    "whole crc": ({"checksum": Algorithm.CRC64NVME}, True),
    "whole sha": ({"checksum": Algorithm.SHA256}, True),
    "nothing": ({}, True),
    "parts of crc": ({"part_sizes": PARTS, "checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE"}, True),
    "parts of sha": ({"part_sizes": PARTS, "checksum": Algorithm.SHA256, "checksum_type": "COMPOSITE"}, False),
}


@pytest.mark.fault("N9")
@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_of_a_stragglers_piece_is_fetched_by_all_who_are_idle(
    kind: str, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of a SHA go on whole: their digest needs the bytes in order."""
    # The straggler is judged when the others have long been idle, also where the machine is busy.
    monkeypatch.setattr("fastget.core.straggler.WINDOW", 1.5)
    monkeypatch.setattr(rescue, "WINDOW", 1.5)
    options, is_shared = KINDS[kind]
    stored = StoredObject(Content.generated(SIZE, seed=34), **options)
    crawl = faults.drip(100_000, rate=30_000).on(offset=SLOW.start, ranged=True)
    with ObjectServer({"/o": stored}, faults=[crawl], behaviour=Behaviour(rate_per_connection=20 * MIB)) as server:
        result = fastget.download(server.url("/o"), destination, connections=4, part_size=6 * MIB, fsync=False)
        # The first request of that piece may have been for its part's number.
        later = [asked for asked in server.requests if SLOW.start < _start_of(asked) < SLOW.stop]

    assert result.rescues >= 1
    assert result.retries == 0
    stops = {int(asked.range.rpartition("-")[2]) + 1 for asked in later if asked.range}
    assert len(stops) > 1 if is_shared else stops == {SLOW.stop}
    assert result.verification.verified or kind == "nothing"
    assert digest(destination) == hashlib.sha256(stored.content.read()).hexdigest()
    assert result.bytes_received <= SIZE * 1.05


@pytest.mark.fault("N9")
def test_a_pipe_gets_its_bytes_in_order_though_a_piece_was_divided(
    destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastget.core.straggler.LEAST_SHARE", 256 * 1024)
    stored = StoredObject(Content.generated(SIZE, seed=35), checksum=Algorithm.CRC64NVME)
    crawl = faults.drip(50_000, rate=30_000).on(offset=22 * MIB, ranged=True)
    os.mkfifo(destination)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(destination.read_bytes()))
    reader.start()
    with ObjectServer({"/o": stored}, faults=[crawl], behaviour=Behaviour(rate_per_connection=8 * MIB)) as server:
        result = fastget.download(server.url("/o"), destination, connections=4)
        asked = [_start_of(request) for request in server.requests]
    reader.join()

    assert result.verification.verified
    assert result.rescues >= 1
    assert sum(22 * MIB < start < 24 * MIB for start in asked) > 1
    assert found == [stored.content.read()]


@pytest.mark.fault("N9")
def test_a_connection_that_stands_still_for_long_is_replaced_while_there_is_other_work(
    stored: StoredObject, destination: Path
) -> None:
    stuck = threading.Event()
    still = faults.hold(stuck, after=1000).on(offset=8 * MIB, ranged=True)
    with ObjectServer({"/o": stored}, faults=[still], behaviour=Behaviour(rate_per_connection=MIB)) as server:
        result = fastget.download(
            server.url("/o"), destination, connections=4, part_size=MIB, stall_timeout=60.0, fsync=False
        )
        stuck.set()

    assert result.rescues >= 1
    assert result.retries == 0
    assert result.verification.verified


class TestAServerThatServesFewConnectionsAtOnce:
    """It accepts all of them, and lets those that are too many wait."""

    @pytest.fixture(autouse=True)
    def _impatience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fastget.core.straggler.UNSERVED", 0.3)
        monkeypatch.setattr("fastget.core.straggler.UNSERVED_SHARE", 1.2)

    @pytest.mark.parametrize("most", [1, 3])
    def test_a_file_is_fetched_by_the_connections_that_are_served(
        self, most: int, stored: StoredObject, destination: Path
    ) -> None:
        behaviour = Behaviour(rate_per_connection=16 * MIB)  # so that others come before the first has brought it all
        with ObjectServer({"/o": stored}, behaviour=behaviour, max_connections=most) as server:
            result = fastget.download(server.url("/o"), destination, connections=8, part_size=MIB, fsync=False)

        assert result.retries == 0
        assert result.rescues >= 1
        assert result.verification.verified

    @pytest.mark.parametrize("most", [1, 3])
    def test_a_pipe_does_not_wait_for_a_connection_that_is_not_served(self, most: int, destination: Path) -> None:
        stored = StoredObject(Content.generated(40 * MIB, seed=36), checksum=Algorithm.CRC64NVME)
        os.mkfifo(destination)
        found: list[str] = []
        reader = threading.Thread(target=lambda: found.append(digest(destination)))
        reader.start()
        with ObjectServer({"/o": stored}, max_connections=most) as server:
            result = fastget.download(server.url("/o"), destination, connections=8, part_size=MIB)
        reader.join()

        assert result.retries == 0
        assert result.verification.verified
        assert found == [hashlib.sha256(stored.content.read()).hexdigest()]

    def test_the_next_object_is_asked_for_over_no_more_connections_than_it_bears(
        self, stored: StoredObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fastget.core.governor.MANY", 12)
        behaviour = Behaviour(rate_per_connection=4 * MIB, first_byte_delay=(0.03, 0.03))
        with (
            ObjectServer({"/o": stored}, behaviour=behaviour, max_connections=3) as server,
            fastget.Client(fsync=False) as client,
        ):
            first = client.download(server.url("/o"), tmp_path / "first", connections=8, part_size=MIB)
            second = client.download(server.url("/o"), tmp_path / "second", part_size=MIB)

        assert first.connections == 8
        # Those that were served in turn, in each other's place, cannot be told apart from those served at once.
        assert second.connections < 8
        assert (first.retries, second.retries) == (0, 0)


@pytest.mark.fault("N9")
def test_a_pipe_does_not_wait_for_a_front_that_stands_still(destination: Path) -> None:
    stored = StoredObject(Content.generated(48 * MIB, seed=37), checksum=Algorithm.CRC64NVME)
    stuck = threading.Event()
    still = faults.hold(stuck, after=1000).on(offset=8 * MIB, ranged=True)
    os.mkfifo(destination)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(digest(destination)))
    reader.start()
    with ObjectServer({"/o": stored}, faults=[still], behaviour=Behaviour(rate_per_connection=16 * MIB)) as server:
        result = fastget.download(server.url("/o"), destination, connections=4, part_size=MIB, stall_timeout=60.0)
        stuck.set()
    reader.join()

    assert result.rescues >= 1
    assert result.retries == 0
    assert found == [hashlib.sha256(stored.content.read()).hexdigest()]


def _start_of(request: RecordedRequest) -> int:
    return int(request.range.removeprefix("bytes=").partition("-")[0]) if request.range else 0


def test_a_link_that_is_slow_as_a_whole_is_left_alone(
    stored: StoredObject, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for a machine that is busy with other tests.
    monkeypatch.setattr("fastget.core.straggler.WINDOW", 1.5)
    monkeypatch.setattr(rescue, "WINDOW", 1.5)
    monkeypatch.setattr("fastget.core.straggler.LONG_STALL", 10.0)
    with ObjectServer({"/o": stored}, behaviour=Behaviour(rate_per_connection=3 * MIB)) as server:
        result = fastget.download(server.url("/o"), destination, connections=4, part_size=2 * MIB, fsync=False)

    assert (result.rescues, result.retries) == (0, 0)
    assert result.verification.verified


@pytest.mark.fault("N7")
@pytest.mark.parametrize("size", [SIZE, 1 * MIB], ids=["many pieces", "one small object"])
def test_a_stream_that_brings_a_byte_now_and_then_is_no_stream(size: int, destination: Path) -> None:
    stored = StoredObject(Content.generated(size, seed=32), checksum=Algorithm.CRC64NVME)
    drip = faults.drip(100_000, rate=10)
    with ObjectServer({"/o": stored}, faults=[drip]) as server:
        result = fastget.download(
            server.url("/o"), destination, connections=1, part_size=2 * MIB, stall_timeout=1.0, fsync=False
        )

    assert result.retries == 1
    assert result.verification.verified
    assert digest(destination) == hashlib.sha256(stored.content.read()).hexdigest()


def test_a_server_that_only_drips_is_given_up(destination: Path) -> None:
    stored = StoredObject(Content.generated(1 * MIB, seed=33))
    drip = faults.drip(1000, rate=10)
    with (
        ObjectServer({"/o": stored}, faults=[drip.always()]) as server,
        pytest.raises(Stalled, match="bytes a second"),
    ):
        fastget.download(server.url("/o"), destination, stall_timeout=0.5, retries=1)

    assert not destination.exists()


# Ranges far enough apart for a request each, and so short that they come with their answer's head.
APART = [(start, start + 1000) for start in range(0, SIZE - 1000, 6 * MIB)]


@pytest.fixture
def late(stored: StoredObject, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """A server that takes longer for each answer than anything is watched for."""
    monkeypatch.setattr("fastget.core.straggler.LONG_STALL", 10.0)
    behaviour = Behaviour(first_byte_delay=(1.5, 1.5), rate_per_connection=8 * MIB)
    with ObjectServer({"/o": stored}, behaviour=behaviour) as server:
        yield server


def test_an_answer_may_take_longer_than_a_silence_within_a_body(late: ObjectServer) -> None:
    found = fastget.read_ranges(late.url("/o"), APART, connections=len(APART), stall_timeout=0.5, retries=0)
    assert [len(one) for one in found] == [1000] * len(APART)


def test_a_server_that_takes_its_time_for_every_answer_is_waited_for(late: ObjectServer) -> None:
    """Not by whoever reads what was asked for first, and then has nothing to do."""
    fastget.read_ranges(late.url("/o"), [(0, 4 * MIB), *APART[1:]], connections=len(APART))
    assert len(late.requests) == len(APART)


@pytest.mark.parametrize("head_is_asked", [False, True], ids=["whole anew", "HEAD"])
def test_what_is_asked_beside_the_ranges_may_take_its_time_to_answer_too(
    stored: StoredObject, monkeypatch: pytest.MonkeyPatch, *, head_is_asked: bool
) -> None:
    """A HEAD for whether the object is there at all (404), the whole of it where its one stream has broken (403)."""
    monkeypatch.setattr("fastget.core.straggler.LONG_STALL", 10.0)
    behaviour = Behaviour(rate_per_connection=16 * MIB, range_refusal=404 if head_is_asked else 403, amazon=False)
    release, reached = threading.Event(), threading.Event()
    held = faults.hold(release, None, reached)
    turns = [held.on(method="HEAD")] if head_is_asked else [held.on(ranged=False, request=2)]
    if not head_is_asked:
        turns.append(faults.close_mid_body(after=2 * MIB).on(ranged=False, request=1))

    def let_go() -> None:
        reached.wait(20)
        release.wait(2)
        release.set()

    with ObjectServer({"/o": stored}, behaviour=behaviour, faults=turns) as server:
        later = threading.Thread(target=let_go)
        later.start()
        options: dict[str, Any] = {"part_size": MIB, "connections": 4, "stall_timeout": 0.5}
        with fastget.stream(server.url("/o"), retries=int(not head_is_asked), **options) as stream:
            got = b"".join(bytes(view) for view in stream)
        later.join()
    assert got == stored.content.read()
    assert reached.is_set()


def test_a_whole_asked_for_anew_that_is_cut_as_it_is_answered_is_asked_for_again(
    stored: StoredObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_over, cuts = Worker._read_over, [Cut()]

    def cut_and_read_over(worker: Worker, span: Span, buffer: memoryview) -> None:
        if cuts:
            worker.cut(cuts.pop())
        read_over(worker, span, buffer)

    monkeypatch.setattr(Worker, "_read_over", cut_and_read_over)
    broken = faults.close_mid_body(after=2 * MIB).on(ranged=False, request=1)
    behaviour = Behaviour(rate_per_connection=16 * MIB, range_refusal=403, amazon=False)
    with (
        ObjectServer({"/o": stored}, behaviour=behaviour, faults=[broken]) as server,
        fastget.stream(server.url("/o"), part_size=MIB, connections=4, retries=1) as stream,
    ):
        got = b"".join(bytes(view) for view in stream)
    assert got == stored.content.read()
    assert not cuts
