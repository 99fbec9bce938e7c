"""Answers that are not what was asked for, bodies that are not what the head says (faults.md H1-H18, C1)."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING

from fastget.core.messages import Framing
from fastget.core.ranges import Span
from fastget.testing.answer import Answer, Segment, literal
from fastget.testing.behaviour import RangeChecksum
from fastget.testing.documents import error
from fastget.testing.fault import Fault, Flip, When

if TYPE_CHECKING:
    from fastget.testing.received import ReceivedRequest

# The requests that most of these mean: those for a Range or a partNumber.
RANGED = When(ranged=True)


def flip_bit(offset: int, bit: int = 0) -> Fault:
    """A bit flipped at an offset of the object the first time that this byte is sent, by any request (C1)."""
    return Fault(name="flip-bit", flip=Flip(offset, bit))


def flip_bit_of_body(offset: int = 0, bit: int = 0) -> Fault:
    """A bit flipped at an offset of one answer's body (C1)."""
    return Fault(name="flip-bit-of-body", flip=Flip(offset, bit, of_body=True))


def range_ignored() -> Fault:
    """200 and the whole object to a Range (H1)."""
    return Fault(name="range-ignored", when=RANGED, behaviour={"ranges": False, "part_numbers": False})


def part_number_ignored() -> Fault:
    """200 and the whole object to a partNumber (H47)."""
    return Fault(name="part-number-ignored", when=RANGED, behaviour={"part_numbers": False})


def if_match_ignored() -> Fault:
    """An answer that does not mind If-Match (H53)."""
    return Fault(name="if-match-ignored", behaviour={"if_match": False})


def partial_as_200() -> Fault:
    """The right range and the right Content-Range under status 200 (H2)."""
    return Fault(name="partial-as-200", when=RANGED, behaviour={"partial_status": 200})


def object_checksum_on_range() -> Fault:
    """The whole object's checksum on an answer that holds a range (floci, early Ceph)."""
    return Fault(name="object-checksum-on-range", when=RANGED, behaviour={"range_checksum": RangeChecksum.OBJECT})


def range_shifted(by: int = 1) -> Fault:
    """Another range than the one asked for, honestly labelled (H3); it stays inside of the object."""

    def edit(_: ReceivedRequest, answer: Answer) -> Answer:
        if answer.span is None or not answer.segments:
            return answer
        moved = _moved(answer.span, by, answer.total)
        segment = replace(answer.segments[0], span=moved)
        shifted = replace(answer, span=moved, segments=(segment,))
        return shifted.with_content_range("bytes {first}-{last}/{total}")

    return Fault(name="range-shifted", when=RANGED, edit=edit)


def body_shifted(by: int = 1) -> Fault:
    """The right head, and bytes from `by` further on (H4): only a digest can tell."""

    def edit(_: ReceivedRequest, answer: Answer) -> Answer:
        if not answer.segments:
            return answer
        first = answer.segments[0]
        moved = _moved(first.span, by, first.content.size)
        if moved == first.span:  # a whole object: turned round
            turn = first.span.start + by % first.span.length
            parts = (Span(turn, first.span.stop), Span(first.span.start, turn))
            return replace(answer, segments=tuple(Segment(first.content, span, is_object=True) for span in parts))
        return replace(answer, segments=(replace(first, span=moved),))

    return Fault(name="body-shifted", edit=edit)


def short(by: int = 1) -> Fault:
    """Fewer bytes than asked for, but one at least, honestly labelled (H5)."""

    def edit(_: ReceivedRequest, answer: Answer) -> Answer:
        left_out = min(by, max(answer.length - 1, 0))
        cut = _shortened(answer, left_out)
        if answer.span is None:
            return cut
        span = Span(answer.span.start, answer.span.stop - left_out)
        return replace(cut, span=span).with_content_range("bytes {first}-{last}/{total}")

    return Fault(name="short", when=RANGED, edit=edit)


def short_of_content_range(by: int = 1) -> Fault:
    """A body, and a Content-Length, shorter than the Content-Range says (H6)."""
    return Fault(name="short-of-content-range", when=RANGED, edit=lambda _, answer: _shortened(answer, by))


def body_longer(by: int = 100) -> Fault:
    """More bytes than the Content-Range says, with a Content-Length to match (H7)."""
    return Fault(name="body-longer", edit=lambda _, answer: _appended(answer, b"\xee" * by))


def body_until_close(cut: int = 0) -> Fault:
    """A body that ends with the connection, `cut` bytes too early (N3)."""

    def edit(_: ReceivedRequest, answer: Answer) -> Answer:
        return replace(_shortened(answer, cut), framing=Framing.CLOSE)

    return Fault(name="body-until-close", edit=edit)


def zeroed() -> Fault:
    """Zeros instead of the content."""
    return Fault(name="zeroed", edit=lambda _, answer: answer.with_body(bytes(answer.length)))


def no_content_range() -> Fault:
    """206 without a Content-Range (H8)."""
    return Fault(name="no-content-range", when=RANGED, edit=lambda _, answer: answer.with_field("Content-Range", None))


def content_range(template: str) -> Fault:
    """Another Content-Range: {first}, {last} and {total} stand for the true numbers (H12)."""
    return Fault(name="content-range", when=RANGED, edit=lambda _, answer: answer.with_content_range(template))


def many_content_ranges() -> Fault:
    """Two Content-Range lines that contradict each other (H12)."""
    return Fault(
        name="many-content-ranges",
        when=RANGED,
        edit=lambda _, answer: answer.with_more_fields(("Content-Range", f"bytes 0-0/{answer.total}")),
    )


def other_total(by: int = 1) -> Fault:
    """A Content-Range with another total: a sign that the object has changed (H9)."""

    def edit(_: ReceivedRequest, answer: Answer) -> Answer:
        return answer.with_content_range("bytes {first}-{last}/" + str(answer.total + by))

    return Fault(name="other-total", when=RANGED, edit=edit)


def unknown_total() -> Fault:
    """A Content-Range whose total is `*` (H10)."""
    return replace(content_range("bytes {first}-{last}/*"), name="unknown-total")


def multipart_byteranges() -> Fault:
    """The range wrapped in multipart/byteranges (H11)."""
    boundary = "THIS_STRING_SEPARATES"

    def edit(_: ReceivedRequest, answer: Answer) -> Answer:
        labelled = answer.get("Content-Range") or f"bytes 0-{answer.length - 1}/{answer.length}"
        before = f"--{boundary}\r\nContent-Type: binary/octet-stream\r\nContent-Range: {labelled}\r\n\r\n"
        wrapped = (literal(before.encode()), *answer.segments, literal(f"\r\n--{boundary}--\r\n".encode()))
        plain = answer.with_field("Content-Range", None)
        kind = f"multipart/byteranges; boundary={boundary}"
        return replace(plain.with_field("Content-Type", kind), segments=wrapped)

    return Fault(name="multipart-byteranges", when=RANGED, edit=edit)


def gzip_encoded() -> Fault:
    """The body in gzip coding, unasked, under the head of the plain one (H17)."""

    def edit(_: ReceivedRequest, answer: Answer) -> Answer:
        data = b"".join(segment.content.read(segment.span.start, segment.span.stop) for segment in answer.segments)
        return answer.with_body(gzip.compress(data, mtime=0)).with_field("Content-Encoding", "gzip")

    return Fault(name="gzip-encoded", edit=edit)


def error_document_as_body() -> Fault:
    """An S3 error document as the body of an answer that otherwise looks right (H42)."""

    def edit(_: ReceivedRequest, answer: Answer) -> Answer:
        refusal = error(200, "InternalError", "We encountered an internal error. Please try again.")
        return replace(answer, segments=refusal.segments)

    return Fault(name="error-document-as-body", edit=edit)


def other_etag(etag: str = '"00000000000000000000000000000000"') -> Fault:
    """The right bytes under another ETag (H56)."""
    return Fault(name="other-etag", edit=lambda _, answer: answer.with_field("ETag", etag))


def other_checksum(name: str, value: str | None) -> Fault:
    """Another value, or none, in a checksum header such as x-amz-checksum-crc32c (C8 to C14)."""
    return Fault(name="other-checksum", edit=lambda _, answer: answer.with_field(name, value))


def _moved(span: Span, by: int, size: int) -> Span:
    start = min(max(span.start + by, 0), size - span.length)
    if start == span.start:
        start = min(max(span.start - by, 0), size - span.length)
    return Span(start, start + span.length)


def _shortened(answer: Answer, by: int) -> Answer:
    if not answer.segments or not by:
        return answer
    *kept, last = answer.segments
    stop = max(last.span.start, last.span.stop - by)
    return replace(answer, segments=(*kept, replace(last, span=Span(last.span.start, stop))))


def _appended(answer: Answer, data: bytes) -> Answer:
    return replace(answer, segments=(*answer.segments, literal(data)))
