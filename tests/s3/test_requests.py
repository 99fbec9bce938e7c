"""What get_object sends, compared with what botocore and ibm_botocore send for the same keywords.

The bar is no difference. Those that are kept on purpose stand in KEPT, each with its reason and a test of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastget
from fastget.errors import ConfigError
from fastget.testing import ObjectServer, RecordedRequest
from fastget.testing.answer import Answer, document
from fastget.testing.received import ReceivedRequest

KEPT = {
    "ibm response-expires": "ibm_botocore writes ISO 8601 where AWS's model, and S3, have an HTTP date (row 15)",
    "None": "the SDKs refuse a keyword that is None; for fastget it is not given",
    "break": "a line break in a value is refused before it is sent",
    "known to one": "a keyword that only one SDK knows is compared with that one alone",
}
# What tells about the SDK, the moment or the connection, not about the object.
UNCOMPARED_PREFIXES = ("amz-sdk-", "accept")
UNCOMPARED = {"authorization", "connection", "user-agent", "x-amz-content-sha256", "x-amz-date", "x-amz-user-agent"}
ONLY_IBM = {"MirrorDestination"}
NO_DEADLINE = settings(deadline=None, max_examples=80)


@dataclass(frozen=True)
class Wire:
    """A request without what is not compared. Query fields are the raw pairs, escapes and all."""

    method: str
    path: str
    query: frozenset[str]
    headers: frozenset[tuple[str, str]]


def wire(request: RecordedRequest) -> Wire:
    path, _, query = request.target.partition("?")
    fields = frozenset(
        (name.lower(), value)
        for name, value in request.headers
        if not name.lower().startswith(UNCOMPARED_PREFIXES) and name.lower() not in UNCOMPARED
    )
    pairs = frozenset(pair for pair in query.split("&") if pair and not pair.startswith("x-id="))
    return Wire(request.method, path, pairs, fields)


def nothing(request: ReceivedRequest) -> Answer:
    """An empty object under every name."""
    del request
    # Without the number of parts, a 200 is no answer to a request for one.
    return document(200, b"", ("ETag", '"0"'), ("Content-Type", "text/plain"), ("x-amz-mp-parts-count", "1"))


Compare = Callable[..., tuple[Wire, list[Wire]]]


@pytest.fixture(scope="module")
def one_server() -> Iterator[ObjectServer]:
    with ObjectServer({}, operations=[nothing]) as started:
        yield started


@pytest.fixture
def server(one_server: ObjectServer) -> ObjectServer:
    one_server.forget_requests()
    return one_server


@pytest.fixture
def sent(server: ObjectServer, sdk_client: Any, client_of: Any) -> Compare:
    """Asks with the same keywords in all ways: what fastget sent, and what each SDK sent that knows them."""
    client = client_of(server)
    sdks = {"aws": sdk_client("aws", server), "ibm": sdk_client("ibm", server)}

    def ask(*names: str, **keywords: Any) -> tuple[Wire, list[Wire]]:
        server.forget_requests()
        fastget.s3.get_object(client=client, **keywords)["Body"].close()
        chosen = names or (("ibm",) if ONLY_IBM & set(keywords) else ("aws", "ibm"))
        for name in chosen:
            if name == "ibm" and "ResponseExpires" in keywords:
                continue  # KEPT
            sdks[name].get_object(**keywords)["Body"].close()
        ours, *theirs = map(wire, server.requests)
        return ours, theirs

    return ask


# Values ----------------------------------------------------------------------------------------------------------

_TRICKY = [
    " ",
    "+",
    "%",
    "%2F",
    "%25",
    "//",
    "/",
    ".",
    "..",
    "/../",
    "/./",
    "~",
    "?",
    "#",
    "&",
    "=",
    ";",
    ":",
    "é",
    "文",
    "😀",
]
_LETTERS = st.characters(codec="utf-8", exclude_characters="\r\n\0")
keys = st.one_of(
    st.lists(st.one_of(st.sampled_from(_TRICKY), st.text(_LETTERS, max_size=8)), min_size=1, max_size=40).map("".join),
    st.text(_LETTERS, min_size=1, max_size=1024),
).filter(lambda key: 0 < len(key.encode()) <= 1024)
_PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
field_values = st.text(_PRINTABLE, min_size=1, max_size=60).filter(lambda value: value == value.strip())
query_values = st.text(_LETTERS, min_size=1, max_size=60)
moments = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))
etags = st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E), min_size=1, max_size=40).map(lambda x: f'"{x}"')
customer_keys = st.one_of(st.binary(min_size=32, max_size=32), st.text(_PRINTABLE, min_size=32, max_size=32))
positions = st.integers(min_value=0, max_value=5 * 2**40)
ranges = st.one_of(
    st.tuples(positions, positions).map(lambda pair: f"bytes={min(pair)}-{max(pair)}"),
    positions.map(lambda start: f"bytes={start}-"),
    positions.map(lambda length: f"bytes=-{length}"),
    st.just("bytes=0-1,4-5"),
)
keywords = st.fixed_dictionaries(
    {"Bucket": st.just("bucket"), "Key": keys},
    optional={
        "IfMatch": etags,
        "IfModifiedSince": moments,
        "VersionId": query_values,
        "ResponseCacheControl": query_values,
        "ResponseContentDisposition": query_values,
        "ResponseContentEncoding": query_values,
        "ResponseContentLanguage": query_values,
        "ResponseContentType": query_values,
        "ResponseExpires": moments,
        "RequestPayer": st.just("requester"),
        "ExpectedBucketOwner": st.from_regex(r"[0-9]{12}", fullmatch=True),
        "ChecksumMode": st.just("ENABLED"),
        "MirrorDestination": field_values,
    },
)
places: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}), ranges.map(lambda text: {"Range": text}), st.integers(1, 10_000).map(lambda n: {"PartNumber": n})
)
customers: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}), customer_keys.map(lambda key: {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key})
)
others: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}), moments.map(lambda moment: {"IfUnmodifiedSince": moment}), etags.map(lambda tag: {"IfNoneMatch": tag})
)


# No difference ---------------------------------------------------------------------------------------------------


@pytest.mark.row(*range(1, 24), 101)
def test_any_keywords_make_the_request_that_the_sdks_make(sent: Compare) -> None:
    @NO_DEADLINE
    @given(keywords, places, customers, others)
    def check(basic: dict[str, Any], place: dict[str, Any], customer: dict[str, Any], other: dict[str, Any]) -> None:
        chosen = {**basic, **place, **customer, **other}
        if "IfMatch" in chosen or "IfNoneMatch" in chosen:
            chosen = {"IfMatch": '"one"', **chosen} if "IfNoneMatch" not in chosen else chosen
            chosen.pop("IfModifiedSince", None)
        if "IfNoneMatch" in chosen and chosen.get("IfMatch") == chosen["IfNoneMatch"]:
            del chosen["IfMatch"]
        if "IfModifiedSince" in chosen and "IfUnmodifiedSince" in chosen:
            chosen["IfUnmodifiedSince"] = chosen["IfModifiedSince"] + timedelta(days=1)
        ours, theirs = sent(**chosen)
        for one in theirs:
            assert ours == one

    check()


@pytest.mark.row(2)
@pytest.mark.parametrize(
    "key",
    [
        "a b",
        "a+b",
        "100%",
        "%2e%2e",
        "//",
        "/lead",
        "trail/",
        "a//b",
        "..",
        ".",
        "a/../b",
        "a/./b",
        "é/文/😀",
        "~",
        "?a=b#c",
        "é" * 512,
    ],
)
def test_a_key_goes_out_as_the_sdks_escape_it(sent: Compare, key: str) -> None:
    ours, theirs = sent(Bucket="bucket", Key=key)
    assert len(theirs) == 2
    assert theirs == [ours, ours]


SINGLE = [
    (1, {"Bucket": "another-bucket"}),
    (3, {"IfMatch": '"0ee2e5d57e74cee33179f026711aa423-2"'}),
    (3, {"IfMatch": '"a", "b"'}),
    (3, {"IfMatch": "*"}),
    (4, {"IfModifiedSince": datetime(2026, 3, 2, 10, 20, 30, 999999, UTC)}),
    (4, {"IfModifiedSince": datetime(2026, 3, 2, 10, 20, 30)}),
    (4, {"IfModifiedSince": "2026-03-02T10:20:30Z"}),
    (4, {"IfModifiedSince": 1772446830}),
    (5, {"IfNoneMatch": '"x"'}),
    (6, {"IfUnmodifiedSince": datetime(2026, 3, 2, 10, 20, 30, tzinfo=UTC)}),
    (7, {"Range": "bytes=0-9"}),
    (7, {"Range": "bytes=-5"}),
    (7, {"Range": "bytes=0-1,5-6"}),
    (8, {"PartNumber": 1}),
    (8, {"PartNumber": 10_000}),
    (9, {"VersionId": "null"}),
    (9, {"VersionId": "3HL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY/MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo"}),
    (10, {"ResponseCacheControl": "no-cache, max-age=0"}),
    (11, {"ResponseContentDisposition": "attachment; filename=\"a b+c.txt\"; filename*=UTF-8''%e2%82%ac"}),
    (12, {"ResponseContentEncoding": "gzip"}),
    (13, {"ResponseContentLanguage": "de-DE, en"}),
    (14, {"ResponseContentType": "text/plain; charset=utf-8"}),
    (15, {"ResponseExpires": datetime(2026, 3, 2, 10, 20, 30, tzinfo=UTC)}),
    (16, {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "0" * 32}),
    (17, {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(32))}),
    (
        18,
        {
            "SSECustomerAlgorithm": "AES256",
            "SSECustomerKey": "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=",
            "SSECustomerKeyMD5": "zZ5FnqcIqUjVwvWmyog4zw==",
        },
    ),
    (19, {"RequestPayer": "requester"}),
    (20, {"ExpectedBucketOwner": "111122223333"}),
    (21, {"ChecksumMode": "ENABLED"}),
    (21, {}),
    (22, {"MirrorDestination": "vault-1"}),
]


@pytest.mark.parametrize("keyword", [pytest.param(keyword, marks=pytest.mark.row(row)) for row, keyword in SINGLE])
def test_a_keyword_goes_out_as_the_sdks_write_it(sent: Compare, keyword: dict[str, Any]) -> None:
    ours, theirs = sent(**{"Bucket": "bucket", "Key": "key", **keyword})
    assert theirs
    for one in theirs:
        assert ours == one


@pytest.mark.row(18)
def test_the_digest_of_a_customers_key_is_computed(sent: Compare) -> None:
    ours, _ = sent(Bucket="b", Key="k", SSECustomerAlgorithm="AES256", SSECustomerKey="0" * 32)
    headers = dict(ours.headers)
    assert headers["x-amz-server-side-encryption-customer-key-md5"] == "zZ5FnqcIqUjVwvWmyog4zw=="


@pytest.mark.row(23)
def test_no_tracing_field_is_sent(server: ObjectServer, sent: Compare) -> None:
    sent("aws", Bucket="b", Key="k")
    assert "x-id" not in server.requests[0].target
    assert not any(name.lower().startswith("amz-sdk-") for name, _ in server.requests[0].headers)


@pytest.mark.row(87, 100)
def test_no_encryption_is_asked_for(sent: Compare) -> None:
    ours, _ = sent(Bucket="b", Key="k")
    assert not any(name.startswith("x-amz-server-side-encryption") for name, _ in ours.headers)


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.row(4, 6, 15)
@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=-3, minutes=-30))])
def test_a_moment_is_the_same_in_every_zone(in_tokyo: None, sent: Compare, zone: tzinfo | None) -> None:
    moment = datetime(2026, 3, 2, 23, 20, 30, tzinfo=zone)
    ours, theirs = sent("aws", Bucket="b", Key="k", IfModifiedSince=moment, ResponseExpires=moment)
    assert theirs == [ours]


# Differences that are kept ---------------------------------------------------------------------------------------


@pytest.mark.row(15)
def test_kept_response_expires_is_an_http_date_for_ibm_too(
    server: ObjectServer, sent: Compare, sdk_client: Any
) -> None:
    moment = datetime(2026, 3, 2, 10, 20, 30, tzinfo=UTC)
    ours, (aws,) = sent("aws", Bucket="b", Key="k", ResponseExpires=moment)
    assert ours == aws
    sdk_client("ibm", server).get_object(Bucket="b", Key="k", ResponseExpires=moment)
    ibm = wire(server.requests[-1])
    assert ibm.query == {"response-expires=2026-03-02T10%3A20%3A30Z"}, KEPT["ibm response-expires"]


def test_kept_a_keyword_that_is_none_is_not_given(server: ObjectServer, client_of: Any, sdk_client: Any) -> None:
    from botocore.exceptions import ParamValidationError

    client = client_of(server)
    nones = {"IfMatch": None, "PartNumber": None, "IfModifiedSince": None, "SSECustomerKey": None}
    choices: tuple[dict[str, Any], ...] = ({}, nones)
    for given_none in choices:
        fastget.s3.get_object(client=client, Bucket="b", Key="k", **given_none)["Body"].close()
    first, second = map(wire, server.requests)
    assert first == second, KEPT["None"]
    with pytest.raises(ParamValidationError):
        sdk_client("aws", server).get_object(Bucket="b", Key="k", IfMatch=None)


@pytest.mark.parametrize("break_", ["\r\nX-Evil: 1", "\n", "\0"])
def test_kept_a_line_break_is_refused_before_anything_is_sent(
    server: ObjectServer, client_of: Any, break_: str
) -> None:
    for keyword in ("IfMatch", "ResponseContentType", "MirrorDestination", "Range"):
        chosen: dict[str, Any] = {keyword: f"a{break_}"}
        with pytest.raises(ConfigError, match="line break"):
            fastget.s3.get_object(client=client_of(server), Bucket="b", Key="k", **chosen)
    assert not server.requests, KEPT["break"]
