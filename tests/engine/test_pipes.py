"""Pipes and devices: the bytes leave in order, and what is damaged cannot be taken back: it is told."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.engine.pieces.job import BYTES_ARE_OUT
from fastget.engine.workers import crew
from fastget.errors import ChecksumMismatch, FastgetError, ProtocolError, SourceChanged
from fastget.events import Method
from fastget.sinks.stream import StreamSink
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject, faults

if TYPE_CHECKING:
    from fastget.sinks.protocol import HeldUp

MIB = 1024 * 1024
PARTS = (2 * MIB, 3 * MIB, 1 * MIB, 4321)
KINDS: dict[str, dict[str, Any]] = {
    "composite-crc32c": {"part_sizes": PARTS, "checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE"},
    "composite-sha256": {"part_sizes": PARTS, "checksum": Algorithm.SHA256, "checksum_type": "COMPOSITE"},
    "full-crc64nvme": {"checksum": Algorithm.CRC64NVME},
    "full-sha256": {"checksum": Algorithm.SHA256},
    "etag-md5": {},
    "etag-md5-parts": {"part_sizes": PARTS},
}


# A digest that needs the bytes in order, of a sink that cannot be read back: one stream, one request.
ALONE = {"full-sha256", "etag-md5"}


class Reader:
    """Reads a FIFO to its end in a thread of its own."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.digest = ""
        self._path = path
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with self._path.open("rb") as pipe:
            self.digest = hashlib.file_digest(pipe, "sha256").hexdigest()

    def join(self) -> str:
        self._thread.join()
        return self.digest


@pytest.fixture(params=list(KINDS))
def stored(request: pytest.FixtureRequest, content: Content) -> StoredObject:
    return StoredObject(content, **KINDS[request.param])


def test_a_pipe_gets_the_bytes_in_order_and_verified(
    stored: StoredObject, content_digest: str, destination: Path
) -> None:
    reader = Reader(destination)
    with ObjectServer({"/b/k": stored}) as server:
        result = fastget.download(server.url("/b/k"), destination, part_size=MIB, connections=3)
    assert reader.join() == content_digest
    assert result.verification.verified


@pytest.mark.parametrize("split", ["auto", "range", "part"])
@pytest.mark.parametrize("kind", ["composite-crc32c", "etag-md5-parts"])
def test_a_pipe_gets_what_is_held_to_a_digest_of_ones_own(
    content: Content, content_digest: str, destination: Path, kind: str, split: str
) -> None:
    """It is hashed in order, beside which a composite of the store's cannot be added up."""
    reader = Reader(destination)
    with ObjectServer({"/b/k": StoredObject(content, **KINDS[kind])}) as server:
        own = f"sha-256={content_digest}"
        result = fastget.download(server.url("/b/k"), destination, checksum=own, split=split, connections=3)
    assert reader.join() == content_digest
    assert (result.verification.method, result.verification.actual) == (Method.USER_DIGEST, content_digest)


@pytest.mark.parametrize(
    ("kind", "request_number"),
    [*((kind, 1) for kind in KINDS), *((kind, 2) for kind in KINDS if kind not in ALONE)],
)
def test_damage_in_a_pipe_is_a_mismatch_never_a_success(
    content: Content, destination: Path, kind: str, request_number: int
) -> None:
    reader = Reader(destination)
    damage = faults.flip_bit_of_body(offset=500).on(request=request_number)
    unhurried = Behaviour(rate_per_connection=8 * MIB)
    stored = StoredObject(content, **KINDS[kind])
    with (
        ObjectServer({"/b/k": stored}, behaviour=unhurried, faults=[damage]) as server,
        pytest.raises(ChecksumMismatch) as caught,
    ):
        fastget.download(server.url("/b/k"), destination, part_size=MIB, connections=3)
    reader.join()
    assert "reader" in (caught.value.hint or "")


def test_an_etag_that_is_no_md5_is_told_from_damage_in_a_pipe(
    content: Content, content_digest: str, destination: Path
) -> None:
    reader = Reader(destination)
    with ObjectServer({"/b/k": StoredObject(content, etag='"0123456789abcdef0123456789abcdef"')}) as server:
        result = fastget.download(server.url("/b/k"), destination, part_size=MIB, connections=3)
    assert reader.join() == content_digest
    assert (result.verification.verified, result.verification.method) == (False, Method.SIZE)


@pytest.mark.fault("X29")
def test_an_interrupt_waits_for_nobody_who_waits_for_the_reader(
    monkeypatch: pytest.MonkeyPatch, content: Content, destination: Path, no_leaks: None
) -> None:
    look = StreamSink.held_up

    def interrupted(sink: StreamSink) -> HeldUp:
        """In the caller's thread, once somebody waits."""
        found = look(sink)
        if found.waiting:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(StreamSink, "held_up", interrupted)
    monkeypatch.setattr(crew, "PATIENCE", None)
    os.mkfifo(destination)
    never_read = os.open(destination, os.O_RDWR | os.O_NONBLOCK)
    stored = StoredObject(content, **KINDS["full-crc64nvme"])
    try:
        with ObjectServer({"/b/k": stored}) as server, pytest.raises(KeyboardInterrupt):
            fastget.download(server.url("/b/k"), destination, part_size=MIB, connections=3, max_memory=MIB)
    finally:
        os.close(never_read)


@pytest.mark.fault("N4", "H19")
@pytest.mark.parametrize("breaks", [1, 2])
def test_a_body_of_unknown_length_goes_on_where_it_broke(content: Content, breaks: int) -> None:
    cuts = [faults.close_mid_body(after=MIB).on(ranged=None, request=number + 1) for number in range(breaks)]
    with ObjectServer({"/k": StoredObject(content)}, behaviour=Behaviour(send_length=False), faults=cuts) as server:
        with fastget.stream(server.url("/k")) as stream:
            assert b"".join(bytes(view) for view in stream) == content.read()
        assert [request.range is not None for request in server.requests] == [False] + [True] * breaks
    assert stream.result is not None
    assert stream.result.size == content.size


@pytest.mark.fault("N4", "H13")
@pytest.mark.parametrize(
    "framing", [faults.chunked(), faults.body_until_close(), None], ids=["chunked", "close", "length"]
)
@pytest.mark.parametrize("size", [0, 1_000_000])
def test_a_body_of_unknown_length_whose_end_alone_is_lost_is_whole(size: int, framing: Any) -> None:
    content = Content.generated(size, seed=7)
    chosen = [faults.chunked_without_end().on(request=1), *([] if framing is None else [framing.on(request=2)])]
    with ObjectServer({"/k": StoredObject(content)}, behaviour=Behaviour(total_on_416=True), faults=chosen) as server:
        with fastget.stream(server.url("/k")) as stream:
            assert b"".join(bytes(view) for view in stream) == content.read()
        assert [request.status for request in server.requests] == [200, 416]
    assert stream.result is not None
    assert stream.result.size == size
    assert stream.result.verification.verified


@pytest.mark.fault("H13", "H14")
@pytest.mark.parametrize(("etag", "total"), [('"strong"', 999_999), ('"strong"', 1_000_001), ('W/"weak"', 1_000_000)])
def test_a_body_of_unknown_length_is_not_taken_for_whole_on_other_words(etag: str, total: int) -> None:
    stored = StoredObject(Content.generated(1_000_000, seed=7), etag=etag)
    chosen = [faults.chunked_without_end().on(request=1), faults.unsatisfiable(total=total).on(ranged=True).always()]
    with (
        ObjectServer({"/k": stored}, faults=chosen) as server,
        fastget.stream(server.url("/k"), retries=0) as stream,
        pytest.raises(FastgetError),
    ):
        for _ in stream:
            pass


@pytest.mark.fault("N4", "C3", "H53")
@pytest.mark.parametrize("if_match", [True, False])
def test_a_body_of_unknown_length_does_not_go_on_with_another_version(content: Content, *, if_match: bool) -> None:
    other = StoredObject(Content.generated(content.size, seed=98))
    turns = [faults.close_mid_body(after=MIB).on(request=1), faults.replaced(other).on(request=2)]
    behaviour, got = Behaviour(send_length=False, if_match=if_match), bytearray()
    with (
        ObjectServer({"/k": StoredObject(content)}, behaviour=behaviour, faults=turns) as server,
        fastget.stream(server.url("/k")) as stream,
        pytest.raises(SourceChanged),
    ):
        got.extend(byte for view in stream for byte in view)
    assert content.read().startswith(got)


@pytest.mark.fault("H7")
@pytest.mark.parametrize("start", [None, 100], ids=["whole", "slice"])
def test_a_range_that_goes_on_behind_its_end_is_told_where_its_bytes_have_gone_out(
    content: Content, start: int | None
) -> None:
    longer = [fault.on(request=2) for fault in (faults.body_longer(), faults.chunked())]
    stored = StoredObject(content, etag='"opaque"')
    with ObjectServer({"/b/k": stored}, faults=[faults.close_mid_body(after=MIB), *longer]) as server:
        url = server.url("/b/k")
        with pytest.raises(ProtocolError, match="more bytes than it declared") as caught:
            for _ in fastget.stream(url, start, connections=1):
                pass
    assert caught.value.hint == BYTES_ARE_OUT
    assert caught.value.url == url
