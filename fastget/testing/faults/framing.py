"""Bodies, header fields and status lines that break HTTP (faults.md H19-H25, H59, N4, N26)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastget.core.messages import Framing
from fastget.testing.fault import Fault, Manner

if TYPE_CHECKING:
    from fastget.testing.answer import Answer
    from fastget.testing.received import ReceivedRequest


def chunked() -> Fault:
    """A right body in chunked coding, without a length (H19)."""
    return Fault(name="chunked", edit=_chunked)


def chunked_without_end(after: int | None = None) -> Fault:
    """Chunked coding without its last chunk, ended with the connection `after` so many body bytes (N4)."""
    manner = Manner(last_chunk=False, closes=True, stop_after=after)
    return Fault(name="chunked-without-end", edit=_chunked, manner=manner)


def bad_chunk_size() -> Fault:
    """A chunk whose size is no number."""

    def edit(_: ReceivedRequest, answer: Answer) -> Answer:
        announced = answer.with_more_fields(("Transfer-Encoding", "chunked"))
        return replace(announced.with_body(b"zz\r\nabc\r\n0\r\n\r\n"), framing=Framing.CLOSE)

    return Fault(name="bad-chunk-size", edit=edit)


def length_and_chunked() -> Fault:
    """Chunked coding and a Content-Length (H20)."""

    def edit(request: ReceivedRequest, answer: Answer) -> Answer:
        return _chunked(request, answer).with_more_fields(("Content-Length", str(answer.length)))

    return Fault(name="length-and-chunked", edit=edit)


def two_lengths() -> Fault:
    """Two Content-Length fields that differ (H21)."""

    def edit(_: ReceivedRequest, answer: Answer) -> Answer:
        return answer.with_more_fields(("Content-Length", str(answer.length + 1)))

    return Fault(name="two-lengths", edit=edit)


def declared_length(value: int | str) -> Fault:
    """Another Content-Length than the body has, or no number at all (H22, C17); then the connection ends."""
    return Fault(
        name="declared-length",
        edit=lambda _, answer: replace(answer, declared_length=value),
        manner=Manner(closes=True),
    )


def surplus_bytes(data: bytes = b"surplus") -> Fault:
    """Bytes after the end of the body, on a connection that stays open (H59)."""
    return Fault(name="surplus-bytes", manner=Manner(surplus=data))


def garbage(data: bytes = b"\x00\x01garbage\r\n") -> Fault:
    """Bytes before the status line (N26)."""
    return Fault(name="garbage", manner=Manner(greeting=data))


def informational(status: int = 103, count: int = 1) -> Fault:
    """So many 1xx answers before the true one (H23)."""
    return Fault(name="informational", manner=Manner(greeting=f"HTTP/1.1 {status} Wait\r\n\r\n".encode() * count))


def huge_header(size: int = 100 * 1024) -> Fault:
    """One header field of `size` bytes (H24)."""
    return Fault(name="huge-header", edit=lambda _, answer: answer.with_field("X-Huge", "h" * size))


def many_headers(count: int = 5000) -> Fault:
    """So many header fields more (H24)."""
    extra = tuple((f"X-Many-{number}", "m") for number in range(count))
    return Fault(name="many-headers", edit=lambda _, answer: answer.with_more_fields(*extra))


def bad_header_line(line: bytes = b"no colon in here\r\n") -> Fault:
    """A line of the head as it is (H25), such as `b"a: b\\0c\\r\\n"` or `b" folded\\r\\n"`."""
    return Fault(name="bad-header-line", edit=lambda _, answer: replace(answer, raw_lines=line))


def _chunked(_: ReceivedRequest, answer: Answer) -> Answer:
    return replace(answer, framing=Framing.CHUNKED)
