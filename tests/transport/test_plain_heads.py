"""Ordinary heads are read as h11 reads them; what h11 refuses is never taken for ordinary."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastget.core.messages import Headers
from fastget.transport import plain_heads

NAMES = st.sampled_from(
    ["Content-Length", "content-length", "ETag", "Server", "X-A", "Connection", "Transfer-Encoding"]
)
VALUES = st.text(st.sampled_from('0123456789 abcXYZ\t"/,;=-é\x7f\x00\r\n\x0b'), max_size=12) | st.just("12")
LINES = st.tuples(NAMES | st.text(max_size=4), VALUES).map(lambda pair: f"{pair[0]}: {pair[1]}")
HEADS = st.builds(
    lambda status, lines, ending: f"{status}{ending}" + "".join(f"{line}{ending}" for line in lines) + ending,
    st.sampled_from(
        ["HTTP/1.1 200 OK", "HTTP/1.1 206 ", "HTTP/1.1 404", "HTTP/1.0 200 OK", "HTTP/1.1 100 Continue", "X"]
    ),
    st.lists(LINES, max_size=6),
    st.sampled_from(["\r\n", "\r\n", "\r\n", "\n"]),
)


def by_h11(data: bytes) -> tuple[int, bytes, list[tuple[bytes, bytes]]] | None:
    """What an h11 client makes of the same bytes; None where it refuses them or wants more."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    try:
        event = client.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Response):
        return None
    return event.status_code, bytes(event.reason), [(bytes(a), bytes(b)) for a, b in event.headers.raw_items()]


@given(HEADS, st.binary(max_size=8))
@example('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: "a b"\r\n\r\n', b"abc")
def test_what_is_taken_for_ordinary_is_what_h11_reads(head: str, body: bytes) -> None:
    data = head.encode("latin-1", "replace") + body

    found = plain_heads.read(data)

    if found is not None:
        status, reason, headers, length = found
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        assert (status, reason.encode("latin-1"), fields) == by_h11(data)
        assert [headers.get_all(name) for name, _ in headers] == [Headers(headers).get_all(name) for name, _ in headers]
        assert data[:length].endswith(b"\r\n\r\n")
        assert data[:length].count(b"\r\n\r\n") == 1


def test_an_ordinary_head_needs_no_h11() -> None:
    data = b'HTTP/1.1 206 Partial Content\r\nServer: AmazonS3\r\nContent-Length: 3\r\nETag: "e"\r\nX-Empty:\r\n\r\nabc'

    assert plain_heads.read(data) == (
        206,
        "Partial Content",
        Headers([("Server", "AmazonS3"), ("Content-Length", "3"), ("ETag", '"e"'), ("X-Empty", "")]),
        len(data) - 3,
    )


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 33333333333333333333\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
        "HTTP/1.1 200 OK\nA: b\n\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: " + "b" * plain_heads.LARGEST_HEAD + "\r\n\r\n",
        "",
    ],
)
def test_everything_else_is_left_to_h11(head: str) -> None:
    assert plain_heads.read(head.encode()) is None


@given(
    st.binary(max_size=6) | st.sampled_from([b"GET", b"HEAD", b"POST"]),
    st.binary(max_size=8) | st.sampled_from([b"/", b"/a?b=c", b"*"]),
    st.lists(
        st.tuples(st.binary(max_size=6) | st.sampled_from([b"A", b"If-Match"]), st.binary(max_size=8)), max_size=4
    ),
)
@example(b"GET", b"/", [(b"A", b" b")])
@example(b"GET", b"/", [(b"A", b"b\r\nC: d")])
def test_a_request_is_encoded_as_h11_encodes_it_or_refused(
    method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]
) -> None:
    fields = [(b"Host", b"x"), *(field for field in fields if field[0].lower() != b"host")]
    text = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]
    encoded = plain_heads.encode(method.decode("latin-1"), target.decode("latin-1"), text)

    if encoded is not None:
        client = h11.Connection(h11.CLIENT)
        assert client.send(h11.Request(method=method, target=target, headers=fields)) == encoded
