"""What an answer says about the request itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fastget.core.messages import Headers, Request, ResponseHead
from fastget.core.urls import URL
from fastget.sources.corrections import identity, refuses_credentials, region_named

Answer = Callable[..., ResponseHead]
AT = URL.parse("https://bucket.s3.eu-west-1.amazonaws.com/key")
SCOPE = "20260102/eu-west-1/s3/aws4_request"


def signed(key: str = "AKIA1", token: str | None = "t1", date: str = "20260102", method: str = "GET") -> Request:
    credential = f"Credential={key}/{SCOPE.replace('20260102', date)}, SignedHeaders=host, Signature=abc{date}"
    fields = [("Authorization", f"AWS4-HMAC-SHA256 {credential}")]
    return Request(method, AT, Headers([*fields, *([("X-Amz-Security-Token", token)] if token else [])]))


def document(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


@pytest.mark.row(92)
@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "ExpiredToken", True),
        (403, "ExpiredToken", True),
        (400, "TokenRefreshRequired", True),
        (403, "InvalidAccessKeyId", True),
        (401, "Unauthorized", True),
        (403, "AccessDenied", False),
        (403, "SignatureDoesNotMatch", False),
        (400, "InvalidRequest", False),
        (404, "ExpiredToken", False),
        (503, "SlowDown", False),
    ],
)
def test_only_the_credentials_themselves_are_renewed(status: int, code: str, expected: bool, answer: Answer) -> None:
    assert refuses_credentials(signed(), answer(status), document(code)) is expected


@pytest.mark.row(78, 92)
@pytest.mark.parametrize(
    ("method", "token", "status", "expected"),
    [
        ("HEAD", "t", 400, True),
        ("HEAD", None, 400, False),
        ("HEAD", "t", 403, False),
        ("GET", "t", 400, False),
        ("HEAD", None, 401, True),
    ],
)
def test_a_head_that_is_refused_without_a_word_may_be_about_a_token(
    method: str, token: str | None, status: int, expected: bool, answer: Answer
) -> None:
    assert refuses_credentials(signed(token=token, method=method), answer(status), b"") is expected


def test_a_head_names_its_code_in_a_header_where_the_store_is_minio(answer: Answer) -> None:
    head = answer(403, {"X-Minio-Error-Code": "InvalidTokenId"})
    assert refuses_credentials(signed(method="HEAD"), head, b"")


def test_requests_of_one_account_are_the_same_whenever_they_are_signed() -> None:
    assert identity(signed()) == identity(signed(date="20260103", method="HEAD"))
    assert identity(signed()) != identity(signed(key="AKIA2"))
    assert identity(signed()) != identity(signed(token="t2"))
    assert identity(signed()) != identity(signed(token=None))


def test_a_bearer_token_is_told_from_another() -> None:
    requests = [Request("GET", AT, Headers([("Authorization", f"Bearer {token}")])) for token in ("a", "b", "b")]
    assert identity(requests[0]) != identity(requests[1]) == identity(requests[2])


@pytest.mark.row(89)
@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            400,
            b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-gov-west-1</Region></Error>",
            "us-gov-west-1",
        ),
        (400, b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>nyc3</Region></Error>", "nyc3"),
        (301, b"<Error><Region>EU</Region></Error>", None),
        (301, b"<Error><Region>" + b"a" * 5000 + b"</Region></Error>", None),
        (403, b"<Error><Region>eu-west-1</Region></Error>", None),
        (307, b"", None),
    ],
)
def test_the_region_may_stand_in_the_error_document(
    status: int, body: bytes, expected: str | None, answer: Answer
) -> None:
    assert region_named(answer(status), body) == expected


@pytest.mark.parametrize("length", [63, 64])
def test_a_region_that_no_host_name_can_hold_is_none(length: int, answer: Answer) -> None:
    region = "a" * length
    assert region_named(answer(301, {"x-amz-bucket-region": region}), b"") == (region if length < 64 else None)
