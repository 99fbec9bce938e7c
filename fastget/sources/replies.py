"""A server's own words when it refuses, made safe to print: bounded, no control characters, no secrets."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from fastget.core.redaction import without_secrets
from fastget.errors import ServerReply

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from xml.etree.ElementTree import Element

    from fastget.core.messages import Headers, ResponseHead

LARGEST_BODY = 64 * 1024
_LONGEST_TEXT = 300
# The elements of an error document that say what it is about; others may repeat what was signed (StringToSign, …).
_DETAILS = (
    "AccessTier",
    "ActualObjectSize",
    "ActualPartCount",
    "BucketName",
    "Condition",
    "Endpoint",
    "Method",
    "PartNumberRequested",
    "RangeRequested",
    "Region",
    "ResourceType",
    "StorageClass",
    "VersionId",
)
# The names by which S3, IBM COS, GCS, Azure, Alibaba OSS, Tencent COS, R2 and others tell their operators of a request.
_REQUEST_IDS = (
    "x-amz-request-id",
    "x-clv-request-id",
    "x-guploader-uploadid",
    "x-ms-request-id",
    "x-oss-request-id",
    "x-cos-request-id",
    "cf-ray",
    "x-request-id",
)
# An error document is an Error, or one in an ErrorResponse.
_DEEPEST = 2
# Whole seconds by the standard; some servers send fractions.
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
# Seconds: whoever asks for more than three hundred years means it no more than that.
_LONGEST_WAIT = 1e10


def server_reply(head: ResponseHead, body: bytes, secrets: Iterable[str] = ()) -> ServerReply:
    """What the answer says of itself. See `without_secrets` for what is left out of every text."""
    known = tuple(secrets)
    fields = _error_document(body)

    def words(*found: str | None) -> str | None:
        return next((safe_text(text, known) for text in found if text), None)

    return ServerReply(
        status=head.status,
        code=words(fields.get("Code"), head.headers.get("x-amz-error-code"), head.headers.get("x-minio-error-code")),
        message=words(fields.get("Message"), _plain_text(head, body)),
        request_id=words(*(head.headers.get(name) for name in _REQUEST_IDS), fields.get("RequestId")),
        host_id=words(head.headers.get("x-amz-id-2"), fields.get("HostId")),
        retry_after=_retry_after(head.headers),
        details=tuple((name, safe_text(fields[name], known)) for name in _DETAILS if fields.get(name)),
    )


def _error_document(body: bytes) -> dict[str, str]:
    """The fields of an S3 error document; empty for anything else.

    Of one that breaks off, or breaks the rules of XML, those that stand whole before that place. A document type could
    define entities without end, so none is read (faults.md S17).
    """
    if len(body) > LARGEST_BODY or b"<Error" not in body or b"<!DOCTYPE" in body:
        return {}
    from xml.etree import ElementTree as ET

    parser: ET.XMLPullParser[Any] = ET.XMLPullParser(("start", "end"))  # no document type: checked above
    path: list[str] = []
    found: dict[str, str] = {}
    try:
        parser.feed(body.lstrip())
        for event, item in cast("Iterator[tuple[str, Element]]", parser.read_events()):
            if event == "start":
                path.append(_local_name(item.tag))
                continue
            name = path.pop()
            if path and path[-1] == "Error" and len(path) <= _DEEPEST:
                found[name] = (item.text or "").strip()
    except (ET.ParseError, ValueError, LookupError):
        return found
    return found


def _local_name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _plain_text(head: ResponseHead, body: bytes) -> str | None:
    content_type = (head.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if content_type != "text/plain":
        return None
    lines = body[:LARGEST_BODY].decode("utf-8", "replace").strip().splitlines()
    return lines[0] if lines else None


def safe_text(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` on one bounded line, without control characters and without secrets, `secrets` among them."""
    text = without_secrets(text[:LARGEST_BODY], secrets)
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * _LONGEST_TEXT])
    joined = " ".join(printable.split())
    return joined if len(joined) <= _LONGEST_TEXT else f"{joined[:_LONGEST_TEXT]}…"


def _retry_after(headers: Headers) -> float | None:
    """Seconds to wait (RFC 9110 §10.2.3). A date counts from the server's own Date, where it sends one."""
    value = (headers.get("retry-after") or "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), _LONGEST_WAIT)
    until, now = http_date(value), http_date(headers.get("date"))
    if until is None:
        return None
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


def http_date(value: str | None) -> datetime | None:
    """An HTTP date with its time zone, or None where the text is none."""
    from email.utils import parsedate_to_datetime

    try:
        parsed = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
