"""The parameters of an object reach every request that its download makes: whole, parts, ranges, HEADs and retries."""

from __future__ import annotations

import hashlib
import logging
import pickle
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

import fastget
from fastget.errors import FastgetError, NotModified, ProtocolError, SourceChanged
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, RecordedRequest, StoredObject, faults
from fastget.testing.s3 import answer

KIB, MIB = 1024, 1024 * 1024
CUSTOMER_KEY = b"marked-customer-key-of-32-bytes!"
MD5 = b64encode(hashlib.md5(CUSTOMER_KEY, usedforsecurity=False).digest()).decode()
REQUIRED = {
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-server-side-encryption-customer-key": b64encode(CUSTOMER_KEY).decode(),
    "x-amz-server-side-encryption-customer-key-MD5": MD5,
    "x-amz-request-payer": "requester",
    "x-amz-expected-bucket-owner": "123456789012",
    "x-amz-checksum-mode": "ENABLED",
    "Mirror-Destination": "vault-2",
}
OPTIONS: dict[str, Any] = {
    "access_key_id": "AKIDMARKED",
    "secret_access_key": "marked-secret-access-key",
    "session_token": "marked-session-token",
    "sse_c_key": CUSTOMER_KEY.hex(),
    "request_payer": "requester",
    "expected_bucket_owner": "123456789012",
    "mirror_destination": "vault-2",
    "version_id": "v-1",
    "response_content_type": "text/plain; charset=utf-8",
    "response_expires": "2026-03-02T10:20:30Z",
}
CONDITIONS = {"if_none_match": '"another"', "if_modified_since": "2020-01-01"}
SECRETS = ("marked", CUSTOMER_KEY.hex(), REQUIRED["x-amz-server-side-encryption-customer-key"], MD5)
Serve = Callable[..., ObjectServer]


@pytest.fixture
def stored() -> StoredObject:
    """A COMPOSITE object in uneven parts, which nobody gets who leaves out one of the headers."""
    sizes = (MIB, MIB, 2 * MIB, MIB, 300 * KIB + 7)
    return StoredObject(
        Content.generated(sum(sizes), seed=11),
        part_sizes=sizes,
        checksum=Algorithm.SHA256,
        checksum_type="COMPOSITE",
        version_id="v-1",
        required_headers=REQUIRED,
    )


def is_first(request: RecordedRequest) -> bool:
    return "if-none-match" in request.headers


def assert_complete(requests: tuple[RecordedRequest, ...], etag: str) -> None:
    assert is_first(requests[0])
    for request in requests:
        assert {name: request.headers.get(name) for name in REQUIRED} == REQUIRED, request.target
        query = parse_qs(request.target.partition("?")[2], keep_blank_values=True)
        assert query["versionId"] == ["v-1"]
        if "attributes" in query:
            continue  # another operation: it has the key and the account, and no headers to change
        assert query["response-content-type"] == ["text/plain; charset=utf-8"]
        assert query["response-expires"] == ["Mon, 02 Mar 2026 10:20:30 GMT"]
        assert str(request.headers.get("Authorization")).startswith("AWS4-HMAC-SHA256 Credential=AKIDMARKED/")
        signed = str(request.headers.get("Authorization")).partition("SignedHeaders=")[2].partition(",")[0].split(";")
        assert {name.lower() for name in REQUIRED} <= set(signed)
        if not is_first(request):
            assert request.headers.get_all("If-Match") == (etag,)
            assert "if-modified-since" not in request.headers


@pytest.mark.row(3, 4, 5, 9, 14, 15, 16, 17, 18, 19, 20, 21, 22, 101, 104)
@pytest.mark.parametrize("split", ["part", "range"])
def test_every_request_of_a_download_carries_every_parameter(
    split: str, stored: StoredObject, serve: Serve, destination: Path
) -> None:
    breaks = [faults.reset(after=1000).on(request=number) for number in (4, 8)]
    server = serve({"/bucket/a key": stored}, behaviour=Behaviour(rate_per_connection=4 * MIB), faults=breaks)
    options = {**OPTIONS, **CONDITIONS, "split": split, "part_size": 512 * KIB, "connections": 3}
    result = fastget.download("s3://bucket/a key", destination, endpoint_url=server.base_url, **options)
    assert destination.read_bytes() == stored.content.read()
    assert result.verification.verified
    requests = server.requests
    assert_complete(requests, stored.etag)
    assert len([request for request in requests if request.range or request.part_number]) >= 4
    assert [request for request in requests if request.method == "HEAD" and request.part_number]
    assert sum(map(is_first, requests)) == 1


@pytest.mark.row(3, 4, 5, 9, 14, 15, 16, 17, 18, 19, 20, 21, 22, 101, 104)
def test_so_does_every_request_for_ranges(stored: StoredObject, serve: Serve) -> None:
    server = serve({"/bucket/a key": stored}, faults=[faults.reset(after=1000).on(request=3)])
    asked = [(at, at + 5000) for at in range(0, 4 * MIB, MIB)]
    options = {**OPTIONS, **CONDITIONS, "endpoint_url": server.base_url}
    found = fastget.read_ranges("s3://bucket/a key", asked, **options)
    assert [bytes(one) for one in found] == [stored.content.read(*one) for one in asked]
    assert_complete(server.requests, stored.etag)
    assert len(server.requests) == len(asked) + 1
    assert sum(map(is_first, server.requests)) == 1


@pytest.mark.row(16, 17, 18, 101)
def test_so_does_every_request_for_facts_and_for_slices(stored: StoredObject, serve: Serve) -> None:
    server = serve({"/bucket/key": stored})
    options = {**OPTIONS, "endpoint_url": server.base_url}
    assert fastget.head("s3://bucket/key", **options).size == stored.content.size
    assert fastget.read("s3://bucket/key", 5, 2 * MIB, **options) == stored.content.read(5, 2 * MIB)
    assert {request.method for request in server.requests} == {"GET", "HEAD"}
    for request in server.requests:
        assert {name: request.headers.get(name) for name in REQUIRED} == REQUIRED
        assert "versionId=v-1" in request.target


@pytest.mark.row(3, 5, 82, 83, 106, 107)
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"if_match": '"another"'}, SourceChanged),
        ({"if_unmodified_since": "2020-01-01"}, SourceChanged),
        ({"if_none_match": "{etag}"}, NotModified),
        ({"if_modified_since": "Tue, 01 Dec 2026 00:00:00 GMT"}, NotModified),
        ({"if_match": "{etag}", "if_unmodified_since": "2020-01-01"}, None),
        ({"if_none_match": "{etag}", "if_modified_since": "2020-01-01"}, NotModified),
        ({"if_none_match": '"another"', "if_modified_since": "Tue, 01 Dec 2026 00:00:00 GMT"}, None),
    ],
)
def test_conditions_decide_whether_anything_is_fetched(
    options: dict[str, str], error: type[Exception] | None, plain: bool, serve: Serve, destination: Path
) -> None:
    stored = StoredObject(Content.generated(3 * MIB, seed=2))
    server = serve({"/bucket/key": stored})
    given: dict[str, Any] = {name: value.format(etag=stored.etag) for name, value in options.items()}
    url = server.url("/bucket/key") if plain else "s3://bucket/key"
    if not plain:
        given |= {"endpoint_url": server.base_url, "access_key_id": "A", "secret_access_key": "s"}
    if error is None:
        fastget.download(url, destination, **given)
        assert destination.read_bytes() == stored.content.read()
        return
    for attempt in (fastget.head, lambda url, **given: fastget.download(url, destination, **given)):
        with pytest.raises(error):
            attempt(url, **given)
    assert not destination.exists()
    assert all(request.status in (304, 412) for request in server.requests)


@pytest.mark.row(17)
def test_no_secret_is_told_by_an_error_an_event_or_a_log(
    stored: StoredObject, serve: Serve, destination: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    events: list[object] = []
    server = serve({"/bucket/key": stored}, faults=[faults.reset(after=1000).on(request=2)])
    options = {**OPTIONS, "endpoint_url": server.base_url, "on_event": events.append}
    with fastget.Client(**options) as client:
        client.download("s3://bucket/key", destination)
        told = [repr(events), repr(client), repr(client.config)]
        with pytest.raises(FastgetError) as caught:
            client.download("s3://bucket/key", destination, expected_bucket_owner="210987654321")
        with pytest.raises(FastgetError) as missing:
            client.head("s3://bucket/other")
    for error in (caught.value, missing.value):
        told += [repr(error), str(error), str(error.hint), repr(error.reply), repr(pickle.dumps(error))]
    assert events
    told.append(caplog.text)
    for secret in SECRETS:
        assert not [text for text in told if secret in text], secret


@pytest.mark.row(17, 52, 89)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_store_cannot_send_the_key_elsewhere(
    status: int, stored: StoredObject, serve: Serve, destination: Path
) -> None:
    other = serve({"/bucket/key": stored})
    server = serve({"/bucket/key": stored}, faults=[faults.redirect(other.url("/bucket/key"), number=status).always()])
    with pytest.raises(FastgetError):
        fastget.download("s3://bucket/key", destination, endpoint_url=server.base_url, **OPTIONS)
    assert other.requests == ()


@pytest.mark.row(17)
def test_nor_does_a_key_that_is_given_as_a_header_follow_a_redirect(serve: Serve, destination: Path) -> None:
    stored = StoredObject(Content.generated(3 * MIB, seed=2))
    other = serve({"/bucket/key": stored})
    server = serve({"/b/k": stored}, faults=[faults.redirect(other.url("/bucket/key")).always()])
    fastget.download(server.url("/b/k"), destination, headers={**REQUIRED, "X-Plain": "1"}, connections=2)
    assert server.requests[0].headers.get("x-amz-server-side-encryption-customer-key")
    assert other.requests
    for request in other.requests:
        carried = {name.lower() for name, _ in request.headers}
        assert carried & {name.lower() for name in REQUIRED} <= {"x-amz-checksum-mode", "mirror-destination"}
        assert "x-plain" in carried


@pytest.mark.row(55, 56)
def test_a_store_that_names_another_customers_key_is_not_believed(serve: Serve, tmp_path: Path) -> None:
    name = "x-amz-server-side-encryption-customer-key-MD5"
    stored = StoredObject(Content.of(b"abc"), headers={name: "AAAAAAAAAAAAAAAAAAAAAA=="})
    server = serve({"/b/k": stored})
    with pytest.raises(ProtocolError, match="another key"):
        fastget.download(
            "s3://b/k",
            tmp_path / "k",
            endpoint_url=server.base_url,
            access_key_id="a",
            secret_access_key="b",
            sse_c_key="ab" * 32,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.row(9, 44)
def test_a_store_that_serves_another_version_than_was_asked_for_is_not_believed(serve: Serve, tmp_path: Path) -> None:
    served = StoredObject(Content.of(b"abc"), version_id="current")
    # A cache before the store leaves out the query.
    server = serve({}, operations=[lambda request: answer(replace(request, query=()), served, Behaviour())])
    options: dict[str, Any] = {
        "endpoint_url": server.base_url,
        "access_key_id": "a",
        "secret_access_key": "b",
        "version_id": "earlier",
    }
    for verb in ("head", "read", "download"):
        where = (tmp_path / "k",) if verb == "download" else ()
        with pytest.raises(ProtocolError, match="another version"):
            getattr(fastget, verb)("s3://b/k", *where, **options)
    assert not list(tmp_path.iterdir())
    assert fastget.read("s3://b/k", **(options | {"version_id": "current"})) == b"abc"
