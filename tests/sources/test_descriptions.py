from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest

from fastget.core.messages import Framing, ResponseHead
from fastget.sources.descriptions import object_info

Answer = Callable[..., ResponseHead]


def test_the_facts_are_those_of_the_header_fields(answer: Answer) -> None:
    head = answer(
        200,
        {
            "Content-Length": "43",
            "ETag": '"abc"',
            "x-amz-version-id": "v1",
            "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT",
            "Content-Type": "text/plain",
            "Content-Encoding": "aws-chunked,gzip",
            "Accept-Ranges": "bytes",
            "x-amz-storage-class": "GLACIER",
            "x-amz-checksum-crc64nvme": "rosUhgp5mIg=",
            "x-amz-checksum-type": "FULL_OBJECT",
        },
    )
    info = object_info(head, "s3://b/k")
    assert (info.url, info.size, info.etag, info.version_id) == ("s3://b/k", 43, '"abc"', "v1")
    assert info.last_modified == "Wed, 21 Oct 2015 07:28:00 GMT"
    assert (info.content_type, info.content_encoding) == ("text/plain", "aws-chunked,gzip")
    assert (info.accepts_ranges, info.storage_class) == (True, "GLACIER")
    assert [digest.value.hex() for digest in info.declared] == ["ae8b14860a799888"]
    assert info.headers is head.headers


def test_an_answer_that_names_several_identities_has_none(answer: Answer) -> None:
    head = answer(200, {"ETag": '"a"', "Last-Modified": "a", "x-amz-version-id": "a"})
    twice = replace(head, headers=type(head.headers)([*head.headers, *head.headers]))
    info = object_info(twice, "u")
    assert (info.etag, info.last_modified, info.version_id) == ('"a"', "a", "a")
    others = [("etag", '"b"'), ("last-modified", "b"), ("x-amz-version-id", "b")]
    info = object_info(replace(head, headers=type(head.headers)([*head.headers, *others])), "u")
    assert (info.etag, info.last_modified, info.version_id) == (None, None, None)


@pytest.mark.parametrize("letter", ["\x01", "\x1f", "\x7f"])
def test_an_identity_that_no_request_could_name_is_none(letter: str, answer: Answer) -> None:
    value = f'"a{letter}b"'
    info = object_info(answer(200, {"ETag": value, "Last-Modified": value, "x-amz-version-id": value}), "u")
    assert (info.etag, info.last_modified, info.version_id) == (None, None, None)
    assert object_info(answer(200, {"ETag": '"a\t\xe9"'}), "u").etag == '"a\t\xe9"'


@pytest.mark.parametrize(("value", "expected"), [("bytes", True), ("none", False), ("Bytes, x", True), (None, None)])
def test_accept_ranges_is_a_hint_that_may_be_missing(value: str | None, expected: bool | None, answer: Answer) -> None:
    assert object_info(answer(200, {"Accept-Ranges": value} if value else {}), "u").accepts_ranges is expected


def test_a_body_without_a_length_has_no_size(answer: Answer) -> None:
    assert object_info(answer(200), "u").size is None


@pytest.mark.parametrize(
    ("value", "size"),
    [("0", 0), ("12", 12), ("-1", None), ("1e9", None), ("9" * 19, None), ("9" * 25, None), ("", None)],
)
def test_the_answer_to_a_head_has_the_size_that_it_declares(value: str, size: int | None, answer: Answer) -> None:
    head = answer(200, {"X-Other": "1"}, ("content-length-x", value))
    declared = replace(head, framing=Framing.NONE, headers=type(head.headers)([("Content-Length", value)]))
    assert object_info(declared, "u").size == size


@pytest.mark.fault("H20")
def test_the_length_that_a_head_declares_beside_a_coding_is_no_size(answer: Answer) -> None:
    head = answer(200, {"Content-Length": "12", "Transfer-Encoding": "chunked"})
    assert object_info(replace(head, framing=Framing.NONE, content_length=None), "u").size is None


@pytest.mark.fault("H17")
def test_a_gzip_object_that_gcs_inflates_has_no_digest_and_no_ranges(answer: Answer) -> None:
    stored = {
        "x-goog-stored-content-encoding": "gzip",
        "x-goog-hash": "crc32c=4waSgw==",
        "Accept-Ranges": "bytes",
    }
    inflated = object_info(answer(200, stored), "u")
    assert (inflated.declared, inflated.accepts_ranges) == ((), False)
    raw = object_info(answer(200, {**stored, "Content-Encoding": "gzip"}), "u")
    assert [digest.value for digest in raw.declared] == [bytes.fromhex("e3069283")]


def test_a_digest_of_rfc_9530_is_declared(answer: Answer) -> None:
    digest = bytes(range(32))
    head = answer(200, {"Repr-Digest": f"sha-256=:{b64encode(digest).decode()}:"})
    assert [found.value for found in object_info(head, "u").declared] == [digest]
