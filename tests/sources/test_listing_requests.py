"""The requests for a listing are those that botocore would send, signed the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.config import Config as BotoConfig
from botocore.session import Session

from fastget.config import Config
from fastget.core.messages import Request
from fastget.sources.endpoints import S3Endpoints
from fastget.sources.listing import Selection
from fastget.sources.listing_source import ListingSource

MOMENT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
MRAP = "arn:aws:s3::123456789012:accesspoint:mfzwi23gnjvgw.mrap"
PREFIX = "a b/+%ü?&=/"


class Sent(Exception):
    """Ends botocore's part with its request in hand."""


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return MOMENT

    def now(remove_tzinfo: bool = True) -> datetime:
        return MOMENT.replace(tzinfo=None) if remove_tzinfo else MOMENT

    monkeypatch.setattr("botocore.auth.get_current_datetime", now)
    monkeypatch.setattr("botocore.crt.auth.get_current_datetime", now)
    monkeypatch.setattr("fastget.sources.endpoints.datetime", Clock)


@pytest.fixture
def sent() -> Iterator[Any]:
    """sent(operation, parameters, **client options): what botocore would send."""
    clients: list[Any] = []
    taken: list[Any] = []

    def take(request: Any, **_: Any) -> None:
        taken.append(request)
        raise Sent

    def ask(operation: str, parameters: dict[str, Any], **options: Any) -> Any:
        clients.append(Session().create_client("s3", **options))
        clients[-1].meta.events.register_first("before-send.s3", take)
        with pytest.raises(Sent):
            getattr(clients[-1], operation)(**parameters)
        return taken[-1]

    yield ask
    for client in clients:
        client.close()


def assert_same(mine: Request, theirs: Any) -> None:
    ours, other = urlsplit(mine.url.unredacted), urlsplit(theirs.url)
    assert (mine.method, ours.scheme, ours.netloc, ours.path) == ("GET", other.scheme, other.netloc, other.path)
    assert sorted(parse_qsl(ours.query, keep_blank_values=True)) == sorted(
        parse_qsl(other.query, keep_blank_values=True)
    )
    for name in ("authorization", "x-amz-date", "x-amz-security-token", "x-amz-request-payer"):
        value = {key.lower(): text for key, text in theirs.headers.items()}.get(name)
        assert mine.headers.get(name) == (value.decode() if isinstance(value, bytes) else value), name


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize(
    ("options", "client_options"),
    [
        ({"region": "eu-west-1"}, {"region_name": "eu-west-1"}),
        (
            {"addressing_style": "path"},
            {"region_name": "us-east-1", "config": BotoConfig(s3={"addressing_style": "path"})},
        ),
        (
            {"endpoint_url": "https://store.example/prefix/"},
            {"region_name": "us-east-1", "endpoint_url": "https://store.example/prefix/"},
        ),
    ],
)
@pytest.mark.parametrize("bucket", ["bucket", "dotted.bucket.name"])
def test_a_page_is_asked_for_and_signed_as_botocore_does(
    bucket: str, options: dict[str, Any], client_options: dict[str, Any], endpoints: S3Endpoints, sent: Any
) -> None:
    config = Config(request_payer="requester", expected_bucket_owner="123456789012", **options)
    source = ListingSource.at(f"s3://{bucket}/{PREFIX}", config, endpoints)
    common = {
        "Bucket": bucket,
        "Prefix": PREFIX,
        "Delimiter": "/",
        "MaxKeys": 7,
        "EncodingType": "url",
        "RequestPayer": "requester",
        "ExpectedBucketOwner": "123456789012",
    }
    selection = Selection(PREFIX, "/", "a b", page_size=7)
    theirs = sent("list_objects_v2", {**common, "StartAfter": "a b"}, **client_options)
    assert_same(source.page(selection.first_query()), theirs)
    theirs = sent("list_objects_v2", {**common, "ContinuationToken": "1+/="}, **client_options)
    assert_same(source.page(selection.query_after((("continuation-token", "1+/="),))), theirs)
    theirs = sent("list_objects", {**common, "Marker": "k"}, **client_options)
    assert_same(source.page(selection.query_after((("marker", "k"),))), theirs)


@pytest.mark.usefixtures("frozen")
def test_versions_are_asked_for_as_botocore_does(endpoints: S3Endpoints, sent: Any) -> None:
    source = ListingSource.at(f"s3://bucket/{PREFIX}", Config(region="eu-west-1"), endpoints)
    selection = Selection(PREFIX, versions=True)
    place = (("key-marker", "k ü"), ("version-id-marker", "v+/="))
    parameters = {"Bucket": "bucket", "Prefix": PREFIX, "EncodingType": "url", "KeyMarker": "k ü"}
    theirs = sent("list_object_versions", {**parameters, "VersionIdMarker": "v+/="}, region_name="eu-west-1")
    assert_same(source.page(selection.query_after(place)), theirs)


def test_signatures_of_another_kind_are_left_to_botocore(endpoints: S3Endpoints) -> None:
    pytest.importorskip("awscrt")
    source = ListingSource.at(f"s3://{MRAP}/dir/", Config(), endpoints)
    request = source.page(Selection("dir/", "/", page_size=7).first_query())
    assert (request.headers.get("authorization") or "").startswith("AWS4-ECDSA-P256-SHA256 ")
    assert request.url.origin.host == "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com"
    assert dict(parse_qsl(request.url.query or "")) == {
        "list-type": "2",
        "prefix": "dir/",
        "delimiter": "/",
        "max-keys": "7",
        "encoding-type": "url",
    }
    versions = source.page(Selection("dir/", versions=True, start_after="dir/a").first_query())
    assert ("versions", "") in parse_qsl(versions.url.query or "", keep_blank_values=True)
    assert ("key-marker", "dir/a") in parse_qsl(versions.url.query or "")


@pytest.mark.usefixtures("without_credentials")
def test_a_public_bucket_is_listed_without_a_signature(endpoints: S3Endpoints) -> None:
    source = ListingSource.at("s3://bucket", Config(no_sign_request=True), endpoints)
    request = source.page(Selection().first_query())
    assert "authorization" not in request.headers
    assert request.url.unredacted == "https://bucket.s3.amazonaws.com/?list-type=2&encoding-type=url"


def test_a_customers_key_stays_with_the_objects(endpoints: S3Endpoints) -> None:
    config = Config(sse_c_key="00" * 32, headers={"X-Mine": "1"})
    request = ListingSource.at("s3://bucket", config, endpoints).page(Selection().first_query())
    assert not any("customer" in name.lower() for name, _ in request.headers)
    assert request.headers.get("x-mine") == "1"
