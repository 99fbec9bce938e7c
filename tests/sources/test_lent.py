"""Plain requests that are lent to another process: the same request, the same facts, and no key with them."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from fastget.config import Config
from fastget.core.messages import Framing, Headers, ResponseHead
from fastget.sources.lent import LentSource, lend
from fastget.sources.protocol import Source
from fastget.sources.resolve import resolve

SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"
TOKEN = "token-that-goes-with-it-0123456789"
KEYS: dict[str, Any] = {
    "endpoint_url": "https://store.example",
    "region": "us-east-1",
    "access_key_id": "AKIDEXAMPLE",
    "secret_access_key": SECRET,
    "session_token": TOKEN,
}
MD5 = "9e107d9d372bb6826bd81d3542a419d6"


def head(**fields: str) -> ResponseHead:
    headers = Headers([(name.replace("_", "-"), value) for name, value in fields.items()])
    return ResponseHead(200, headers, Framing.LENGTH, 5)


def lent(url: str, **options: Any) -> tuple[Source, LentSource]:
    source = resolve(url, Config(**options))
    found = lend(source, None)
    assert found is not None
    return source, found


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://h.example/a%20b?X=1", {"headers": {"Authorization": "Bearer abcdefgh"}}),
        ("s3://bucket/a b", KEYS),
        ("s3://bucket/a b", {**KEYS, "request_payer": "requester", "expected_bucket_owner": "111122223333"}),
        ("s3://bucket/a b", {"endpoint_url": "http://store.example", "no_sign_request": True}),
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        head(
            etag=f'"{MD5}"', x_amz_request_id="1", x_amz_checksum_crc32c="yZRlqg==", x_amz_checksum_type="FULL_OBJECT"
        ),
        head(etag=f'"{MD5}"', server="AmazonS3", x_amz_server_side_encryption="aws:kms"),
        head(etag='"opaque"', x_amz_version_id="7"),
        head(x_goog_hash="crc32c=yZRlqg==", last_modified="Wed, 21 Oct 2015 07:28:00 GMT"),
        head(),
    ],
)
def test_an_answer_means_the_same_over_there(url: str, options: dict[str, Any], answer: ResponseHead) -> None:
    source, found = lent(url, **options)
    there = pickle.loads(pickle.dumps(found))
    assert there.describe(answer) == source.describe(answer)
    assert there.traits(there.describe(answer)).etag_is_md5 == source.traits(source.describe(answer)).etag_is_md5
    assert (there.display_url, there.store, there.selection) == (source.display_url, source.store, source.selection)
    assert there.get().url == source.get().url
    assert there.get().headers.names() == source.get().headers.names()


def test_the_request_is_signed_and_the_key_stays() -> None:
    _, found = lent("s3://bucket/key", **KEYS)
    assert found.get().headers.get("authorization")
    assert found.get().headers.get("x-amz-security-token") == TOKEN
    assert SECRET.encode() not in pickle.dumps(found)
    assert TOKEN not in repr(found)


def test_a_signed_query_is_in_no_representation() -> None:
    url = f"https://h.example/b/k?X-Amz-Signature=0123456789abcdef&X-Amz-Security-Token={TOKEN}"
    _, found = lent(url)
    assert "0123456789abcdef" not in repr(found)
    assert TOKEN not in repr(found)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        (f"https://h.example/b/k?X-Amz-Security-Token={TOKEN}", {}),
        ("https://h.example/b/k", {"headers": {"X-Api-Key": TOKEN}}),
        ("s3://bucket/key", KEYS),
    ],
)
def test_a_secret_that_comes_back_counts_as_not_sent(url: str, options: dict[str, Any]) -> None:
    _, found = lent(url, **options)
    answer = head(etag=f'"{TOKEN}"', x_amz_version_id="7")
    info = found.describe(answer)
    assert (info.etag, info.version_id) == (None, "7")


def test_an_answer_in_another_coding_takes_another_request() -> None:
    source, found = lent("https://h.example/b/k")
    inflated = head(x_goog_stored_content_encoding="gzip")
    assert found.as_stored(inflated) is not None
    assert source.as_stored(inflated) is not None
    assert found.as_stored(head()) is None


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("s3://bucket/key", {**KEYS, "sse_c_key": "00" * 32}),
        ("s3://name--use1-az4--x-s3/key", {**KEYS, "endpoint_url": None}),
        ("s3://arn:aws:s3-object-lambda:us-east-1:111122223333:accesspoint/name/key", {**KEYS, "endpoint_url": None}),
    ],
)
def test_what_an_answer_alone_does_not_tell_is_not_lent(url: str, options: dict[str, Any]) -> None:
    assert lend(resolve(url, Config(**options)), None) is None
