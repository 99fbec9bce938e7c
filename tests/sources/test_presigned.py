"""Signed URLs: made by botocore, asked for as S3 allows it, and renewed when they have ended."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from botocore.config import Config as BotoConfig
from botocore.session import Session

from fastget.client import Client
from fastget.config import Config
from fastget.core.urls import URL
from fastget.errors import AccessDenied, ConfigError, CredentialsError, FastgetError, SourceChanged
from fastget.sources.http import HttpSource
from fastget.sources.presigned import signature_of
from fastget.sources.resolve import resolve
from fastget.testing import Algorithm, Behaviour, Content, ObjectServer, StoredObject
from fastget.testing.answer import Answer
from fastget.testing.documents import error
from fastget.testing.received import ReceivedRequest

KIB = 1024
CONTENT = Content.generated(2 * KIB * KIB + 99, seed=3)
STORED = StoredObject(CONTENT, checksum=Algorithm.CRC64NVME, version_id="v/1+=")
PATH = "/bucket/a b+c.bin"
SLOW = Behaviour(rate_per_connection=8 * KIB * KIB)
# Only a failure takes this long (seconds).
HANG = 30.0
STAMP = "%Y%m%dT%H%M%SZ"

Presign = Callable[..., str]


@pytest.fixture
def presign() -> Presign:
    """botocore's URL for a GET."""

    def make(endpoint: str, version: str = "s3v4", seconds: int = 3600, **parameters: Any) -> str:
        config = BotoConfig(signature_version=version, s3={"addressing_style": "path"})
        client = Session().create_client("s3", "us-east-1", endpoint_url=endpoint, config=config)
        arguments = {"Bucket": "bucket", "Key": "a b+c.bin", **parameters}
        try:
            return str(client.generate_presigned_url("get_object", arguments, ExpiresIn=seconds))
        finally:
            client.close()

    return make


class Strict:
    """Refuses what S3 refuses of a signed URL: another method or query, and x-amz- fields that were not signed."""

    def __init__(self) -> None:
        self.good: set[str] = set()
        self.refuse: Answer = error(403, "AccessDenied", "Request has expired")
        self.requests: list[ReceivedRequest] = []
        self._lock = threading.Lock()

    def allow(self, url: str) -> str:
        self.good = {urlsplit(url).query}
        return url

    def __call__(self, request: ReceivedRequest) -> Answer | None:
        with self._lock:
            self.requests.append(request)
            query = request.target.partition("?")[2]
            if request.method != "GET":
                return error(403, "SignatureDoesNotMatch", "The method was not signed.")
            if query not in self.good:
                return self.refuse
        signed = parse_qs(query).get("X-Amz-SignedHeaders", [""])[0].split(";")
        sent = [name.lower() for name, _ in request.headers if name.lower().startswith("x-amz-")]
        if any(name not in signed for name in sent):
            return error(403, "AccessDenied", "There were headers present in the request which were not signed")
        return None


@pytest.mark.parametrize("version", ["s3", "s3v4"])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"ChecksumMode": "ENABLED"}, {"VersionId": "v/1+="}, {"ResponseContentType": "text/x+y; a=b"}],
    ids=["plain", "checksums", "version", "response"],
)
def test_a_url_that_botocore_has_signed_is_fetched_read_and_looked_at(
    version: str, parameters: dict[str, str], presign: Presign, tmp_path: Path
) -> None:
    door = Strict()
    with ObjectServer({PATH: STORED}, behaviour=SLOW, operations=[door]) as server:
        url = door.allow(presign(server.base_url, version, **parameters))
        with Client(connections=4, part_size=64 * KIB) as client:
            info = client.head(url)
            result = client.download(url, tmp_path / "object")
            assert client.read(url, 100, 300) == CONTENT.read(100, 300)
    assert info.size == CONTENT.size
    assert (tmp_path / "object").read_bytes() == CONTENT.read(0, CONTENT.size)
    assert result.size == CONTENT.size
    assert {request.method for request in door.requests} == {"GET"}
    assert any(request.range for request in door.requests)


def test_a_url_that_is_signed_for_one_range_says_to_get_another(presign: Presign) -> None:
    url = presign("https://store.example", "s3v4", Range="bytes=0-9")
    with pytest.raises(ConfigError, match="range") as caught:
        HttpSource.of(URL.parse(url), {}).get()
    # Given in headers, it would be refused.
    assert caught.value.hint == "fastget itself decides about range: get a URL that is signed without"


@pytest.mark.parametrize(("version", "kind"), [("s3", "SigV2"), ("s3v4", "SigV4")])
def test_the_end_of_a_signed_url_is_read_from_it(version: str, kind: str, presign: Presign) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    found = signature_of(URL.parse(presign("https://store.example", version, 900)))
    assert found is not None
    assert (found.kind, found.headers) == (kind, frozenset())
    assert found.expires is not None
    assert before + timedelta(seconds=900) <= found.expires <= datetime.now(UTC) + timedelta(seconds=901)


@pytest.mark.parametrize(
    ("query", "kind", "expires"),
    [
        ("X-Goog-Signature=a&X-Goog-Date=20260102T030405Z&X-Goog-Expires=60&X-Goog-SignedHeaders=host", "GCS V4", 65),
        ("sv=2026&sig=a&se=2026-01-02T03%3A05%3A05Z", "Azure SAS", 65),
        ("Signature=a&Key-Pair-Id=K&Expires=1767323105", "CloudFront", 65),
        ("AWSAccessKeyId=a&Signature=b&Expires=1767323105", "SigV2", 65),
        ("X-Amz-Signature=a&X-Amz-Date=nonsense&X-Amz-Expires=60", "SigV4", None),
        ("X-Amz-Signature=a&X-Amz-Date=20260102T030405Z&X-Amz-Expires=99999999999", "SigV4", None),
        ("x-oss-signature=b", "signature", None),
    ],
)
def test_the_signatures_of_other_stores_are_known(query: str, kind: str, expires: int | None) -> None:
    found = signature_of(URL.parse(f"https://host/a?{query}"))
    assert found is not None
    assert found.kind == kind
    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert found.expires == (at + timedelta(seconds=expires) if expires is not None else None)


@pytest.mark.parametrize("query", ["", "?a=b", "?expires=5", "?versionId=1"])
def test_a_plain_url_has_no_signature(query: str) -> None:
    assert signature_of(URL.parse(f"https://host/a{query}")) is None


def signed(ends_in: timedelta, more: str = "", headers: str = "host") -> str:
    began = (datetime.now(UTC) + ends_in - timedelta(seconds=3600)).strftime(STAMP)
    return (
        f"https://store.example/a?X-Amz-Signature=marked-signature&X-Amz-Date={began}&X-Amz-Expires=3600"
        f"&X-Amz-SignedHeaders={quote(headers)}{more}"
    )


def test_a_url_that_ended_long_ago_is_refused_before_any_request() -> None:
    with pytest.raises(CredentialsError, match=r"good until 20..-..-.. ..:..:.. UTC") as caught:
        resolve(signed(timedelta(minutes=-16)), Config()).get()
    assert "marked" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("ends_in", [timedelta(minutes=-14), timedelta(minutes=3)])
def test_a_url_that_ends_about_now_is_tried_with_a_warning(
    ends_in: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "fastget"):
        resolve(signed(ends_in), Config()).get()
    assert "good until" in caplog.text
    assert "marked" not in caplog.text


def test_a_url_that_is_good_for_long_is_passed_over_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "fastget"):
        resolve(signed(timedelta(minutes=30)), Config()).get()
    assert not caplog.records


def test_header_fields_that_were_signed_have_to_be_given() -> None:
    url = signed(timedelta(minutes=30), headers="host;x-amz-request-payer")
    with pytest.raises(ConfigError, match="x-amz-request-payer"):
        resolve(url, Config()).get()
    source = resolve(url, Config(headers={"X-Amz-Request-Payer": "requester"}))
    assert source.get().headers.get("x-amz-request-payer") == "requester"


@pytest.mark.fault("H38")
def test_a_url_that_ends_in_mid_download_is_renewed_once_for_all_connections(presign: Presign, tmp_path: Path) -> None:
    door = Strict()
    asked: list[str] = []
    tickets = iter(range(3))

    def end() -> None:
        door.good = set()

    together = threading.Barrier(3, action=end)

    def gather(request: ReceivedRequest) -> Answer | None:
        """The first requests for a range come together, and too late."""
        if request.range and next(tickets, None) is not None:
            together.wait(HANG)
        return None

    with ObjectServer({PATH: STORED}, behaviour=SLOW, operations=[gather, door]) as server:
        old = door.allow(presign(server.base_url, seconds=600))
        new = presign(server.base_url, seconds=601)

        def refresh(url: str) -> str:
            asked.append(url)
            return door.allow(new)

        with Client(connections=4, part_size=64 * KIB, refresh_url=refresh) as client:
            result = client.download(old, tmp_path / "object")
    assert asked == [old]
    assert (tmp_path / "object").read_bytes() == CONTENT.read(0, CONTENT.size)
    assert result.retries == 0


def test_a_url_that_had_ended_before_the_first_request_is_renewed_too(presign: Presign) -> None:
    door = Strict()
    with ObjectServer({PATH: STORED}, operations=[door]) as server:
        new = presign(server.base_url)
        with Client(refresh_url=lambda _: door.allow(new)) as client:
            assert client.read(presign(server.base_url, seconds=1)) == CONTENT.read(0, CONTENT.size)
        assert len(server.requests) >= 2


@pytest.mark.fault("H38")
@pytest.mark.parametrize(
    ("refresh", "says"),
    [
        (lambda url: url, "the signed URL has expired"),
        (lambda _: 1 / 0, "ZeroDivisionError"),
        (lambda _: 5, "has not given a URL"),
        (lambda _: "https://me:marked@host/a", "user name"),
    ],
)
def test_a_function_that_gives_no_other_url_ends_the_matter(
    refresh: Callable[[str], Any], says: str, presign: Presign
) -> None:
    door = Strict()
    with ObjectServer({PATH: STORED}, operations=[door]) as server, Client(refresh_url=refresh) as client:
        with pytest.raises(CredentialsError, match=says) as caught:
            client.read(presign(server.base_url))
        assert len(server.requests) == 1
    assert "marked" not in str(caught.value)


def test_a_denial_before_the_end_of_the_url_is_no_matter_of_its_end(presign: Presign) -> None:
    door = Strict()
    door.refuse = error(403, "AccessDenied", "Access Denied")
    called: list[str] = []
    with (
        ObjectServer({PATH: STORED}, operations=[door]) as server,
        Client(refresh_url=called.append) as client,
        pytest.raises(AccessDenied),
    ):
        client.read(presign(server.base_url))
    assert not called


def test_a_refusal_after_the_end_says_until_when_the_url_was_good(presign: Presign) -> None:
    door = Strict()
    later = (datetime.now(UTC) + timedelta(hours=2)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    door.refuse = error(403, "AccessDenied", "Access Denied").with_field("Date", later)
    with (
        ObjectServer({PATH: STORED}, operations=[door]) as server,
        Client() as client,
        pytest.raises(FastgetError) as caught,
    ):
        client.read(presign(server.base_url))
    assert "good until" in str(caught.value.hint)
    assert "refresh_url" in str(caught.value.hint)


@pytest.mark.fault("H38")
def test_a_new_url_of_another_object_is_noticed(presign: Presign) -> None:
    door = Strict()
    other = StoredObject(Content.generated(CONTENT.size, seed=4), checksum=Algorithm.CRC64NVME)
    with ObjectServer({PATH: STORED, "/bucket/other": other}, behaviour=SLOW, operations=[door]) as server:
        url = door.allow(presign(server.base_url))
        wrong = presign(server.base_url, Key="other")
        first = iter(range(1))

        def end(request: ReceivedRequest) -> Answer | None:
            if request.range and next(first, None) is not None:
                door.good = set()
            return None

        server.operations = (end, door)
        with (
            Client(connections=4, part_size=64 * KIB, refresh_url=lambda _: door.allow(wrong)) as client,
            pytest.raises(SourceChanged),
        ):
            client.read(url)


def test_the_url_that_was_given_is_the_one_that_is_shown(presign: Presign) -> None:
    source = resolve(signed(timedelta(minutes=30)), Config(refresh_url=lambda url: url))
    assert source.display_url == "https://store.example/a?…"
    assert "marked" not in repr(source)
