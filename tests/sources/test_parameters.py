from __future__ import annotations

import pickle
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from fastget.config import Config
from fastget.errors import ConfigError
from fastget.sources.parameters import Parameters

KEY = b"0123456789abcdef0123456789ABCDEF"
DATE = "Mon, 02 Mar 2026 10:20:30 GMT"
# Option, its value, and the SDK's name and value of the same.
EVERY_OPTION: tuple[tuple[str, str, str, Any], ...] = (
    ("if_match", '"abc"', "IfMatch", '"abc"'),
    ("if_none_match", '"def"', "IfNoneMatch", '"def"'),
    ("if_modified_since", DATE, "IfModifiedSince", datetime(2026, 3, 2, 10, 20, 30, tzinfo=UTC)),
    ("if_unmodified_since", DATE, "IfUnmodifiedSince", datetime(2026, 3, 2, 10, 20, 30, tzinfo=UTC)),
    ("response_cache_control", "no-cache, max-age=0", "ResponseCacheControl", "no-cache, max-age=0"),
    ("response_content_disposition", 'attachment; filename="ü.bin"', "ResponseContentDisposition", None),
    ("response_content_encoding", "gzip", "ResponseContentEncoding", "gzip"),
    ("response_content_language", "de, en", "ResponseContentLanguage", "de, en"),
    ("response_content_type", "text/plain; charset=utf-8", "ResponseContentType", "text/plain; charset=utf-8"),
    ("response_expires", DATE, "ResponseExpires", datetime(2026, 3, 2, 10, 20, 30, tzinfo=UTC)),
    ("sse_c_key", KEY.hex(), "SSECustomerKey", KEY),
    ("request_payer", "requester", "RequestPayer", "requester"),
    ("expected_bucket_owner", "123456789012", "ExpectedBucketOwner", "123456789012"),
)


def parameters_of(**options: Any) -> Parameters:
    return Parameters.of(Config(**options))


@pytest.fixture(scope="module")
def serialized() -> Any:
    """What botocore makes of the same parameters: header fields and query fields."""
    client = Session().create_client(
        "s3", region_name="us-east-1", aws_access_key_id="AKID", aws_secret_access_key="secret"
    )
    seen: list[Any] = []

    def take(params: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse

        seen.append(params)
        no_headers: Any = {}
        return AWSResponse("", 200, no_headers, None), {}

    client.meta.events.register_first("before-call.s3.GetObject", take)

    def serialize(**arguments: Any) -> tuple[dict[str, str], dict[str, str]]:
        client.get_object(Bucket="bucket", Key="key", **arguments)
        params = seen.pop()
        headers = {name.lower(): str(value) for name, value in params["headers"].items() if name != "User-Agent"}
        return headers, dict(params["query_string"])

    yield serialize
    client.close()


@pytest.mark.row(3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)
@pytest.mark.parametrize(("option", "value", "name", "argument"), EVERY_OPTION, ids=lambda item: str(item)[:30])
def test_a_parameter_is_written_as_botocore_writes_it(
    option: str, value: str, name: str, argument: Any, serialized: Any
) -> None:
    arguments = {name: value if argument is None else argument}
    if name == "SSECustomerKey":
        arguments["SSECustomerAlgorithm"] = "AES256"
    headers, query = serialized(**arguments, ChecksumMode="ENABLED")
    parameters = parameters_of(**{option: value})
    assert {field.lower(): text for field, text in parameters.headers(pinned=False)} == headers
    assert dict(parameters.query()) == query


@pytest.mark.row(3, 4, 5, 6)
def test_conditions_are_those_of_the_first_request_alone() -> None:
    config = Config(if_match='"a"', if_none_match='"b"', if_modified_since=DATE, if_unmodified_since=DATE)
    parameters = Parameters.of(config)
    assert [name for name, _ in parameters.headers(pinned=False)] == [
        "If-Match",
        "If-None-Match",
        "If-Modified-Since",
        "If-Unmodified-Since",
        "x-amz-checksum-mode",
    ]
    assert parameters.headers(pinned=True) == (("x-amz-checksum-mode", "ENABLED"),)


@pytest.mark.row(4, 6, 15)
@pytest.mark.parametrize(
    "text",
    [
        DATE,
        "2026-03-02T10:20:30Z",
        "2026-03-02T10:20:30",
        "2026-03-02 12:20:30+02:00",
        "2026-03-02T10:20:30.999Z",
        "20260302T102030Z",
        "Monday, 02-Mar-26 10:20:30 GMT",
        "Mon Mar  2 10:20:30 2026",
        "  Mon, 02 Mar 2026 05:20:30 -0500 ",
    ],
)
def test_a_date_is_read_in_every_form_of_http_and_of_iso_8601(text: str) -> None:
    assert Parameters.of(Config(if_modified_since=text)).conditions == (("If-Modified-Since", DATE),)
    assert Parameters.of(Config(response_expires=text)).query() == (("response-expires", DATE),)


@given(st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30)), st.integers(-1400, 1400))
def test_a_moment_of_any_zone_is_sent_in_gmt(moment: datetime, minutes: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    sent = dict(Parameters(if_modified_since=local).conditions)["If-Modified-Since"]
    assert datetime.strptime(sent, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC) == local.replace(microsecond=0)


@pytest.mark.parametrize("option", ["if_modified_since", "if_unmodified_since", "response_expires"])
@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "0000", "Mon, 99 Mar 2026 10:20:30 GMT"])
def test_a_text_that_is_no_date_is_told_with_the_option_that_holds_it(option: str, text: str) -> None:
    with pytest.raises(ConfigError, match=option):
        parameters_of(**{option: text})


@pytest.mark.row(17, 18)
@pytest.mark.parametrize(
    "text", [KEY.hex(), KEY.hex().upper(), b64encode(KEY).decode(), f" {b64encode(KEY).decode()}\n"]
)
def test_a_customers_key_is_read_from_hex_and_from_base64(text: str) -> None:
    parameters = Parameters.of(Config(sse_c_key=text))
    assert (parameters.sse_customer_key, parameters.sse_customer_algorithm) == (KEY, "AES256")


def test_the_digest_of_a_customers_key_is_the_one_that_s3_names() -> None:
    parameters = Parameters(sse_customer_key=b"0" * 32, sse_customer_algorithm="AES256")
    assert dict(parameters.headers(pinned=True))["x-amz-server-side-encryption-customer-key-MD5"] == (
        "zZ5FnqcIqUjVwvWmyog4zw=="
    )


def test_a_digest_that_is_given_is_sent_as_it_is() -> None:
    parameters = Parameters(
        sse_customer_key=KEY, sse_customer_algorithm="AES256", sse_customer_key_md5="rL0Y20zC+Fzt72VPzMSk2A=="
    )
    assert "rL0Y20zC+Fzt72VPzMSk2A==" in parameters.secrets


@pytest.mark.parametrize(
    "text", ["", "short", "z" * 64, b64encode(KEY + b"x").decode(), KEY.hex()[:-1], "marked-key é"]
)
def test_a_key_of_another_size_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match="32 bytes") as caught:
        Parameters.of(Config(sse_c_key=text))
    assert text not in str(caught.value) or not text
    assert caught.value.__context__ is None or "marked" not in str(caught.value.__context__)


@pytest.mark.row(16)
def test_a_key_needs_its_algorithm() -> None:
    with pytest.raises(ConfigError, match="algorithm"):
        Parameters(sse_customer_key=KEY)


@pytest.mark.parametrize("name", ["if_match", "version_id", "expected_bucket_owner", "mirror_destination"])
@pytest.mark.parametrize("text", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
def test_no_value_can_end_its_header_line(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=name):
        parameters_of(**{name: text})


@pytest.mark.row(22)
def test_the_mirror_is_named_as_given() -> None:
    assert ("Mirror-Destination", "vault-2") in Parameters.of(Config(mirror_destination="vault-2")).headers(pinned=True)


@pytest.mark.row(21)
def test_checksums_are_asked_for_unless_that_is_turned_off() -> None:
    assert Parameters().headers(pinned=True) == (("x-amz-checksum-mode", "ENABLED"),)
    assert Parameters(checksum_mode=None).headers(pinned=True) == ()


@pytest.mark.row(17)
def test_a_key_shows_in_no_representation_and_survives_pickling() -> None:
    parameters = Parameters.of(Config(sse_c_key=KEY.hex()))
    shown = f"{parameters!r} {parameters.query()}"
    assert not any(secret in shown for secret in (KEY.hex(), KEY.decode(), *parameters.secrets))
    assert pickle.loads(pickle.dumps(parameters)) == parameters
