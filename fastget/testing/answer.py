"""An answer as a value: status, header fields, and the pieces of content that its body is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Self

from fastget.core.messages import Framing
from fastget.core.ranges import Span
from fastget.testing.content import Content

REASONS = {
    200: "OK",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    304: "Not Modified",
    307: "Temporary Redirect",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    412: "Precondition Failed",
    416: "Requested Range Not Satisfiable",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}

Field = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of some content. `is_object` tells the object's own bytes, whose offsets faults refer to."""

    content: Content
    span: Span
    is_object: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What is going to be sent. Faults change it with the methods below.

    `span` and `total` are the object's bytes that a Content-Range speaks of (None where there is no range);
    `declared_length` replaces the true Content-Length; `raw_lines` are added to the head as they are.
    """

    status: int
    fields: tuple[Field, ...] = ()
    segments: tuple[Segment, ...] = ()
    span: Span | None = None
    total: int = 0
    framing: Framing = Framing.LENGTH
    declared_length: int | str | None = None
    raw_lines: bytes = b""

    @property
    def length(self) -> int:
        """The number of body bytes."""
        return sum(segment.span.length for segment in self.segments)

    def get(self, name: str) -> str | None:
        """The first value of a header field, or None."""
        return next((value for key, value in self.fields if key.lower() == name.lower()), None)

    def with_field(self, name: str, value: str | None) -> Self:
        """The field replaced, added at the end, or with None removed."""
        kept = tuple(field for field in self.fields if field[0].lower() != name.lower())
        return replace(self, fields=kept if value is None else (*kept, (name, value)))

    def with_more_fields(self, *fields: Field) -> Self:
        """The fields added, even where one of the name is there."""
        return replace(self, fields=self.fields + fields)

    def with_content_range(self, text: str) -> Self:
        """Content-Range set from a template: {first}, {last} and {total} stand for the true numbers."""
        span = self.span or Span(0, self.length)
        return self.with_field("Content-Range", text.format(first=span.start, last=span.stop - 1, total=self.total))

    def with_body(self, data: bytes) -> Self:
        """The body replaced by other bytes."""
        return replace(self, segments=(literal(data),))


def compose_head(answer: Answer, *, keeps_alive: bool) -> bytes:
    """Status line and header fields, with the fields that frame the body."""
    own = [("Date", formatdate(usegmt=True)), ("Server", "fastget-testing")]
    given = {name.lower() for name, _ in answer.fields}
    fields = [*(field for field in own if field[0].lower() not in given), *answer.fields]
    if answer.framing is Framing.LENGTH:
        declared = answer.length if answer.declared_length is None else answer.declared_length
        fields.append(("Content-Length", str(declared)))
    elif answer.framing is Framing.CHUNKED:
        fields.append(("Transfer-Encoding", "chunked"))
    if not keeps_alive:
        fields.append(("Connection", "close"))
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n" + answer.raw_lines + b"\r\n"


def literal(data: bytes) -> Segment:
    """A segment of bytes that belong to no object."""
    return Segment(Content.of(data), Span(0, len(data)))


def document(status: int, data: bytes, *fields: Field) -> Answer:
    """An answer that carries a short document."""
    return Answer(status, fields, (literal(data),) if data else ())
