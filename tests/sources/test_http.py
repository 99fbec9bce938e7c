from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable

import pytest

import fastget
from fastget.config import Config
from fastget.core.messages import Headers, ResponseHead
from fastget.core.objectinfo import ObjectInfo, Pin
from fastget.core.ranges import Span
from fastget.core.urls import URL
from fastget.errors import ConfigError, ProtocolError
from fastget.sources.http import HttpSource
from fastget.sources.requests import USER_AGENT

Answer = Callable[..., ResponseHead]
PRESIGNED = (
    "https://b.s3.amazonaws.com/k%20x?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=abcdef&X-Amz-SignedHeaders="
)


def source(url: str, **headers: str) -> HttpSource:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpSource.of(URL.parse(url), Config(headers=named).headers)


def pin(etag: str | None = '"abc"', last_modified: str | None = None) -> Pin:
    return Pin(etag=etag, version_id=None, last_modified=last_modified, size=100)


def s3_info(**fields: str) -> ObjectInfo:
    items = [("x-amz-request-id", "1"), *((name.replace("_", "-"), value) for name, value in fields.items())]
    return ObjectInfo(url="u", size=1, headers=Headers(items))


def test_the_first_request_is_a_plain_get_that_asks_for_stored_bytes_and_digests() -> None:
    request = source("https://host/a?b=c").get()
    assert (request.method, request.url.target) == ("GET", "/a?b=c")
    assert request.headers.get("Accept-Encoding") == "identity"
    assert request.headers.get("User-Agent") == USER_AGENT
    assert request.headers.get("Want-Repr-Digest") == "sha-256=10, sha-512=5"
    assert request.headers.get("x-amz-checksum-mode") == "ENABLED"
    assert "Range" not in request.headers
    assert "If-Match" not in request.headers


def test_a_bare_url_is_asked_for_as_any_other() -> None:
    bare = source("https://host/a")
    renewable = HttpSource.of(URL.parse("https://host/a"), {}, refresh=str)
    assert bare.get() == renewable.get()
    assert bare.head() == renewable.head()


def test_the_user_agent_names_the_version_of_the_package() -> None:
    assert f"fastget/{fastget.__version__}" == USER_AGENT


def test_a_span_becomes_an_inclusive_range_pinned_to_the_strong_etag() -> None:
    request = source("https://host/a").get(Span(10, 20), pin=pin())
    assert request.headers.get("Range") == "bytes=10-19"
    assert request.headers.get("If-Match") == '"abc"'
    assert "If-Unmodified-Since" not in request.headers
    assert "Want-Repr-Digest" not in request.headers


@pytest.mark.fault("H54", "H56")
@pytest.mark.parametrize("etag", ['W/"abc"', None, '""', "*"])
def test_without_a_strong_etag_the_date_pins(etag: str | None) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    request = source("https://host/a").get(Span(0, 1), pin=pin(etag, date))
    assert "If-Match" not in request.headers
    assert request.headers.get("If-Unmodified-Since") == date


def test_a_request_never_asks_for_a_span_and_a_part() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        source("https://host/a").get(Span(0, 1), part_number=1)


def test_a_part_number_is_added_to_the_query() -> None:
    assert source("https://host/a").get(part_number=3).url.target == "/a?partNumber=3"
    assert source("https://host/a?versionId=x").head(part_number=3).url.target == "/a?versionId=x&partNumber=3"


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Signature=1",
        "AWSAccessKeyId=a&Signature=b&Expires=4102444800",
        "sv=1&sig=abc",
        "X-Goog-Signature=1",
        "x-oss-signature=2",
        "Policy=a&Signature=b&Key-Pair-Id=c",
    ],
)
def test_nothing_is_added_to_a_signed_url(query: str) -> None:
    signed = source(f"https://host/a?{query}")
    with pytest.raises(ConfigError, match="signed URL"):
        signed.get(part_number=1)
    assert not signed.traits(s3_info()).part_numbers
    assert signed.get(Span(0, 5)).url.query == query
    assert not [name for name, _ in signed.get().headers if name.lower().startswith("x-amz-")]


@pytest.mark.parametrize(("names", "expected"), [("host", None), ("host%3Bx-amz-checksum-mode", "ENABLED")])
def test_a_presigned_url_gets_the_checksum_mode_only_where_its_signature_covers_it(
    names: str, expected: str | None
) -> None:
    assert source(PRESIGNED + names).get().headers.get("x-amz-checksum-mode") == expected


def test_headers_of_the_user_win_and_go_with_every_request() -> None:
    mine = source("https://host/a", User_Agent="mine", X_Extra="1", accept_encoding="br")
    for request in (mine.get(), mine.get(Span(0, 1), pin=pin()), mine.head()):
        assert request.headers.get_all("User-Agent") == ("mine",)
        assert request.headers.get_all("Accept-Encoding") == ("br",)
        assert request.headers.get("X-Extra") == "1"


def test_a_condition_of_the_user_is_asked_by_the_first_request_only() -> None:
    mine = source("https://host/a", If_None_Match='"old"', If_Match='"mine"')
    assert mine.get().headers.get("If-None-Match") == '"old"'
    assert mine.get().headers.get("If-Match") == '"mine"'
    pinned = mine.get(Span(0, 1), pin=pin())
    assert "If-None-Match" not in pinned.headers
    assert pinned.headers.get_all("If-Match") == ('"abc"',)


@pytest.mark.parametrize(
    ("userinfo", "pair"),
    [("token", "token:"), ("me:", "me:"), (":pw", ":pw"), ("me:a:b", "me:a:b"), ("me:%C3%A9%3A", "me:é:")],
)
def test_user_info_without_a_password_has_an_empty_one(userinfo: str, pair: str) -> None:
    authorization = source(f"https://{userinfo}@host/a").get().headers.get("Authorization") or ""
    assert b64decode(authorization.removeprefix("Basic ")).decode() == pair


def test_user_info_becomes_basic_credentials_and_is_never_shown() -> None:
    mine = source("https://me:marked%40pass@host/a?token=marked")
    assert mine.get().headers.get("Authorization") == "Basic bWU6bWFya2VkQHBhc3M="
    shown = f"{mine!r} {mine} {mine.display_url} {mine.get()!r} {mine.get()}"
    assert "marked" not in shown
    assert "bWU6" not in shown


def test_an_authorization_header_of_the_user_wins_over_user_info() -> None:
    assert source("https://me:pw@host/a", Authorization="Bearer x").get().headers.get_all("Authorization") == (
        "Bearer x",
    )


@pytest.mark.fault("S1", "S2", "S3")
@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/b%20c.iso?x=y", "b c.iso"),
        ("https://h/", ""),
        ("https://h/a/..", ""),
        ("https://h/a%2F..%2F..%2Fetc", ""),
        ("https://h/..%2f..", ""),
        ("https://h/a%5Cb", ""),
        ("https://h/a%0Ab", ""),
        ("https://h/a%00b", ""),
        ("https://h/a%C2%85b", ""),
        ("https://h/a%2520b", "a%20b"),
        ("https://h/...", "..."),
    ],
)
def test_the_filename_is_the_last_component_decoded_where_that_is_a_plain_name(url: str, name: str) -> None:
    assert source(url).filename == name


@pytest.mark.parametrize(
    ("fields", "part_numbers", "etag_is_md5"),
    [
        ({}, False, False),
        ({"server": "nginx"}, False, False),
        ({"server": "AmazonS3"}, True, True),
        ({"x-amz-request-id": "1"}, True, True),
        ({"x-amz-version-id": "1"}, True, False),
        ({"x-amz-checksum-type": "COMPOSITE"}, True, False),
        ({"server": "AmazonS3", "x-amz-server-side-encryption": "AES256"}, True, True),
        ({"server": "AmazonS3", "x-amz-server-side-encryption": "aws:kms"}, True, False),
        ({"server": "AmazonS3", "x-amz-server-side-encryption": "aws:kms:dsse"}, True, False),
        ({"server": "AmazonS3", "x-amz-server-side-encryption-customer-algorithm": "AES256"}, True, False),
        ({"server": "AmazonS3", "x-amz-storage-class": "EXPRESS_ONEZONE"}, True, False),
        ({"x-amz-request-id": "1", "X-Clv-Request-Id": "1"}, True, True),
        (
            {"x-amz-request-id": "1", "X-Clv-Request-Id": "1", "x-amz-server-side-encryption": "AES256"},
            True,
            False,
        ),
        ({"x-amz-request-id": "1", "ibm-sse-kp-enabled": "True"}, True, False),
    ],
)
def test_traits_follow_from_who_answered(
    fields: dict[str, str], part_numbers: bool, etag_is_md5: bool, answer: Answer
) -> None:
    mine = source("https://host/a")
    traits = mine.traits(mine.describe(answer(200, fields)))
    assert (traits.part_numbers, traits.etag_is_md5) == (part_numbers, etag_is_md5)
    assert traits.full_status_ranges == part_numbers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/b?c=d", "https://host/b?c=d"),
        ("b", "https://host/x/b"),
        ("https://other:8443/b?c=%2F#frag", "https://other:8443/b?c=%2F"),
        ("//other/b", "https://other/b"),
        ("https://me:pw@host/b", "https://host/b"),
        ("/Ã©t%C3%A9", "https://host/%C3%A9t%C3%A9"),
        ("/日", "https://host/%E6%97%A5"),
        ("/\xe9t\xe9?\xff", "https://host/%E9t%E9?%FF"),
    ],
)
def test_a_redirect_leads_to_its_location(status: int, location: str, expected: str, answer: Answer) -> None:
    target = source("https://host/x/a").redirected(answer(status, {"Location": location}))
    assert target is not None
    assert target.url.unredacted == expected
    assert "Authorization" not in target.get().headers
    assert (target.display_url, target.filename) == ("https://host/x/a", "a")


@pytest.mark.parametrize("status", [200, 206, 300, 304, 305, 404, 503])
def test_other_statuses_are_no_redirects(status: int, answer: Answer) -> None:
    assert source("https://host/a").redirected(answer(status, {"Location": "/b"})) is None
    assert source("https://host/a").redirected(answer(302)) is None


@pytest.mark.fault("H29", "H31")
@pytest.mark.parametrize(
    "location",
    [
        "http://host/a",
        "file:///etc/passwd",
        "ftp://host/a",
        "data:,x",
        "https://h:x/",
        "https://host/a\nb",
        "s3://b/k",
    ],
)
def test_a_redirect_to_where_fastget_does_not_go_is_an_error(location: str, answer: Answer) -> None:
    with pytest.raises(ProtocolError) as caught:
        source("https://host/a?k=marked").redirected(answer(302, {"Location": location}))
    assert not caught.value.is_transient
    assert "marked" not in str(caught.value)


@pytest.mark.fault("H32")
def test_several_locations_are_an_error_when_they_differ(answer: Answer) -> None:
    mine = source("http://host/a")
    with pytest.raises(ProtocolError, match="several"):
        mine.redirected(answer(302, {"Location": "/b"}, ("location", "/c")))
    same = mine.redirected(answer(302, {"Location": "/b"}, ("location", "/b")))
    assert same is not None
    assert same.url.path == "/b"


@pytest.mark.fault("H27")
def test_redirects_in_a_circle_end_in_an_error(answer: Answer) -> None:
    hop: HttpSource | None = source("http://host/a")
    for _ in range(10):
        assert hop is not None
        hop = hop.redirected(answer(302, {"Location": "/a"}))
    assert hop is not None
    with pytest.raises(ProtocolError, match="10 times"):
        hop.redirected(answer(302, {"Location": "/a"}))


SECRETS = {
    "Authorization": "marked-1",
    "Cookie": "marked-2",
    "X-Amz-Server-Side-Encryption-Customer-Key": "marked-3",
    "x-api-key": "marked-4",
    "PRIVATE-TOKEN": "marked-5",
    "X-Vault-Token": "marked-6",
    "Proxy-Authorization": "marked-7",
    "Subscription-Key": "marked-8",
    "X-Client-Secret": "marked-9",
    "X-Hub-Signature": "marked-10",
    "x-amz-request-payer": "marked-11",
}


@pytest.mark.fault("H28", "S15")
@pytest.mark.parametrize("location", ["https://other/b", "https://host:8443/b", "https://sub.host/b"])
def test_secrets_stay_with_the_origin_that_they_were_given_for(location: str, answer: Answer) -> None:
    mine = HttpSource.of(URL.parse("https://host/a"), {**SECRETS, "X-Plain": "kept"})
    there = mine.redirected(answer(302, {"Location": location}))
    assert there is not None
    back = there.redirected(answer(302, {"Location": "https://host/c"}))
    assert back is not None
    for request in (there.get(), there.head(), back.get(Span(0, 1))):
        assert "marked" not in " ".join(value for _, value in request.headers)
        assert request.headers.get("X-Plain") == "kept"


def test_secrets_follow_a_redirect_within_their_origin(answer: Answer) -> None:
    there = source("https://me:pw@host/a").redirected(answer(308, {"Location": "https://HOST:443/b"}))
    assert there is not None
    assert there.get().headers.get("Authorization") == "Basic bWU6cHc="


@pytest.mark.fault("H28")
def test_http_may_redirect_up_to_https_as_a_new_origin(answer: Answer) -> None:
    there = source("http://me:pw@host/a").redirected(answer(301, {"Location": "https://host/a"}))
    assert there is not None
    assert there.url.origin.scheme == "https"
    assert "Authorization" not in there.get().headers


@pytest.mark.fault("S12")
def test_a_redirect_that_names_a_secret_is_told_without_it(answer: Answer) -> None:
    mine = HttpSource.of(URL.parse("https://me:marked-password@host/a?sig=marked-query"), {"X-Api-Key": "marked-key"})
    for secret in ("marked-password", "marked-query", "marked-key"):
        with pytest.raises(ProtocolError) as caught:
            mine.redirected(answer(302, {"Location": f"http://{secret}/{secret}/b"}))
        assert "marked" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.fault("S12")
def test_what_another_server_repeats_of_the_way_to_it_is_told_without_secrets(answer: Answer) -> None:
    mine = HttpSource.of(URL.parse("https://me:marked-password@host/a?sig=marked-query"), {"X-Api-Key": "marked-key"})
    there = mine.redirected(answer(302, {"Location": "https://other/marked-key/marked-password/marked-query"}))
    assert there is not None
    said = b"no /marked-key/marked-password/marked-query here"
    assert "marked" not in f"{there.refusal(answer(404, {'Content-Type': 'text/plain'}), said)}"
    assert there.describe(answer(200, {"ETag": '"marked-key"', "X-Path": "marked-query"})).headers == Headers(())


@pytest.mark.fault("S12")
def test_an_error_repeats_no_secret_of_the_url_or_the_headers(answer: Answer) -> None:
    mine = HttpSource.of(URL.parse("https://h/a?token=marked-url-token"), {"X-Api-Key": "marked-key"})
    body = b"no entry for marked-key at /a?token=marked-url-token (marked-url-token)"
    error = mine.refusal(answer(500, {"Content-Type": "text/plain"}), body)
    assert "no entry for" in str(error)
    assert "marked" not in f"{error} {error.reply!r} {error!r}"
