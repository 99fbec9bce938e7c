"""Every way of addressing S3: where a request goes and how it is signed, held to what botocore itself would send."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config as BotoConfig
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastget.config import Config
from fastget.core.messages import Request
from fastget.core.objectinfo import Pin
from fastget.core.ranges import Span
from fastget.errors import CredentialsError
from fastget.sources.endpoints import S3Endpoints
from fastget.sources.s3 import S3Source
from fastget.transport.heads import HeadExchange

MOMENT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
PIN = Pin(etag='"abc"', version_id=None, last_modified=None, size=100)
KEY = b"0123456789abcdef0123456789ABCDEF"
SESSION = (
    b"<CreateSessionResult><Credentials><AccessKeyId>ASIASESSION</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
    b"<SessionToken>marked-express-token</SessionToken><Expiration>2099-02-03T04:10:06Z</Expiration></Credentials>"
    b"</CreateSessionResult>"
)
ARN = "arn:aws:s3:us-west-2:123456789012:accesspoint"
OBJECT_LAMBDA = "arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/my-olap"
OUTPOST = "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/my-ap"
MULTI_REGION = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"
Sent = Callable[..., Any]


class Body(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


@pytest.fixture(autouse=True)
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return MOMENT

    def now(remove_tzinfo: bool = True) -> datetime:
        return MOMENT.replace(tzinfo=None) if remove_tzinfo else MOMENT

    for name in ("botocore.auth.get_current_datetime", "botocore.crt.auth.get_current_datetime"):
        monkeypatch.setattr(name, now)
    monkeypatch.setattr("fastget.sources.endpoints.datetime", Clock)


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that botocore would send over the network: those for sessions of directory buckets, answered."""
    seen: list[Any] = []

    def send(_: Any, request: Any) -> AWSResponse:
        seen.append(request)
        headers: Any = {"content-type": "application/xml", "content-length": str(len(SESSION))}
        raw: Any = Body(SESSION)
        return AWSResponse(request.url, 200, headers, raw)

    monkeypatch.setattr(URLLib3Session, "send", send)
    return seen


@pytest.fixture
def sent_by_botocore() -> Iterator[Sent]:
    clients: list[Any] = []

    def send(operation: str, arguments: dict[str, Any], **options: Any) -> Any:
        client = Session().create_client("s3", **options)
        clients.append(client)
        seen: list[Any] = []

        def take(request: Any, event_name: str, **_: Any) -> AWSResponse | None:
            if event_name.endswith("CreateSession"):
                return None
            seen.append(request)
            no_headers: Any = {}
            raw: Any = Body()
            return AWSResponse(request.url, 200, no_headers, raw)

        client.meta.events.register_first("before-send.s3", take)
        getattr(client, operation)(**arguments)
        return seen.pop()

    yield send
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def url_by_botocore() -> Iterator[Callable[[str, str], str]]:
    """The URL of an object, by one client that is kept: making one takes long."""
    keys = {"aws_access_key_id": "AKID", "aws_secret_access_key": "s"}
    client = Session().create_client("s3", region_name="us-east-1", **keys)
    seen: list[str] = []

    def take(request: Any, **_: Any) -> AWSResponse:
        seen.append(request.url)
        no_headers: Any = {}
        raw: Any = Body()
        return AWSResponse(request.url, 200, no_headers, raw)

    client.meta.events.register_first("before-send.s3", take)

    def send(bucket: str, key: str) -> str:
        client.get_object(Bucket=bucket, Key=key)
        return seen.pop()

    yield send
    client.close()


def text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def assert_same(mine: Request, theirs: Any) -> None:
    """The same URL, the same scheme of signature over the same header fields with the same values."""
    assert mine.method == theirs.method
    assert mine.url.unredacted == theirs.url
    headers = {name.lower(): text(value) for name, value in theirs.headers.items()}
    expected, found = headers.get("authorization"), mine.headers.get("authorization")
    assert (expected is None) == (found is None)
    if expected is None or found is None:
        assert not [name for name, _ in mine.headers if name.lower() in ("x-amz-date", "x-amz-security-token")]
        return
    scheme = expected.partition(" ")[0]
    if scheme == "AWS4-HMAC-SHA256":
        assert found == expected
    else:  # an elliptic curve signature is another one each time
        assert found.partition("Signature=")[0] == expected.partition("Signature=")[0]
    signed = expected.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {name: mine.headers.get(name) for name in signed if name != "host"} == {
        name: headers[name] for name in signed if name != "host"
    }
    telling = {name for name in headers if name.startswith("x-amz-") or name in ("range", "if-match")}
    assert telling <= set(signed) | {"x-amz-content-sha256"}


WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "virtual": ({}, {}, "bucket"),
    "path": ({"addressing_style": "path"}, {"config": BotoConfig(s3={"addressing_style": "path"})}, "bucket"),
    "dotted": ({}, {}, "dotted.bucket.name"),
    "dotted-virtual": (
        {"addressing_style": "virtual"},
        {"config": BotoConfig(s3={"addressing_style": "virtual"})},
        "dotted.bucket.name",
    ),
    "dual-stack": ({"use_dualstack_endpoint": True}, {"config": BotoConfig(use_dualstack_endpoint=True)}, "bucket"),
    "fips": (
        {"use_fips_endpoint": True, "region": "us-east-2"},
        {"config": BotoConfig(use_fips_endpoint=True), "region_name": "us-east-2"},
        "bucket",
    ),
    "fips-dual-stack": (
        {"use_fips_endpoint": True, "use_dualstack_endpoint": True, "region": "us-east-2"},
        {"config": BotoConfig(use_fips_endpoint=True, use_dualstack_endpoint=True), "region_name": "us-east-2"},
        "bucket",
    ),
    "accelerate": (
        {"use_accelerate_endpoint": True},
        {"config": BotoConfig(s3={"use_accelerate_endpoint": True})},
        "bucket",
    ),
    "accelerate-dual-stack": (
        {"use_accelerate_endpoint": True, "use_dualstack_endpoint": True},
        {"config": BotoConfig(use_dualstack_endpoint=True, s3={"use_accelerate_endpoint": True})},
        "bucket",
    ),
    "china": ({"region": "cn-north-1"}, {"region_name": "cn-north-1"}, "bucket"),
    "government": ({"region": "us-gov-west-1"}, {"region_name": "us-gov-west-1"}, "bucket"),
    "explicit-keys": (
        {"access_key_id": "AKIDGIVEN", "secret_access_key": "given", "session_token": "given-token"},
        {
            "aws_access_key_id": "AKIDGIVEN",
            "aws_secret_access_key": "given",
            "aws_session_token": "given-token",
        },
        "bucket",
    ),
    "own-endpoint": (
        {"endpoint_url": "https://store.example:8443"},
        {"endpoint_url": "https://store.example:8443"},
        "b-1",
    ),
    "access-point": ({}, {}, f"{ARN}/my-ap"),
    "access-point-dual-stack": (
        {"use_dualstack_endpoint": True},
        {"config": BotoConfig(use_dualstack_endpoint=True)},
        f"{ARN}/my-ap",
    ),
    "access-point-colon": ({"region": "us-west-2"}, {"region_name": "us-west-2"}, f"{ARN}:my-ap"),
    "access-point-alias": ({}, {}, "my-ap-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias"),
    "object-lambda": ({}, {}, OBJECT_LAMBDA),
    "object-lambda-alias": ({}, {}, "my-olap-uk8unzxzn9agvfbd9bdc7rbohdryquse1a--ol-s3"),
    "outpost": ({"region": "us-west-2"}, {"region_name": "us-west-2"}, OUTPOST),
    "outpost-alias": (
        {"region": "us-west-2"},
        {"region_name": "us-west-2"},
        "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3",
    ),
    "multi-region": ({}, {}, MULTI_REGION),
    "anonymous": ({"no_sign_request": True}, {"config": BotoConfig(signature_version=UNSIGNED)}, "bucket"),
    "directory-bucket": ({"region": "us-east-1"}, {}, "base--use1-az4--x-s3"),
}


@pytest.mark.row(1, 93, 94, 95, 96, 101, 105, 111, 112, 113, 114)
@pytest.mark.parametrize("operation", ["get_object", "head_object"])
@pytest.mark.parametrize("way", WAYS)
def test_a_request_goes_where_botocores_goes_and_is_signed_alike(
    way: str, operation: str, endpoints: S3Endpoints, sent_by_botocore: Sent, sessions: list[Any]
) -> None:
    options, client_options, bucket = WAYS[way]
    arguments: dict[str, Any] = {
        "Bucket": bucket,
        "Key": "a b+c%/../é//x",
        "PartNumber": 3,
        "IfMatch": '"abc"',
        "ChecksumMode": "ENABLED",
        "ExpectedBucketOwner": "123456789012",
    }
    given: dict[str, Any] = {"expected_bucket_owner": "123456789012"}
    if way not in ("anonymous", "directory-bucket"):
        arguments |= {
            "RequestPayer": "requester",
            "SSECustomerAlgorithm": "AES256",
            "SSECustomerKey": KEY,
            "ResponseContentType": "text/plain; charset=utf-8",
            "ResponseContentDisposition": 'attachment; filename="ü +.bin"',
            "ResponseExpires": MOMENT,
            "VersionId": "v 1+/",
        }
        given |= {
            "request_payer": "requester",
            "sse_c_key": KEY.hex(),
            "response_content_type": "text/plain; charset=utf-8",
            "response_content_disposition": 'attachment; filename="ü +.bin"',
            "response_expires": "2026-02-03T04:05:06Z",
            "version_id": "v 1+/",
        }
    theirs = sent_by_botocore(operation, reordered(arguments), **{"region_name": "us-east-1", **client_options})
    source = S3Source.of(f"s3://{bucket}/a b+c%/../é//x", Config(**options, **given), endpoints)
    mine = source.get(part_number=3, pin=PIN) if operation == "get_object" else source.head(part_number=3, pin=PIN)
    assert_same(mine, theirs)
    assert len(sessions) == (2 if way == "directory-bucket" else 0)


def reordered(arguments: dict[str, Any]) -> dict[str, Any]:
    """botocore writes query fields in the order of its arguments; fastget the parameters before version and part."""
    last = ("ResponseContentDisposition", "ResponseContentType", "ResponseExpires", "VersionId", "PartNumber")
    names = [name for name in arguments if name not in last]
    return {name: arguments[name] for name in (*names, *last) if name in arguments}


@pytest.mark.row(96)
def test_a_session_of_a_directory_bucket_serves_many_requests(endpoints: S3Endpoints, sessions: list[Any]) -> None:
    source = S3Source.of("s3://base--use1-az4--x-s3/key", Config(region="us-east-1"), endpoints)
    for start in range(5):
        request = source.get(Span(start, start + 1), pin=PIN)
        assert request.headers.get("x-amz-s3session-token") == "marked-express-token"
        assert "/s3express/aws4_request" in str(request.headers.get("Authorization"))
        assert "marked" not in repr(request)
    assert len(sessions) == 1


@pytest.mark.row(96)
def test_a_session_that_has_ended_on_arrival_is_a_matter_of_credentials(
    endpoints: S3Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = SESSION.replace(b"2099", b"1999")

    def send(_: Any, request: Any) -> AWSResponse:
        headers: Any = {"content-type": "application/xml", "content-length": str(len(ended))}
        raw: Any = Body(ended)
        return AWSResponse(request.url, 200, headers, raw)

    monkeypatch.setattr(URLLib3Session, "send", send)
    with pytest.raises(CredentialsError, match="expired") as caught:
        S3Source.of("s3://base--use1-az4--x-s3/key", Config(region="us-east-1"), endpoints).get()
    assert "clock" in str(caught.value.hint)


@pytest.mark.row(10, 11, 12, 13, 14, 15)
def test_requests_that_botocore_signs_carry_every_parameter(endpoints: S3Endpoints) -> None:
    given = {
        "response_cache_control": "no-cache",
        "response_content_disposition": "attachment",
        "response_content_encoding": "gzip",
        "response_content_language": "de",
        "response_content_type": "text/plain",
        "response_expires": "2026-02-03T04:05:06Z",
        "if_modified_since": "2026-02-03T04:05:06Z",
        "if_none_match": '"def"',
        "mirror_destination": "vault",
        "sse_c_key": KEY.hex(),
    }
    config = Config().merged(**given)
    for bucket in (MULTI_REGION, "plain"):
        request = S3Source.of(f"s3://{bucket}/key", config, endpoints).get()
        query = dict(item.split("=") for item in str(request.url.query).split("&"))
        assert query["response-expires"] == "Tue%2C%2003%20Feb%202026%2004%3A05%3A06%20GMT"
        assert len(query) == 6
        signed = str(request.headers.get("Authorization")).partition("SignedHeaders=")[2].partition(",")[0].split(";")
        assert {"if-modified-since", "if-none-match", "mirror-destination", "x-amz-checksum-mode"} <= set(signed)
        assert "x-amz-server-side-encryption-customer-key-md5" in signed


KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60) | st.sampled_from([
    "a b", "a+b", "100%", "%2F", "a//b", "//a", "/leading", "..", "../x", "a/../b", "a/./b", ".", "./", "a/..",
    "ü/日本/😀", "x" * 1024, "é" * 512, "a\tb\nc", "?q=1", "#f", "a;b&c=d", "~._-", "'\"<>\\^`{|}", "trailing ",
])  # fmt: skip


@pytest.mark.row(2, 94)
@given(key=KEYS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_path_on_the_wire_is_botocores_for_every_key(
    key: str, endpoints: S3Endpoints, url_by_botocore: Callable[[str, str], str]
) -> None:
    for bucket in ("bucket", "dotted.bucket"):
        request = S3Source.of(f"s3://{bucket}/{key}", Config(), endpoints).get()
        line = HeadExchange().encode(request).partition(b"\r\n")[0].decode()
        theirs = url_by_botocore(bucket, key).partition("amazonaws.com")[2]
        assert line == f"GET {theirs} HTTP/1.1"
