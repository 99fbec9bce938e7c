"""Byte ranges: half-open spans inside the program, inclusive ones on the wire (RFC 9110 §14)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from fastget.records import frozen, record

if TYPE_CHECKING:
    from fastget.core.messages import Headers

# The unit's name is the one thing in it that knows no case (RFC 9110 §14.1).
_CONTENT_RANGE = re.compile(r"(?i:bytes) (?:([0-9]{1,19})-([0-9]{1,19})|\*)/([0-9]{1,19}|\*)", re.ASCII)
MAXIMUM_SIZE = 2**63 - 1


@frozen(order=True)
class Span:
    """The bytes from `start` up to, not including, `stop`."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop:
            raise ValueError(f"not a span: {self.start} to {self.stop}")

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def header(self) -> str:
        """The value of a Range header that asks for these bytes; the span must not be empty."""
        if self.start == self.stop:
            raise ValueError("an empty span cannot be asked for")
        return f"bytes={self.start}-{self.stop - 1}"


@record
class ContentRange:
    """A Content-Range header: which bytes an answer holds, of how many. A 416 has no span; `*` is no total."""

    span: Span | None
    total: int | None

    @classmethod
    def of(cls, headers: Headers) -> Self | None:
        """That of an answer; None where there is not exactly one, or it is not well-formed."""
        values = headers.get_all("content-range")
        return cls.parse(values[0]) if len(values) == 1 else None

    @classmethod
    def parse(cls, value: str) -> Self | None:
        """Read the header strictly (RFC 9110 §14.4); None when it is malformed or contradicts itself."""
        match = _CONTENT_RANGE.fullmatch(value.strip(" \t"))
        if match is None:
            return None
        first, last, total_text = match.groups()
        total = None if total_text == "*" else int(total_text)
        if total is not None and total > MAXIMUM_SIZE:
            return None
        if first is None:
            return cls(None, total) if total is not None else None
        start, stop = int(first), int(last) + 1
        if start >= stop or stop > (MAXIMUM_SIZE if total is None else total):
            return None
        return cls(Span(start, stop), total)
