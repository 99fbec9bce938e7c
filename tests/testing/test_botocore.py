"""botocore as the oracle: what it accepts of S3, it accepts of this server, and it finds what is damaged."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, FlexibleChecksumError

from fastget.testing import Algorithm, Content, ObjectServer, StoredObject, faults

DATA = Content.generated(200_000, seed=7).read()
PARTS = (100_000, 30_000, 70_000)
# Those that botocore checks.
CHECKED = [Algorithm.CRC32, Algorithm.CRC32C, Algorithm.CRC64NVME, Algorithm.SHA1, Algorithm.SHA256]


def serving(algorithm: Algorithm, *chosen: Any, parts: tuple[int, ...] | None = None, composite: bool = False) -> Any:
    kind = "COMPOSITE" if composite else "FULL_OBJECT"
    stored = StoredObject(Content.of(DATA), part_sizes=parts, checksum=algorithm, checksum_type=kind)  # type: ignore[arg-type]
    return ObjectServer({"/b/k": stored}, faults=chosen)


@pytest.mark.parametrize("algorithm", CHECKED)
def test_botocore_finds_the_checksum_of_a_whole_object_right(s3_client: Any, algorithm: Algorithm) -> None:
    with serving(algorithm) as server:
        reply = s3_client(server).get_object(Bucket="b", Key="k", ChecksumMode="ENABLED")
        assert reply["Body"].read() == DATA
        assert reply["ChecksumType"] == "FULL_OBJECT"
        assert type(reply["Body"]).__name__ == "StreamingChecksumBody"


@pytest.mark.parametrize("algorithm", CHECKED)
def test_botocore_finds_a_flipped_bit(s3_client: Any, algorithm: Algorithm) -> None:
    with serving(algorithm, faults.flip_bit(offset=150_000)) as server:
        client = s3_client(server)
        reply = client.get_object(Bucket="b", Key="k", ChecksumMode="ENABLED")
        with pytest.raises(FlexibleChecksumError):
            reply["Body"].read()
        assert client.get_object(Bucket="b", Key="k", ChecksumMode="ENABLED")["Body"].read() == DATA


@pytest.mark.parametrize("number", [1, 2, 3])
def test_botocore_finds_the_checksum_of_each_composite_part_right(s3_client: Any, number: int) -> None:
    with serving(Algorithm.SHA256, faults.flip_bit(offset=0), parts=PARTS, composite=True) as server:
        client = s3_client(server)
        options = {"Bucket": "b", "Key": "k", "ChecksumMode": "ENABLED", "PartNumber": number}
        if number == 1:
            with pytest.raises(FlexibleChecksumError):
                client.get_object(**options)["Body"].read()
        reply = client.get_object(**options)
        start = sum(PARTS[: number - 1])
        assert reply["Body"].read() == DATA[start : start + PARTS[number - 1]]
        assert (reply["PartsCount"], reply["ChecksumType"]) == (3, "COMPOSITE")
        assert type(reply["Body"]).__name__ == "StreamingChecksumBody"


def test_botocore_reads_the_facts_of_a_head(s3_client: Any) -> None:
    with serving(Algorithm.CRC32C, parts=PARTS, composite=True) as server:
        reply = s3_client(server).head_object(Bucket="b", Key="k", ChecksumMode="ENABLED")
    assert reply["ContentLength"] == len(DATA)
    assert reply["ETag"].endswith('-3"')
    assert reply["ChecksumCRC32C"].endswith("-3")
    assert reply["LastModified"].year == 2026


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"Key": "none"}, 404),
        ({"Key": "k", "Range": "bytes=999999-"}, 416),
        ({"Key": "k", "PartNumber": 9}, 416),
        ({"Key": "k", "IfMatch": '"other"'}, 412),
        ({"Key": "k", "VersionId": "other"}, 404),
    ],
)
def test_botocore_reads_what_is_refused(s3_client: Any, options: dict[str, Any], status: int) -> None:
    with serving(Algorithm.CRC32) as server, pytest.raises(ClientError) as caught:
        s3_client(server).get_object(Bucket="b", **options)
    assert dict(caught.value.response)["ResponseMetadata"]["HTTPStatusCode"] == status
