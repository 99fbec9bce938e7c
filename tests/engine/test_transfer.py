"""Downloads of sound objects: every split, every checksum, every kind of body; the bytes and the verdict."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.errors import ConfigError, RangeNotSupported, Unverifiable
from fastget.events import Event, Method, Progress, Started
from fastget.testing import Behaviour, Content, ETags, ObjectServer, StoredObject

MIB = 1024 * 1024
EVEN = (2 * MIB, 2 * MIB, 2 * MIB, 4321)
UNEVEN = (1 * MIB, 3 * MIB, 4321, 2 * MIB)
# As large as they would have to be if all were like the first: the guess is wrong, and nothing says so.
MISLEADING = (2 * MIB, 3 * MIB, 1 * MIB, 4321)
COMBINABLE = [algorithm for algorithm in Algorithm if algorithm.is_combinable]


def assert_is(path: Path, digest: str) -> None:
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert list(path.parent.iterdir()) == [path]


def served(stored: StoredObject, **behaviour: object) -> ObjectServer:
    return ObjectServer({"/bucket/key": stored}, behaviour=Behaviour(**behaviour))  # type: ignore[arg-type]


@pytest.mark.parametrize("split", ["auto", "part", "range"])
@pytest.mark.parametrize("algorithm", list(Algorithm))
@pytest.mark.parametrize("sizes", [EVEN, UNEVEN, MISLEADING], ids=["even", "uneven", "misleading"])
def test_a_composite_checksum_is_verified_on_every_split(
    content: Content, content_digest: str, destination: Path, algorithm: Algorithm, split: str, sizes: tuple[int, ...]
) -> None:
    stored = StoredObject(content, part_sizes=sizes, checksum=algorithm, checksum_type="COMPOSITE")
    with served(stored) as server:
        result = fastget.download(server.url("/bucket/key"), destination, split=split, part_size=MIB, connections=3)
    assert_is(destination, content_digest)
    assert result.verification.method is Method.COMPOSITE
    assert result.verification.verified
    assert result.verification.algorithm == algorithm
    assert result.repairs == 0


@pytest.mark.fault("C18")
@pytest.mark.parametrize("connections", [1, 3])
def test_parts_that_look_even_and_are_not_are_no_damage(
    content: Content, content_digest: str, destination: Path, connections: int
) -> None:
    stored = StoredObject(content, part_sizes=MISLEADING, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    with served(stored) as server:
        result = fastget.download(server.url("/bucket/key"), destination, split="range", connections=connections)
    assert_is(destination, content_digest)
    assert (result.verification.method, result.repairs) == (Method.COMPOSITE, 0)
    assert result.bytes_received == content.size


@pytest.mark.parametrize("split", ["auto", "part", "range"])
@pytest.mark.parametrize("algorithm", COMBINABLE)
def test_a_full_object_checksum_of_parts_is_folded_from_pieces(
    content: Content, content_digest: str, destination: Path, algorithm: Algorithm, split: str
) -> None:
    stored = StoredObject(content, part_sizes=UNEVEN, checksum=algorithm, checksum_type="FULL_OBJECT")
    with served(stored) as server:
        result = fastget.download(server.url("/bucket/key"), destination, split=split, part_size=MIB, connections=3)
    assert_is(destination, content_digest)
    assert result.verification.method is Method.FULL_OBJECT
    assert result.split == ("part" if split == "part" else "range")


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_single_put_is_verified_by_its_full_object_checksum_whatever_the_algorithm(
    content: Content, content_digest: str, destination: Path, algorithm: Algorithm
) -> None:
    stored = StoredObject(content, checksum=algorithm)
    with served(stored, rate_per_connection=8 * MIB) as server:  # so that others come before the first has it all
        result = fastget.download(server.url("/bucket/key"), destination, part_size=MIB, connections=3)
    assert_is(destination, content_digest)
    assert result.verification.method is Method.FULL_OBJECT
    assert 1 < result.connections <= 3


@pytest.mark.parametrize(("parts", "algorithm"), [(None, "md5"), (EVEN, "md5")])
def test_an_etag_that_is_an_md5_serves_where_there_is_no_checksum(
    content: Content, content_digest: str, destination: Path, parts: tuple[int, ...] | None, algorithm: str
) -> None:
    with served(StoredObject(content, part_sizes=parts)) as server:
        result = fastget.download(server.url("/bucket/key"), destination, part_size=MIB, connections=3)
    assert_is(destination, content_digest)
    assert result.verification.method is Method.ETAG_MD5
    assert result.verification.algorithm == algorithm


def test_every_request_after_the_first_is_pinned_and_the_first_one_is_plain(
    content: Content, destination: Path
) -> None:
    stored = StoredObject(content, checksum=Algorithm.CRC32C)
    with served(stored, rate_per_connection=8 * MIB) as server:
        fastget.download(
            server.url("/bucket/key"), destination, part_size=MIB, connections=3, headers={"X-Mine": "yes"}
        )
        first, *later = server.requests
    assert "Range" not in first.headers
    assert "If-Match" not in first.headers
    assert later
    assert {request.headers.get("If-Match") for request in later} == {stored.etag}
    assert {request.headers.get("X-Mine") for request in (first, *later)} == {"yes"}
    assert {request.headers.get("Accept-Encoding") for request in (first, *later)} == {"identity"}


@pytest.mark.parametrize("size", [0, 1, 255, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1])
def test_a_small_object_takes_one_request(destination: Path, size: int) -> None:
    content = Content.of(bytes(range(256)) * (size // 256 + 1)).read(0, size)
    with served(StoredObject(Content.of(bytes(content)), checksum=Algorithm.CRC64NVME)) as server:
        result = fastget.download(server.url("/bucket/key"), destination)
        assert len(server.requests) == 1
    assert destination.read_bytes() == bytes(content)
    assert (result.size, result.requests, result.verification.verified) == (size, 1, True)


@pytest.mark.fault("C15")
@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 3 * MIB - 1, 3 * MIB, 3 * MIB + 1])
def test_sizes_around_the_piece_size_are_exact(destination: Path, size: int) -> None:
    content = Content.generated(size, seed=size)
    with served(StoredObject(content, checksum=Algorithm.CRC64NVME)) as server:
        result = fastget.download(server.url("/bucket/key"), destination, part_size=MIB, connections=2)
    assert destination.read_bytes() == bytes(content.read(0, size))
    assert result.verification.method is Method.FULL_OBJECT


@pytest.mark.fault("H2", "H46", "H47", "H53", "H56")
@pytest.mark.parametrize(
    "behaviour",
    [
        {"ranges": False},
        {"ranges": False, "accept_ranges": None},
        {"ranges": False, "accept_ranges": "none"},
        {"send_length": False},
        {"etags": ETags.NONE},
        {"etags": ETags.WEAK},
        {"etags": ETags.UNQUOTED},
        {"part_numbers": False},
        {"if_match": False},
        {"keep_alive": False},
        {"head": False},
        {"checksums": False},
        {"amazon": False},
        {"amazon": False, "etags": ETags.NONE},
        {"amazon": False, "etags": ETags.NONE, "ranges": False, "accept_ranges": None, "send_length": False},
        {"partial_status": 200},
    ],
    ids=str,
)
@pytest.mark.parametrize("composite", [True, False], ids=["composite", "full-object"])
def test_whatever_the_server_lacks_the_bytes_are_right(
    content: Content, content_digest: str, destination: Path, behaviour: dict[str, object], composite: bool
) -> None:
    stored = StoredObject(
        content,
        part_sizes=UNEVEN,
        checksum=Algorithm.CRC32,
        checksum_type="COMPOSITE" if composite else "FULL_OBJECT",
    )
    with served(stored, **behaviour) as server:
        result = fastget.download(server.url("/bucket/key"), destination, part_size=MIB, connections=3)
    assert_is(destination, content_digest)
    assert result.size == content.size
    assert result.verification.verified or result.verification.reason


def test_a_server_without_ranges_is_read_in_its_first_answer(content: Content, destination: Path) -> None:
    stored = StoredObject(content, checksum=Algorithm.CRC32)
    with served(stored, ranges=False, accept_ranges="none") as server:
        result = fastget.download(server.url("/bucket/key"), destination, part_size=MIB, connections=3)
        assert len(server.requests) == 1
    assert (result.split, result.connections) == ("stream", 1)


def test_a_users_digest_is_checked_and_named(content: Content, content_digest: str, destination: Path) -> None:
    with served(StoredObject(content, checksum=Algorithm.CRC32)) as server:
        result = fastget.download(
            server.url("/bucket/key"), destination, checksum=f"sha-256={content_digest}", part_size=MIB
        )
    assert (result.verification.method, result.verification.actual) == (Method.USER_DIGEST, content_digest)


def test_require_verified_refuses_before_the_transfer(content: Content, destination: Path) -> None:
    with served(StoredObject(content), amazon=False) as server:
        with pytest.raises(Unverifiable, match="declared no checksum") as caught:
            fastget.download(server.url("/bucket/key"), destination, require_verified=True)
        # A pull has no flag for a digest, but its lists have checksum=: the hint is for all of them.
        assert caught.value.hint == "give its digest as checksum, or leave out require_verified"
        assert len(server.requests) == 1
    assert not list(destination.parent.iterdir())


def test_parts_asked_for_by_force_are_refused_where_there_are_none(content: Content, destination: Path) -> None:
    with (
        served(StoredObject(content), part_numbers=False) as server,
        pytest.raises(RangeNotSupported, match="part number"),
    ):
        fastget.download(server.url("/bucket/key"), destination, split="part")


def test_an_unknown_option_is_named(destination: Path) -> None:
    with pytest.raises(ConfigError, match="'conections'"):
        fastget.download("http://127.0.0.1:1/x", destination, conections=3)


def test_events_tell_the_way_in_order(content: Content, destination: Path) -> None:
    seen: list[Event] = []
    with served(StoredObject(content, checksum=Algorithm.CRC32)) as server:
        result = fastget.download(
            server.url("/bucket/key"), destination, part_size=MIB, connections=2, on_event=seen.append
        )
    assert isinstance(seen[0], Started)
    assert (seen[0].size, seen[0].connections, seen[0].verification) == (content.size, 2, Method.FULL_OBJECT)
    assert seen[-1] == fastget.events.Done(result)
    progress = [event for event in seen if isinstance(event, Progress)]
    assert [event.landed for event in progress] == sorted(event.landed for event in progress)
    assert progress[-1].landed == content.size


@pytest.mark.fault("X30")
def test_a_handler_that_fails_does_not_harm_the_download(
    content: Content, content_digest: str, destination: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(event: Event) -> None:
        raise ValueError(event)

    with served(StoredObject(content)) as server:
        fastget.download(server.url("/bucket/key"), destination, on_event=handler)
    assert_is(destination, content_digest)
    assert [record.name for record in caplog.records] == ["fastget.events"]


def test_read_gives_the_bytes_and_slices_as_slices_do(content: Content) -> None:
    whole = bytes(content.read(0, content.size))
    with served(StoredObject(content, checksum=Algorithm.CRC32)) as server, fastget.Client(connections=2) as client:
        url = server.url("/bucket/key")
        assert client.read(url) == whole
        for start, stop in [(0, 10), (5, 5), (100, 4_000_000), (-7, None), (None, 3), (6 * MIB, 99 * MIB), (10, 3)]:
            assert client.read(url, start, stop) == whole[start:stop]


def test_a_slice_of_a_server_without_ranges_is_refused(content: Content) -> None:
    with served(StoredObject(content), ranges=False) as server, pytest.raises(RangeNotSupported, match="no part"):
        fastget.read(server.url("/bucket/key"), 5, 10)


@pytest.mark.fault("H46")
@pytest.mark.parametrize("head", [True, False])
def test_head_tells_the_facts_even_where_head_is_refused(content: Content, head: bool) -> None:
    stored = StoredObject(content, checksum=Algorithm.CRC32, version_id="v1")
    with served(stored, head=head) as server:
        info = fastget.head(server.url("/bucket/key"))
    assert (info.size, info.etag, info.version_id) == (content.size, stored.etag, "v1")
    assert [digest.algorithm for digest in info.declared] == [Algorithm.CRC32]
