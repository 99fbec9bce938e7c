"""The same answer's head, read by fastget, by httptools (the C parser of Node.js) and by h11.

Needs `pip install httptools`, which fastget does not use: docs/performance.md says why.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import h11
import pytest

from fastget.core.messages import Headers
from fastget.transport import plain_heads

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

_ANSWER = b"".join(
    line + b"\r\n"
    for line in (
        b"HTTP/1.1 200 OK",
        b"Server: nginx/1.24.0",
        b"Date: Sat, 21 Nov 2026 00:00:00 GMT",
        b"Content-Type: application/octet-stream",
        b"Content-Length: 65536",
        b"Last-Modified: Fri, 20 Nov 2026 00:00:00 GMT",
        b"Connection: keep-alive",
        b'ETag: "0123456789abcdef0123456789abcdef"',
        b"x-amz-checksum-crc64nvme: rosUhgp5mIg=",
        b"x-amz-checksum-type: FULL_OBJECT",
        b"x-amz-request-id: 7XK4D1ZC6RJ3V0QF",
        b"Accept-Ranges: bytes",
        b"",
    )
)


class _Fields:
    """What a connection needs of a head, told field by field: the same as `plain_heads.read` gives."""

    def __init__(self) -> None:
        self.items: list[tuple[str, str]] = []
        self.values: dict[str, tuple[str, ...]] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        item = name.decode("latin-1"), value.decode("latin-1")
        self.items.append(item)
        lowered = item[0].lower()
        self.values[lowered] = (*self.values.get(lowered, ()), item[1])


def _by_fastget() -> Headers | None:
    found = plain_heads.read(_ANSWER)
    return found[2] if found else None


@cache
def _httptools() -> Any:
    return pytest.importorskip("httptools")


def _by_httptools() -> Headers:
    fields = _Fields()
    _httptools().HttpResponseParser(fields).feed_data(_ANSWER)
    return Headers.indexed(fields.items, fields.values)


def _by_h11() -> Headers:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "host")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(_ANSWER)
    event = connection.next_event()
    assert isinstance(event, h11.Response)
    return Headers((name.decode(), value.decode()) for name, value in event.headers)


@pytest.mark.parametrize("read", [_by_fastget, _by_httptools, _by_h11], ids=["fastget", "httptools", "h11"])
def test_reading_the_head_of_an_answer(benchmark: BenchmarkFixture, read: Callable[[], Headers | None]) -> None:
    headers = benchmark(read)
    assert headers is not None
    assert headers.get("x-amz-request-id") == "7XK4D1ZC6RJ3V0QF"
