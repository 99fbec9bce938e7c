"""moto: ignores part numbers, and declares a checksum only where the upload brought one."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fastget
from fastget.errors import NotFound, RangeNotSupported, SourceChanged
from fastget.events import Method

if TYPE_CHECKING:
    from tests.servers.conftest import Sample, Server

MIB = 1024 * 1024


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_a_checksum_of_the_upload_is_compared(moto: Server, large: Sample, algorithm: str, tmp_path: Path) -> None:
    key = f"checked-{algorithm}"
    named = {"Bucket": "samples", "Key": key}
    moto.client.put_object(Body=large.content, ChecksumAlgorithm=algorithm, **named)
    head = moto.client.head_object(ChecksumMode="ENABLED", **named)
    found = fastget.download(moto.url(key), tmp_path / "copy", **moto.options).verification
    assert (tmp_path / "copy").read_bytes() == large.content
    assert (found.verified, found.method, found.algorithm) == (True, Method.FULL_OBJECT, algorithm.lower())
    assert found.actual == b64decode(head[f"Checksum{algorithm}"]).hex()


@pytest.fixture(scope="session")
def in_parts(moto: Server, large: Sample) -> str:
    """The URL of an object that was uploaded in parts."""
    named = {"Bucket": "samples", "Key": "in-parts"}
    upload = {**named, "UploadId": moto.client.create_multipart_upload(**named)["UploadId"]}
    bodies = [large.content[start : start + 6 * MIB] for start in range(0, large.size, 6 * MIB)]
    parts = [
        {
            "PartNumber": number,
            "ETag": moto.client.upload_part(PartNumber=number, Body=body, **upload)["ETag"],
        }
        for number, body in enumerate(bodies, 1)
    ]
    moto.client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload)
    return moto.url("in-parts")


@pytest.mark.parametrize("split", ["auto", "range"])
def test_an_object_in_parts_arrives_whole_by_ranges(
    moto: Server, in_parts: str, large: Sample, split: str, tmp_path: Path
) -> None:
    result = fastget.download(in_parts, tmp_path / "copy", split=split, **moto.options)
    assert hashlib.sha256((tmp_path / "copy").read_bytes()).hexdigest() == large.sha256
    assert result.split == "range"


@pytest.mark.fault("H47", "H50")
def test_a_store_that_ignores_part_numbers_is_not_asked_by_them(moto: Server, in_parts: str, tmp_path: Path) -> None:
    with pytest.raises(RangeNotSupported, match="part number"):
        fastget.download(in_parts, tmp_path / "copy", split="part", **moto.options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["a b", "a+b", "%41", "üé✓", "a//b", "./c", "a/../d", "?query", "#hash", "end/"])
def test_keys_are_asked_for_as_they_are_named(moto: Server, key: str) -> None:
    moto.client.put_object(Bucket="samples", Key=key, Body=key.encode())
    assert fastget.read(moto.url(key), **moto.options) == key.encode()


def test_versions_are_told_apart_after_a_delete_too(moto: Server) -> None:
    named = {"Bucket": "versions", "Key": "object"}
    moto.client.create_bucket(Bucket="versions")
    moto.client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    older = moto.client.put_object(Body=b"older", **named)["VersionId"]
    moto.client.put_object(Body=b"newer", **named)
    url = "s3://versions/object"
    assert fastget.read(url, **moto.options) == b"newer"
    assert fastget.read(url, version_id=older, **moto.options) == b"older"
    moto.client.delete_object(**named)
    with pytest.raises(NotFound):
        fastget.read(url, **moto.options)
    assert fastget.read(url, version_id=older, **moto.options) == b"older"


def test_an_object_that_is_replaced_on_the_way_is_not_mixed(moto: Server, large: Sample, tmp_path: Path) -> None:
    named = {"Bucket": "samples", "Key": "replaced"}
    moto.client.put_object(Body=large.content, **named)

    def replace(event: object) -> None:
        if isinstance(event, fastget.events.Started):
            moto.client.put_object(Body=large.content[::-1], **named)

    with pytest.raises(SourceChanged):
        fastget.download(moto.url("replaced"), tmp_path / "copy", on_event=replace, **moto.options)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_bucket_is_not_found(moto: Server, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="bucket"):
        fastget.download("s3://no-such-bucket/object", tmp_path / "copy", **moto.options)
    assert list(tmp_path.iterdir()) == []
