"""An interrupted download goes on: right bytes, and nothing is fetched twice that was there."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.client import Client
from fastget.core.checksums.algorithms import Algorithm
from fastget.core.journal import block_size_for, read_journal
from fastget.engine.cancellation import Cancellation
from fastget.engine.exchange.stores import Stores
from fastget.errors import (
    Cancelled,
    ChecksumMismatch,
    DestinationError,
    FastgetError,
    NetworkError,
    SourceChanged,
)
from fastget.events import Event, Kept, Method, Progress, Restarted, Result, Resumed, Started, Unchanged
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults
from fastget.testing.behaviour import Attributes, ETags

pytestmark = pytest.mark.usefixtures("no_leaks")

MIB = 1024 * 1024
SIZE = 24 * MIB + 4321
PARTS = (5 * MIB, 8 * MIB + 3, 6 * MIB, 5 * MIB + 4318)
CONNECTIONS = 4
OPTIONS: dict[str, Any] = {"connections": CONNECTIONS, "part_size": 4 * MIB, "retries": 0}
JOURNAL = ".object.bin.fastget-journal"


@pytest.fixture(scope="session")
def large() -> Content:
    """Large enough for a journal, and uneven against pieces, parts and blocks."""
    return Content.generated(SIZE, seed=11)


@pytest.fixture(scope="session")
def large_bytes(large: Content) -> bytes:
    return large.read()


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(**OPTIONS) as one:
        yield one


KINDS: dict[str, dict[str, Any]] = {
    "whole crc": {"checksum": Algorithm.CRC64NVME},
    "whole sha": {"checksum": Algorithm.SHA256},
    "parts of crc": {"part_sizes": PARTS, "checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE"},
    "parts of sha": {"part_sizes": PARTS, "checksum": Algorithm.SHA256, "checksum_type": "COMPOSITE"},
    "etag alone": {},
    "multipart etag": {"part_sizes": PARTS},
}


def _stop_at(
    client: Client, url: str, path: Path, landed: int, events: list[Event] | None = None, **options: Any
) -> FastgetError | None:
    """Download until so much has landed, and stop; the error that this ended in."""
    scope = Cancellation()

    def handle(event: Event) -> None:
        if events is not None:
            events.append(event)
        if isinstance(event, Progress) and event.landed >= landed:
            scope.cancel()

    try:
        client.transfer_to_file(url, path, scope, on_event=handle, **options)
    except Cancelled as error:
        return error
    return None


def _of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def _fetch(client: Client, url: str, path: Path, **options: Any) -> tuple[Result, list[Event]]:
    events: list[Event] = []
    return client.download(url, path, on_event=events.append, **options), events


@pytest.fixture
def leave(client: Client, destination: Path) -> Callable[..., None]:
    """Leave a download that was stopped after about half."""

    def stop(server: ObjectServer, landed: int = SIZE // 2, **options: Any) -> None:
        assert _stop_at(client, server.url("/k"), destination, landed, **options) is not None
        assert (destination.parent / JOURNAL).exists()

    return stop


SLOW = Behaviour(rate_per_connection=24 * MIB)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_download_goes_on_where_it_stood(
    large: Content, large_bytes: bytes, client: Client, destination: Path, kind: str
) -> None:
    stored = StoredObject(large, **KINDS[kind])
    events: list[Event] = []
    with ObjectServer({"/k": stored}, behaviour=SLOW) as server:
        error = _stop_at(client, server.url("/k"), destination, SIZE // 2, events)
        assert error is not None
        assert "goes on" in (error.hint or "")
        (kept,) = _of(events, Kept)
        assert not destination.exists()
        assert len(list(destination.parent.iterdir())) == 2
        server.forget_requests()
        result, events = _fetch(client, server.url("/k"), destination)
        (resumed,) = _of(events, Resumed)
        assert not _of(events, Restarted)
    assert result.bytes_resumed == resumed.landed == kept.landed
    assert result.bytes_received + result.bytes_resumed == SIZE
    assert destination.read_bytes() == large_bytes
    assert result.verification.verified
    assert list(destination.parent.iterdir()) == [destination]
    assert all(request.headers.get("if-match") for request in server.requests if request.method == "GET")


@pytest.mark.fault("X18")
def test_a_download_that_is_stopped_again_and_again_gets_through(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    received = 0
    with ObjectServer({"/k": StoredObject(large, checksum=Algorithm.SHA256)}, behaviour=SLOW) as server:
        for landed in range(4 * MIB, SIZE, 4 * MIB):
            events: list[Event] = []
            _stop_at(client, server.url("/k"), destination, landed, events)
            received += max((event.received for event in _of(events, Progress)), default=0)
        result, _ = _fetch(client, server.url("/k"), destination)
    assert destination.read_bytes() == large_bytes
    assert result.bytes_received + result.bytes_resumed == SIZE
    assert received <= SIZE


@pytest.mark.parametrize("kind", ["whole crc", "whole sha", "etag alone"])
@pytest.mark.parametrize("part_size", [MIB, 3 * MIB, 8 * MIB, SIZE])
def test_another_way_of_cutting_uses_all_that_was_left(
    large: Content, large_bytes: bytes, client: Client, destination: Path, kind: str, part_size: int
) -> None:
    stopped: list[Event] = []
    with ObjectServer({"/k": StoredObject(large, **KINDS[kind])}, behaviour=SLOW) as server:
        assert _stop_at(client, server.url("/k"), destination, SIZE // 2, stopped) is not None
        result, events = _fetch(client, server.url("/k"), destination, part_size=part_size, connections=2)
    (kept,) = _of(stopped, Kept)
    assert destination.read_bytes() == large_bytes
    assert not _of(events, Restarted)
    assert result.verification.verified
    assert result.bytes_resumed == kept.landed
    assert result.bytes_received + result.bytes_resumed == SIZE


@pytest.fixture
def leave_ranges(
    large: Content, large_bytes: bytes, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[Kept, int]]:
    """Leave what a download has fetched by ranges that know nothing of the parts; what it has kept, and the port."""
    digest = "sha-256=" + hashlib.sha256(large_bytes).hexdigest()
    behaviour = Behaviour(rate_per_connection=24 * MIB, part_numbers=False, attributes=Attributes.DENIED)

    def stop(kind: str) -> tuple[Kept, int]:
        events: list[Event] = []
        stored = StoredObject(large, **KINDS[kind])
        with ObjectServer({"/k": stored}, behaviour=behaviour) as server, Client(**OPTIONS) as other:
            assert _stop_at(other, server.url("/k"), destination, SIZE // 2, events, checksum=digest) is not None
        (started,) = _of(events, Started)
        assert started.split == "range"
        # What this store could not do is forgotten: the next one tells its parts.
        monkeypatch.setattr("fastget.client._stores", Stores())
        return _of(events, Kept)[0], server.port

    return stop


LeaveRanges = Callable[[str], tuple[Kept, int]]
OF_PARTS = ["parts of crc", "parts of sha", "multipart etag"]


@pytest.mark.fault("X18")
@pytest.mark.parametrize("kind", OF_PARTS)
def test_a_plan_by_parts_uses_all_that_ranges_have_left(
    large: Content, large_bytes: bytes, client: Client, destination: Path, leave_ranges: LeaveRanges, kind: str
) -> None:
    kept, port = leave_ranges(kind)
    with ObjectServer({"/k": StoredObject(large, **KINDS[kind])}, port=port) as server:
        result, events = _fetch(client, server.url("/k"), destination)
    assert not _of(events, Restarted)
    assert result.bytes_resumed == kept.landed
    assert result.bytes_received + result.bytes_resumed == SIZE
    assert result.verification.verified
    assert result.verification.method in (Method.COMPOSITE, Method.ETAG_MD5)
    assert destination.read_bytes() == large_bytes
    assert list(destination.parent.iterdir()) == [destination]


@pytest.mark.fault("C1", "X18")
@pytest.mark.parametrize("kind", OF_PARTS)
def test_what_comes_damaged_into_a_part_that_was_half_there_is_found(
    large: Content, large_bytes: bytes, client: Client, destination: Path, leave_ranges: LeaveRanges, kind: str
) -> None:
    _, port = leave_ranges(kind)
    damage = faults.flip_bit_of_body(offset=1000).on(ranged=True)
    with ObjectServer({"/k": StoredObject(large, **KINDS[kind])}, port=port, faults=[damage]) as server:
        result, _ = _fetch(client, server.url("/k"), destination)
        assert server.faults_happened
    assert result.repairs >= 1
    assert result.verification.verified
    assert destination.read_bytes() == large_bytes


@pytest.mark.fault("X24")
@pytest.mark.parametrize("kind", OF_PARTS)
def test_a_claim_across_two_parts_that_does_not_hold_is_of_no_use_to_either(
    large: Content, large_bytes: bytes, client: Client, destination: Path, leave_ranges: LeaveRanges, kind: str
) -> None:
    kept, port = leave_ranges(kind)
    (part,) = destination.parent.glob("*.fastget-part")
    journal = read_journal((destination.parent / JOURNAL).read_bytes())
    assert journal is not None
    edges = [sum(PARTS[:count]) for count in range(1, len(PARTS))]
    across = next(c.span for c in journal.claims if any(c.span.start < edge < c.span.stop for edge in edges))
    with part.open("r+b") as file:
        file.seek(across.start)
        file.write(bytes([large_bytes[across.start] ^ 1]))
    with ObjectServer({"/k": StoredObject(large, **KINDS[kind])}, port=port) as server:
        result, _ = _fetch(client, server.url("/k"), destination)
    assert result.bytes_resumed <= kept.landed - across.length
    assert result.verification.verified
    assert destination.read_bytes() == large_bytes


def test_errors_of_the_way_keep_what_has_landed(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    stored = StoredObject(large, checksum=Algorithm.CRC64NVME)
    broken = [
        faults.close_mid_body(after=3 * MIB).on(ranged=True).always(),
        faults.close_mid_body(after=5 * MIB).on(request=1),
    ]
    with ObjectServer({"/k": stored}, faults=broken) as server, pytest.raises(NetworkError) as caught:
        client.download(server.url("/k"), destination)
    assert "goes on" in (caught.value.hint or "")
    assert len(list(destination.parent.iterdir())) == 2
    port = server.port
    with ObjectServer({"/k": stored}, port=port) as server:
        result, _ = _fetch(client, server.url("/k"), destination)
    assert result.bytes_resumed > 0
    assert destination.read_bytes() == large_bytes


def test_what_is_kept_of_a_file_that_cannot_take_its_name_is_told(
    large: Content, client: Client, destination: Path
) -> None:
    events: list[Event] = []

    def handle(event: Event) -> None:
        events.append(event)
        if isinstance(event, Started):
            destination.mkdir()

    with ObjectServer({"/k": StoredObject(large)}) as server:
        with pytest.raises(DestinationError) as caught:
            client.download(server.url("/k"), destination, on_event=handle)
        destination.rmdir()
        result, _ = _fetch(client, server.url("/k"), destination)
    assert "goes on" in (caught.value.hint or "")
    assert [(kept.size, kept.landed) for kept in _of(events, Kept)] == [(SIZE, SIZE)]
    assert result.bytes_resumed == SIZE


@pytest.mark.fault("X24")
@pytest.mark.parametrize("damage", ["flipped bit", "zeros", "cut off", "longer"])
def test_bytes_that_are_not_as_they_were_are_fetched_again(
    large: Content, large_bytes: bytes, client: Client, destination: Path, leave: Callable[..., None], damage: str
) -> None:
    with ObjectServer({"/k": StoredObject(large)}, behaviour=SLOW) as server:
        leave(server)
        (part,) = destination.parent.glob("*.fastget-part")
        journal = read_journal((destination.parent / JOURNAL).read_bytes())
        assert journal is not None
        claim = journal.claims[len(journal.claims) // 2].span
        claimed = sum(one.span.length for one in journal.claims)
        with part.open("r+b") as file:
            if damage == "cut off":
                file.truncate(claim.stop - 1)
            elif damage == "longer":
                file.seek(0, os.SEEK_END)
                file.write(b"more")
            else:
                file.seek(claim.stop - 1)
                file.write(bytes([large_bytes[claim.stop - 1] ^ 1]) if damage == "flipped bit" else b"\0")
                if damage == "zeros":
                    file.seek(claim.start)
                    file.write(bytes(claim.length))
        result, _ = _fetch(client, server.url("/k"), destination)
    assert destination.read_bytes() == large_bytes
    assert (result.bytes_resumed < claimed) is (damage != "longer")
    assert result.bytes_received + result.bytes_resumed == SIZE


@pytest.mark.fault("X21")
@pytest.mark.parametrize("damage", ["empty", "zeros", "garbage", "half", "a flipped bit in the header"])
def test_a_damaged_journal_costs_time_alone(
    large: Content, large_bytes: bytes, client: Client, destination: Path, leave: Callable[..., None], damage: str
) -> None:
    with ObjectServer({"/k": StoredObject(large, checksum=Algorithm.CRC64NVME)}, behaviour=SLOW) as server:
        leave(server)
        journal = destination.parent / JOURNAL
        data = bytearray(journal.read_bytes())
        if damage == "a flipped bit in the header":
            data[100] ^= 1
        written = {
            "empty": b"",
            "zeros": bytes(len(data)),
            "garbage": b"x" * 5000,
            "half": bytes(data[: len(data) // 2]),
        }
        journal.write_bytes(written.get(damage, bytes(data)))
        os.utime(journal, (1, 1))
        result, events = _fetch(client, server.url("/k"), destination)
    assert destination.read_bytes() == large_bytes
    assert result.verification.verified
    if damage != "half":
        assert result.bytes_resumed == 0
        (restarted,) = _of(events, Restarted)
        assert restarted.reason


@pytest.mark.fault("X25")
def test_a_changed_object_is_begun_anew_and_told(
    large: Content, client: Client, destination: Path, leave: Callable[..., None]
) -> None:
    other = Content.generated(SIZE, seed=12)
    with ObjectServer({"/k": StoredObject(large, checksum=Algorithm.CRC64NVME)}, behaviour=SLOW) as server:
        leave(server)
        server.put("/k", StoredObject(other, checksum=Algorithm.CRC64NVME))
        result, events = _fetch(client, server.url("/k"), destination)
    (restarted,) = _of(events, Restarted)
    assert "changed" in restarted.reason
    assert "ETag" in restarted.reason
    assert result.bytes_resumed == 0
    assert destination.read_bytes() == other.read()
    assert list(destination.parent.iterdir()) == [destination]


@pytest.mark.fault("X25")
def test_an_object_whose_size_is_not_told_any_more_is_begun_anew_and_that_is_told(
    large: Content, large_bytes: bytes, client: Client, destination: Path, leave: Callable[..., None]
) -> None:
    with ObjectServer({"/k": StoredObject(large)}, behaviour=SLOW) as server:
        leave(server)
        port = server.port
    sizeless = Behaviour(send_length=False, ranges=False, accept_ranges=None)
    with ObjectServer({"/k": StoredObject(large)}, port=port, behaviour=sizeless) as server:
        result, events = _fetch(client, server.url("/k"), destination)
    assert [restarted.reason for restarted in _of(events, Restarted)] == [
        "the server does not tell the object's size any more"
    ]
    assert result.bytes_resumed == 0
    assert destination.read_bytes() == large_bytes
    assert list(destination.parent.iterdir()) == [destination]


@pytest.mark.fault("C3")
def test_an_object_that_changes_while_it_goes_on_is_not_mixed(
    large: Content, client: Client, destination: Path, leave: Callable[..., None]
) -> None:
    other = StoredObject(Content.generated(SIZE, seed=12))
    with ObjectServer({"/k": StoredObject(large)}, behaviour=SLOW, faults=[]) as server:
        leave(server)

        def change(event: Event) -> None:
            if isinstance(event, Started):
                server.put("/k", other)

        with pytest.raises(SourceChanged):
            client.download(server.url("/k"), destination, on_event=change)
    assert list(destination.parent.iterdir()) == []


def test_what_nothing_ties_together_is_begun_anew(large: Content, large_bytes: bytes, destination: Path) -> None:
    """Neither a strong ETag nor a digest: bytes of two versions could not be told apart."""
    behaviour = Behaviour(rate_per_connection=24 * MIB, etags=ETags.NONE, checksums=False)
    with ObjectServer({"/k": StoredObject(large)}, behaviour=behaviour) as server, Client(**OPTIONS) as client:
        assert _stop_at(client, server.url("/k"), destination, SIZE // 2) is not None
        assert list(destination.parent.iterdir()) == []
        result, _ = _fetch(client, server.url("/k"), destination)
    assert result.bytes_resumed == 0
    assert destination.read_bytes() == large_bytes


def test_without_resuming_nothing_is_kept_and_nothing_used(
    large: Content, client: Client, destination: Path, leave: Callable[..., None]
) -> None:
    with ObjectServer({"/k": StoredObject(large, checksum=Algorithm.CRC64NVME)}, behaviour=SLOW) as server:
        leave(server)
        assert _stop_at(client, server.url("/k"), destination, SIZE // 2, resume=False) is not None
        assert list(destination.parent.iterdir()) == []
        leave(server)
        result, _ = _fetch(client, server.url("/k"), destination, resume=False)
        assert result.bytes_received == SIZE
        again, _ = _fetch(client, server.url("/k"), destination, resume=False)
    assert again.bytes_received == SIZE
    assert list(destination.parent.iterdir()) == [destination]


def test_a_server_that_has_lost_its_ranges_meanwhile_is_read_as_a_stream(
    large: Content, large_bytes: bytes, client: Client, destination: Path, leave: Callable[..., None]
) -> None:
    stored = StoredObject(large, checksum=Algorithm.CRC64NVME)
    with ObjectServer({"/k": stored}, behaviour=SLOW) as server:
        leave(server)
        port = server.port
    with ObjectServer({"/k": stored}, port=port, behaviour=Behaviour(ranges=False)) as server:
        result, _ = _fetch(client, server.url("/k"), destination)
    assert destination.read_bytes() == large_bytes
    assert result.verification.verified
    assert list(destination.parent.iterdir()) == [destination]


@pytest.mark.fault("H1", "X18")
def test_a_server_that_ignores_ranges_for_a_while_costs_nothing_of_what_was_here(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    stored, stopped = StoredObject(large, checksum=Algorithm.CRC64NVME), list[Event]()
    with ObjectServer({"/k": stored}, behaviour=SLOW) as server:
        assert _stop_at(client, server.url("/k"), destination, SIZE // 2, stopped) is not None
        port = server.port
    (kept,) = _of(stopped, Kept)
    failing = [faults.range_ignored().always(), faults.internal_error().on(ranged=False).always()]
    with ObjectServer({"/k": stored}, port=port, faults=failing) as server, pytest.raises(FastgetError):
        client.download(server.url("/k"), destination)
    with ObjectServer({"/k": stored}, port=port) as server:
        result, _ = _fetch(client, server.url("/k"), destination)
    assert result.bytes_resumed == kept.landed
    assert destination.read_bytes() == large_bytes


def test_where_head_says_less_the_download_goes_on_as_well(
    large: Content, large_bytes: bytes, client: Client, destination: Path, leave: Callable[..., None]
) -> None:
    refusal = faults.access_denied().on(method="HEAD").always()
    with ObjectServer(
        {"/k": StoredObject(large, checksum=Algorithm.SHA256)}, behaviour=SLOW, faults=[refusal]
    ) as server:
        leave(server)
        result, _ = _fetch(client, server.url("/k"), destination)
    assert result.bytes_resumed > 0
    assert result.verification.verified
    assert destination.read_bytes() == large_bytes


def test_parts_that_are_good_stay_when_one_keeps_coming_damaged(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    stored = StoredObject(large, **KINDS["parts of sha"])
    bad = faults.flip_bit_of_body(500).on(part=3).always()
    with ObjectServer({"/k": stored}, behaviour=SLOW, faults=[bad]) as server:
        with pytest.raises(ChecksumMismatch):
            client.download(server.url("/k"), destination, split="part", retries=5)
        port = server.port
    assert len(list(destination.parent.iterdir())) == 2
    with ObjectServer({"/k": stored}, port=port) as server:
        result, _ = _fetch(client, server.url("/k"), destination)
    assert destination.read_bytes() == large_bytes
    assert 0 < result.bytes_resumed <= SIZE - PARTS[2]


@pytest.mark.fault("X17")
def test_a_worker_loses_at_most_one_block(large: Content, client: Client, destination: Path) -> None:
    """What a process that is killed leaves is what the journal says at that moment."""
    found: list[tuple[int, int]] = []

    def look(event: Event) -> None:
        journal = destination.parent / JOURNAL
        if isinstance(event, Progress) and journal.exists():
            read = read_journal(journal.read_bytes())
            assert read is not None
            found.append((event.landed, sum(claim.span.length for claim in read.claims)))

    with ObjectServer({"/k": StoredObject(large)}, behaviour=SLOW) as server:
        client.download(server.url("/k"), destination, on_event=look, part_size=12 * MIB)
    assert found
    # Every worker of the pass may be in a block, and has one buffer that is not counted yet.
    assert all(landed - claimed <= CONNECTIONS * (block_size_for(SIZE) + MIB) for landed, claimed in found)


def test_small_objects_and_unknown_sizes_have_no_journal(client: Client, destination: Path) -> None:
    small, endless = StoredObject(Content.generated(8 * MIB)), StoredObject(Content.generated(9 * MIB))
    names: set[str] = set()

    def look(event: Event) -> None:
        names.update(path.name for path in destination.parent.iterdir())

    with ObjectServer({"/small": small, "/endless": endless}, behaviour=Behaviour(send_length=False)) as server:
        client.download(server.url("/small"), destination, on_event=look)
        client.download(server.url("/endless"), destination, on_event=look)
    assert not {name for name in names if name.endswith("journal")}


@pytest.mark.fault("X14")
def test_two_downloads_to_one_destination_do_not_meet(large: Content, client: Client, destination: Path) -> None:
    refused: list[DestinationError] = []
    with ObjectServer({"/k": StoredObject(large)}, behaviour=SLOW) as server:

        def try_as_well(event: Event) -> None:
            if isinstance(event, Progress) and event.landed and not refused:
                with pytest.raises(DestinationError, match="another fastget is downloading") as caught:
                    client.download(server.url("/k"), destination, on_event=None)
                refused.append(caught.value)

        result = client.download(server.url("/k"), destination, on_event=try_as_well)
    assert refused
    assert result.bytes_received == SIZE


def test_an_interrupt_while_what_was_left_is_read_again_keeps_it(
    large: Content, large_bytes: bytes, client: Client, destination: Path, leave: Callable[..., None]
) -> None:
    with ObjectServer({"/k": StoredObject(large, checksum=Algorithm.SHA256)}, behaviour=SLOW) as server:
        leave(server)
        for _ in range(3):
            scope = Cancellation()

            def handle(event: Event, scope: Cancellation = scope) -> None:
                if isinstance(event, Started | Progress):
                    scope.cancel()

            with pytest.raises(Cancelled):
                client.transfer_to_file(server.url("/k"), destination, scope, on_event=handle)
        result, _ = _fetch(client, server.url("/k"), destination)
    assert result.bytes_resumed >= SIZE // 2 - CONNECTIONS * (block_size_for(SIZE) + MIB)
    assert destination.read_bytes() == large_bytes


# Already here ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 100_000, SIZE])
def test_the_second_run_of_a_finished_download_fetches_nothing(
    client: Client, destination: Path, kind: str, size: int
) -> None:
    facts = KINDS[kind] if size == SIZE else {key: value for key, value in KINDS[kind].items() if key != "part_sizes"}
    facts = facts if size == SIZE else {key: value for key, value in facts.items() if key != "checksum_type"}
    content = Content.generated(size, seed=3)
    with ObjectServer({"/k": StoredObject(content, **facts)}) as server:
        first, _ = _fetch(client, server.url("/k"), destination)
        before = destination.stat()
        server.forget_requests()
        second, events = _fetch(client, server.url("/k"), destination)
        assert {request.method for request in server.requests} == {"HEAD"}
    assert not first.was_here
    assert second.was_here
    assert (second.bytes_received, second.bytes_resumed, second.size) == (0, size, size)
    assert _of(events, Unchanged)
    after = destination.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("change", ["object", "file", "length"])
def test_a_file_that_is_not_the_object_any_more_is_replaced(client: Client, destination: Path, change: str) -> None:
    content, other = Content.generated(100_000, seed=3), Content.generated(100_000, seed=4)
    with ObjectServer({"/k": StoredObject(content, checksum=Algorithm.CRC32)}) as server:
        client.download(server.url("/k"), destination)
        if change == "object":
            server.put("/k", StoredObject(other, checksum=Algorithm.CRC32))
        elif change == "file":
            with destination.open("r+b") as file:
                file.write(b"X")
        else:
            destination.write_bytes(b"short")
        result, _ = _fetch(client, server.url("/k"), destination)
    assert not result.was_here
    assert destination.read_bytes() == (other if change == "object" else content).read()


def test_a_large_file_that_came_by_another_way_is_recognized_by_its_digest(
    large: Content, large_bytes: bytes, client: Client, destination: Path
) -> None:
    destination.write_bytes(large_bytes)
    with ObjectServer({"/k": StoredObject(large, checksum=Algorithm.SHA256)}) as server:
        result, _ = _fetch(client, server.url("/k"), destination)
    assert result.was_here
    assert result.verification.verified


def test_a_file_is_only_called_verified_where_a_digest_was_compared(client: Client, destination: Path) -> None:
    content = Content.generated(100_000, seed=3)
    stored = StoredObject(content)
    with ObjectServer({"/k": stored}, behaviour=Behaviour(checksums=False, amazon=False)) as server:
        for _ in range(2):
            result, _ = _fetch(client, server.url("/k"), destination)
        assert result.was_here
        assert not result.verification.verified
        with pytest.raises(fastget.errors.Unverifiable):
            client.download(server.url("/k"), destination, require_verified=True)
        wrong = "sha-256=" + "00" * 32
        with pytest.raises(ChecksumMismatch):
            client.download(server.url("/k"), destination, checksum=wrong)
    assert destination.read_bytes() == content.read()


def test_without_overwriting_a_file_that_is_here_is_refused_as_ever(client: Client, destination: Path) -> None:
    with ObjectServer({"/k": StoredObject(Content.generated(1000))}) as server:
        client.download(server.url("/k"), destination)
        with pytest.raises(DestinationError, match="exists"):
            client.download(server.url("/k"), destination, overwrite=False)


def test_two_urls_with_one_destination_replace_each_other(client: Client, destination: Path) -> None:
    a, b = (StoredObject(Content.generated(1000, seed=seed)) for seed in (1, 2))
    with ObjectServer({"/a": a, "/b": b}) as server:
        for path, stored in (("/a", a), ("/b", b), ("/a", a)):
            result, _ = _fetch(client, server.url(path), destination)
            assert not result.was_here
            assert destination.read_bytes() == stored.content.read()


@pytest.mark.fault("X14")
def test_threads_with_one_destination_leave_one_whole_file(
    large: Content, large_bytes: bytes, destination: Path
) -> None:
    start = threading.Barrier(4)
    outcomes: list[object] = []

    def work() -> None:
        start.wait()
        try:
            outcomes.append(fastget.download(server.url("/k"), destination, **OPTIONS))
        except DestinationError as error:
            outcomes.append(error)

    with ObjectServer({"/k": StoredObject(large)}, behaviour=SLOW) as server:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(isinstance(outcome, Result) for outcome in outcomes) >= 1
    assert destination.read_bytes() == large_bytes
    assert list(destination.parent.iterdir()) == [destination]
