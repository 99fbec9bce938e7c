"""Headers and requests as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.messages import SECRET_HEADERS, Framing, Headers, Request, ResponseHead
from fastget.core.urls import URL

names = st.sampled_from(["ETag", "etag", "ETAG", "X-Amz-Meta-A", "x-amz-meta-a", "Date"])
pairs = st.lists(st.tuples(names, st.text(max_size=5)), max_size=12)
SECRETS = [
    *sorted(SECRET_HEADERS),
    "X-Amz-Security-Token",
    "x-amz-s3session-token",
    "X-Amz-Server-Side-Encryption-Customer-Key",
    "X-API-Key",
    "Private-Token",
    "AUTHORIZATION",
    "Set-Cookie",
]


@given(items=pairs)
def test_fields_are_found_without_regard_to_case_in_the_order_received(items: list[tuple[str, str]]) -> None:
    headers = Headers(items)
    assert list(headers) == items
    assert len(headers) == len(items)
    for name in ("etag", "ETag", "x-AMZ-meta-A", "absent"):
        values = tuple(value for key, value in items if key.lower() == name.lower())
        assert headers.get_all(name) == values
        assert headers.get(name) == (values[0] if values else None)
        assert (name in headers) == bool(values)


@given(items=pairs)
def test_lines_of_one_name_are_joined_in_the_order_received(items: list[tuple[str, str]]) -> None:
    found: dict[str, list[str]] = {}
    for name, value in items:
        found.setdefault(name.lower(), []).append(value)
    assert list(Headers(items).joined().items()) == [(name, ", ".join(values)) for name, values in found.items()]


@given(items=pairs)
def test_headers_of_the_same_lines_are_equal(items: list[tuple[str, str]]) -> None:
    assert Headers(items) == Headers(iter(items))
    assert hash(Headers(items)) == hash(Headers(items))
    assert Headers(items) != Headers([*items, ("Extra", "1")])
    assert Headers(items) != items


def test_what_is_no_text_is_no_field() -> None:
    assert 5 not in Headers([("5", "x")])


@pytest.mark.fault("S12")
@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_header_is_named_and_its_value_is_not(name: str) -> None:
    headers = Headers([(name, "hunter2"), ("ETag", '"abc"')])
    head = ResponseHead(200, headers, Framing.LENGTH, 0)
    request = Request("GET", URL.parse("https://user:hunter2@host/key?sig=hunter2"), headers)
    for shown in (repr(headers), repr(head), repr(request), str(request)):
        assert "hunter2" not in shown
        assert f"{name}: …" in shown
        assert '"abc"' in shown


def test_every_line_of_a_secret_is_hidden() -> None:
    assert "two" not in repr(Headers([("Set-Cookie", "one"), ("set-cookie", "two")]))
