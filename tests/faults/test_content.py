"""Bytes and digests that do not belong together."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from fastget.core.planner import plan_ranges
from fastget.errors import ChecksumMismatch, FastgetError, ProtocolError, SourceChanged
from fastget.events import Method, Result
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject, faults

MIB, TIB = 1024 * 1024, 1024**4
Serve = Callable[..., ObjectServer]
Fetch = Callable[..., Result]
Check = Callable[[], None]

PARTS = (MIB, 2 * MIB, 4321)
UNHURRIED = Behaviour(rate_per_connection=4 * MIB)


@pytest.mark.fault("C5")
@pytest.mark.parametrize("kind", ["FULL_OBJECT", "COMPOSITE"])
def test_a_replacement_under_the_same_etag_is_seen_by_the_checksum(
    serve: Serve, content: Content, fetch: Fetch, assert_absent: Check, kind: str
) -> None:
    def version(seed: int) -> StoredObject:
        body = content if seed == 3 else Content.generated(content.size, seed=seed)
        return StoredObject(
            body,
            etag='"same"',
            part_sizes=PARTS,
            checksum=Algorithm.CRC32C,
            checksum_type=kind,  # type: ignore[arg-type]
        )

    replaced = faults.replaced(version(99)).on(ranged=True)
    server = serve({"/k": version(3)}, behaviour=UNHURRIED, faults=[replaced])
    with pytest.raises((ChecksumMismatch, SourceChanged)):
        fetch(server.url("/k"))
    assert_absent()


@pytest.mark.fault("C6")
def test_pieces_that_the_server_swaps_are_found(
    serve: Serve, content: Content, fetch: Fetch, assert_absent: Check
) -> None:
    """Every piece has right bytes, of another place: only what depends on the order can tell."""
    block = content.read(0, MIB)
    other = content.read(MIB, 2 * MIB)
    right = StoredObject(Content.of(block + other + block), etag='"e"', checksum=Algorithm.CRC64NVME)
    swapped = StoredObject(Content.of(other + block + block), etag='"e"')
    header = ("x-amz-checksum-crc64nvme", base64.b64encode(right.digest).decode())
    lies = [faults.field(*header).always(), faults.field("x-amz-checksum-type", "FULL_OBJECT").always()]
    server = serve({"/k": swapped}, faults=lies)
    with pytest.raises(ChecksumMismatch) as caught:
        fetch(server.url("/k"), retries=1)
    assert caught.value.expected == right.digest.hex()
    assert_absent()


@pytest.mark.fault("C8")
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32, Algorithm.CRC64NVME, Algorithm.SHA256])
def test_a_wrong_checksum_is_a_mismatch_with_both_values(
    serve: Serve, content: Content, fetch: Fetch, assert_absent: Check, algorithm: Algorithm
) -> None:
    stored = StoredObject(content, checksum=algorithm)
    wrong = bytes(len(stored.digest))
    lie = faults.other_checksum(f"x-amz-checksum-{algorithm}", base64.b64encode(wrong).decode()).always()
    with pytest.raises(ChecksumMismatch) as caught:
        fetch(serve({"/k": stored}, faults=[lie]).url("/k"), retries=1)
    assert (caught.value.expected, caught.value.actual) == (wrong.hex(), stored.digest.hex())
    assert_absent()


@pytest.mark.fault("C9", "C12", "C13")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-checksum-crc32", None),
        ("x-amz-checksum-crc32", ""),
        ("x-amz-checksum-crc32", "not base64!"),
        ("x-amz-checksum-crc32", "AAAA"),
        ("x-amz-checksum-crc32", "A" * 10_000),
        ("x-amz-checksum-crc32", "\xff\xfe"),
        ("x-amz-checksum-whirlpool", "AAAAAA=="),
        ("x-amz-checksum-type", "DIAGONAL"),
    ],
)
def test_a_checksum_that_says_nothing_counts_as_absent(
    serve: Serve, content: Content, fetch: Fetch, assert_arrived: Check, name: str, value: str | None
) -> None:
    stored = StoredObject(content, checksum=Algorithm.CRC32, etag='"opaque"')
    result = fetch(serve({"/k": stored}, faults=[faults.field(name, value).always()]).url("/k"))
    assert_arrived()
    assert result.verification.verified == ("whirlpool" in name or result.verification.method is not Method.SIZE)


@pytest.mark.fault("C10")
@pytest.mark.parametrize("count", [1, 2, 4, 10_000])
def test_a_composite_of_another_number_of_parts_never_counts_as_a_match(
    serve: Serve, content: Content, fetch: Fetch, count: int
) -> None:
    stored = StoredObject(
        content, etag='"opaque"', part_sizes=PARTS, checksum=Algorithm.CRC32C, checksum_type="COMPOSITE"
    )
    value = f"{base64.b64encode(stored.digest).decode()}-{count}"
    lie = faults.other_checksum("x-amz-checksum-crc32c", value).on(ranged=False).always()
    try:
        result = fetch(serve({"/k": stored}, faults=[lie]).url("/k"))
    except FastgetError:
        return
    assert result.verification.method is not Method.COMPOSITE or not result.verification.verified


@pytest.mark.fault("C14")
def test_two_digests_that_cannot_both_hold_end_the_download(
    serve: Serve, content: Content, fetch: Fetch, assert_absent: Check
) -> None:
    digests = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in (b"one", b"other")]
    fields = {"Repr-Digest": f"sha-256=:{digests[0]}:", "Digest": f"sha-256={digests[1]}"}
    server = serve({"/k": StoredObject(content, etag='"opaque"', headers=fields)})
    with pytest.raises((ChecksumMismatch, ProtocolError)):
        fetch(server.url("/k"), retries=1)
    assert_absent()


@pytest.mark.fault("C15")
@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 4 * 65536 - 1, 4 * 65536, 4 * 65536 + 1, 104_729])
def test_sizes_around_the_piece_size_are_exact(serve: Serve, fetch: Fetch, destination: Path, size: int) -> None:
    body = Content.generated(size, seed=size)
    fetch(serve({"/k": StoredObject(body, checksum=Algorithm.SHA256)}).url("/k"), part_size=65536)
    assert destination.read_bytes() == body.read(0, size)


@pytest.mark.fault("C16")
@pytest.mark.parametrize("size", [2**32 - 1, 2**32, 2**32 + 1, 5 * 2**30, 5 * TIB, int(48.8 * TIB), 2**63 - 1], ids=str)
def test_sizes_past_32_bits_are_planned_to_the_byte(size: int) -> None:
    chunks = plan_ranges(size).chunks
    assert chunks[0].span.start == 0
    assert chunks[-1].span.stop == size
    assert all(one.span.stop == other.span.start for one, other in pairwise(chunks))


@pytest.mark.fault("C19")
def test_an_empty_last_part_changes_nothing(
    serve: Serve, content: Content, fetch: Fetch, assert_arrived: Check
) -> None:
    stored = StoredObject(content, part_sizes=(*PARTS, 0), checksum=Algorithm.CRC32C, checksum_type="COMPOSITE")
    fetch(serve({"/k": stored}).url("/k"))
    assert_arrived()


@pytest.mark.fault("S22", "S23")
def test_the_callers_digest_counts_whatever_the_store_declares(
    serve: Serve, content: Content, fetch: Fetch, assert_arrived: Check, assert_absent: Check
) -> None:
    server = serve({"/k": StoredObject(content, checksum=Algorithm.CRC32)})
    with pytest.raises(ChecksumMismatch):
        fetch(server.url("/k"), checksum=f"sha-256={'0' * 64}", retries=1)
    assert_absent()
    right = hashlib.sha256(content.read(0, content.size)).hexdigest()
    result = fetch(server.url("/k"), checksum=f"sha-256={right}", require_verified=True)
    assert_arrived()
    assert (result.verification.method, result.verification.algorithm) == (Method.USER_DIGEST, "sha256")
