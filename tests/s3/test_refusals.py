"""What get_object refuses before it asks, and what the store's refusals and conditions become."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

import fastget
from fastget import Config, aio
from fastget.errors import (
    AccessDenied,
    ConfigError,
    FastgetError,
    NotFound,
    NotModified,
    ObjectArchived,
    ObjectDeleted,
    ProtocolError,
    RangeNotSupported,
    SourceChanged,
)
from fastget.s3 import CONNECTION_OPTIONS, GetObjectOptions
from fastget.sources.getobject_parameters import KEYWORDS
from fastget.testing import Content, ObjectServer, StoredObject, faults

Ask = Callable[..., dict[str, Any]]
Serve = Callable[..., ObjectServer]

STORED = StoredObject(Content.generated(1000, seed=1), last_modified="Mon, 02 Mar 2026 10:20:30 GMT")
BEFORE = datetime(2026, 3, 1, tzinfo=UTC)
AFTER = datetime(2026, 3, 3, tzinfo=UTC)
KEY = "k" * 32
# In UTC it would be in the year 0.
FIRST = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))


@pytest.fixture
def server(serve: Callable[..., ObjectServer]) -> ObjectServer:
    return serve({"/b/k": STORED})


# Before anything is sent -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        pytest.param({"Bucket": None}, "needs Bucket", marks=pytest.mark.row(1)),
        pytest.param({"Key": ""}, "needs Key", marks=pytest.mark.row(2)),
        pytest.param({"Key": 5}, "Key must be a text, not of type int", marks=pytest.mark.row(2)),
        pytest.param({"Key": "\udcff"}, "Key cannot be written as UTF-8", marks=pytest.mark.row(2)),
        pytest.param({"VersionId": "\udcff"}, "version_id cannot be written as UTF-8", marks=pytest.mark.row(9)),
        pytest.param({"VersionId": ""}, "version_id is empty", marks=pytest.mark.row(9)),
        pytest.param({"IfModifiedSince": FIRST}, "if_modified_since lies beyond", marks=pytest.mark.row(4)),
        pytest.param({"ResponseExpires": FIRST}, "response_expires lies beyond", marks=pytest.mark.row(15)),
        pytest.param({"IfMatch": b"x"}, "IfMatch must be a text", marks=pytest.mark.row(3)),
        pytest.param({"IfModifiedSince": "never"}, "IfModifiedSince is not a date", marks=pytest.mark.row(4)),
        pytest.param({"IfModifiedSince": []}, "IfModifiedSince must be a datetime", marks=pytest.mark.row(4)),
        pytest.param({"ResponseExpires": True}, "ResponseExpires must be a datetime", marks=pytest.mark.row(15)),
        pytest.param({"Range": (0, 9)}, "Range must be a text", marks=pytest.mark.row(7)),
        pytest.param({"Range": "bytes=0-9", "PartNumber": 1}, "exclude each other", marks=pytest.mark.row(7, 8, 86)),
        pytest.param({"PartNumber": 0}, "from 1 to 10000", marks=pytest.mark.row(8)),
        pytest.param({"PartNumber": 10_001}, "from 1 to 10000", marks=pytest.mark.row(8)),
        pytest.param({"PartNumber": "1"}, "PartNumber must be a whole number", marks=pytest.mark.row(8)),
        pytest.param({"PartNumber": True}, "PartNumber must be a whole number", marks=pytest.mark.row(8)),
        pytest.param({"SSECustomerKey": KEY}, "algorithm", marks=pytest.mark.row(16, 17)),
        pytest.param(
            {"SSECustomerKey": "short", "SSECustomerAlgorithm": "AES256"}, "32 bytes", marks=pytest.mark.row(17)
        ),
        pytest.param(
            {"SSECustomerKey": 5, "SSECustomerAlgorithm": "AES256"}, "bytes, or a text", marks=pytest.mark.row(17)
        ),
        pytest.param(
            {"SSECustomerKey": KEY, "SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": "x"},
            "32 bytes",
            marks=pytest.mark.row(18),
        ),
        ({"headers": {"Range": "bytes=0-1"}}, "Range"),
    ],
)
def test_a_keyword_that_cannot_be_is_refused_before_anything_is_sent(
    server: ObjectServer, get: Ask, keywords: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        get(server, **keywords)
    assert KEY not in str(caught.value)
    assert not server.requests


@pytest.mark.parametrize("keyword", [{"IfMatch": '"a" '}, {"Range": " bytes=0-1"}, {"headers": {"X-A": "b\t"}}])
def test_blanks_around_a_value_are_named_where_they_keep_it_from_going_out(
    server: ObjectServer, get: Ask, keyword: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="HTTP does not allow") as caught:
        get(server, **keyword)
    assert "blanks around a value" in str(caught.value.hint)
    assert not server.requests


@pytest.mark.row(*range(10, 16), 105)
@pytest.mark.parametrize(
    "name",
    [
        "ResponseCacheControl",
        "ResponseContentDisposition",
        "ResponseContentEncoding",
        "ResponseContentLanguage",
        "ResponseContentType",
        "ResponseExpires",
    ],
)
def test_headers_of_the_answer_are_not_asked_for_without_a_signature(
    server: ObjectServer, client_of: Any, name: str
) -> None:
    client = client_of(server, no_sign_request=True, access_key_id=None, secret_access_key=None)
    value: Any = AFTER if name == "ResponseExpires" else "x"
    given: dict[str, Any] = {name: value}
    with pytest.raises(ConfigError, match="needs a signed request"):
        fastget.s3.get_object(client=client, Bucket="b", Key="k", **given)
    assert not server.requests


@pytest.mark.row(17, 102)
def test_a_customers_key_does_not_go_out_in_the_clear(client_of: Any, server: ObjectServer) -> None:
    elsewhere = client_of(server, endpoint_url="http://store.example")
    with pytest.raises(ConfigError, match="https only") as caught:
        fastget.s3.get_object(client=elsewhere, Bucket="b", Key="k", SSECustomerAlgorithm="AES256", SSECustomerKey=KEY)
    assert KEY not in str(caught.value) + repr(caught.value.__dict__)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("bucket", "Bucket"),
        ("VersionID", "VersionId"),
        ("IfMatched", "IfMatch"),
        ("Partnumber", "PartNumber"),
        ("endpoint", "endpoint_url"),
        ("SSECustomerKeyMd5", "SSECustomerKeyMD5"),
    ],
)
def test_an_unknown_keyword_is_refused_with_the_nearest_one(
    server: ObjectServer, get: Ask, name: str, near: str
) -> None:
    with pytest.raises(ConfigError, match=f"no keyword '{name}'") as caught:
        get(server, **{name: "x"})
    assert caught.value.hint == f"did you mean {near}?"
    assert not server.requests


def test_a_keyword_that_is_like_none_is_refused_too(server: ObjectServer, get: Ask) -> None:
    with pytest.raises(ConfigError, match="no keyword 'zzzz'"):
        get(server, zzzz=1)


def test_the_typed_keywords_are_those_that_are_taken() -> None:
    assert set(GetObjectOptions.__annotations__) == {*KEYWORDS, *CONNECTION_OPTIONS, "client"}


@pytest.mark.row(*range(1, 23))
def test_the_keywords_are_those_of_both_sdks(sdk_sessions: dict[str, Any]) -> None:
    known: set[str] = set()
    for session in sdk_sessions.values():
        known |= set(session.get_service_model("s3").operation_model("GetObject").input_shape.members)
    assert set(KEYWORDS) == known


# Conditions ------------------------------------------------------------------------------------------------------


CONDITIONS = [
    ((3, 82), {"IfMatch": '"other"'}, SourceChanged),
    ((3,), {"IfMatch": STORED.etag}, None),
    ((3,), {"IfMatch": "*"}, None),
    ((6, 82), {"IfUnmodifiedSince": BEFORE}, SourceChanged),
    ((6,), {"IfUnmodifiedSince": AFTER}, None),
    ((5, 83), {"IfNoneMatch": STORED.etag}, NotModified),
    ((5,), {"IfNoneMatch": '"other"'}, None),
    ((4, 83), {"IfModifiedSince": AFTER}, NotModified),
    ((4,), {"IfModifiedSince": BEFORE}, None),
    ((106, 108), {"IfMatch": STORED.etag, "IfUnmodifiedSince": BEFORE}, None),
    ((107, 108), {"IfNoneMatch": STORED.etag, "IfModifiedSince": BEFORE}, NotModified),
    ((108,), {"IfMatch": '"other"', "IfNoneMatch": STORED.etag}, SourceChanged),
    ((108,), {"IfUnmodifiedSince": BEFORE, "IfNoneMatch": STORED.etag}, SourceChanged),
]


@pytest.mark.parametrize(
    ("keywords", "error"), [pytest.param(*rest, marks=pytest.mark.row(*rows)) for rows, *rest in CONDITIONS]
)
def test_a_condition_decides_as_it_does_in_the_sdks(
    server: ObjectServer, get: Ask, sdk_client: Any, keywords: dict[str, Any], error: type[FastgetError] | None
) -> None:
    from botocore.exceptions import ClientError

    theirs = sdk_client("aws", server)
    if error is None:
        assert get(server, **keywords)["Body"].read() == STORED.content.read()
        theirs.get_object(Bucket="b", Key="k", **keywords)["Body"].close()
        return
    with pytest.raises(error) as caught:
        get(server, **keywords)
    with pytest.raises(ClientError) as other:
        theirs.get_object(Bucket="b", Key="k", **keywords)
    assert caught.value.reply is not None
    assert caught.value.reply.status == dict(other.value.response)["ResponseMetadata"]["HTTPStatusCode"]
    assert type(pickle.loads(pickle.dumps(caught.value))) is error


# What a store refuses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "keywords", "error", "code"),
    [
        pytest.param(None, {"Key": "none"}, NotFound, "NoSuchKey", marks=pytest.mark.row(74, 76)),
        pytest.param(None, {"VersionId": "other"}, NotFound, "NoSuchVersion", marks=pytest.mark.row(9, 81)),
        pytest.param(None, {"Range": "bytes=1000-"}, RangeNotSupported, "InvalidRange", marks=pytest.mark.row(84)),
        pytest.param(None, {"PartNumber": 2}, RangeNotSupported, "InvalidPartNumber", marks=pytest.mark.row(85)),
        pytest.param(faults.archived(), {}, ObjectArchived, "InvalidObjectState", marks=pytest.mark.row(75, 98)),
        pytest.param(faults.delete_marker(), {}, ObjectDeleted, None, marks=pytest.mark.row(25, 79)),
        pytest.param(faults.access_denied(), {}, AccessDenied, "AccessDenied", marks=pytest.mark.row(77, 88)),
    ],
)
def test_a_refusal_is_raised_by_its_meaning(
    serve: Serve, get: Ask, fault: Any, keywords: dict[str, Any], error: type[FastgetError], code: str | None
) -> None:
    server = serve({"/b/k": STORED}, faults=[fault] if fault else [])
    with pytest.raises(error) as caught:
        get(server, **keywords)
    assert caught.value.reply is not None
    assert code is None or caught.value.reply.code == code


@pytest.mark.row(55, 56)
def test_another_customers_key_in_the_answer_is_refused(serve: Serve, get: Ask) -> None:
    name = "x-amz-server-side-encryption-customer-key-MD5"
    server = serve({"/b/k": StoredObject(STORED.content, headers={name: "AAAAAAAAAAAAAAAAAAAAAA=="})})
    with pytest.raises(ProtocolError, match="another key"):
        get(server, SSECustomerAlgorithm="AES256", SSECustomerKey=KEY)


@pytest.mark.row(9, 44)
def test_another_version_in_the_answer_is_refused(serve: Serve, get: Ask) -> None:
    server = serve({"/b/k": StoredObject(STORED.content, headers={"x-amz-version-id": "current"})})
    with pytest.raises(ProtocolError, match="another version"):
        get(server, VersionId="null")


@pytest.mark.row(55, 56)
def test_the_same_customers_key_in_the_answer_is_right(serve: Serve, get: Ask) -> None:
    digest = "WJLfBMAYHKBXhr8bU3dBjg=="
    name = "x-amz-server-side-encryption-customer-key-MD5"
    server = serve({"/b/k": StoredObject(STORED.content)})
    get(server, SSECustomerAlgorithm="AES256", SSECustomerKey=KEY)["Body"].close()
    sent = server.requests[0].headers.get(name)
    assert sent is not None
    assert sent != digest
    server.put("/b/k", StoredObject(STORED.content, headers={name: sent}))
    answer = get(server, SSECustomerAlgorithm="AES256", SSECustomerKey=KEY)
    assert answer["SSECustomerKeyMD5"] == sent
    assert answer["Body"].read() == STORED.content.read()


# Options ---------------------------------------------------------------------------------------------------------


@pytest.mark.row(19, 20, 22)
def test_the_options_of_the_client_are_those_of_the_request_unless_a_keyword_says_otherwise(
    server: ObjectServer, client_of: Any
) -> None:
    client = client_of(server, request_payer="requester", expected_bucket_owner="111122223333", mirror_destination="a")
    fastget.s3.get_object(client=client, Bucket="b", Key="k", MirrorDestination="b")["Body"].close()
    headers = server.requests[0].headers
    assert headers.get("x-amz-request-payer") == "requester"
    assert headers.get("x-amz-expected-bucket-owner") == "111122223333"
    assert headers.get("mirror-destination") == "b"


@pytest.mark.row(9, 104)
def test_the_version_that_is_asked_for_is_the_one_that_comes(serve: Serve, get: Ask) -> None:
    old, new = (StoredObject(Content.generated(10, seed=seed), version_id=f"v{seed}") for seed in (1, 2))
    server = serve({"/b/k": old})
    server.put("/b/k", new)
    assert get(server)["VersionId"] == "v2"
    answer = get(server, VersionId="v1")
    assert answer["VersionId"] == "v1"
    assert answer["Body"].read() == old.content.read()


def test_a_call_with_other_connection_options_has_connections_of_its_own(
    server: ObjectServer, get: Ask, await_gone: Any, client_of: Any
) -> None:
    answer = get(server, stall_timeout=5.0, headers={"X-Mine": "1"})
    assert answer["Body"].read() == STORED.content.read()
    assert server.requests[0].headers.get("x-mine") == "1"
    await_gone(server)


def test_the_future_is_no_condition(server: ObjectServer, get: Ask) -> None:
    """A date in the future is sent as it is; what a store makes of it is up to the store (row 4)."""
    with pytest.raises(NotModified):
        get(server, IfModifiedSince=datetime.now(UTC) + timedelta(days=365))


@pytest.mark.parametrize("client", [aio.Client(), Config(), "s3"], ids=["awaitable", "config", "text"])
def test_what_is_no_client_is_refused_by_its_type(server: ObjectServer, client: Any) -> None:
    with pytest.raises(ConfigError, match=type(client).__qualname__) as caught:
        fastget.s3.get_object(client=client, Bucket="b", Key="k")
    assert caught.value.hint
    assert not server.requests
