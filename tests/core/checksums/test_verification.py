"""The ladder of verification, and the ledger, held against independent libraries on random splits."""

from __future__ import annotations

import hashlib
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise, permutations

import pytest
import xxhash
from awscrt import checksums
from hypothesis import assume, given
from hypothesis import strategies as st

from fastget.core.checksums.algorithms import Algorithm
from fastget.core.checksums.declared import DeclaredDigest
from fastget.core.checksums.verification import (
    Check,
    Ledger,
    choose,
    ladder,
    reason_for_size_only,
    verified_by,
    verified_by_size,
)
from fastget.core.layout import PartLayout
from fastget.core.planner import Chunk, plan_parts, plan_stream
from fastget.core.ranges import Span
from fastget.events import Method, Verification

ORACLES: dict[Algorithm, Callable[[bytes], bytes]] = {
    Algorithm.CRC32: lambda data: zlib.crc32(data).to_bytes(4, "big"),
    Algorithm.CRC32C: lambda data: checksums.crc32c(data).to_bytes(4, "big"),
    Algorithm.CRC64NVME: lambda data: checksums.crc64nvme(data).to_bytes(8, "big"),
    Algorithm.SHA1: lambda data: hashlib.sha1(data).digest(),
    Algorithm.SHA256: lambda data: hashlib.sha256(data).digest(),
    Algorithm.SHA512: lambda data: hashlib.sha512(data).digest(),
    Algorithm.MD5: lambda data: hashlib.md5(data).digest(),
    Algorithm.XXHASH64: xxhash.xxh64_digest,
    Algorithm.XXHASH3: xxhash.xxh3_64_digest,
    Algorithm.XXHASH128: xxhash.xxh3_128_digest,
}
CRCS = [algorithm for algorithm in Algorithm if algorithm.is_combinable]
HASHES = [algorithm for algorithm in Algorithm if not algorithm.is_combinable]
STORE = "x-amz-checksum-"


def declared(algorithm: Algorithm, origin: str, parts: int | None = None, value: bytes = b"") -> DeclaredDigest:
    return DeclaredDigest(algorithm, value or bytes(algorithm.digest_size), origin, parts)


def full(algorithm: Algorithm, value: bytes = b"") -> DeclaredDigest:
    return declared(algorithm, STORE + algorithm, None, value)


def composite(algorithm: Algorithm, parts: int, value: bytes = b"") -> DeclaredDigest:
    return declared(algorithm, STORE + algorithm, parts, value)


def check(digest: DeclaredDigest) -> Check:
    return Check(Method.FULL_OBJECT if digest.parts is None else Method.COMPOSITE, digest)


def cut(cuts: Sequence[int], edges: Sequence[int]) -> list[Chunk]:
    """Chunks that end at every cut and every edge of a part; an empty part is a chunk of its own."""
    chunks: list[Chunk] = []
    for part, (start, stop) in enumerate(pairwise(edges), start=1):
        bounds = sorted({start, stop, *(place for place in cuts if start < place < stop)})
        spans = [Span(one, other) for one, other in pairwise(bounds)] or [Span(start, stop)]
        for span in spans:
            chunks.append(Chunk(len(chunks), span, part))
    return chunks


def fill(ledger: Ledger, chunks: Sequence[Chunk], content: bytes, order: Sequence[int] | None = None) -> None:
    for index in order or range(len(chunks)):
        data = content[chunks[index].span.start : chunks[index].span.stop]
        ledger.record(index, {algorithm: ORACLES[algorithm](data) for algorithm in ledger.chunk_algorithms})
    for algorithm in ledger.ordered_algorithms:
        ledger.record_ordered(algorithm, ORACLES[algorithm](content))


contents = st.binary(min_size=1, max_size=400)
places = st.lists(st.integers(0, 400), max_size=12)


# The ladder --------------------------------------------------------------------------------------------------


def test_the_rungs_are_the_users_the_stores_those_of_http_and_the_etag() -> None:
    user = declared(Algorithm.MD5, "user")
    etag = declared(Algorithm.MD5, "etag")
    found = [
        declared(Algorithm.MD5, "content-md5"),
        composite(Algorithm.SHA256, 3),
        declared(Algorithm.SHA256, "repr-digest"),
        full(Algorithm.SHA1),
        composite(Algorithm.CRC32, 3),
        full(Algorithm.CRC64NVME),
        declared(Algorithm.CRC32C, "x-goog-hash"),
    ]
    expected = [
        Check(Method.USER_DIGEST, user),
        Check(Method.FULL_OBJECT, full(Algorithm.CRC64NVME)),
        Check(Method.FULL_OBJECT, full(Algorithm.SHA1)),
        Check(Method.COMPOSITE, composite(Algorithm.CRC32, 3)),
        Check(Method.COMPOSITE, composite(Algorithm.SHA256, 3)),
        Check(Method.HTTP_DIGEST, declared(Algorithm.CRC32C, "x-goog-hash")),
        Check(Method.HTTP_DIGEST, declared(Algorithm.SHA256, "repr-digest")),
        Check(Method.HTTP_DIGEST, declared(Algorithm.MD5, "content-md5")),
        Check(Method.ETAG_MD5, etag),
    ]
    assert list(ladder(found, user, etag)) == expected
    assert list(ladder(reversed(found), user, etag)) == expected


@pytest.mark.parametrize("make", [full, lambda algorithm: composite(algorithm, 2)])
def test_on_one_rung_a_crc_comes_first_and_md5_last(make: Callable[[Algorithm], DeclaredDigest]) -> None:
    rungs = ladder(make(algorithm) for algorithm in sorted(Algorithm))
    assert {rung.algorithm for rung in rungs} == set(Algorithm)
    assert {rung.algorithm for rung in rungs[:3]} == set(CRCS)
    assert rungs[0].algorithm is Algorithm.CRC64NVME
    assert rungs[-1].algorithm is Algorithm.MD5


def test_nothing_declared_makes_no_rung() -> None:
    assert ladder(()) == ()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_what_a_check_needs_follows_from_its_algorithm(algorithm: Algorithm) -> None:
    whole, parted = check(full(algorithm)), check(composite(algorithm, 2))
    assert whole.is_ordered == (algorithm in HASHES)
    assert not whole.needs_whole_parts
    assert not parted.is_ordered
    assert parted.needs_whole_parts == (algorithm in HASHES)
    assert (whole.parts, parted.parts) == (None, 2)


# What a download is held to ----------------------------------------------------------------------------------

USER_SHA = declared(Algorithm.SHA256, "user")
USER_CRC = declared(Algorithm.CRC32, "user")
PARTS, WHOLE, ETAG = composite(Algorithm.CRC32C, 4), full(Algorithm.CRC64NVME), declared(Algorithm.MD5, "etag")
PARTED_ETAG = declared(Algorithm.MD5, "etag", 4)
SHA_PARTS, HTTP_CRC = composite(Algorithm.SHA1, 4), declared(Algorithm.CRC32C, "x-goog-hash")


@pytest.mark.parametrize(
    ("found", "user", "etag", "with_layout", "without"),
    [
        pytest.param([], None, None, [], [], id="nothing"),
        pytest.param([WHOLE], None, ETAG, [WHOLE], [WHOLE], id="the best alone"),
        pytest.param([PARTS], None, None, [PARTS], [], id="a composite needs the layout"),
        pytest.param([PARTS], None, ETAG, [PARTS], [ETAG], id="a rung below, where the layout is unknown"),
        pytest.param([], None, PARTED_ETAG, [PARTED_ETAG], [], id="so does the ETag of a multipart object"),
        pytest.param([], USER_SHA, None, [USER_SHA], [USER_SHA], id="the caller's alone"),
        pytest.param([WHOLE], USER_SHA, ETAG, [USER_SHA, WHOLE], [USER_SHA, WHOLE], id="the caller's, and a CRC"),
        pytest.param([PARTS], USER_SHA, ETAG, [USER_SHA, PARTS], [USER_SHA], id="and a CRC of parts"),
        pytest.param([], USER_CRC, ETAG, [USER_CRC], [USER_CRC], id="but no second hash over all"),
        pytest.param([SHA_PARTS], USER_SHA, None, [USER_SHA], [USER_SHA], id="nor one over parts"),
        pytest.param(
            [SHA_PARTS, HTTP_CRC], USER_SHA, None, [USER_SHA, HTTP_CRC], [USER_SHA, HTTP_CRC], id="a later CRC"
        ),
    ],
)
def test_a_download_is_held_to_the_users_digest_and_the_best_of_the_stores(
    found: list[DeclaredDigest],
    user: DeclaredDigest | None,
    etag: DeclaredDigest | None,
    with_layout: list[DeclaredDigest],
    without: list[DeclaredDigest],
) -> None:
    rungs = ladder(found, user, etag)
    assert [one.declared for one in choose(rungs, layout_is_known=True)] == with_layout
    assert [one.declared for one in choose(rungs, layout_is_known=False)] == without


def test_why_only_the_size_was_compared_is_told() -> None:
    assert "crc32c" in reason_for_size_only(ladder([PARTS]), has_checksum_headers=True)
    assert "parts lie" in reason_for_size_only(ladder([PARTS]), has_checksum_headers=True)
    assert "cannot" not in reason_for_size_only((), has_checksum_headers=False)
    assert reason_for_size_only((), has_checksum_headers=False) == "the store declared no checksum"
    assert reason_for_size_only((), has_checksum_headers=True) != "the store declared no checksum"


def test_the_verdicts_say_what_was_compared() -> None:
    assert verified_by(check(full(Algorithm.CRC32, b"\x00\x01\x02\xff"))) == Verification(
        True, Method.FULL_OBJECT, "crc32", "000102ff", "000102ff", 1.0, "compared with x-amz-checksum-crc32"
    )
    assert verified_by(check(PARTS)).reason == "compared with x-amz-checksum-crc32c of 4 parts"
    unverified = verified_by_size("no reason")
    assert (unverified.verified, unverified.method, unverified.coverage) == (False, Method.SIZE, 0.0)
    assert (unverified.algorithm, unverified.expected, unverified.actual) == (None, None, None)


# The ledger --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", CRCS)
@given(content=contents, cuts=places, data=st.data())
def test_a_full_object_crc_is_folded_from_chunks_in_whatever_order_they_land(
    algorithm: Algorithm, content: bytes, cuts: list[int], data: st.DataObject
) -> None:
    chunks = cut(cuts, [0, len(content)])
    ledger = Ledger([check(full(algorithm, ORACLES[algorithm](content)))], chunks, None)
    fill(ledger, chunks, content, data.draw(st.permutations(range(len(chunks)))))
    assert ledger.failures() == ()


@pytest.mark.parametrize("algorithm", list(Algorithm))
@given(content=contents, sizes=st.lists(st.integers(0, 60), min_size=1, max_size=6), cuts=places)
def test_a_composite_is_the_digest_of_the_digests_of_the_parts(
    algorithm: Algorithm, content: bytes, sizes: list[int], cuts: list[int]
) -> None:
    edges = [0]
    for size in sizes:
        edges.append(min(edges[-1] + size, len(content)))
    edges[-1] = len(content)
    layout = PartLayout(tuple(edges), is_proven=True)
    parts = [content[start:stop] for start, stop in pairwise(edges)]
    value = ORACLES[algorithm](b"".join(ORACLES[algorithm](part) for part in parts))
    # Only a CRC can be put together from several chunks of a part.
    chunks = cut(cuts if algorithm.is_combinable else (), edges)
    ledger = Ledger([check(composite(algorithm, len(parts), value))], chunks, layout)
    fill(ledger, chunks, content)
    assert ledger.chunk_algorithms == (algorithm,)
    assert ledger.ordered_algorithms == ()
    assert ledger.failures() == ()
    for number, part in enumerate(parts, start=1):
        assert ledger.part_digest(algorithm, number) == ORACLES[algorithm](part)


@pytest.mark.fault("C1")
@given(content=st.binary(min_size=2, max_size=400), cuts=places, at=st.integers(0, 399), bit=st.integers(0, 7))
def test_one_flipped_bit_fails_every_check_with_what_was_found_instead(
    content: bytes, cuts: list[int], at: int, bit: int
) -> None:
    changed = bytearray(content)
    changed[at % len(content)] ^= 1 << bit
    damaged = bytes(changed)
    middle = len(content) // 2
    chunks = cut(cuts, [0, middle, len(content)])
    layout = PartLayout((0, middle, len(content)), is_proven=True)

    def crc_of_parts(data: bytes) -> bytes:
        crc = ORACLES[Algorithm.CRC32C]
        return crc(crc(data[:middle]) + crc(data[middle:]))

    checks = [
        check(full(Algorithm.CRC64NVME, ORACLES[Algorithm.CRC64NVME](content))),
        check(composite(Algorithm.CRC32C, 2, crc_of_parts(content))),
        check(full(Algorithm.SHA256, ORACLES[Algorithm.SHA256](content))),
    ]
    ledger = Ledger(checks, chunks, layout)
    assert ledger.chunk_algorithms == (Algorithm.CRC64NVME, Algorithm.CRC32C)
    assert ledger.ordered_algorithms == (Algorithm.SHA256,)
    fill(ledger, chunks, content)
    assert ledger.failures() == ()
    fill(ledger, chunks, damaged)
    assert ledger.failures() == (
        (checks[0], ORACLES[Algorithm.CRC64NVME](damaged)),
        (checks[1], crc_of_parts(damaged)),
        (checks[2], ORACLES[Algorithm.SHA256](damaged)),
    )


@pytest.mark.fault("C6")
@given(content=st.binary(min_size=6, max_size=6))
def test_chunks_in_another_order_are_another_content(content: bytes) -> None:
    assume(content[:2] != content[2:4] != content[4:] != content[:2])
    chunks = cut([2, 4], [0, 6])
    expected = check(full(Algorithm.CRC64NVME, ORACLES[Algorithm.CRC64NVME](content)))
    pieces = [content[0:2], content[2:4], content[4:6]]
    for order in permutations(pieces):
        ledger = Ledger([expected], chunks, None)
        fill(ledger, chunks, b"".join(order))
        assert bool(ledger.failures()) == (list(order) != pieces)


def test_a_hash_over_all_is_recorded_and_chunks_get_a_crc_to_be_told_apart_by() -> None:
    ledger = Ledger([check(full(Algorithm.SHA256, hashlib.sha256(b"abc").digest()))], plan_stream(3).chunks, None)
    assert ledger.chunk_algorithms == (Algorithm.CRC32C,)
    assert ledger.ordered_algorithms == (Algorithm.SHA256,)
    ledger.record_ordered(Algorithm.SHA256, hashlib.sha256(b"abd").digest())
    assert [actual for _, actual in ledger.failures()] == [hashlib.sha256(b"abd").digest()]
    ledger.record_ordered(Algorithm.SHA256, hashlib.sha256(b"abc").digest())
    assert ledger.failures() == ()


def test_an_algorithm_that_two_checks_share_is_computed_once() -> None:
    checks = [Check(Method.USER_DIGEST, declared(Algorithm.CRC32C, "user")), check(full(Algorithm.CRC32C))]
    ledger = Ledger(checks, plan_stream(3).chunks, None)
    assert ledger.chunk_algorithms == (Algorithm.CRC32C,)
    ledger.record(0, {Algorithm.CRC32C: b"abcd"})
    assert [failed for failed, _ in ledger.failures()] == checks


def test_without_checks_nothing_is_computed_and_nothing_fails() -> None:
    ledger = Ledger((), plan_stream(3).chunks, None)
    assert ledger.chunk_algorithms == ledger.ordered_algorithms == ()
    assert not ledger.record(0, {})
    assert ledger.failures() == ()


def test_an_empty_object_has_the_digest_of_no_bytes() -> None:
    for algorithm in CRCS:
        ledger = Ledger([check(full(algorithm, ORACLES[algorithm](b"")))], plan_stream(0).chunks, None)
        fill(ledger, plan_stream(0).chunks, b"")
        assert ledger.failures() == ()


def test_a_composite_of_ten_thousand_parts_adds_up() -> None:
    content = bytes(range(250)) * 40
    layout = PartLayout.of_sizes([1] * 10_000)
    chunks = plan_parts(layout, by_number=False, whole_parts=True).chunks
    parts = [hashlib.sha256(content[number : number + 1]).digest() for number in range(10_000)]
    value = hashlib.sha256(b"".join(parts)).digest()
    ledger = Ledger([check(composite(Algorithm.SHA256, 10_000, value))], chunks, layout)
    fill(ledger, chunks, content)
    assert ledger.failures() == ()
    assert [ledger.part_digest(Algorithm.SHA256, number) for number in range(1, 10_001)] == parts


def test_a_copy_has_the_records_and_leaves_the_original_alone() -> None:
    content = b"0123456789"
    chunks = cut([5], [0, 10])
    checks = [check(full(Algorithm.CRC32, ORACLES[Algorithm.CRC32](content))), check(full(Algorithm.MD5))]
    ledger = Ledger(checks, chunks, None)
    fill(ledger, chunks, b"0123456x89")
    before = ledger.failures()
    twin = ledger.copy()
    assert twin.failures() == before
    fill(twin, chunks, content)
    assert [failed for failed, _ in twin.failures()] == [checks[1]]
    assert ledger.failures() == before
    assert ledger.recorded(1) != twin.recorded(1)
    assert ledger.recorded(0) == twin.recorded(0)


def test_the_digests_of_tens_of_thousands_of_chunks_take_little_more_than_their_bytes() -> None:
    chunks = tuple(Chunk(index, Span(index, index + 1)) for index in range(20_000))
    ledger = Ledger([check(full(Algorithm.CRC64NVME, bytes(8)))], chunks, None)
    tracemalloc.start()
    try:
        for chunk in chunks:
            ledger.record(chunk.index, {Algorithm.CRC64NVME: chunk.index.to_bytes(8, "big")})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert ledger.recorded(7) == {Algorithm.CRC64NVME: (7).to_bytes(8, "big")}
    assert held < 100 * len(chunks)


def test_a_ledger_adds_nothing_up_before_the_last_chunk_is_recorded() -> None:
    chunks = (Chunk(0, Span(0, 1)), Chunk(1, Span(1, 2)))
    ledger = Ledger([check(full(Algorithm.CRC32, bytes(4)))], chunks, None)
    ledger.record(0, {Algorithm.CRC32: bytes(4)})

    assert ledger.recorded(1) == {}
    with pytest.raises(KeyError):
        ledger.failures()
