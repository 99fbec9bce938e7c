"""One fault on the way, of every kind, against every kind of checksum: right bytes or a typed error, never wrong bytes.

The law is faults.md §1; the faults are those of fastget.testing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.errors import (
    AccessDenied,
    ChecksumMismatch,
    FastgetError,
    NetworkError,
    NotFound,
    ProtocolError,
    ServerError,
    SourceChanged,
    Stalled,
    Throttled,
    Unverifiable,
)
from fastget.events import Event, Method, Repaired, Retried
from fastget.testing import Behaviour, Content, Fault, ObjectServer, StoredObject, faults
from fastget.testing.behaviour import ETags

MIB = 1024 * 1024
PARTS = (1 * MIB, 2 * MIB, 4321, 3 * MIB)
QUICK = {"part_size": MIB, "connections": 4}
# Where somebody keeps silent, and there alone: elsewhere a busy machine is no silence.
IMPATIENT = {**QUICK, "stall_timeout": 0.5, "response_timeout": 1.0}

# Slow enough that one stream does not fetch everything before the others have asked.
UNHURRIED = Behaviour(rate_per_connection=4 * MIB)

# Faults that a second request sets right.
PASSING: dict[str, Fault] = {
    "reset": faults.reset(after=100_000),
    "reset before answer": faults.reset_before_answer(),
    "vanish before answer": faults.vanish_before_answer(),
    "close mid-body": faults.close_mid_body(after=100_000),
    "stall": faults.stall(after=100_000),
    "silence": faults.silence(),
    "close idle connection": faults.close_idle_connection(),
    "206 without Content-Range": faults.no_content_range(),
    "206 elsewhere": faults.range_shifted(),
    "short, honest": faults.short(by=1000),
    "short, lying": faults.short_of_content_range(by=1000),
    "longer body": faults.body_longer(),
    "body until close, cut": faults.body_until_close(cut=100),
    "many Content-Ranges": faults.many_content_ranges(),
    "malformed Content-Range": faults.content_range("bytes banana"),
    "negative Content-Range": faults.content_range("bytes -5-3/100"),
    "multipart/byteranges": faults.multipart_byteranges(),
    "gzip": faults.gzip_encoded(),
    "error document as body": faults.error_document_as_body(),
    "503": faults.slow_down(),
    "503 with Retry-After": faults.slow_down(retry_after=0),
    "429": faults.slow_down(number=429),
    "500": faults.internal_error(),
    "garbage": faults.garbage(),
    "server speaks first": faults.server_speaks_first(),
    "huge header": faults.huge_header(1024 * 1024),
    "many headers": faults.many_headers(),
    "bad header line": faults.bad_header_line(),
    "two lengths": faults.two_lengths(),
    "absurd length": faults.declared_length("99999999999999999999"),
    "negative length": faults.declared_length(-5),
    "bad chunk size": faults.bad_chunk_size(),
    "chunked without end": faults.chunked_without_end(after=1000),
    "chunked": faults.chunked(),
    "informational": faults.informational(count=3),
    "surplus bytes": faults.surplus_bytes(),
    "body until close": faults.body_until_close(),
    "unknown total": faults.unknown_total(),
    "other total": faults.other_total(),
    "range ignored": faults.range_ignored(),
    "partial as 200": faults.partial_as_200(),
}
MUTE = ("stall", "silence")
# Faults that only a digest of the content can tell.
SILENT: dict[str, Fault] = {
    "bit flip": faults.flip_bit_of_body(offset=500),
    "body shifted": faults.body_shifted(),
    "zeroed": faults.zeroed(),
}
CHECKSUMS = {
    "composite-crc32c": {"part_sizes": PARTS, "checksum": Algorithm.CRC32C, "checksum_type": "COMPOSITE"},
    "composite-sha256": {"part_sizes": PARTS, "checksum": Algorithm.SHA256, "checksum_type": "COMPOSITE"},
    "full-crc64nvme": {"part_sizes": PARTS, "checksum": Algorithm.CRC64NVME, "checksum_type": "FULL_OBJECT"},
    "full-sha256": {"checksum": Algorithm.SHA256},
    "etag-md5": {},
    "etag-md5-parts": {"part_sizes": PARTS},
    "none": {"etag": '"opaque-tag"'},
}


# A document in place of the object, with status 200 and no checksum, is an object of its own.
FIRST = [name for name in PASSING if not any(word in name.lower() for word in ("range", "206", "document", "other"))]


@pytest.fixture(scope="module", params=list(CHECKSUMS))
def stored(request: pytest.FixtureRequest, content: Content) -> StoredObject:
    return StoredObject(content, **CHECKSUMS[request.param])  # type: ignore[arg-type]


def assert_right(path: Path, digest: str) -> None:
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.fault(
    "N1",
    "N2",
    "N3",
    "N4",
    "N5",
    "N6",
    "N26",
    "H1",
    "H2",
    "H3",
    "H5",
    "H6",
    "H7",
    "H8",
    "H9",
    "H10",
    "H11",
    "H12",
    "H17",
    "H19",
    "H20",
    "H21",
    "H22",
    "H23",
    "H24",
    "H25",
    "H40",
    "H42",
)
@pytest.mark.parametrize("request_number", [1, 3])
@pytest.mark.parametrize("fault", list(PASSING))
def test_a_fault_that_passes_is_survived(
    stored: StoredObject, content_digest: str, destination: Path, fault: str, request_number: int
) -> None:
    wanted = PASSING[fault].on(request=request_number, ranged=True)
    with ObjectServer({"/b/k": stored}, faults=[wanted]) as server:
        result = fastget.download(server.url("/b/k"), destination, **(IMPATIENT if fault in MUTE else QUICK))
    assert_right(destination, content_digest)
    assert result.verification.verified or stored.etag == '"opaque-tag"'


@pytest.mark.parametrize("fault", FIRST)
def test_a_fault_of_the_first_answer_is_survived_or_told(
    content: Content, content_digest: str, destination: Path, fault: str
) -> None:
    stored = StoredObject(content, part_sizes=PARTS, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    with ObjectServer({"/b/k": stored}, faults=[PASSING[fault].on(request=1)]) as server:
        try:
            result = fastget.download(server.url("/b/k"), destination, **(IMPATIENT if fault in MUTE else QUICK))
        except FastgetError:
            assert not list(destination.parent.iterdir())
        else:
            assert_right(destination, content_digest)
            assert result.verification.verified or "does not tell where its parts lie" in result.verification.reason


@pytest.mark.fault("H4", "C1", "C2")
@pytest.mark.parametrize("fault", list(SILENT))
@pytest.mark.parametrize("request_number", [1, 3])
def test_damage_that_only_a_digest_can_tell_is_found_and_repaired(
    stored: StoredObject, content_digest: str, destination: Path, fault: str, request_number: int
) -> None:
    with ObjectServer({"/b/k": stored}, faults=[SILENT[fault].on(request=request_number)]) as server:
        result = fastget.download(server.url("/b/k"), destination, **QUICK)
    if result.verification.verified:
        assert_right(destination, content_digest)
    else:
        assert stored.etag == '"opaque-tag"'
        assert result.verification.method is Method.SIZE


@pytest.mark.fault("C1")
def test_a_repair_fetches_the_damaged_part_alone(content: Content, content_digest: str, destination: Path) -> None:
    stored = StoredObject(content, part_sizes=PARTS, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    events: list[Event] = []
    damage = faults.flip_bit_of_body(500).on(part=4)
    with ObjectServer({"/b/k": stored}, behaviour=UNHURRIED, faults=[damage]) as server:
        result = fastget.download(server.url("/b/k"), destination, on_event=events.append, **QUICK)
    assert_right(destination, content_digest)
    assert result.repairs == 1
    assert result.bytes_received <= content.size + PARTS[3]
    assert [(event.start, event.stop) for event in events if isinstance(event, Repaired)] == [
        (content.size - PARTS[3], content.size)
    ]


@pytest.mark.fault("C1")
@pytest.mark.parametrize("kind", ["composite-crc32c", "full-crc64nvme", "full-sha256", "etag-md5-parts"])
def test_damage_that_stays_ends_in_a_mismatch_with_both_digests(content: Content, destination: Path, kind: str) -> None:
    stored = StoredObject(content, headers={"Server": "AmazonS3"}, **CHECKSUMS[kind])  # type: ignore[arg-type]
    destination.write_bytes(b"what was there")
    with (
        ObjectServer({"/b/k": stored}, faults=[faults.flip_bit(offset=5 * MIB).always()]) as server,
        pytest.raises(ChecksumMismatch) as caught,
    ):
        fastget.download(server.url("/b/k"), destination, **QUICK)
    assert caught.value.expected
    assert caught.value.actual
    assert caught.value.expected != caught.value.actual
    assert destination.read_bytes() == b"what was there"
    assert list(destination.parent.iterdir()) == [destination]


@pytest.mark.fault("C2", "H56")
def test_an_etag_that_only_looks_like_an_md5_is_told_and_fails_where_verification_is_required(
    content: Content, content_digest: str, destination: Path
) -> None:
    stored = StoredObject(content, etag='"0123456789abcdef0123456789abcdef"')
    with ObjectServer({"/b/k": stored}) as server:
        result = fastget.download(server.url("/b/k"), destination, **QUICK)
        with pytest.raises(Unverifiable, match="ETag"):
            fastget.download(server.url("/b/k"), destination, require_verified=True, **QUICK)
    assert_right(destination, content_digest)
    assert (result.verification.verified, result.verification.method) == (False, Method.SIZE)
    assert "ETag" in result.verification.reason


REPLACEMENTS = {
    "other ETag": faults.other_etag(),
    "412": faults.precondition_failed(),
}


@pytest.mark.fault("H15", "C4")
@pytest.mark.parametrize("fault", list(REPLACEMENTS))
def test_a_changed_object_ends_the_download(stored: StoredObject, destination: Path, fault: str) -> None:
    # One range at a time beside the stream: a 412 before any range was served would be a doubt about If-Match.
    wanted = REPLACEMENTS[fault].on(request=3)
    with (
        ObjectServer({"/b/k": stored}, behaviour=UNHURRIED, faults=[wanted]) as server,
        pytest.raises(SourceChanged),
    ):
        fastget.download(server.url("/b/k"), destination, split="range", **{**QUICK, "connections": 2})
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("H9")
def test_another_total_that_every_answer_names_under_one_etag_is_told_once_the_retries_are_spent(
    stored: StoredObject, destination: Path
) -> None:
    # The first range is served rightly, before the next is asked for: where none is, the stream is the download.
    wanted = faults.other_total().on(request=2, ranged=True).always()
    with (
        ObjectServer({"/b/k": stored}, behaviour=UNHURRIED, faults=[wanted]) as server,
        pytest.raises(ProtocolError, match=f"{stored.content.size} bytes") as caught,
    ):
        fastget.download(server.url("/b/k"), destination, split="range", retries=1, **{**QUICK, "connections": 2})
    assert str(stored.content.size + 1) in caught.value.message
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("H9")
def test_another_total_without_a_version_that_was_asked_for_ends_the_download(
    content: Content, destination: Path
) -> None:
    behaviour = Behaviour(rate_per_connection=4 * MIB, etags=ETags.NONE)
    stored = StoredObject(content, checksum=Algorithm.CRC32C)
    wanted = faults.other_total().on(request=2, ranged=True)
    with (
        ObjectServer({"/b/k": stored}, behaviour=behaviour, faults=[wanted]) as server,
        pytest.raises(SourceChanged, match="bytes"),
    ):
        fastget.download(server.url("/b/k"), destination, **QUICK)
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("C3", "C4", "H53")
@pytest.mark.parametrize("if_match", [True, False])
def test_an_object_replaced_midway_is_never_mixed(content: Content, destination: Path, if_match: bool) -> None:
    stored = StoredObject(content, checksum=Algorithm.CRC32C)
    other = StoredObject(Content.generated(content.size, seed=99), checksum=Algorithm.CRC32C)
    wanted = [faults.replaced(other).on(request=3).always()]
    if not if_match:
        wanted.append(faults.if_match_ignored().always())
    with ObjectServer({"/b/k": stored}, behaviour=UNHURRIED, faults=wanted) as server, pytest.raises(SourceChanged):
        fastget.download(server.url("/b/k"), destination, **QUICK)
    assert not list(destination.parent.iterdir())


@pytest.mark.fault("H35")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.slow_down(retry_after=0), Throttled),
        (faults.internal_error(), ServerError),
        (faults.access_denied(), AccessDenied),
        (faults.status(404, code="NoSuchKey", message="The specified key does not exist."), NotFound),
        (faults.reset_before_answer(), NetworkError),
        (faults.silence(), Stalled),
        (faults.garbage(), ProtocolError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_fault_that_stays_is_a_typed_error(content: Content, destination: Path, fault: Fault, error: type) -> None:
    options = IMPATIENT if error is Stalled else QUICK
    with ObjectServer({"/b/k": StoredObject(content)}, faults=[fault.always()]) as server, pytest.raises(error):
        fastget.download(server.url("/b/k"), destination, retries=1, **options)
    assert not list(destination.parent.iterdir())


def test_the_servers_words_are_kept(content: Content, destination: Path) -> None:
    with (
        ObjectServer({"/b/k": StoredObject(content)}, faults=[faults.access_denied().always()]) as server,
        pytest.raises(AccessDenied) as caught,
    ):
        fastget.download(server.url("/b/k"), destination)
    reply = caught.value.reply
    assert reply is not None
    assert (reply.status, reply.code) == (403, "AccessDenied")
    assert reply.request_id


@pytest.mark.fault("H1")
def test_a_stream_that_cannot_resume_begins_again(content: Content, content_digest: str, destination: Path) -> None:
    stored = StoredObject(content, checksum=Algorithm.CRC32C)
    seen: list[Event] = []
    with ObjectServer(
        {"/b/k": stored}, faults=[faults.close_mid_body(after=MIB).on(request=1), faults.range_ignored().always()]
    ) as server:
        result = fastget.download(server.url("/b/k"), destination, on_event=seen.append, **QUICK)
    assert_right(destination, content_digest)
    assert result.split == "stream"
    assert any(isinstance(event, Retried) for event in seen)
