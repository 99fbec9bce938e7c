"""Requests for ranges of one object, and the heads of their answers, are alike but for the range.

A mould is made of a request and of the answer to it that was accepted. It writes the next requests, and recognises the
heads of their answers: one that says the same, line for line, is acceptable for the same reasons. What it does not
recognise is read and judged as any other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from fastget.core.messages import Framing, Headers, Request, ResponseHead, is_secret
from fastget.core.ranges import ContentRange, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

# Bytes of names and values; what is longer does not come in one piece, and its pattern would take time to make.
_LARGEST_HEAD = 4096
# Fields by which answers are judged or their bodies read, beside all those of the content: they have to stay the same.
_MEANT = frozenset({"connection", "etag", "last-modified", "transfer-encoding", "upgrade", "x-amz-version-id"})
# Others may change from answer to answer (RFC 9110 §5.5, without the octets beyond ASCII).
ANYTHING = "(?:[!-~]++(?: [!-~]++)*+)?+"


class Mould:
    """For one object, one pin, one server. Whoever has another pin needs another one."""

    __slots__ = ("_after", "_before", "_encoded_after", "_encoded_before", "_head", "_pattern", "_request")

    def __init__(self, request: Request, encoded: tuple[bytes, bytes], head: ResponseHead) -> None:
        """`encoded` is what stands on the wire before the value of the Range field, and behind it."""
        fields = tuple(request.headers)
        place = next(index for index, (name, _) in enumerate(fields) if name == "Range")
        self._request = request
        self._before, self._after = fields[:place], fields[place + 1 :]
        self._encoded_before, self._encoded_after = encoded
        self._head = head
        self._pattern = re.compile(b"".join(_lines(head)))

    @classmethod
    def of(cls, request: Request, encoded: bytes, head: ResponseHead, span: Span) -> Self | None:
        """From a request for `span`, its bytes on the wire, and the head of the answer that was accepted.

        None where they are no mould for others: a request that may be signed, an answer that does not hold all of the
        span, has no declared length, ends its connection, or is unusual in its form.
        """
        if any(is_secret(name) for name, _ in request.headers) or request.headers.get_all("range") != (span.header,):
            return None
        parts = tuple(encoded.split(b"\r\nRange: %b\r\n" % span.header.encode()))
        if len(parts) != 2 or not _is_plain(head, span):
            return None
        return cls(request, (parts[0] + b"\r\nRange: ", b"\r\n" + parts[1]), head)

    def cast(self, span: Span) -> Request:
        """The same request for `span`."""
        request, headers = self._request, Headers((*self._before, ("Range", span.header), *self._after))
        return Request(request.method, request.url, headers, request.public_only, Cast(self, span))

    def encode(self, span: Span) -> bytes:
        """The bytes of its head for the wire, for a server that is asked without a proxy."""
        return b"%bbytes=%d-%d%b" % (self._encoded_before, span.start, span.stop - 1, self._encoded_after)

    def recognise(self, data: bytes, span: Span) -> tuple[ResponseHead, int] | None:
        """The head that `data` begins with, and its length; None unless it is the accepted one, but for `span`.

        It has the fields of the accepted one with those values; what a range changes has to be right, and what means
        nothing is not looked at.
        """
        match = self._pattern.match(data)
        if match is None or match.group("first", "last", "length") != (
            b"%d" % span.start,
            b"%d" % (span.stop - 1),
            b"%d" % span.length,
        ):
            return None
        head = self._head
        return ResponseHead(
            head.status, head.headers, Framing.LENGTH, span.length, head.reason, is_recognised=True
        ), match.end()


class Cast:
    """A request out of a mould, for the connection that sends it."""

    __slots__ = ("_mould", "_span")

    def __init__(self, mould: Mould, span: Span) -> None:
        self._mould = mould
        self._span = span

    def encode(self, request: Request) -> bytes:
        """As `Mould.encode`: the request is the one that was cast."""
        del request
        return self._mould.encode(self._span)

    def recognise(self, data: bytes) -> tuple[ResponseHead, int] | None:
        """As `Mould.recognise`."""
        return self._mould.recognise(data, self._span)


def is_plainly_framed(head: ResponseHead, framing: Framing = Framing.LENGTH) -> bool:
    """Whether the head is framed so and by nothing else, keeps the connection open, and is not too long."""
    headers = head.headers
    return (
        head.framing is framing
        and not any(value.lower() != "keep-alive" for value in headers.get_all("connection"))
        and "transfer-encoding" not in headers
        and "upgrade" not in headers
        and sum(len(name) + len(value) for name, value in headers) <= _LARGEST_HEAD
    )


def _is_plain(head: ResponseHead, span: Span) -> bool:
    """Whether the head is plainly framed, and holds all of the span."""
    headers = head.headers
    ranges = headers.get_all("content-range")
    found = ContentRange.of(headers)
    return (
        found is not None
        and found.span == span
        and found.total is not None
        and ranges[0].startswith(f"bytes {span.start}-{span.stop - 1}/")
        and headers.get_all("content-length") == (str(span.length),)
        and is_plainly_framed(head)
    )


def _lines(head: ResponseHead) -> Iterator[bytes]:
    """The head as a regular expression."""
    yield rb"HTTP/1\.1 %d%b\r\n" % (head.status, _literal(f" {head.reason}" if head.reason else ""))
    for name, value in head.headers:
        yield _literal(f"{name}: ") + _value(name.lower(), value) + rb"\r\n"
    yield rb"\r\n"


def _value(name: str, value: str) -> bytes:
    if name == "content-range":
        return rb"bytes (?P<first>[0-9]{1,19})-(?P<last>[0-9]{1,19})/" + _literal(value.partition("/")[2])
    if name == "content-length":
        return rb"(?P<length>[0-9]{1,19})"
    return _literal(value) if name in _MEANT or name.startswith("content-") else ANYTHING.encode()


def _literal(text: str) -> bytes:
    return re.escape(text.encode("latin-1"))
