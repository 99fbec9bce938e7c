"""A download that fails for its digests keeps what is good; the next one fetches what is damaged alone."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastget.client import Client
from fastget.core.checksums.algorithms import Algorithm
from fastget.engine.cancellation import Cancellation
from fastget.errors import Cancelled, ChecksumMismatch
from fastget.events import Event, Kept, Progress, Result
from fastget.testing import Content, Fault, ObjectServer, StoredObject, faults
from fastget.testing.fault import FaultBook

pytestmark = pytest.mark.usefixtures("no_leaks")

MIB = 1024 * 1024
PIECE = 4 * MIB
SIZE = 6 * PIECE + 4321
PARTS = (5 * MIB, 8 * MIB + 3, 6 * MIB, 5 * MIB + 4318)
# In the first piece, and in the first part: no stream that is cut short sends it beside the answer that counts.
BAD = 12_345
BITS = 3

WHOLE: dict[str, Any] = {"checksum": Algorithm.CRC64NVME}
WHOLE_IN_ORDER: dict[str, Any] = {"checksum": Algorithm.SHA256}
OF_PARTS: dict[str, Any] = {"part_sizes": PARTS, "checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE"}


class Damage(FaultBook):
    """Flips bits of one byte: those of `mask(n)` when it is sent for the n-th time."""

    def __init__(self, mask: Callable[[int], int]) -> None:
        super().__init__([faults.flip_bit(BAD, bit).always() for bit in range(BITS)])
        self._mask = mask
        self._sent = 0

    def use(self, fault: Fault) -> bool:
        assert fault.flip is not None
        self._sent += fault.flip.bit == 0
        return bool(self._mask(self._sent) >> fault.flip.bit & 1) and super().use(fault)


def _each_time_another(number: int) -> int:
    return number % 7 + 1


def _always_the_same(number: int) -> int:
    del number
    return 1


@pytest.fixture(scope="session")
def large() -> Content:
    return Content.generated(SIZE, seed=21)


@pytest.fixture(scope="session")
def large_bytes(large: Content) -> bytes:
    return large.read()


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(connections=4, part_size=PIECE, retries=0) as one:
        yield one


def _fails(
    client: Client, server: ObjectServer, destination: Path, **options: Any
) -> tuple[ChecksumMismatch, list[Kept]]:
    events: list[Event] = []
    with pytest.raises(ChecksumMismatch) as caught:
        client.download(server.url("/k"), destination, on_event=events.append, **options)
    assert not destination.exists()
    error = caught.value
    assert error.expected
    assert error.actual
    assert error.expected != error.actual
    return error, [event for event in events if isinstance(event, Kept)]


def _goes_on(client: Client, stored: StoredObject, port: int, destination: Path, **options: Any) -> Result:
    """The same command, with a server that damages nothing."""
    with ObjectServer({"/k": stored}, port=port) as server:
        return client.download(server.url("/k"), destination, **options)


@pytest.mark.fault("C1")
def test_what_is_fetched_to_be_compared_does_not_count_as_landed(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    stored = StoredObject(large, **WHOLE)
    scope, events = Cancellation(), list[Event]()

    def handle(event: Event) -> None:
        events.append(event)
        if isinstance(event, Progress) and event.received > SIZE:
            scope.cancel()

    # The first piece comes a second time to be compared, and not whole before that was seen.
    held = faults.hold(threading.Event(), after=MIB).on(offset=BAD, request=2)
    with ObjectServer({"/k": stored}, faults=[faults.flip_bit(BAD).always(), held]) as server:
        with pytest.raises(Cancelled):
            client.transfer_to_file(server.url("/k"), destination, scope, on_event=handle)
        port = server.port
    assert max(event.received for event in events if isinstance(event, Progress)) > SIZE
    assert max(event.landed for event in events if isinstance(event, Progress)) == SIZE
    assert [event.landed for event in events if isinstance(event, Kept)] == [SIZE]
    result = _goes_on(client, stored, port, destination)
    assert result.bytes_resumed == SIZE
    assert destination.read_bytes() == large_bytes


@pytest.mark.fault("C1")
@pytest.mark.parametrize("kind", [WHOLE, WHOLE_IN_ORDER], ids=["added up", "in order"])
def test_a_piece_that_comes_differently_each_time_is_all_that_the_next_run_fetches(
    large: Content, large_bytes: bytes, client: Client, destination: Path, kind: dict[str, Any]
) -> None:
    stored = StoredObject(large, **kind)
    with ObjectServer({"/k": stored}, faults=Damage(_each_time_another)) as server:
        error, kept = _fails(client, server, destination)
        port = server.port
    assert "goes on" in (error.hint or "")
    assert [event.landed for event in kept] == [SIZE - PIECE]
    result = _goes_on(client, stored, port, destination)
    assert (result.bytes_received, result.bytes_resumed) == (PIECE, SIZE - PIECE)
    assert result.verification.verified
    assert destination.read_bytes() == large_bytes
    assert list(destination.parent.iterdir()) == [destination]


@pytest.mark.fault("C1")
@pytest.mark.parametrize("damage", [_each_time_another, _always_the_same])
def test_the_parts_that_their_digests_contradict_are_all_that_the_next_run_fetches(
    large: Content, large_bytes: bytes, client: Client, destination: Path, damage: Callable[[int], int]
) -> None:
    stored = StoredObject(large, **OF_PARTS)
    with ObjectServer({"/k": stored}, faults=Damage(damage)) as server:
        _, kept = _fails(client, server, destination)
        port = server.port
    assert [event.landed for event in kept] == [SIZE - PARTS[0]]
    result = _goes_on(client, stored, port, destination)
    assert (result.bytes_received, result.bytes_resumed) == (PARTS[0], SIZE - PARTS[0])
    assert destination.read_bytes() == large_bytes
    assert list(destination.parent.iterdir()) == [destination]


@pytest.mark.fault("C1")
def test_bytes_that_came_wrong_twice_alike_are_compared_again_by_the_next_run(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    """Nothing tells the good from the bad: all stays, and nothing rests on it."""
    stored = StoredObject(large, **WHOLE)
    with ObjectServer({"/k": stored}, faults=Damage(_always_the_same)) as server:
        for again in (False, True):
            server.forget_requests()
            _, kept = _fails(client, server, destination)
            assert [event.landed for event in kept] == [SIZE]
            ranges = [request.range for request in server.requests if request.method == "GET"]
            assert len(ranges) <= (7 if again else 2 * 7)
        port = server.port
    result = _goes_on(client, stored, port, destination)
    assert result.bytes_resumed == SIZE
    assert result.bytes_received <= SIZE + PIECE
    assert result.repairs == 1
    assert destination.read_bytes() == large_bytes
    assert list(destination.parent.iterdir()) == [destination]


def test_after_a_mistake_in_the_callers_own_digest_nothing_is_fetched_again(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    stored = StoredObject(large)
    with ObjectServer({"/k": stored}) as server:
        error, _ = _fails(client, server, destination, checksum="sha-256=" + "00" * 32)
        assert (error.expected, error.actual) == ("00" * 32, hashlib.sha256(large_bytes).hexdigest())
        server.forget_requests()
        result = client.download(server.url("/k"), destination, checksum=f"sha-256={error.actual}")
        assert {request.method for request in server.requests} == {"HEAD"}
    assert (result.bytes_received, result.bytes_resumed) == (0, SIZE)
    assert result.verification.verified
    assert destination.read_bytes() == large_bytes


@pytest.mark.fault("C1")
@pytest.mark.parametrize("size", [100_000, SIZE])
@pytest.mark.parametrize(
    ("kind", "said"), [(WHOLE, "the bytes hold against the store's own crc64nvme"), ({"etag": '"opaque"'}, "compare")]
)
def test_a_wrong_digest_of_the_callers_is_told_as_one(
    client: Client, destination: Path, size: int, kind: dict[str, Any], said: str
) -> None:
    content = Content.generated(size, seed=22)
    wrong, right = "00" * 32, hashlib.sha256(content.read()).hexdigest()
    with ObjectServer({"/k": StoredObject(content, **kind)}) as server:
        error, _ = _fails(client, server, destination, checksum=f"sha-256={wrong}")
    assert error.message == f"{server.url('/k')}: sha256 of what came is {right}, the given checksum says {wrong}"
    assert (error.algorithm, error.expected, error.actual) == ("sha256", wrong, right)
    assert (error.hint or "").startswith(said)
    assert "the given checksum" in (error.hint or "")
    assert not destination.exists()


@pytest.mark.parametrize(
    ("kind", "times"),
    [(WHOLE, 1), (WHOLE_IN_ORDER, 1), (OF_PARTS, 1), ({}, 2), ({"etag": '"opaque"'}, 2)],
    ids=["added up", "in order", "of parts", "md5", "nothing"],
)
def test_a_wrong_digest_of_the_callers_has_nothing_fetched_twice_that_the_store_vouches_for(
    large: Content, client: Client, destination: Path, kind: dict[str, Any], times: int
) -> None:
    received: list[int] = []

    def note(event: Event) -> None:
        if isinstance(event, Progress):
            received.append(event.received)

    with ObjectServer({"/k": StoredObject(large, **kind)}) as server, pytest.raises(ChecksumMismatch) as caught:
        client.download(server.url("/k"), destination, checksum="sha-256=" + "00" * 32, on_event=note)
    assert caught.value.expected == "00" * 32
    assert max(received) == times * SIZE


def test_where_nothing_is_good_nothing_is_kept(large: Content, client: Client, destination: Path) -> None:
    stored = StoredObject(large, **WHOLE)
    with ObjectServer({"/k": stored}, faults=Damage(_each_time_another)) as server:
        error, kept = _fails(client, server, destination, part_size=2 * SIZE)
    assert not kept
    assert "goes on" not in (error.hint or "")
    assert list(destination.parent.iterdir()) == []


@pytest.mark.fault("C1")
def test_what_comes_damaged_once_more_is_fetched_once_more(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    with ObjectServer({"/k": StoredObject(large, **WHOLE)}, faults=Damage(lambda number: number in (1, 3))) as server:
        result = client.download(server.url("/k"), destination)
    assert result.repairs == 2
    assert result.verification.verified
    assert destination.read_bytes() == large_bytes
