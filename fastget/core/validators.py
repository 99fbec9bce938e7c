"""The acceptance predicate: whether the body of an answer may be written to the place that was asked for.

Every rule has a row in faults.md §1; the answer to anything doubtful is no. A status 200 with no Content-Range never
lands at an offset.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from fastget.core.messages import Framing, Headers, ResponseHead
from fastget.core.ranges import ContentRange, Span
from fastget.records import record

if TYPE_CHECKING:
    from fastget.core.objectinfo import Pin

# The statuses that the predicate judges; every other one is for the source to explain.
SUCCESS = (200, 206)
FORBIDDEN = 403
PRECONDITION_FAILED = 412
UNSATISFIABLE = 416
# Statuses that an object which was there a moment ago answers with, and what has happened then (faults.md H14, H39).
GONE = {404: "it is no longer there", UNSATISFIABLE: "it ends before the range that is missing"}


@record
class Expectation:
    """What was asked for. With a `part_number`, `span` is where the layout says that the part lies."""

    span: Span
    pin: Pin
    part_number: int | None = None
    full_status_ranges: bool = False
    content_is_checked: bool = False
    """Whether a digest of the content is going to tell, where an answer does not say of which version it is."""


class Doubt(Enum):
    """Why a body is refused, by what has to follow."""

    CHANGED = "changed"
    """It belongs to another version of the object: the download ends."""
    RANGE_IGNORED = "range-ignored"
    """The server sent the whole object: only a single stream works here."""
    LAYOUT = "layout"
    """The part lies elsewhere than the layout says: the layout was a wrong guess."""
    UNPROVEN = "unproven"
    """The answer does not prove what its bytes are: discard it and ask again."""


@record
class Accepted:
    """The body is the bytes of `span`; it may be shorter than what was asked for, but starts at the same byte."""

    span: Span


@record
class Refused:
    """`reason` may quote the answer: it is to be shown as `Source.without_secrets` gives it."""

    doubt: Doubt
    reason: str


def judge(head: ResponseHead, asked: Expectation) -> Accepted | Refused:
    """Decide about a 200 or 206 answer to a range or part request, from its head alone."""
    verdict = judge_identity(head, asked.pin) or _judge_coding(head, asked.pin) or _judge_place(head, asked)
    return verdict if isinstance(verdict, Refused) else _judge_silence(head, asked) or verdict


def judge_whole(head: ResponseHead, pin: Pin) -> Refused | None:
    """Why the answer to a plain request may not be all of the pinned object, whose ETag is strong; None where it is."""
    if head.status != 200 or "content-range" in head.headers:
        return Refused(Doubt.UNPROVEN, f"status {head.status} does not answer with the whole object")
    if (refused := judge_identity(head, pin) or _judge_coding(head, pin)) is not None:
        return refused
    if "etag" not in head.headers:
        return Refused(Doubt.UNPROVEN, "the answer does not say of which version it is")
    return None if head.content_length is None else _judge_total(head.content_length, pin)


def judge_identity(head: ResponseHead, pin: Pin) -> Refused | None:
    """Whether an answer of any kind speaks of another object than the pinned one; None when nothing says so."""
    etag = _another(head.headers, "etag", pin.etag)
    if etag is not None:
        return Refused(Doubt.CHANGED, f"the ETag was {pin.etag} and is now {etag}")
    version = _another(head.headers, "x-amz-version-id", pin.version_id)
    if version is not None:
        return Refused(Doubt.CHANGED, f"the version was {pin.version_id} and is now {version}")
    modified = _another(head.headers, "last-modified", pin.last_modified)
    # Machines that serve the same content may have stored it at different times: a strong ETag outweighs the date.
    if modified is not None and not pin.is_strong:
        return Refused(Doubt.CHANGED, f"Last-Modified was {pin.last_modified} and is now {modified}")
    return None


def nothing_follows(head: ResponseHead, pin: Pin, position: int) -> bool:
    """Whether what refuses the range from `position` on says that the object, of unknown size so far, ends there."""
    place = ContentRange.of(head.headers)
    is_tied = pin.size is None and pin.if_match is not None and judge_identity(head, pin) is None
    return head.status == UNSATISFIABLE and is_tied and place == ContentRange(None, position)


def looser_pin(pin: Pin, status: int, *, may_refuse_its_etag: bool) -> Pin | None:
    """What to ask with instead where a pinned request was refused with this status; None where it is meant.

    A version may be denied to whoever may read the current one: the ETag still pins (wire-spec.md row 9). And some
    stores refuse the very ETag that they have sent: in the end answers are compared instead (wire-spec.md §4).
    """
    if status == FORBIDDEN and pin.version_id is not None and pin.is_strong:
        return pin.without_version()
    if status == PRECONDITION_FAILED and may_refuse_its_etag:
        return pin.loosened()
    return None


def _judge_silence(head: ResponseHead, asked: Expectation) -> Refused | None:
    """An answer that names no version may be of another one: a server that ignores If-Match would not say."""
    if asked.content_is_checked or not asked.pin.is_strong:
        return None
    names_version = asked.pin.version_id is not None and "x-amz-version-id" in head.headers
    if "etag" in head.headers or names_version:
        return None
    return Refused(Doubt.UNPROVEN, "the answer does not say of which version it is")


def _another(headers: Headers, name: str, pinned: str | None) -> str | None:
    """A value of the field that contradicts the pinned one."""
    if pinned is None:
        return None
    return next((value for value in headers.get_all(name) if value != pinned), None)


def _judge_coding(head: ResponseHead, pin: Pin) -> Refused | None:
    content_types = head.headers.get_all("content-type")
    if any(value.strip().lower().startswith("multipart/byteranges") for value in content_types):
        return Refused(Doubt.UNPROVEN, "the answer is multipart/byteranges though one range was asked for")
    # An object stored with a coding keeps it in every answer; one that appears midway was applied on the fly, and
    # the offsets are then those of other bytes.
    coding = ",".join(head.headers.get_all("content-encoding"))
    if _codings(coding) != _codings(pin.content_encoding or ""):
        return Refused(Doubt.UNPROVEN, f"the answer is coded as {coding or 'identity'}, the first one was not")
    return None


def _codings(value: str) -> list[str]:
    named = (coding.strip().lower() for coding in value.split(","))
    return [coding for coding in named if coding not in ("", "identity")]


def _judge_place(head: ResponseHead, asked: Expectation) -> Accepted | Refused:
    if head.status not in SUCCESS:
        return Refused(Doubt.UNPROVEN, f"status {head.status} does not answer a range")
    values = head.headers.get_all("content-range")
    if not values:
        return _judge_without_range(head, asked)
    content_range = ContentRange.of(head.headers)
    if content_range is None or content_range.span is None:
        return Refused(Doubt.UNPROVEN, f"Content-Range cannot be believed: {', '.join(values)}")
    if head.status == 200 and not asked.full_status_ranges:
        return Refused(Doubt.UNPROVEN, "status 200 carries a Content-Range")
    return _judge_total(content_range.total, asked.pin) or _judge_span(head, asked, content_range.span)


def _judge_total(total: int | None, pin: Pin) -> Refused | None:
    """Another total is another object (faults.md H9), unless the answer is to a request for one version alone.

    What that has is settled: then the answer contradicts itself, as a broken machine or proxy does, and proves nothing.
    """
    if total is None and pin.size is None:
        return Refused(Doubt.UNPROVEN, "no total is known to place the range in")
    if total is None or pin.size is None or total == pin.size:
        return None
    if pin.can_be_combined:
        return Refused(Doubt.UNPROVEN, f"this version has {pin.size} bytes, and an answer for it says {total}")
    return Refused(Doubt.CHANGED, f"the object had {pin.size} bytes and now has {total}")


def _judge_without_range(head: ResponseHead, asked: Expectation) -> Accepted | Refused:
    whole = Span(0, asked.pin.size) if asked.pin.size is not None else None
    if head.status == 200:
        # A store may answer a request for part 1 of 1 with the plain object.
        if asked.part_number is not None and asked.span == whole and head.content_length == asked.span.length:
            return Accepted(asked.span)
        return Refused(Doubt.RANGE_IGNORED, "the server sent the whole object instead of the range")
    return Refused(Doubt.UNPROVEN, "status 206 without Content-Range does not say which bytes these are")


def _judge_span(head: ResponseHead, asked: Expectation, span: Span) -> Accepted | Refused:
    if asked.part_number is not None and span != asked.span:
        return Refused(Doubt.LAYOUT, f"part {asked.part_number} is at {span.start}-{span.stop}, not where expected")
    if span.start != asked.span.start or span.stop > asked.span.stop:
        wanted = f"{asked.span.start}-{asked.span.stop - 1}"
        return Refused(Doubt.UNPROVEN, f"bytes {span.start}-{span.stop - 1} came for {wanted}")
    if head.framing is Framing.LENGTH and head.content_length != span.length:
        return Refused(Doubt.UNPROVEN, f"Content-Length {head.content_length} contradicts a range of {span.length}")
    return Accepted(span)
