"""The listings of the object server, as botocore's paginators read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import fastget
from fastget.testing import Algorithm, Content, ObjectServer, StoredObject
from fastget.testing.operations.listing import DeleteMarker, Listing

ODD = [
    "a b",
    "a%20b",
    "a+b",
    "a//b",
    "ctl\x01",
    "dir/",
    "dir/a",
    "dir/sub/x",
    "new\nline",
    "q?x=1&y#z",
    "ü/日本",
    "z",
    "\U0001f600",
]
SMALL = Content.of(b"abc")
OBJECTS = {f"/b/{key}": StoredObject(SMALL, checksum=Algorithm.CRC32C) for key in ODD}
PAGE_SIZES = [1, 2, 3, 5, 1000]


@pytest.fixture
def listed(s3_client: Any) -> Any:
    """listed(objects, operation, listing options, parameters): what botocore's paginator reads of it."""

    def read(
        objects: dict[str, Any], operation: str, options: dict[str, Any], **parameters: Any
    ) -> Iterator[dict[str, Any]]:
        with ObjectServer({}, operations=[Listing(objects, **options)]) as server:
            paginator = s3_client(server).get_paginator(operation)
            yield from paginator.paginate(Bucket="b", **parameters)

    return read


@pytest.mark.parametrize("page_size", PAGE_SIZES)
@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_botocore_finds_every_key_in_order(listed: Any, operation: str, page_size: int) -> None:
    pages = list(listed(OBJECTS, operation, {"page_size": page_size}))
    found = [entry for page in pages for entry in page.get("Contents", [])]
    assert [entry["Key"] for entry in found] == sorted(ODD, key=str.encode)
    assert {(entry["Size"], entry["StorageClass"]) for entry in found} == {(3, "STANDARD")}
    assert {entry["ETag"] for entry in found} == {StoredObject(SMALL).etag}
    assert {(*entry["ChecksumAlgorithm"], entry["ChecksumType"]) for entry in found} == {("CRC32C", "FULL_OBJECT")}
    assert len(pages) == -(-len(ODD) // page_size)


@pytest.mark.parametrize("page_size", PAGE_SIZES)
@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_botocore_finds_every_prefix_once(listed: Any, operation: str, page_size: int) -> None:
    pages = list(listed(OBJECTS, operation, {"page_size": page_size}, Delimiter="/"))
    prefixes = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    assert prefixes == ["a/", "dir/", "ü/"]
    assert keys == sorted((key for key in ODD if "/" not in key), key=str.encode)


def test_a_prefix_whose_keys_are_deleted_is_one_of_versions_alone(listed: Any) -> None:
    objects: dict[str, Any] = {"/b/gone/k": [DeleteMarker("m")], "/b/here/k": StoredObject(SMALL)}
    for operation, names in (("list_objects_v2", ["here/"]), ("list_object_versions", ["gone/", "here/"])):
        (page,) = listed(objects, operation, {}, Delimiter="/")
        assert [found["Prefix"] for found in page["CommonPrefixes"]] == names


@pytest.mark.parametrize("page_size", PAGE_SIZES)
def test_botocore_finds_every_version_and_delete_marker(listed: Any, page_size: int) -> None:
    marker = DeleteMarker("m")
    versions: dict[str, Sequence[Any]] = {
        "/b/a": [StoredObject(SMALL, version_id="1"), StoredObject(SMALL, version_id="2"), marker],
        "/b/k": [StoredObject(SMALL, version_id="1"), StoredObject(SMALL, version_id="3")],
        "/b/n": [StoredObject(SMALL)],
        "/other/x": [StoredObject(SMALL)],
    }
    pages = list(listed(versions, "list_object_versions", {"page_size": page_size}))
    found = [
        (entry["Key"], entry["VersionId"], entry["IsLatest"]) for page in pages for entry in page.get("Versions", [])
    ]
    assert found == [("a", "2", False), ("a", "1", False), ("k", "3", True), ("k", "1", False), ("n", "null", True)]
    markers = [entry for page in pages for entry in page.get("DeleteMarkers", [])]
    assert [(entry["Key"], entry["VersionId"], entry["IsLatest"]) for entry in markers] == [("a", "m", True)]
    current = [entry["Key"] for page in listed(versions, "list_objects_v2", {}) for entry in page["Contents"]]
    assert current == ["k", "n"]


def test_prefix_and_start_select(listed: Any) -> None:
    def keys(**parameters: Any) -> list[str]:
        pages = listed(OBJECTS, "list_objects_v2", {"page_size": 2}, **parameters)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    assert keys(Prefix="dir/") == ["dir/", "dir/a", "dir/sub/x"]
    assert keys(Prefix="dir/", StartAfter="dir/a") == ["dir/sub/x"]
    assert keys(StartAfter="q?x=1&y#z") == ["z", "ü/日本", "\U0001f600"]
    assert keys(Prefix="none") == []


def test_a_bucket_without_keys_is_no_bucket_and_objects_are_left_to_the_server(s3_client: Any) -> None:
    with ObjectServer({"/b/k": OBJECTS["/b/z"]}, operations=[Listing(OBJECTS)]) as server:
        client = s3_client(server)
        with pytest.raises(client.exceptions.NoSuchBucket):
            client.list_objects_v2(Bucket="none")
        assert client.get_object(Bucket="b", Key="k")["Body"].read() == b"abc"
    with ObjectServer({}, operations=[Listing({"/b/": ()})]) as server:
        assert s3_client(server).list_objects_v2(Bucket="b")["KeyCount"] == 0


def test_an_object_without_a_bucket_is_no_listing() -> None:
    objects = {"/file": StoredObject(SMALL)}
    with ObjectServer(objects, operations=[Listing(objects)]) as server:
        assert fastget.read(server.url("/file")) == b"abc"
