"""LocalStack: stored parts that can be asked for, and checksums of every algorithm and type."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from awscrt import checksums

import fastget
from fastget.errors import NotFound, ObjectArchived, ObjectDeleted, SourceChanged, SourceError
from fastget.events import Event, Method, Started

if TYPE_CHECKING:
    from tests.servers.conftest import Sample, Server

MIB = 1024 * 1024
DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": lambda data: checksums.crc32(data).to_bytes(4, "big"),
    "CRC32C": lambda data: checksums.crc32c(data).to_bytes(4, "big"),
    "CRC64NVME": lambda data: checksums.crc64nvme(data).to_bytes(8, "big"),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}
METHODS = {"COMPOSITE": Method.COMPOSITE, "FULL_OBJECT": Method.FULL_OBJECT}
KINDS = [
    *(("COMPOSITE", algorithm) for algorithm in ("CRC32", "CRC32C", "SHA1", "SHA256")),
    *(("FULL_OBJECT", algorithm) for algorithm in ("CRC32", "CRC32C", "CRC64NVME")),
]
LAYOUTS = {
    "even": (5 * MIB, 5 * MIB, 5 * MIB),
    "uneven": (5 * MIB, 6 * MIB + 1, 5 * MIB + 333_333, 1),
    "alone": (6 * MIB,),
}
WAYS = [("even", "auto"), ("alone", "auto"), ("uneven", "auto"), ("uneven", "part"), ("uneven", "range")]


@dataclass(frozen=True, slots=True)
class Parts:
    """An object that was uploaded in parts, and what its digest must be."""

    key: str
    content: bytes
    digest: bytes
    algorithm: str


def cut(content: bytes, lengths: tuple[int, ...]) -> list[bytes]:
    ends = [sum(lengths[: index + 1]) for index in range(len(lengths))]
    return [content[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def upload(
    server: Server, key: str, bodies: list[bytes], algorithm: str, kind: str, numbers: Sequence[int] = ()
) -> None:
    client, named = server.client, {"Bucket": "samples", "Key": key}
    created = client.create_multipart_upload(ChecksumAlgorithm=algorithm, ChecksumType=kind, **named)
    named["UploadId"] = created["UploadId"]
    checksum = f"Checksum{algorithm}"
    parts = []
    for number, body in zip(numbers or range(1, len(bodies) + 1), bodies, strict=True):
        answer = client.upload_part(PartNumber=number, Body=body, ChecksumAlgorithm=algorithm, **named)
        parts.append({"PartNumber": number, "ETag": answer["ETag"], checksum: answer[checksum]})
    client.complete_multipart_upload(MultipartUpload={"Parts": parts}, ChecksumType=kind, **named)


@pytest.fixture(scope="session")
def in_parts(localstack: Server, large: Sample) -> Callable[[str, str, str], Parts]:
    """Uploads an object by algorithm, checksum type and layout, once."""
    made: dict[str, Parts] = {}

    def make(algorithm: str, kind: str, layout: str) -> Parts:
        key = f"{algorithm}-{kind}-{layout}"
        if key not in made:
            content = large.content[: sum(LAYOUTS[layout])]
            bodies, digest = cut(content, LAYOUTS[layout]), DIGESTS[algorithm]
            upload(localstack, key, bodies, algorithm, kind)
            whole = content if kind == "FULL_OBJECT" else b"".join(map(digest, bodies))
            made[key] = Parts(key, content, digest(whole), algorithm.lower())
        return made[key]

    return make


@pytest.mark.row(32, 33, 34, 35, 36, 42, 62, 110)
@pytest.mark.parametrize(("layout", "split"), WAYS)
@pytest.mark.parametrize(("kind", "algorithm"), KINDS)
def test_the_checksum_of_an_object_in_parts_is_computed_and_compared(
    localstack: Server,
    in_parts: Callable[..., Parts],
    kind: str,
    algorithm: str,
    layout: str,
    split: str,
    tmp_path: Path,
) -> None:
    stored = in_parts(algorithm, kind, layout)
    result = fastget.download(localstack.url(stored.key), tmp_path / "copy", split=split, **localstack.options)
    found = result.verification
    assert (tmp_path / "copy").read_bytes() == stored.content
    assert (found.method, found.algorithm) == (METHODS[kind], stored.algorithm)
    assert found.actual == found.expected == stored.digest.hex()
    assert (found.verified, found.coverage) == (True, 1.0)


def test_stored_parts_are_asked_for_by_number_where_their_checksums_come_with_them(
    localstack: Server, in_parts: Callable[..., Parts], tmp_path: Path
) -> None:
    stored = in_parts("CRC32C", "COMPOSITE", "uneven")
    result = fastget.download(localstack.url(stored.key), tmp_path / "copy", **localstack.options)
    assert result.split == "part"
    assert (tmp_path / "copy").read_bytes() == stored.content


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("connections", [1, 2, 8])
def test_a_sound_object_is_never_taken_for_a_damaged_one(
    localstack: Server, in_parts: Callable[..., Parts], layout: str, connections: int, tmp_path: Path
) -> None:
    stored = in_parts("SHA256", "COMPOSITE", layout)
    url, options = localstack.url(stored.key), {"connections": connections, **localstack.options}
    result = fastget.download(url, tmp_path / "copy", require_verified=True, **options)
    assert (tmp_path / "copy").read_bytes() == stored.content
    assert (result.repairs, result.verification.method) == (0, Method.COMPOSITE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_object_in_parts_goes_through_a_pipe_in_order(
    localstack: Server, in_parts: Callable[..., Parts], layout: str
) -> None:
    stored = in_parts("CRC32C", "COMPOSITE", layout)
    command = [sys.executable, "-m", "fastget", localstack.url(stored.key), "-o", "-"]
    endpoint = f"--endpoint-url={localstack.options['endpoint_url']}"
    done = subprocess.run([*command, endpoint], capture_output=True, timeout=60, check=False)
    assert done.stdout == stored.content, done.stderr.decode()
    assert done.returncode == 0


CHUNK = 8 * MIB


@pytest.mark.row(32, 33, 34, 35, 36, 42)
@pytest.mark.parametrize("algorithm", DIGESTS)
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_a_checksum_of_a_single_upload_is_compared(
    localstack: Server, large: Sample, algorithm: str, size: int, tmp_path: Path
) -> None:
    content, key = large.content[:size], f"single-{algorithm}-{size}"
    localstack.client.put_object(Bucket="samples", Key=key, Body=content, ChecksumAlgorithm=algorithm)
    found = fastget.download(localstack.url(key), tmp_path / "copy", **localstack.options).verification
    assert (tmp_path / "copy").read_bytes() == content
    assert (found.verified, found.method, found.algorithm) == (True, Method.FULL_OBJECT, algorithm.lower())
    assert found.actual == DIGESTS[algorithm](content).hex()


@pytest.mark.row(32, 33, 34, 35, 36, 42, 62)
@pytest.mark.parametrize("last", [1, CHUNK - 5 * MIB - 1, CHUNK - 5 * MIB, CHUNK - 5 * MIB + 1, CHUNK])
@pytest.mark.parametrize(("kind", "algorithm"), KINDS)
def test_parts_whose_sum_lies_around_a_chunk_are_compared(
    localstack: Server, large: Sample, kind: str, algorithm: str, last: int, tmp_path: Path
) -> None:
    content, digest, key = large.content[: 5 * MIB + last], DIGESTS[algorithm], f"around-{algorithm}-{kind}-{last}"
    bodies = cut(content, (5 * MIB, last))
    upload(localstack, key, bodies, algorithm, kind)
    found = fastget.download(localstack.url(key), tmp_path / "copy", **localstack.options).verification
    assert (tmp_path / "copy").read_bytes() == content
    assert (found.verified, found.method, found.algorithm) == (True, METHODS[kind], algorithm.lower())
    assert found.actual == digest(content if kind == "FULL_OBJECT" else b"".join(map(digest, bodies))).hex()


@pytest.mark.row(118)
@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_the_list_of_parts_is_read_where_their_numbers_have_gaps(
    localstack: Server, large: Sample, algorithm: str, tmp_path: Path
) -> None:
    content, key = large.content[: 3 * 5 * MIB + 77], f"gaps-{algorithm}"
    bodies = cut(content, (5 * MIB, 5 * MIB, 5 * MIB, 77))
    upload(localstack, key, bodies, algorithm, "COMPOSITE", numbers=(1, 3, 7, 8))
    found = fastget.download(localstack.url(key), tmp_path / "copy", **localstack.options).verification
    assert (tmp_path / "copy").read_bytes() == content
    assert (found.verified, found.method) == (True, Method.COMPOSITE)


def test_a_presigned_url_of_an_object_in_parts_is_fetched_without_a_key(
    localstack: Server,
    in_parts: Callable[..., Parts],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    stored = in_parts("CRC64NVME", "FULL_OBJECT", "uneven")
    named = {"Bucket": "samples", "Key": stored.key, "ChecksumMode": "ENABLED"}
    url = localstack.client.generate_presigned_url("get_object", named)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = fastget.download(url, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == stored.content
    assert result.verification.verified
    assert "Signature" not in result.url


@pytest.mark.parametrize("key", ["a b", "a+b", "%41", "üé✓", "a//b", "./c", "a/../d", "?query", "#hash", "end/"])
def test_keys_are_asked_for_as_they_are_named(localstack: Server, key: str) -> None:
    localstack.client.put_object(Bucket="samples", Key=key, Body=key.encode())
    assert fastget.read(localstack.url(key), **localstack.options) == key.encode()


@pytest.fixture
def versions(localstack: Server) -> dict[str, str]:
    """A name in a bucket with versions that only one test uses."""
    bucket = f"versions-{uuid.uuid4()}"
    localstack.client.create_bucket(Bucket=bucket)
    localstack.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return {"Bucket": bucket, "Key": "object"}


def test_the_version_that_was_asked_for_arrives(
    localstack: Server, versions: dict[str, str], large: Sample, tmp_path: Path
) -> None:
    older = localstack.client.put_object(Body=large.content, **versions)["VersionId"]
    newer = localstack.client.put_object(Body=b"newer", **versions)["VersionId"]
    url = f"s3://{versions['Bucket']}/object"
    result = fastget.download(url, tmp_path / "older", version_id=older, **localstack.options)
    assert (tmp_path / "older").read_bytes() == large.content
    assert result.version_id == older
    assert fastget.head(url, **localstack.options).version_id == newer


def test_a_version_is_fetched_to_its_end_though_a_newer_one_comes(
    localstack: Server, versions: dict[str, str], large: Sample, tmp_path: Path
) -> None:
    first = localstack.client.put_object(Body=large.content, **versions)["VersionId"]

    def replace(event: Event) -> None:
        if isinstance(event, Started):
            localstack.client.put_object(Body=b"newer", **versions)

    url = f"s3://{versions['Bucket']}/object"
    result = fastget.download(url, tmp_path / "copy", on_event=replace, **localstack.options)
    assert (tmp_path / "copy").read_bytes() == large.content
    assert (result.version_id, result.verification.verified) == (first, True)


def test_a_delete_marker_is_told_from_an_object_that_never_was(
    localstack: Server, versions: dict[str, str], tmp_path: Path
) -> None:
    localstack.client.put_object(Body=b"content", **versions)
    marker = localstack.client.delete_object(**versions)["VersionId"]
    url = f"s3://{versions['Bucket']}/object"
    for options in ({}, {"version_id": marker}):
        with pytest.raises(ObjectDeleted):
            fastget.download(url, tmp_path / "copy", **options, **localstack.options)
    with pytest.raises(NotFound):
        fastget.download(f"s3://{versions['Bucket']}/other", tmp_path / "copy", **localstack.options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["replace", "delete"])
def test_an_object_that_changes_on_the_way_is_not_mixed(
    localstack: Server, large: Sample, change: str, tmp_path: Path
) -> None:
    named: dict[str, Any] = {"Bucket": "samples", "Key": f"to-{change}"}
    localstack.client.put_object(Body=large.content, **named)

    def interfere(event: Event) -> None:
        if isinstance(event, Started) and change == "replace":
            localstack.client.put_object(Body=large.content[::-1], **named)
        elif isinstance(event, Started):
            localstack.client.delete_object(**named)

    expected = SourceChanged if change == "replace" else (SourceChanged, NotFound)
    with pytest.raises(expected):
        fastget.download(localstack.url(named["Key"]), tmp_path / "copy", on_event=interfere, **localstack.options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_says_that_it_must_be_restored(
    localstack: Server, storage_class: str, tmp_path: Path
) -> None:
    named = {"Bucket": "samples", "Key": f"archived-{storage_class}"}
    localstack.client.put_object(Body=b"cold", StorageClass=storage_class, **named)
    with pytest.raises(ObjectArchived) as caught:
        fastget.download(localstack.url(named["Key"]), tmp_path / "copy", **localstack.options)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("H18")
def test_compressed_objects_arrive_as_they_are_stored(localstack: Server, medium: Sample, tmp_path: Path) -> None:
    localstack.client.put_object(Bucket="samples", Key="encoded", Body=medium.content, ContentEncoding="gzip")
    result = fastget.download(localstack.url("encoded"), tmp_path / "copy", **localstack.options)
    assert (tmp_path / "copy").read_bytes() == medium.content
    assert result.verification.verified


def test_a_missing_bucket_is_named(localstack: Server, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        fastget.download("s3://no-such-bucket/object", tmp_path / "copy", **localstack.options)
    assert isinstance(caught.value, NotFound)
    assert caught.value.reply is not None
    assert caught.value.reply.code == "NoSuchBucket"
