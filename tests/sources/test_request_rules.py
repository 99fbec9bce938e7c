from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fastget.config import Config
from fastget.core.objectinfo import Pin
from fastget.core.ranges import Span
from fastget.errors import ConfigError
from fastget.sources.endpoints import S3Endpoints
from fastget.sources.http import HttpSource
from fastget.sources.resolve import resolve
from fastget.sources.s3 import S3Source

KEY = "30" * 32
DIRECTORY_BUCKET = "base--use1-az4--x-s3"
Ask = Callable[..., Any]


@pytest.fixture
def ask(endpoints: S3Endpoints) -> Ask:
    """The first request of an object by its URL and options."""

    def build(url: str = "s3://bucket/key", **options: Any) -> Any:
        return resolve(url, Config(**options), endpoints).get()

    return build


@pytest.mark.row(86, 110)
def test_a_range_and_a_part_number_exclude_each_other(endpoints: S3Endpoints) -> None:
    source = S3Source.of("s3://bucket/key", Config(), endpoints)
    with pytest.raises(ConfigError, match="Range and PartNumber exclude each other"):
        source.get(Span(0, 1), part_number=1)
    with pytest.raises(ConfigError, match="Range and PartNumber exclude each other"):
        source.request("GET", "bytes=-5", 1)


@pytest.mark.row(8)
@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_a_part_number_is_from_1_to_10000(number: int, endpoints: S3Endpoints) -> None:
    source = S3Source.of("s3://bucket/key", Config(), endpoints)
    with pytest.raises(ConfigError, match="from 1 to 10000"):
        source.head(part_number=number)
    assert source.get(part_number=10_000).url.query == "partNumber=10000"


@pytest.mark.row(102)
@pytest.mark.parametrize("given", ["option", "header"])
def test_a_customers_key_goes_over_tls_or_to_this_machine_only(given: str, ask: Ask) -> None:
    options: dict[str, Any] = {"sse_c_key": KEY}
    if given == "header":
        options = {"headers": {"X-Amz-Server-Side-Encryption-Customer-Key": "a2V5"}}
    for endpoint in ("http://store.example", "http://127.0.0.1.example:80", "http://10.0.0.1:9000"):
        with pytest.raises(ConfigError, match="https only"):
            ask(endpoint_url=endpoint, **options)
    for endpoint in ("https://store.example", "http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000"):
        name = "x-amz-server-side-encryption-customer-key"
        assert ask(endpoint_url=endpoint, addressing_style="path", **options).headers.get(name)


@pytest.mark.row(102)
def test_nor_does_one_given_as_a_header_leave_for_a_plain_http_url() -> None:
    headers = {"x-amz-server-side-encryption-customer-key": "a2V5"}
    with pytest.raises(ConfigError, match="https only"):
        resolve("http://bucket.s3.example/key", Config(headers=headers))
    assert resolve("https://bucket.s3.example/key", Config(headers=headers)).get()


@pytest.mark.row(102)
def test_a_plain_endpoint_of_the_environment_is_seen_too(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example")
    with pytest.raises(ConfigError, match="https only"):
        ask(sse_c_key=KEY)


@pytest.mark.row(105, 93)
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("response_cache_control", "no-cache"),
        ("response_content_disposition", "attachment"),
        ("response_content_encoding", "gzip"),
        ("response_content_language", "de"),
        ("response_content_type", "text/plain"),
        ("response_expires", "2026-03-02"),
    ],
)
def test_an_unsigned_request_cannot_change_the_headers_of_its_answer(option: str, value: str, ask: Ask) -> None:
    with pytest.raises(ConfigError, match=f"{option.replace('_', '-')} needs a signed request"):
        ask(no_sign_request=True, **{option: value})
    assert ask(headers={"Authorization": "Bearer token"}, **{option: value}).url.query.startswith("response-")


@pytest.mark.row(19)
def test_nobody_pays_for_an_unsigned_request(ask: Ask) -> None:
    with pytest.raises(ConfigError, match="request_payer needs a signed request"):
        ask(no_sign_request=True, request_payer="requester")


@pytest.mark.parametrize("name", ["X-Amz-Date", "x-amz-content-sha256"])
def test_what_a_signature_sets_is_no_header_of_the_users_unless_nothing_is_signed(name: str, ask: Ask) -> None:
    with pytest.raises(ConfigError, match=f"the header {name} is set by the signature"):
        ask(headers={name: "given"})
    for options in ({"no_sign_request": True}, {}):
        headers = {name: "given"} if options else {name: "given", "Authorization": "own"}
        assert ask(headers=headers, **options).headers.get_all(name) == ("given",)


@pytest.mark.row(87, 100)
@pytest.mark.parametrize(
    "name",
    [
        "x-amz-server-side-encryption",
        "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id",
        "x-amz-server-side-encryption-context",
        "x-amz-server-side-encryption-bucket-key-enabled",
    ],
)
def test_a_get_names_no_encryption_but_the_customers(name: str, ask: Ask) -> None:
    for url in ("s3://bucket/key", "https://bucket.s3.amazonaws.com/key"):
        with pytest.raises(ConfigError, match=name):
            ask(url, headers={name: "aws:kms"})


@pytest.mark.row(97)
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sse_c_key": KEY}, "SSE-C"),
        ({"version_id": "3sL4kqtJlcpXroDTDmJ"}, "version_id can only be null"),
        ({"request_payer": "requester"}, "requester pays"),
    ],
)
@pytest.mark.parametrize("bucket", [DIRECTORY_BUCKET, "my-ap--use1-az4--xa-s3"])
def test_directory_buckets_do_without_some_options(
    bucket: str, options: dict[str, Any], says: str, endpoints: S3Endpoints
) -> None:
    with pytest.raises(ConfigError, match=says):
        resolve(f"s3://{bucket}/key", Config(**options), endpoints)
    assert resolve(f"s3://{bucket}/key", Config(version_id="null"), endpoints)


@pytest.mark.row(3, 4, 5, 6, 106, 107, 108)
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"if_match": '"a"', "if_none_match": '"a"'}, "if_match and if_none_match"),
        ({"if_match": '"a"', "if_none_match": 'W/"b", "a"'}, "if_match and if_none_match"),
        ({"if_match": '"a"', "if_none_match": "*"}, "if_match and if_none_match"),
        ({"if_modified_since": "2026-02-01", "if_unmodified_since": "2026-01-01"}, "since"),
        ({"if_modified_since": "2026-02-01", "if_unmodified_since": "2026-02-01"}, "since"),
    ],
)
@pytest.mark.parametrize("url", ["s3://bucket/key", "https://host/file"])
def test_conditions_that_nothing_satisfies_are_refused(options: dict[str, str], says: str, url: str, ask: Ask) -> None:
    with pytest.raises(ConfigError, match=says):
        ask(url, **options)


@pytest.mark.row(106, 107)
@pytest.mark.parametrize(
    "options",
    [
        {"if_match": '"a"', "if_none_match": '"b"'},
        {"if_match": '"a", "b"', "if_none_match": '"b"'},
        {"if_match": '"a"', "if_modified_since": "2026-02-01", "if_unmodified_since": "2026-01-01"},
        {"if_none_match": '"a"', "if_modified_since": "2026-02-01", "if_unmodified_since": "2026-01-01"},
        {"if_modified_since": "2026-01-01", "if_unmodified_since": "2026-02-01"},
    ],
)
def test_conditions_that_go_together_are_sent(options: dict[str, str], ask: Ask) -> None:
    for url in ("s3://bucket/key", "https://host/file"):
        sent = ask(url, **options).headers
        assert all(name.replace("_", "-") in sent for name in options)


@pytest.mark.parametrize("url", ["s3://bucket/key", "https://host/file"])
def test_a_condition_is_given_once(url: str, ask: Ask) -> None:
    with pytest.raises(ConfigError, match="If-Match is given by an option and as a header"):
        ask(url, if_match='"a"', headers={"if-match": '"b"'})


@pytest.mark.row(119)
def test_request_headers_have_at_most_8_kb(ask: Ask) -> None:
    with pytest.raises(ConfigError, match="8192"):
        ask(headers={"x-amz-mine": "v" * 8000})
    assert ask(headers={"x-amz-mine": "v" * 6000})


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        ("version_id", "v1", "?versionId="),
        ("request_payer", "requester", "header x-amz-request-payer"),
        ("expected_bucket_owner", "123456789012", "header x-amz-expected-bucket-owner"),
        ("sse_c_key", KEY, "header x-amz-server-side-encryption-customer-key"),
        ("mirror_destination", "vault", "header Mirror-Destination"),
        ("response_content_type", "text/plain", "?response-content-type="),
        ("response_expires", "2026-03-02", "?response-expires="),
    ],
)
def test_what_s3_alone_understands_is_refused_for_plain_urls(option: str, value: str, hint: str, ask: Ask) -> None:
    with pytest.raises(ConfigError, match=f"{option} goes with s3:// URLs only") as caught:
        ask("https://host/file", **{option: value})
    assert hint in str(caught.value.hint)
    assert KEY not in f"{caught.value} {caught.value.hint}"


@pytest.mark.row(3, 4, 5, 6)
def test_conditions_go_with_plain_urls_too_and_only_with_the_first_request(ask: Ask) -> None:
    source = resolve(
        "https://host/file",
        Config(if_none_match='"a"', if_modified_since="2026-03-02T10:20:30Z", if_match='"b"'),
    )
    assert isinstance(source, HttpSource)
    first = source.get().headers
    assert (first.get("if-none-match"), first.get("if-match")) == ('"a"', '"b"')
    assert first.get("if-modified-since") == "Mon, 02 Mar 2026 10:20:30 GMT"
    assert source.head().headers.get("if-none-match") == '"a"'
    pinned = source.get(Span(0, 1), pin=Pin('"b"', None, None, 5)).headers
    assert pinned.get_all("if-match") == ('"b"',)
    assert "if-none-match" not in pinned
    assert "if-modified-since" not in pinned


@pytest.mark.parametrize(
    "options",
    [
        {"access_key_id": "AKID"},
        {"secret_access_key": "marked-secret"},
        {"session_token": "marked-token"},
        {"access_key_id": "AKID", "secret_access_key": "marked-secret", "no_sign_request": True},
    ],
)
def test_half_a_key_is_no_key(options: dict[str, Any], ask: Ask) -> None:
    with pytest.raises(ConfigError) as caught:
        ask(**options)
    assert "marked" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.row(117)
def test_a_head_on_ibm_cos_carries_no_response_parameters(endpoints: S3Endpoints) -> None:
    ibm, private = "s3.eu-de.cloud-object-storage.appdomain.cloud", "s3.private.us.cloud-object-storage.appdomain.cloud"
    for endpoint, count in ((f"https://{ibm}", 0), (f"https://{private}", 0), ("https://store.example", 1), (None, 1)):
        config = Config(endpoint_url=endpoint, response_content_type="text/plain")
        source = S3Source.of("s3://bucket/key", config, endpoints)
        assert str(source.get().url.query).count("response-content-type=text%2Fplain") == 1
        assert str(source.head().url.query).count("response-content-type") == count
