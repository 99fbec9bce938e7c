"""What S3 answers to GET and HEAD of an object, by wire-spec.md §2.2 and §3 and its rows 74 to 92.

Signatures are not checked. `Behaviour` says what a server honours of it.
"""

from __future__ import annotations

import gzip
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from fastget.core.messages import Framing
from fastget.core.ranges import Span
from fastget.testing.answer import Answer, Field, Segment
from fastget.testing.attributes import object_attributes
from fastget.testing.behaviour import Attributes, Behaviour, EmptyRange, ETags, HeadPart, RangeChecksum
from fastget.testing.documents import error, identifiers
from fastget.testing.received import ReceivedRequest, UnsatisfiableError, requested_span

if TYPE_CHECKING:
    from fastget.testing.objects import StoredObject, StoredPart

_OVERRIDES = {
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
    "response-content-language": "Content-Language",
    "response-content-type": "Content-Type",
    "response-expires": "Expires",
}


def no_such_key(request: ReceivedRequest, behaviour: Behaviour) -> Answer:
    """404 for a key that is not stored."""
    key = request.path.lstrip("/").partition("/")[2]
    return error(404, "NoSuchKey", "The specified key does not exist.", {"Key": key}, amazon=behaviour.amazon)


def answer(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour) -> Answer:
    """The answer to a GET or HEAD of an object that is there; a HEAD's too has a body, which is not sent."""
    return (
        _refused_access(request, stored, behaviour)
        or _refused_version(request, stored, behaviour)
        or _failed_condition(request, stored, behaviour)
        or _with_overrides(request, _selected(request, stored, behaviour))
    )


def shown_etag(stored: StoredObject, behaviour: Behaviour) -> str | None:
    """The ETag as this server sends it."""
    shapes = {
        ETags.STRONG: stored.etag,
        ETags.WEAK: f"W/{stored.etag}",
        ETags.UNQUOTED: stored.etag.strip('"'),
        ETags.NONE: None,
    }
    return shapes[behaviour.etags]


def _refused_access(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour) -> Answer | None:
    required = stored.required_headers.items()
    if all(request.headers.get(name) == value for name, value in required):
        return None
    return error(403, "AccessDenied", "Access Denied", amazon=behaviour.amazon)


def _with_overrides(request: ReceivedRequest, found: Answer) -> Answer:
    """The header fields that `response-…` parameters ask for (wire-spec.md rows 10 to 15, 105)."""
    for name, value in request.query:
        field = _OVERRIDES.get(name)
        if field is not None and found.status in (200, 206):
            found = found.with_field(field, value)
    return found


def _refused_version(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour) -> Answer | None:
    wanted = request.parameter("versionId")
    if wanted is None or wanted == (stored.version_id or "null"):
        return None
    message = "The specified version does not exist."
    return error(404, "NoSuchVersion", message, {"VersionId": wanted}, amazon=behaviour.amazon)


def _failed_condition(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour) -> Answer | None:
    """412 or 304, in the order of RFC 9110 §13.2.2 (wire-spec.md rows 82, 83, 106 to 108)."""
    if not behaviour.conditions:
        return None
    headers = request.headers
    if_match, unmodified = headers.get("if-match"), headers.get("if-unmodified-since")
    none_match, modified = headers.get("if-none-match"), headers.get("if-modified-since")
    if behaviour.if_match and if_match is not None:
        if not _matches_strongly(if_match, stored, behaviour):
            return _precondition_failed("If-Match", behaviour)
    elif _is_newer(stored, unmodified):
        return _precondition_failed("If-Unmodified-Since", behaviour)
    if none_match is not None:
        return _not_modified(stored, behaviour) if _names(none_match, stored.etag) else None
    return _not_modified(stored, behaviour) if _is_newer(stored, modified) is False else None


def _matches_strongly(value: str, stored: StoredObject, behaviour: Behaviour) -> bool:
    if behaviour.refuses_own_etag:
        return False
    if behaviour.if_match_unquoted_only:
        return value == stored.etag.strip('"')
    if behaviour.etags is ETags.WEAK or value.startswith("W/"):
        return False
    return _names(value, stored.etag)


def _names(value: str, etag: str) -> bool:
    """Whether a list of entity tags, `*` or an unquoted tag names this one; S3 does not mind the quotes."""
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in value.split(",")]
    return value.strip() == "*" or etag.strip('"') in tags


def _is_newer(stored: StoredObject, date: str | None) -> bool | None:
    """Whether the object is newer than a date; None where that is no date (RFC 9110 §13.1.3)."""
    try:
        return parsedate_to_datetime(stored.last_modified) > parsedate_to_datetime(date or "")
    except ValueError:
        return None


def _precondition_failed(condition: str, behaviour: Behaviour) -> Answer:
    message = "At least one of the pre-conditions you specified did not hold"
    return error(412, "PreconditionFailed", message, {"Condition": condition}, amazon=behaviour.amazon)


def _not_modified(stored: StoredObject, behaviour: Behaviour) -> Answer:
    fields: tuple[Field, ...] = (
        ("Last-Modified", stored.last_modified),
        *identifiers(amazon=behaviour.amazon),
    )
    etag = shown_etag(stored, behaviour)
    return Answer(304, fields if etag is None else (("ETag", etag), *fields))


def _selected(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour) -> Answer:
    """The part, the range or the whole that a request selects."""
    if behaviour.transcodes_gzip and _is_inflated(request, stored):
        return _transcoded(stored, behaviour)
    if request.parameter("attributes") is not None and behaviour.attributes is not Attributes.IGNORED:
        return object_attributes(request, stored, behaviour)
    part = request.parameter("partNumber") if behaviour.part_numbers else None
    ranged = request.range if behaviour.ranges else None
    if behaviour.range_refusal is not None and (request.range or request.parameter("partNumber")):
        message = "This operation is not supported"
        return error(behaviour.range_refusal, "NotImplemented", message, amazon=behaviour.amazon)
    if part is not None and ranged is not None:
        message = "Cannot specify both Range header and partNumber query parameter"
        return error(400, "InvalidRequest", message, amazon=behaviour.amazon)
    if part is not None:
        return _part(request, stored, behaviour)
    return _whole(request, stored, behaviour) if ranged is None else _range(request, stored, behaviour, ranged)


def _is_inflated(request: ReceivedRequest, stored: StoredObject) -> bool:
    is_gzip = stored.headers.get("Content-Encoding") == "gzip"
    return is_gzip and "gzip" not in (request.headers.get("accept-encoding") or "")


def _transcoded(stored: StoredObject, behaviour: Behaviour) -> Answer:
    """The inflated content, under the stored object's ETag (wire-spec.md §4)."""
    whole = Answer(200, _facts(stored, behaviour)).with_field("Content-Encoding", None)
    whole = whole.with_field("Accept-Ranges", None).with_field("Warning", "214 UploadServer gunzipped")
    whole = whole.with_field("x-goog-stored-content-encoding", "gzip")
    return replace(whole.with_body(gzip.decompress(stored.content.read())), framing=Framing.CHUNKED)


def _whole(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour) -> Answer:
    checksum = stored.checksum_fields()
    if request.method == "HEAD" and not behaviour.composite_suffix_on_head:
        checksum = stored.checksum_fields(suffix=False)
    fields = _facts(stored, behaviour) + _checksums(request, behaviour, checksum)
    if behaviour.counts_parts_always and stored.is_multipart and behaviour.amazon:
        fields += (("x-amz-mp-parts-count", str(len(stored.parts))),)
    return Answer(200, fields, _segments(stored, Span(0, stored.content.size)), total=stored.content.size)


def _range(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour, value: str) -> Answer:
    size = stored.content.size
    if size == 0 and behaviour.empty_range is not EmptyRange.UNSATISFIABLE:
        whole = _whole(request, stored, behaviour)
        is_whole = behaviour.empty_range is EmptyRange.WHOLE
        return whole if is_whole else replace(whole.with_field("Content-Range", "bytes 0--1/0"), status=206)
    try:
        span = requested_span(value, size)
    except UnsatisfiableError:
        return _unsatisfiable(value, size, behaviour)
    if span is None:
        return _whole(request, stored, behaviour)
    if behaviour.range_checksum is RangeChecksum.AS_S3:
        checksum = stored.checksum_fields_of(span)
    else:
        checksum = stored.checksum_fields() if behaviour.range_checksum is RangeChecksum.OBJECT else ()
    fields = _facts(stored, behaviour) + _checksums(request, behaviour, checksum)
    partial = Answer(behaviour.partial_status, fields, _segments(stored, span), span, size)
    return partial.with_content_range("bytes {first}-{last}/{total}")


def _unsatisfiable(value: str, size: int, behaviour: Behaviour) -> Answer:
    refusal = error(
        416,
        "InvalidRange",
        "The requested range is not satisfiable",
        {"RangeRequested": value, "ActualObjectSize": str(size)},
        amazon=behaviour.amazon,
    )
    return refusal.with_field("Content-Range", f"bytes */{size}") if behaviour.total_on_416 else refusal


def _part(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour) -> Answer:
    number = request.part_number
    if number is None or not 1 <= number <= 10_000:
        message = "Part number must be an integer between 1 and 10000, inclusive"
        elements = {"ArgumentName": "partNumber", "ArgumentValue": request.parameter("partNumber") or ""}
        return error(400, "InvalidArgument", message, elements, amazon=behaviour.amazon)
    part = next((part for part in stored.parts if part.number == number), None)
    if part is None:
        return error(
            416,
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
            {"PartNumberRequested": str(number), "ActualPartCount": str(len(stored.parts))},
            amazon=behaviour.amazon,
        )
    if request.method == "HEAD" and behaviour.head_part is HeadPart.WHOLE_SIZE:
        return _whole(request, stored, behaviour)
    if _ignores_number(request, stored, behaviour):
        return _whole(request, stored, behaviour)
    if behaviour.parts_by_index:
        part = stored.parts[min(number, len(stored.parts)) - 1]
    return _part_answer(request, stored, behaviour, part)


def _ignores_number(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour) -> bool:
    if stored.is_multipart:
        return behaviour.whole_for_parts and request.method == "GET"
    return behaviour.whole_for_only_part


def _part_answer(request: ReceivedRequest, stored: StoredObject, behaviour: Behaviour, part: StoredPart) -> Answer:
    checksum: tuple[Field, ...] = ()
    of_part = behaviour.range_checksum not in (RangeChecksum.NONE, RangeChecksum.OBJECT)
    of_object = behaviour.range_checksum is RangeChecksum.PARTS_OF_ALL and not stored.is_composite
    if of_object or behaviour.range_checksum is RangeChecksum.OBJECT:
        checksum = stored.checksum_fields()
    elif of_part:
        checksum = stored.checksum_fields_of_part(part)
    fields = _facts(stored, behaviour) + _checksums(request, behaviour, checksum)
    if stored.is_multipart and behaviour.amazon:
        fields += (("x-amz-mp-parts-count", str(len(stored.parts))),)
    size = stored.content.size
    found = Answer(behaviour.partial_status, fields, _segments(stored, part.span), part.span, size)
    if request.method == "HEAD" and behaviour.head_part is HeadPart.PART_ETAG:
        return replace(found.with_field("ETag", part.etag), status=200)
    if behaviour.part_etag:
        found = found.with_field("ETag", part.etag)
    is_placed = size and behaviour.part_content_range
    return found.with_content_range("bytes {first}-{last}/{total}") if is_placed else found


def _facts(stored: StoredObject, behaviour: Behaviour) -> tuple[Field, ...]:
    etag = shown_etag(stored, behaviour)
    fields: list[Field] = [("Last-Modified", stored.last_modified)]
    if behaviour.server is not None and "Server" not in stored.headers:
        fields.append(("Server", behaviour.server))
    if etag is not None:
        fields.append(("ETag", etag))
    if behaviour.accept_ranges is not None:
        fields.append(("Accept-Ranges", behaviour.accept_ranges))
    fields.append(("Content-Type", stored.content_type))
    if behaviour.amazon and stored.version_id is not None:
        fields.append(("x-amz-version-id", stored.version_id))
    return (*fields, *identifiers(amazon=behaviour.amazon), *stored.headers.items())


def _checksums(request: ReceivedRequest, behaviour: Behaviour, fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """The checksum headers, which S3 sends only where they are asked for."""
    asked = (request.headers.get("x-amz-checksum-mode") or "").upper() == "ENABLED"
    return fields if asked and behaviour.checksums and behaviour.amazon else ()


def _segments(stored: StoredObject, span: Span) -> tuple[Segment, ...]:
    return (Segment(stored.content, span, is_object=True),) if span.length else ()
