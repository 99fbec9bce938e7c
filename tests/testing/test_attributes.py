"""GetObjectAttributes of the object server, as botocore reads it."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject
from fastget.testing.behaviour import Attributes

SIZES = (100, 30, 70)
WANTED = ["ETag", "Checksum", "ObjectParts", "ObjectSize"]


@pytest.fixture
def stored() -> StoredObject:
    content = Content.generated(200, seed=3)
    return StoredObject(content, part_sizes=SIZES, checksum=Algorithm.SHA256, checksum_type="COMPOSITE")


def ask(client: Any, **options: Any) -> Any:
    return client.get_object_attributes(Bucket="b", Key="k", ObjectAttributes=WANTED, **options)


def test_parts_come_with_their_sizes_and_digests(s3_client: Any, stored: StoredObject) -> None:
    with ObjectServer({"/b/k": stored}) as server:
        found = ask(s3_client(server))
    assert (found["ETag"], found["ObjectSize"]) == (stored.etag.strip('"'), 200)
    assert found["Checksum"] == {"ChecksumSHA256": b64encode(stored.digest).decode(), "ChecksumType": "COMPOSITE"}
    assert [(part["PartNumber"], part["Size"]) for part in found["ObjectParts"]["Parts"]] == [
        (1, 100),
        (2, 30),
        (3, 70),
    ]
    assert [part["ChecksumSHA256"] for part in found["ObjectParts"]["Parts"]] == [
        b64encode(part.digest).decode() for part in stored.parts
    ]
    assert (found["ObjectParts"]["TotalPartsCount"], found["ObjectParts"]["IsTruncated"]) == (3, False)


def test_parts_come_in_pages(s3_client: Any, stored: StoredObject) -> None:
    with ObjectServer({"/b/k": stored}) as server:
        first = ask(s3_client(server), MaxParts=2)["ObjectParts"]
        second = ask(s3_client(server), MaxParts=2, PartNumberMarker=first["NextPartNumberMarker"])["ObjectParts"]
    assert (first["IsTruncated"], [part["PartNumber"] for part in first["Parts"]]) == (True, [1, 2])
    assert (second["IsTruncated"], [part["PartNumber"] for part in second["Parts"]]) == (False, [3])


def test_parts_of_a_full_object_checksum_are_only_counted(s3_client: Any) -> None:
    stored = StoredObject(Content.generated(200, seed=3), part_sizes=SIZES, checksum=Algorithm.CRC64NVME)
    with ObjectServer({"/b/k": stored}) as server:
        found = ask(s3_client(server))
    assert found["ObjectParts"] == {"TotalPartsCount": 3}
    assert found["Checksum"]["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.parametrize(
    ("manner", "code"),
    [
        (Attributes.DENIED, "AccessDenied"),
        (Attributes.FAILS, "InternalError"),
        (Attributes.NOT_IMPLEMENTED, "NotImplemented"),
    ],
)
def test_a_store_may_refuse(s3_client: Any, stored: StoredObject, manner: Attributes, code: str) -> None:
    with (
        ObjectServer({"/b/k": stored}, behaviour=Behaviour(attributes=manner)) as server,
        pytest.raises(ClientError) as caught,
    ):
        ask(s3_client(server))
    assert caught.value.response["Error"]["Code"] == code
