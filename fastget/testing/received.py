"""A request as it came off the wire, and what of it a test may ask afterwards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, unquote

from fastget.core.messages import Headers
from fastget.core.ranges import Span

_RANGE = re.compile(r"bytes=([0-9]{0,40})-([0-9]{0,40})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """Method, target as sent, decoded path, query and headers; connections are counted from 1."""

    method: str
    target: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Headers
    connection: int
    version: str = "HTTP/1.1"
    body: bytes = b""

    @classmethod
    def parse(cls, head: bytes, connection: int, body: bytes = b"") -> Self:
        """Read a request head without its final empty line. Raises ValueError where it is not HTTP/1."""
        line, *fields = head.decode("latin-1").split("\r\n")
        method, target, version = line.split(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError(f"not HTTP/1: {version}")
        named = [field.partition(":") for field in fields]
        if any(not separator or name != name.strip() for name, separator, _ in named):
            raise ValueError("a header field without a name")
        path, _, query = origin_form(target).partition("?")
        headers = Headers((name, value.strip()) for name, _, value in named)
        return cls(method, target, unquote(path), _parameters(query), headers, connection, version, body)

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter, or None."""
        return next((value for key, value in self.query if key == name), None)

    @property
    def range(self) -> str | None:
        """The Range header as sent, or None."""
        return self.headers.get("range")

    @property
    def part_number(self) -> int | None:
        """The partNumber parameter where it is a number, or None."""
        text = self.parameter("partNumber")
        return int(text) if text is not None and text.isascii() and text.isdigit() else None

    @property
    def keeps_alive(self) -> bool:
        wish = (self.headers.get("connection") or "").lower()
        return "close" not in wish and (self.version != "HTTP/1.0" or "keep-alive" in wish)


def origin_form(target: str) -> str:
    """Path and query of a request target; requests to a proxy name the whole URL (RFC 9112 §3.2.2)."""
    if target.startswith("/"):
        return target
    return "/" + target.partition("://")[2].partition("/")[2]


def _parameters(query: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(query, keep_blank_values=True))


class UnsatisfiableError(ValueError):
    """The range lies outside of the object."""


def requested_span(value: str, size: int) -> Span | None:
    """The bytes that a Range header means of an object of `size` bytes; None where S3 ignores it.

    S3 answers malformed and multiple ranges with the whole object (wire-spec.md row 7). Raises
    UnsatisfiableError for a range that begins at or after the end.
    """
    match = _RANGE.fullmatch(value.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(size - int(last), 0)
    if start >= size:
        raise UnsatisfiableError(value)
    return Span(start, min(int(last) + 1, size) if first and last else size)
