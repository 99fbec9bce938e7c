"""All ten algorithms, of every type, on every split, for parts of every shape: verified by the digest itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

import fastget
from fastget.core.checksums.algorithms import Algorithm
from fastget.events import Method
from fastget.testing import Behaviour, Content, ObjectServer, StoredObject

pytestmark = pytest.mark.usefixtures("aws_keys")

MIB = 1024 * 1024
CHUNK = MIB
EVEN = (2 * MIB, 2 * MIB, 2 * MIB, 4321)
UNEVEN = (1 * MIB, 3 * MIB, 4321, 2 * MIB)
SHAPES: dict[str, tuple[int, ...] | None] = {"single": None, "one-part": (sum(EVEN),), "even": EVEN, "uneven": UNEVEN}
# CRCs alone can be of a whole that came in parts; CRC64NVME is never composite on S3, but others may send it.
FULL = [algorithm for algorithm in Algorithm if algorithm.is_combinable]
CASES = [
    *(("FULL_OBJECT", "single", algorithm) for algorithm in Algorithm),
    *(("FULL_OBJECT", shape, algorithm) for shape in ("one-part", "even", "uneven") for algorithm in FULL),
    *(("COMPOSITE", shape, algorithm) for shape in ("one-part", "even", "uneven") for algorithm in Algorithm),
]


@pytest.mark.row(*range(32, 43))
@pytest.mark.parametrize("split", ["auto", "part", "range"])
@pytest.mark.parametrize(("kind", "shape", "algorithm"), CASES)
def test_every_checksum_is_compared_on_every_split(
    content: Content, content_digest: str, destination: Path, kind: Any, shape: str, algorithm: Algorithm, split: str
) -> None:
    if split == "part" and SHAPES[shape] is None:
        split = "auto"  # a plain object has no parts to be asked for
    stored = StoredObject(content, part_sizes=SHAPES[shape], checksum=algorithm, checksum_type=kind)
    with ObjectServer({"/b/k": stored}) as server:
        result = fastget.download(
            "s3://b/k", destination, endpoint_url=server.base_url, split=split, part_size=CHUNK, connections=3
        )
    found = result.verification
    assert hashlib.sha256(destination.read_bytes()).hexdigest() == content_digest
    assert found.method is (Method.COMPOSITE if kind == "COMPOSITE" else Method.FULL_OBJECT)
    assert (found.algorithm, found.expected, found.actual) == (str(algorithm), stored.digest.hex(), stored.digest.hex())
    assert (found.verified, found.coverage, result.repairs) == (True, 1.0, 0)


@pytest.mark.row(32, 34, 36, 41)
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32, Algorithm.CRC64NVME, Algorithm.SHA256, Algorithm.XXHASH128])
def test_sizes_around_a_chunk_are_compared(destination: Path, algorithm: Algorithm, size: int) -> None:
    content = Content.generated(size, seed=size)
    with ObjectServer({"/b/k": StoredObject(content, checksum=algorithm)}) as server:
        result = fastget.download(server.url("/b/k"), destination, part_size=CHUNK, connections=3)
    assert result.verification.method is Method.FULL_OBJECT
    assert destination.read_bytes() == bytes(content.read(0, size))


@pytest.mark.row(42)
@pytest.mark.parametrize("last", [0, 1, 5 * MIB])
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32C, Algorithm.SHA256])
def test_the_last_part_may_be_empty_tiny_or_whole(destination: Path, algorithm: Algorithm, last: int) -> None:
    sizes = (5 * MIB, last)
    content = Content.generated(sum(sizes), seed=last)
    stored = StoredObject(content, part_sizes=sizes, checksum=algorithm, checksum_type="COMPOSITE")
    with ObjectServer({"/b/k": stored}) as server:
        result = fastget.download(server.url("/b/k"), destination, part_size=CHUNK, connections=3)
    assert result.verification.method is Method.COMPOSITE
    assert destination.read_bytes() == bytes(content.read(0, content.size))


@pytest.mark.row(42)
@pytest.mark.parametrize("part_numbers", [True, False])
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32C, Algorithm.SHA256])
def test_the_only_part_may_be_empty(destination: Path, algorithm: Algorithm, part_numbers: bool) -> None:
    stored = StoredObject(Content.of(b""), part_sizes=(0,), checksum=algorithm, checksum_type="COMPOSITE")
    with ObjectServer({"/b/k": stored}, behaviour=Behaviour(part_numbers=part_numbers)) as server:
        url = "s3://b/k"
        found = fastget.download(url, destination, endpoint_url=server.base_url, require_verified=True).verification
        assert list(fastget.stream(url, endpoint_url=server.base_url, require_verified=True)) == []
        body = fastget.s3.get_object(Bucket="b", Key="k", endpoint_url=server.base_url)["Body"]
        assert body.read() == b""
    assert (found.method, found.expected, destination.read_bytes()) == (Method.COMPOSITE, stored.digest.hex(), b"")
    assert body.verification.method is Method.COMPOSITE


@pytest.mark.row(42)
@pytest.mark.parametrize("value", ["UNKNOWN", "composite", ""])
def test_a_checksum_of_an_unknown_type_is_not_compared(
    content: Content, content_digest: str, destination: Path, value: str
) -> None:
    """wire-spec.md row 42: what it means is not known; it says nothing about the bytes."""
    fields = {"x-amz-checksum-crc32c": "AAAAAA==", "x-amz-checksum-type": value}
    stored = StoredObject(content, etag='"opaque"', headers=fields)
    with ObjectServer({"/b/k": stored}, behaviour=Behaviour(checksums=False)) as server:
        result = fastget.download(server.url("/b/k"), destination, part_size=CHUNK, connections=3)
    assert hashlib.sha256(destination.read_bytes()).hexdigest() == content_digest
    assert (result.verification.method, result.verification.verified) == (Method.SIZE, False)
