"""Refusals, redirects and changes: as raw answers, and as botocore reads them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from fastget.testing import Content, Fault, ObjectServer, StoredObject, faults

OLD, NEW = StoredObject(Content.of(b"old")), StoredObject(Content.of(b"newer"))


def serving(*chosen: Fault) -> ObjectServer:
    return ObjectServer({"/b/k": OLD}, faults=chosen)


REFUSALS = [
    (faults.status(418, "Teapot", "No coffee"), 418, "Teapot"),
    (faults.access_denied(), 403, "AccessDenied"),
    (faults.expired_token(), 400, "ExpiredToken"),
    (faults.time_skewed(), 403, "RequestTimeTooSkewed"),
    (faults.archived(), 403, "InvalidObjectState"),
    (faults.delete_marker(), 404, "NoSuchKey"),
    (faults.delete_marker(of_version=True), 405, "MethodNotAllowed"),
    (faults.slow_down(retry_after=3), 503, "SlowDown"),
    (faults.slow_down(number=429), 429, "TooManyRequests"),
    (faults.internal_error(), 500, "InternalError"),
    (faults.precondition_failed(), 412, "PreconditionFailed"),
    (faults.unsatisfiable(), 416, "InvalidRange"),
]


@pytest.mark.parametrize(("fault", "status", "code"), REFUSALS, ids=[fault.name for fault, _, _ in REFUSALS])
def test_botocore_reads_status_and_code_of_a_refusal(s3_client: Any, fault: Fault, status: int, code: str) -> None:
    with serving(fault) as server, pytest.raises(ClientError) as caught:
        s3_client(server).get_object(Bucket="b", Key="k")
    reply: dict[str, Any] = dict(caught.value.response)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == status
    assert reply["Error"]["Code"] == code
    assert reply["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("fault", "name", "value"),
    [
        (faults.slow_down(retry_after=3), "Retry-After", "3"),
        (faults.slow_down("Wed, 21 Oct 2015 07:28:00 GMT"), "Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"),
        (faults.slow_down(), "Retry-After", None),
        (faults.delete_marker(), "x-amz-delete-marker", "true"),
        (faults.moved_to_region("eu-west-1"), "x-amz-bucket-region", "eu-west-1"),
        (faults.unsatisfiable(total=7), "Content-Range", "bytes */7"),
        (faults.field("ETag", 'W/"weak"'), "ETag", 'W/"weak"'),
        (faults.field("ETag", None), "ETag", None),
    ],
)
def test_a_refusal_carries_its_header(ask: Any, fault: Fault, name: str, value: str | None) -> None:
    with serving(fault) as server:
        assert ask(server).headers.get(name) == value


@pytest.mark.parametrize(
    ("number", "code"),
    [(301, "PermanentRedirect"), (307, "TemporaryRedirect"), (400, "AuthorizationHeaderMalformed")],
)
def test_a_bucket_lies_in_another_region(ask: Any, number: int, code: str) -> None:
    with serving(faults.moved_to_region("eu-west-1", number)) as server:
        answer = ask(server)
    assert answer.status == number
    assert f"<Code>{code}</Code>".encode() in answer.body
    assert b"<Region>eu-west-1</Region>" in answer.body


def test_ranges_alone_are_not_supported(ask: Any) -> None:
    with serving(faults.no_range_support()) as server:
        statuses = [
            ask(server, Range="bytes=0-0").status,
            ask(server, "/b/k?partNumber=1").status,
            ask(server).status,
        ]
    assert statuses == [501, 501, 200]


def test_a_304_comes_unasked(ask: Any) -> None:
    with serving(faults.not_modified()) as server:
        answer = ask(server)
    assert (answer.status, answer.body) == (304, b"")


def test_curl_follows_a_redirect_with_path_and_query(curl: Any) -> None:
    with (
        ObjectServer({"/b/k": NEW}) as other,
        serving(faults.redirect(other.base_url + "{target}")) as server,
    ):
        assert curl("-L", server.url("/b/k", "a=b")).output == b"newer"
        assert other.requests[0].target == "/b/k?a=b"


def test_a_redirect_loop_goes_on_as_long_as_the_client_does(curl: Any) -> None:
    with serving(faults.redirect("/b/k").always()) as server:
        assert curl("-L", "--max-redirs", "7", server.url("/b/k")).status == 47
        assert len(server.requests) == 8


def test_an_object_is_replaced_from_the_third_request_on(ask: Any) -> None:
    with serving(faults.replaced(NEW).on(request=3)) as server:
        answers = [ask(server, If_Match=OLD.etag) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 412, 412]
        assert ask(server).body == b"newer"


def test_a_replacement_can_keep_the_etag(ask: Any) -> None:
    twin = StoredObject(Content.of(b"dlo"), etag=OLD.etag)
    with serving(faults.replaced(twin).on(request=2)) as server:
        assert [ask(server, If_Match=OLD.etag).body for _ in range(2)] == [b"old", b"dlo"]


def test_a_fault_happens_so_many_times_on_the_requests_meant(ask: Any) -> None:
    with serving(faults.slow_down().on(request=2, path="/b/k").times(2)) as server:
        assert ask(server, "/b/other").status == 404
        assert [ask(server).status for _ in range(5)] == [200, 503, 503, 200, 200]


def test_a_fault_can_wait_for_a_byte_of_the_object(ask: Any) -> None:
    with serving(faults.internal_error().on(offset=2)) as server:
        statuses = [ask(server, Range=value).status for value in ("bytes=0-1", "bytes=1-2", "bytes=2-2")]
    assert statuses == [206, 500, 206]
