"""HTTP heads: a request written, and an answer of Amazon S3 read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.checksums.declared import declared_by_headers
from fastget.core.messages import Headers, Request
from fastget.core.urls import URL
from fastget.transport.heads import HeadExchange

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from fastget.transport.heads import Reception

_REQUEST = Request(
    "GET",
    URL.parse("https://bucket.s3.us-east-1.amazonaws.com/a/large/object.bin"),
    Headers([("Range", "bytes=0-8388607"), ("If-Match", '"0123456789abcdef0123456789abcdef-12"')]),
)
_ANSWER = b"".join(
    line + b"\r\n"
    for line in (
        b"HTTP/1.1 200 OK",
        b"x-amz-id-2: aPkQ0nYxvqf4hQSLg0u0lYXhN4iDh3ICYL2iH9QbHQ1yJXq0JtN0mYd6ZPFjPZDeZr0fVXK3w1E=",
        b"x-amz-request-id: 7XK4D1ZC6RJ3V0QF",
        b"Date: Sat, 21 Nov 2026 00:00:00 GMT",
        b"Last-Modified: Fri, 20 Nov 2026 00:00:00 GMT",
        b'ETag: "0123456789abcdef0123456789abcdef-12"',
        b"x-amz-checksum-crc64nvme: rosUhgp5mIg=",
        b"x-amz-checksum-type: FULL_OBJECT",
        b"x-amz-server-side-encryption: AES256",
        b"x-amz-version-id: 3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY",
        b"Accept-Ranges: bytes",
        b"Content-Type: binary/octet-stream",
        b"Content-Length: 104857600",
        b"Server: AmazonS3",
        b"",
    )
)


def _read_answer() -> Reception | None:
    exchange = HeadExchange()
    exchange.encode(_REQUEST)
    return exchange.feed(memoryview(_ANSWER))


def test_writing_a_request_head(benchmark: BenchmarkFixture) -> None:
    head = benchmark(lambda: HeadExchange().encode(_REQUEST))
    assert head.startswith(b"GET /a/large/object.bin HTTP/1.1\r\n")


def test_writing_a_request_head_and_reading_the_answers(benchmark: BenchmarkFixture) -> None:
    reception = benchmark(_read_answer)
    assert reception is not None
    assert reception.head.content_length == 104_857_600


def test_reading_the_digests_that_an_answer_declares(benchmark: BenchmarkFixture) -> None:
    reception = _read_answer()
    assert reception is not None
    assert len(benchmark(declared_by_headers, reception.head.headers)) == 1
