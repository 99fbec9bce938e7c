"""Stored objects: identity and digests, against hashlib, zlib, awscrt and xxhash."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode

import pytest
import xxhash
from awscrt import checksums

from fastget.core.ranges import Span
from fastget.testing import Algorithm, Content, StoredObject
from fastget.testing.objects import MD5_LIMIT

DATA = Content.generated(100_000, seed=3).read()
PARTS = (40_000, 10_000, 50_000)
PIECES = (DATA[:40_000], DATA[40_000:50_000], DATA[50_000:])


def oracle(algorithm: Algorithm, data: bytes) -> bytes:
    match algorithm:
        case Algorithm.CRC32:
            return zlib.crc32(data).to_bytes(4, "big")
        case Algorithm.CRC32C:
            return checksums.crc32c(data).to_bytes(4, "big")
        case Algorithm.CRC64NVME:
            return checksums.crc64nvme(data).to_bytes(8, "big")
        case Algorithm.XXHASH64:
            return xxhash.xxh64(data).digest()
        case Algorithm.XXHASH3:
            return xxhash.xxh3_64(data).digest()
        case Algorithm.XXHASH128:
            return xxhash.xxh3_128(data).digest()
        case _:
            return hashlib.new(algorithm.value, data).digest()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_an_object_has_the_digest_of_its_content(algorithm: Algorithm) -> None:
    stored = StoredObject(Content.of(DATA), checksum=algorithm)
    value = b64encode(oracle(algorithm, DATA)).decode()
    assert stored.checksum_fields() == (
        (f"x-amz-checksum-{algorithm}", value),
        ("x-amz-checksum-type", "FULL_OBJECT"),
    )


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_composite_is_the_digest_of_the_parts_digests_and_their_number(algorithm: Algorithm) -> None:
    stored = StoredObject(Content.of(DATA), part_sizes=PARTS, checksum=algorithm, checksum_type="COMPOSITE")
    raw = oracle(algorithm, b"".join(oracle(algorithm, piece) for piece in PIECES))
    assert stored.checksum_fields() == (
        (f"x-amz-checksum-{algorithm}", b64encode(raw).decode() + "-3"),
        ("x-amz-checksum-type", "COMPOSITE"),
    )
    assert [part.digest for part in stored.parts] == [oracle(algorithm, piece) for piece in PIECES]


def test_the_etag_of_one_piece_is_its_md5() -> None:
    assert StoredObject(Content.of(DATA)).etag == f'"{hashlib.md5(DATA).hexdigest()}"'


def test_the_etag_of_parts_is_the_md5_of_their_md5s_and_their_number() -> None:
    joined = b"".join(hashlib.md5(piece).digest() for piece in PIECES)
    stored = StoredObject(Content.of(DATA), part_sizes=PARTS)
    assert stored.etag == f'"{hashlib.md5(joined).hexdigest()}-3"'


def test_parts_lie_end_to_end() -> None:
    stored = StoredObject(Content.of(DATA), part_sizes=PARTS)
    assert [part.span for part in stored.parts] == [
        Span(0, 40_000),
        Span(40_000, 50_000),
        Span(50_000, 100_000),
    ]


def test_an_object_too_large_for_md5_says_that_its_etag_is_none() -> None:
    stored = StoredObject(Content.generated(MD5_LIMIT + 1), part_sizes=(MD5_LIMIT, 1))
    assert stored.headers["x-amz-server-side-encryption"] == "aws:kms"
    assert stored.etag.endswith('-2"')


def test_a_given_etag_is_kept_as_it_is() -> None:
    assert StoredObject(Content.of(DATA), etag="unquoted").etag == "unquoted"


@pytest.mark.parametrize("parts", [(), (1, 2), (50_000, 60_000), (-1, 100_001)])
def test_parts_that_do_not_make_the_object_are_refused(parts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not make"):
        StoredObject(Content.of(DATA), part_sizes=parts)


def test_an_empty_object_has_one_empty_part() -> None:
    stored = StoredObject(Content.of(b""), checksum=Algorithm.CRC64NVME)
    assert stored.parts[0].span == Span(0, 0)
    assert stored.checksum_fields()[0] == ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")
