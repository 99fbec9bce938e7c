"""Listings of real servers, held to what botocore reads of the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import fastget
from fastget.errors import NotFound, ProtocolError, SourceError

if TYPE_CHECKING:
    from tests.servers.conftest import Server

BUCKET = "listed"
# rclone serves files, so no key of its is `dir/`, and a line feed is one more letter.
FILES = ["a b", "a%20b", "a+b", "dir/a", "dir/b", "dir/sub/c", "q?x=1&y#z", "ü/日本", "\U0001f600"]
ODD = [*FILES, "a//b", "dir/", "ctl\x01x", "..", "a/../b", "/leading"]


def fill(server: Server, keys: list[str]) -> None:
    server.client.create_bucket(Bucket=BUCKET)
    for key in keys:
        server.client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())


@pytest.fixture(scope="module")
def filled_moto(moto: Server) -> Server:
    fill(moto, ODD)
    return moto


@pytest.fixture(scope="module")
def filled_localstack(localstack: Server) -> Server:
    fill(localstack, ODD)
    return localstack


@pytest.fixture(scope="module")
def filled_rclone(rclone_s3: Server) -> Server:
    fill(rclone_s3, FILES)
    return rclone_s3


SERVERS = ["filled_moto", "filled_localstack", "filled_rclone"]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def expected(server: Server, **parameters: Any) -> list[tuple[str, int | None, str | None]]:
    """Keys with sizes and ETags, and prefixes, as botocore reads them in pages of the server's own size."""
    found: list[tuple[str, int | None, str | None]] = []
    for page in server.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, **parameters):
        found += [(entry["Key"], entry["Size"], entry["ETag"]) for entry in page.get("Contents", [])]
        found += [(entry["Prefix"], None, None) for entry in page.get("CommonPrefixes", [])]
    return sorted(found, key=lambda entry: entry[0].encode())


def listed(server: Server, prefix: str = "", **options: Any) -> list[tuple[str | None, int | None, str | None]]:
    entries = fastget.ls(f"s3://{BUCKET}/{prefix}", **options, **server.options)
    return [(info.key, info.size, info.etag) for info in entries]


@pytest.mark.fault("H57", "H58")
def test_a_listing_is_what_botocore_reads(server: Server) -> None:
    everything = listed(server)
    assert everything == expected(server)
    assert set(FILES) <= {key for key, _, _ in everything}
    assert all(size == len((key or "").encode()) for key, size, _ in everything)


@pytest.mark.parametrize("prefix", ["dir/", "a", "none"])
def test_one_level_is_what_botocore_reads(server: Server, prefix: str) -> None:
    assert listed(server, prefix, recursive=False) == expected(server, Prefix=prefix, Delimiter="/")


def test_what_is_listed_can_be_read(server: Server) -> None:
    for info in fastget.ls(f"s3://{BUCKET}/dir/", **server.options):
        assert fastget.read(info.url, **server.options) == (info.key or "").encode()


# LocalStack drops keys between small pages, whoever asks (faults.md §3.1), so it is asked for whole ones only.
@pytest.mark.parametrize("name", ["filled_moto", "filled_rclone"])
def test_small_pages_come_to_the_same(name: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(name)
    assert listed(server, page_size=3) == expected(server)
    assert listed(server, start_after="dir/a") == expected(server, StartAfter="dir/a")


@pytest.mark.parametrize("name", ["moto", "localstack"])
def test_versions_are_what_botocore_reads(name: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(name)
    bucket = "versions-listed"
    server.client.create_bucket(Bucket=bucket)
    server.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"22"):
        server.client.put_object(Bucket=bucket, Key="k", Body=body)
        server.client.put_object(Bucket=bucket, Key="m", Body=body)
    server.client.delete_object(Bucket=bucket, Key="k")
    reply = server.client.list_object_versions(Bucket=bucket)
    entries = [*reply["Versions"], *reply["DeleteMarkers"]]
    found = list(fastget.ls(f"s3://{bucket}", versions=True, **server.options))
    assert sorted((info.key, info.version_id, info.size, info.is_latest) for info in found) == sorted(
        (entry["Key"], entry["VersionId"], entry.get("Size"), entry["IsLatest"]) for entry in entries
    )
    assert [info.is_delete_marker for info in found if info.key == "k"].count(True) == 1
    assert [info.key for info in fastget.ls(f"s3://{bucket}", **server.options)] == ["m"]


def test_a_bucket_that_is_not_there_is_not_found(server: Server) -> None:
    with pytest.raises(NotFound, match="no such bucket"):
        list(fastget.ls("s3://not-there/", **server.options))


def test_what_is_no_store_is_no_listing(nginx: Server) -> None:
    address = nginx.base_url.rpartition("/samples/")[0]
    with pytest.raises((ProtocolError, SourceError)):
        list(fastget.ls("s3://samples/", endpoint_url=address, no_sign_request=True, addressing_style="path"))
