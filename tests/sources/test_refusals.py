from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from fastget.core.messages import Headers, ResponseHead
from fastget.errors import (
    AccessDenied,
    CredentialsError,
    FastgetError,
    NotFound,
    NotModified,
    ObjectArchived,
    ObjectDeleted,
    ProtocolError,
    RangeNotSupported,
    ServerError,
    SourceChanged,
    SourceError,
    Throttled,
)
from fastget.sources.refusals import explained, is_about_kms, refusal_error

Answer = Callable[..., ResponseHead]
URL = "s3://bucket/key"


def document(code: str, message: str = "The store says so.", **more: str) -> bytes:
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    text = f"<Error><Code>{code}</Code><Message>{message}</Message>{fields}</Error>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


@pytest.mark.row(74, 75, 76, 77, 81, 82, 83, 84, 85, 90, 91, 92)
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
        (529, None, Throttled),
        (400, "RequestLimitExceeded", Throttled),
        (400, "KMS.ThrottlingException", Throttled),
        (403, "RequestThrottled", Throttled),
        (400, "RequestThrottledException", Throttled),
        (400, "ThrottledException", Throttled),
        (400, "TooManyRequestsException", Throttled),
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


@pytest.mark.parametrize("code", [None, "NotImplemented"])
def test_who_asks_for_what_a_server_does_not_have_is_not_told_to_try_again(code: str | None, answer: Answer) -> None:
    error = refusal_error(answer(501), document(code) if code else b"", URL)
    assert error.message.startswith(f"{URL}: the server does not know what was asked of it (501 ")
    assert error.hint
    assert "again" not in error.hint


@pytest.mark.parametrize("status", [401, 403, 404, 407, 412, 429, 503, 500])
def test_common_refusals_say_what_to_do(status: int, answer: Answer) -> None:
    assert refusal_error(answer(status), b"", URL).hint


@pytest.mark.parametrize(
    "body",
    [
        b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
    ],
    ids=["nginx", "go", "apache"],
)
def test_who_asks_without_tls_where_the_server_speaks_it_is_told_to_use_https(body: bytes, answer: Answer) -> None:
    error = refusal_error(answer(400), body, URL)
    assert type(error) is ServerError
    assert "https://" in (error.hint or "")
    assert "https://" not in (refusal_error(answer(400), b"Bad Request", URL).hint or "")


@pytest.mark.row(91)
def test_too_many_calls_of_kms_are_no_matter_of_permissions(answer: Answer) -> None:
    words = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
    error = refusal_error(answer(400), document("ThrottlingException", words), URL)
    assert type(error) is Throttled


@pytest.mark.row(77)
def test_access_denied_may_mean_missing(answer: Answer) -> None:
    error = refusal_error(answer(403), document("AccessDenied"), URL)
    assert error.hint is not None
    assert "denied, or missing" in error.hint


def test_an_expired_signed_url_is_named_as_such(answer: Answer) -> None:
    error = refusal_error(answer(403), document("AccessDenied", "Request has expired"), "https://host/bucket/key")
    assert type(error) is CredentialsError
    assert "signed URL has expired" in str(error)


@pytest.mark.parametrize("code", ["AccessDenied", "RequestExpired"])
@pytest.mark.parametrize("url", ["s3://bucket/key", "cos://bucket/key"])
def test_what_has_expired_of_a_request_that_names_bucket_and_key_are_the_credentials(
    answer: Answer, url: str, code: str
) -> None:
    error = refusal_error(answer(403), document(code, "Token has expired"), url)
    assert type(error) is CredentialsError
    assert error.message.startswith(f"{url}: the credentials have expired (403")


@pytest.mark.parametrize("status", [301, 400])
def test_a_bucket_in_another_region_is_named_in_the_hint(status: int, answer: Answer) -> None:
    error = refusal_error(answer(status, {"x-amz-bucket-region": "eu-west-1"}), b"", URL)
    assert error.hint == "the bucket is in eu-west-1: set region to it"
    evil = refusal_error(answer(status, {"x-amz-bucket-region": "x\x1b[31m"}), b"", URL)
    assert "\x1b" not in str(evil.hint)
    endless = refusal_error(answer(status, {"x-amz-bucket-region": "a" * 64}), b"", URL)
    assert "aaa" not in str(endless.hint)


@pytest.mark.parametrize(("status", "hint"), [(403, "denied, or missing"), (404, "check the spelling")])
def test_a_region_that_is_told_with_any_refusal_is_no_way_out(status: int, hint: str, answer: Answer) -> None:
    # S3 names a bucket's region to those who are denied it, too, in whichever region they ask.
    error = refusal_error(answer(status, {"x-amz-bucket-region": "eu-west-1"}), b"", URL)
    assert str(error.hint).startswith(hint)


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
        ("1.5", None, 1.5),
        ("1.", None, None),
        ("+7", None, None),
        ("99999999999", None, 1e10),
        ("9" * 400, None, 1e10),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:58 GMT", 1.0),
        ("Wed, 21 Oct 2015 07:29:30 GMT", "yesterday", 0.0),
        ("Wednesday, 21-Oct-15 07:29:30 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", 90.0),
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


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n" + document("InvalidObjectState"),
        document("InvalidObjectState") + b"\0",
        document("InvalidObjectState")[:-10],
        document("InvalidObjectState", "Of a & b."),
        document("InvalidObjectState").replace(b"so", b"\xfc"),
        document("InvalidObjectState").replace(b"<Error>", b"<!-- of a gateway --><Error>"),
        document("<![CDATA[InvalidObjectState]]>"),
    ],
    ids=["a line in front", "more behind", "cut short", "an ampersand", "another coding", "a comment", "CDATA"],
)
def test_a_broken_document_is_read_as_far_as_it_holds(body: bytes, answer: Answer) -> None:
    error = refusal_error(answer(403), body, URL)
    assert type(error) is ObjectArchived
    assert error.reply is not None
    assert error.reply.code == "InvalidObjectState"


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


# What a refusal keeps of its document ----------------------------------------------------------------------------


@pytest.mark.row(75)
def test_an_archived_object_keeps_its_class_and_tier(answer: Answer) -> None:
    body = document("InvalidObjectState", StorageClass="INTELLIGENT_TIERING", AccessTier="ARCHIVE_ACCESS")
    error = refusal_error(answer(403), body, URL)
    assert isinstance(error, ObjectArchived)
    assert (error.storage_class, error.access_tier) == ("INTELLIGENT_TIERING", "ARCHIVE_ACCESS")
    assert "INTELLIGENT_TIERING, ARCHIVE_ACCESS" in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.storage_class, copy.access_tier, copy.reply) == (error.storage_class, error.access_tier, error.reply)


@pytest.mark.row(25, 79, 80)
def test_a_delete_marker_is_named_by_its_version(answer: Answer) -> None:
    marked = {"x-amz-delete-marker": "true", "x-amz-version-id": "v-1"}
    for error in (
        refusal_error(answer(404, marked), document("NoSuchKey"), URL),
        refusal_error(answer(405, marked), document("MethodNotAllowed"), URL),
        refusal_error(
            answer(405, {"x-amz-version-id": "v-1"}), document("MethodNotAllowed", ResourceType="DeleteMarker"), URL
        ),
    ):
        assert isinstance(error, ObjectDeleted)
        assert error.version_id == "v-1"
        assert "(version v-1)" in str(error)
        assert pickle.loads(pickle.dumps(error)).version_id == "v-1"


@pytest.mark.row(84, 85)
def test_a_range_that_cannot_be_says_what_there_is(answer: Answer) -> None:
    size = refusal_error(answer(416), document("InvalidRange", RangeRequested="bytes=9-", ActualObjectSize="5"), URL)
    assert type(size) is RangeNotSupported
    assert "the object has 5 bytes" in str(size)
    part = refusal_error(answer(416), document("InvalidPartNumber", PartNumberRequested="4", ActualPartCount="3"), URL)
    assert type(part) is RangeNotSupported
    assert "it has 3" in str(part)
    assert part.reply is not None
    assert (part.reply.detail("PartNumberRequested"), part.reply.detail("Nothing")) == ("4", None)
    assert type(refusal_error(answer(400), document("InvalidPart"), URL)) is RangeNotSupported


@pytest.mark.row(103)
@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "AccessDenied", "User: arn:aws:iam::1:user/u is not authorized to perform: kms:Decrypt on this resource"),
        (403, "AccessDenied", "The ciphertext refers to a customer master key that does not exist"),
        (400, "KMS.DisabledException", "The key is disabled"),
        (400, "KMS.NotFoundException", "no"),
    ],
)
def test_a_refused_kms_key_is_named_as_such(status: int, code: str, message: str, answer: Answer) -> None:
    error = refusal_error(answer(status), document(code, message), URL)
    assert type(error) is AccessDenied
    assert "KMS" in str(error)
    assert "kms:Decrypt" in (error.hint or "")
    assert is_about_kms(error)
    assert not is_about_kms(refusal_error(answer(403), document("AccessDenied"), URL))


@pytest.mark.row(16, 101)
def test_an_object_that_needs_a_customers_key_says_so(answer: Answer) -> None:
    message = (
        "The object was stored using a form of Server Side Encryption. "
        "The correct parameters must be provided to retrieve the object."
    )
    error = refusal_error(answer(400), document("InvalidRequest", message), URL)
    assert type(error) is AccessDenied
    assert "sse_c_key" in (error.hint or "")


@pytest.mark.row(82)
def test_a_condition_of_the_callers_own_is_told_from_a_change(answer: Answer) -> None:
    error = refusal_error(answer(412), document("PreconditionFailed", Condition="If-Match"), URL)
    assert "no longer the one" in str(error)
    own = explained(error, Headers([("If-Match", '"a"'), ("If-Unmodified-Since", "x")]))
    assert type(own) is SourceChanged
    assert str(own) == f"{URL}: the condition If-Match that was given does not hold (412 PreconditionFailed)"
    bare = explained(refusal_error(answer(412), b"", URL), Headers([("If-Unmodified-Since", "x")]))
    assert "the condition If-Unmodified-Since that was given" in str(bare)
    assert explained(error, Headers()) is error


@pytest.mark.row(83)
@pytest.mark.fault("H16")
def test_304_means_something_only_where_it_was_asked_for(answer: Answer) -> None:
    error = refusal_error(answer(304), b"", URL)
    assert type(explained(error, Headers([("If-None-Match", '"a"')]))) is NotModified
    assert type(explained(error, Headers([("If-Modified-Since", "x")]))) is NotModified
    assert type(explained(error, Headers())) is ProtocolError


@pytest.mark.row(20, 88)
def test_a_denied_request_with_an_expected_owner_may_be_about_the_owner(answer: Answer) -> None:
    headers = Headers([("x-amz-expected-bucket-owner", "123456789012")])
    error = explained(refusal_error(answer(403), document("AccessDenied"), URL), headers)
    assert "expected_bucket_owner" in (error.hint or "")


@pytest.mark.parametrize(
    "name", ["x-amz-request-id", "x-clv-request-id", "x-guploader-uploadid", "x-ms-request-id", "cf-ray"]
)
def test_every_stores_name_of_a_request_is_kept(name: str, answer: Answer) -> None:
    reply = refusal_error(answer(500, {name: "the-id"}), b"", URL).reply
    assert reply is not None
    assert reply.request_id == "the-id"


def test_details_are_of_known_names_bounded_and_without_secrets(answer: Answer) -> None:
    body = document("Odd", StringToSign="x", Condition="a\x85marked-token" + "b" * 5000, Region="eu-west-1")
    reply = refusal_error(answer(400), body, URL, ["marked-token"]).reply
    assert reply is not None
    assert [name for name, _ in reply.details] == ["Condition", "Region"]
    assert all(text.isprintable() and len(text) < 400 and "marked" not in text for _, text in reply.details)
