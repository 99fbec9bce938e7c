from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from fastget.core.messages import ResponseHead
from fastget.errors import (
    AccessDenied,
    CredentialsError,
    FastgetError,
    NotFound,
    NotModified,
    ObjectArchived,
    ObjectDeleted,
    RangeNotSupported,
    ServerError,
    SourceChanged,
    SourceError,
    Throttled,
)
from fastget.sources.refusals import refusal_error

Answer = Callable[..., ResponseHead]
URL = "s3://bucket/key"


def document(code: str, message: str = "The store says so.", **more: str) -> bytes:
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    text = f"<Error><Code>{code}</Code><Message>{message}</Message>{fields}</Error>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", NotFound),
        (404, "NoSuchBucket", NotFound),
        (404, "NoSuchVersion", NotFound),
        (404, None, NotFound),
        (410, None, NotFound),
        (401, None, CredentialsError),
        (407, None, CredentialsError),
        (403, None, AccessDenied),
        (403, "AccessDenied", AccessDenied),
        (403, "AllAccessDisabled", AccessDenied),
        (451, None, AccessDenied),
        (403, "InvalidAccessKeyId", CredentialsError),
        (403, "SignatureDoesNotMatch", CredentialsError),
        (400, "ExpiredToken", CredentialsError),
        (400, "InvalidToken", CredentialsError),
        (403, "RequestTimeTooSkewed", CredentialsError),
        (400, "AuthorizationHeaderMalformed", CredentialsError),
        (400, "AuthorizationQueryParametersError", CredentialsError),
        (403, "InvalidObjectState", ObjectArchived),
        (412, "PreconditionFailed", SourceChanged),
        (412, None, SourceChanged),
        (304, None, NotModified),
        (416, "InvalidRange", RangeNotSupported),
        (416, "InvalidPartNumber", RangeNotSupported),
        (416, None, RangeNotSupported),
        (429, None, Throttled),
        (503, "SlowDown", Throttled),
        (503, None, Throttled),
        (400, "RequestLimitExceeded", Throttled),
        (400, "InvalidRequest", ServerError),
        (405, "MethodNotAllowed", ServerError),
        (409, "OperationAborted", ServerError),
        (500, "InternalError", ServerError),
        (501, "NotImplemented", ServerError),
        (502, None, ServerError),
        (301, None, ServerError),
        (599, None, ServerError),
    ],
)
def test_every_refusal_has_its_meaning(status: int, code: str | None, kind: type[SourceError], answer: Answer) -> None:
    body = document(code, "It is so.", RequestId="REQ", HostId="HOST") if code else b"<html>no</html>"
    error = refusal_error(answer(status, {"Content-Type": "application/xml"}), body, URL)
    assert type(error) is kind
    assert (error.url, error.reply.status if error.reply else None) == (URL, status)
    assert URL in str(error)
    assert str(status) in str(error)
    assert "\n" not in str(error)
    if code:
        assert error.reply is not None
        assert (error.reply.code, error.reply.message) == (code, "It is so.")
        assert (error.reply.request_id, error.reply.host_id) == ("REQ", "HOST")


@pytest.mark.parametrize("status", [404, 405])
def test_a_delete_marker_is_told_from_what_was_never_there(status: int, answer: Answer) -> None:
    head = answer(status, {"x-amz-delete-marker": "true"})
    assert type(refusal_error(head, document("NoSuchKey"), URL)) is ObjectDeleted
    unmarked = answer(status, {"x-amz-delete-marker": "false"})
    assert type(refusal_error(unmarked, b"", URL)) is not ObjectDeleted


@pytest.mark.parametrize("status", [401, 403, 404, 407, 412, 429, 503, 500])
def test_common_refusals_say_what_to_do(status: int, answer: Answer) -> None:
    assert refusal_error(answer(status), b"", URL).hint


def test_access_denied_may_mean_missing(answer: Answer) -> None:
    error = refusal_error(answer(403), document("AccessDenied"), URL)
    assert error.hint is not None
    assert "denied, or missing" in error.hint


def test_an_expired_signed_url_is_named_as_such(answer: Answer) -> None:
    error = refusal_error(answer(403), document("AccessDenied", "Request has expired"), URL)
    assert type(error) is CredentialsError
    assert "signed URL has expired" in str(error)


@pytest.mark.parametrize("status", [301, 400])
def test_a_bucket_in_another_region_is_named_in_the_hint(status: int, answer: Answer) -> None:
    error = refusal_error(answer(status, {"x-amz-bucket-region": "eu-west-1"}), b"", URL)
    assert error.hint == "the bucket is in eu-west-1: set region to it"
    evil = refusal_error(answer(status, {"x-amz-bucket-region": "x\x1b[31m"}), b"", URL)
    assert "\x1b" not in str(evil.hint)


@pytest.mark.fault("H40")
@pytest.mark.parametrize(
    ("value", "date", "expected"),
    [
        ("7", None, 7.0),
        ("0", None, 0.0),
        ("1000000000", None, 1e9),
        ("Wed, 21 Oct 2015 07:29:30 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", 90.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:29:30 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None, 0.0),
        ("soon", None, None),
        ("-5", None, None),
        ("1.5", None, None),
        ("9" * 400, None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date_on_the_servers_clock(
    value: str | None, date: str | None, expected: float | None, answer: Answer
) -> None:
    fields = {name: text for name, text in (("Retry-After", value), ("Date", date)) if text is not None}
    reply = refusal_error(answer(503, fields), document("SlowDown"), URL).reply
    assert reply is not None
    assert reply.retry_after == expected


@pytest.mark.fault("S17")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Error>",
        b"<Error><Code>NoSuchKey</Error>",
        b"\xff\xfe<Error/>",
        b'<?xml version="1.0" encoding="nonsense"?><Error><Code>NoSuchKey</Code></Error>',
        b'<!DOCTYPE x [<!ENTITY a "b">]><Error><Code>&a;</Code></Error>',
        b"<Error><Code>NoSuchKey</Code>" + b" " * 70_000 + b"</Error>",
        b'{"Error": "<Error>"}',
    ],
)
def test_a_body_that_is_no_plain_error_document_leaves_the_status_to_speak(body: bytes, answer: Answer) -> None:
    error = refusal_error(answer(500), body, URL)
    assert type(error) is ServerError
    assert error.reply is not None
    assert error.reply.code is None


def test_a_document_in_a_namespace_or_wrapped_in_a_response_is_read(answer: Answer) -> None:
    spaced = b'<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>NoSuchKey</Code></Error>'
    wrapped = b"<ErrorResponse><Error><Code>NoSuchKey</Code></Error></ErrorResponse>"
    for body in (spaced, wrapped):
        assert type(refusal_error(answer(400), body, URL)) is NotFound


@pytest.mark.fault("S10", "S11")
def test_the_words_of_a_server_are_bounded_and_hold_no_control_characters(answer: Answer) -> None:
    message = "evil&#13;&#10;\u202egpj.exe \x9b31m" + "a" * 5000
    head = answer(500, {"x-amz-request-id": "id\x1b[31m\u202e", "x-amz-id-2": "h" * 5000})
    error = refusal_error(head, document("Code\u0085", message), URL)
    assert error.reply is not None
    texts = [error.reply.code, error.reply.message, error.reply.request_id, error.reply.host_id, str(error)]
    for text in texts:
        assert text is not None
        assert text.isprintable()
        assert len(text) < 700


def test_the_code_of_a_head_answer_may_come_in_a_header(answer: Answer) -> None:
    assert type(refusal_error(answer(400, {"x-minio-error-code": "NoSuchKey"}), b"", URL)) is NotFound


def test_plain_text_is_repeated_and_html_is_not(answer: Answer) -> None:
    plain = refusal_error(answer(500, {"Content-Type": "text/plain; charset=utf-8"}), b"disk is full\nstack", URL)
    assert plain.reply is not None
    assert plain.reply.message == "disk is full"
    page = refusal_error(answer(500, {"Content-Type": "text/html"}), b"<h1>no</h1>", URL)
    assert page.reply is not None
    assert page.reply.message is None


@pytest.mark.fault("S12")
def test_a_secret_that_the_server_echoes_is_not_repeated(answer: Answer) -> None:
    body = document("SignatureDoesNotMatch", "you sent marked-token", StringToSign="marked-token")
    head = answer(403, {"x-amz-request-id": "marked-token"})
    error = refusal_error(head, body, URL, ["marked-token", "marked"])
    assert "marked" not in f"{error} {error.reply} {error.hint}"


def test_refusals_pickle(answer: Answer) -> None:
    error = refusal_error(answer(503, {"Retry-After": "3"}), document("SlowDown"), URL)
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, FastgetError)
    assert (type(copy), str(copy), copy.reply, copy.hint) == (
        type(error),
        str(error),
        error.reply,
        error.hint,
    )
