"""What a mould recognises is what the acceptance predicate accepts; its casts are the requests that would be made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.messages import Framing, Headers, Request, ResponseHead
from fastget.core.moulds import Mould
from fastget.core.objectinfo import Pin
from fastget.core.ranges import Span
from fastget.core.urls import URL
from fastget.core.validators import Accepted, Expectation, judge

TOTAL = 10**9
FIRST = Span(1000, 3000)
PIN = Pin('"e-1"', "v", "Tue, 01 Jan 2030 00:00:00 GMT", TOTAL)
FIELDS = (
    ("Server", "a server"),
    ("Date", "Wed, 02 Jan 2030 00:00:00 GMT"),
    ("Content-Type", "binary/octet-stream"),
    ("Content-Length", "2000"),
    ("Last-Modified", "Tue, 01 Jan 2030 00:00:00 GMT"),
    ("Connection", "keep-alive"),
    ("ETag", '"e-1"'),
    ("x-amz-version-id", "v"),
    ("x-amz-request-id", "8f2"),
    ("Content-Range", f"bytes 1000-2999/{TOTAL}"),
)
SPANS = st.integers(0, TOTAL - 1).flatmap(lambda at: st.builds(Span, st.just(at), st.integers(at + 1, TOTAL)))


def head_of(fields: tuple[tuple[str, str], ...], status: int = 206) -> ResponseHead:
    """As the transport reads it."""
    headers = Headers(fields)
    return ResponseHead(status, headers, Framing.LENGTH, int(headers.get("content-length") or "0"), "Partial Content")


def on_wire(fields: tuple[tuple[str, str], ...], status: int = 206) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status} Partial Content\r\n{lines}\r\n".encode("latin-1")


def with_fields(changed: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, changed.get(name, value)) for name, value in FIELDS)


def answer_to(span: Span, **changed: str) -> tuple[tuple[str, str], ...]:
    place = {
        "Content-Length": str(span.length),
        "Content-Range": f"bytes {span.start}-{span.stop - 1}/{TOTAL}",
    }
    return with_fields({**place, **changed})


def request_for(span: Span, *more: tuple[str, str]) -> Request:
    headers = Headers([("Accept", "*/*"), ("Range", span.header), ("If-Match", '"e-1"'), *more])
    return Request("GET", URL.parse("http://host/b/k"), headers)


def encoded(request: Request) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers)
    return f"GET /b/k HTTP/1.1\r\nHost: host\r\n{lines}\r\n".encode()


def mould_of(fields: tuple[tuple[str, str], ...] = FIELDS, *more: tuple[str, str]) -> Mould | None:
    request = request_for(FIRST, *more)
    return Mould.of(request, encoded(request), head_of(fields), FIRST)


@pytest.fixture
def mould() -> Mould:
    made = mould_of()
    assert made is not None
    return made


@given(span=SPANS)
def test_a_cast_is_the_request_for_its_span(span: Span) -> None:
    made = mould_of()
    assert made is not None
    cast = made.cast(span)
    assert cast == request_for(span)
    assert cast.cast is not None
    assert cast.cast.encode(cast) == encoded(request_for(span))


@given(span=SPANS, date=st.from_regex(r"[!-~]{1,20}( [!-~]{1,20}){0,3}", fullmatch=True))
def test_an_answer_that_is_the_same_but_for_its_range_is_recognised(span: Span, date: str) -> None:
    made = mould_of()
    assert made is not None
    data = on_wire(answer_to(span, **{"Date": date, "x-amz-request-id": date[::-1].strip()}))
    found = made.recognise(data + b"HTTP/1.1 200 OK\r\n\r\n", span)
    assert found is not None
    head, length = found
    assert length == len(data)
    assert (head.status, head.framing, head.content_length) == (206, Framing.LENGTH, span.length)
    assert head.is_recognised


@given(
    asked=SPANS,
    told=SPANS,
    changed=st.dictionaries(
        st.sampled_from([name for name, _ in FIELDS]), st.text(st.characters(codec="latin-1"), max_size=9)
    ),
    honest=st.booleans(),
)
def test_whatever_is_recognised_would_be_accepted_for_all_of_the_span(
    asked: Span, told: Span, changed: dict[str, str], honest: bool
) -> None:
    made = mould_of()
    assert made is not None
    fields = answer_to(asked if honest else told, **changed)
    if made.recognise(on_wire(fields), asked) is not None:
        assert judge(head_of(fields), Expectation(asked, PIN)) == Accepted(asked)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ETag", '"e-2"'),
        ("ETag", 'W/"e-1"'),
        ("x-amz-version-id", "w"),
        ("Last-Modified", "Wed, 02 Jan 2030 00:00:00 GMT"),
        ("Content-Type", "multipart/byteranges; boundary=x"),
        ("Connection", "close"),
        ("Content-Length", "1999"),
        ("Content-Length", "02000"),
        ("Content-Length", "2000, 2000"),
        ("Content-Range", f"bytes 1000-2998/{TOTAL}"),
        ("Content-Range", f"bytes 1001-2999/{TOTAL}"),
        ("Content-Range", f"bytes 1000-2999/{TOTAL + 1}"),
        ("Content-Range", "bytes 1000-2999/*"),
        ("Content-Range", "bytes banana"),
        ("Date", "now\r\nETag: other"),
        ("Date", "now\nTransfer-Encoding: chunked"),
        ("Date", "now\r\n folded"),
        ("Date", "now\x00"),
    ],
)
def test_an_answer_that_says_anything_else_is_not_recognised(mould: Mould, name: str, value: str) -> None:
    assert mould.recognise(on_wire(FIELDS), FIRST) is not None
    assert mould.recognise(on_wire(with_fields({name: value})), FIRST) is None


@pytest.mark.parametrize("status", [200, 204, 304, 404, 412, 503])
def test_another_status_is_not_recognised(mould: Mould, status: int) -> None:
    assert mould.recognise(on_wire(FIELDS, status), FIRST) is None


@pytest.mark.parametrize("more", [("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked"), ("X-New", "1")])
def test_one_field_more_or_less_or_elsewhere_is_not_recognised(mould: Mould, more: tuple[str, str]) -> None:
    assert mould.recognise(on_wire((*FIELDS, more)), FIRST) is None
    assert mould.recognise(on_wire((more, *FIELDS)), FIRST) is None
    assert mould.recognise(on_wire(FIELDS[1:]), FIRST) is None
    assert mould.recognise(on_wire(FIELDS[::-1]), FIRST) is None


def test_a_head_that_is_not_all_there_is_not_recognised(mould: Mould) -> None:
    data = on_wire(FIELDS)
    assert all(mould.recognise(data[:length], FIRST) is None for length in range(len(data)))


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "x-amz-security-token"])
def test_a_request_that_may_be_signed_is_no_mould(name: str) -> None:
    assert mould_of(FIELDS, (name, "s3cr3t")) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"Connection": "close"},
        {"Content-Length": "1000"},
        {"Content-Range": f"bytes 1000-1999/{TOTAL}", "Content-Length": "1000"},
        {"Content-Range": f"BYTES 1000-2999/{TOTAL}"},
        {"Content-Range": "bytes 1000-2999/*"},
        {"Server": "x" * 5000},
    ],
)
def test_an_answer_that_is_not_all_of_the_span_or_not_plain_is_no_mould(changed: dict[str, str]) -> None:
    assert mould_of(with_fields(changed)) is None


def test_an_answer_until_close_is_no_mould() -> None:
    request = request_for(FIRST)
    fields = tuple(field for field in FIELDS if field[0] != "Content-Length")
    assert Mould.of(request, encoded(request), ResponseHead(206, Headers(fields), Framing.CLOSE), FIRST) is None


def test_every_field_that_the_acceptance_predicate_reads_has_to_stay_the_same(watched: Callable[..., Any]) -> None:
    headers = watched(FIELDS)
    assert judge(ResponseHead(206, headers, Framing.LENGTH, 2000), Expectation(FIRST, PIN)) == Accepted(FIRST)
    assert {"etag", "content-range", "x-amz-version-id"} <= headers.asked
    for name in headers.asked - {"content-range"}:
        others = tuple(field for field in FIELDS if field[0].lower() != name)
        made = mould_of((*others, (name, "one")))
        assert made is not None
        assert made.recognise(on_wire((*others, (name, "one"))), FIRST) is not None
        assert made.recognise(on_wire((*others, (name, "another"))), FIRST) is None
