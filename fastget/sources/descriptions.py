"""The object-level facts that a 200 answer declares."""

from __future__ import annotations

import re

from fastget.core.checksums.declared import declared_by_headers
from fastget.core.messages import Framing, Headers, ResponseHead
from fastget.core.objectinfo import ObjectInfo
from fastget.core.ranges import MAXIMUM_SIZE
from fastget.sources.stores import is_transcoded

_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
# What a field may not hold (RFC 9110 §5.5), though some servers send it.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def object_info(head: ResponseHead, display_url: str, secrets: tuple[str, ...] = ()) -> ObjectInfo:
    """The facts of a plain GET or HEAD that was answered 200; Content-Encoding is kept as it was sent.

    They are printed and kept beside the file: a field that repeats one of `secrets` counts as not sent.
    """
    headers = _without_echoes(head.headers, secrets)
    if head.reading is not None and headers is head.headers:
        return head.reading.info(display_url, head)
    transcoded = is_transcoded(headers)
    return ObjectInfo(
        url=display_url,
        size=_size(head),
        etag=_agreed(headers, "etag"),
        version_id=_agreed(headers, "x-amz-version-id"),
        last_modified=_agreed(headers, "last-modified"),
        content_type=headers.get("content-type"),
        content_encoding=headers.get("content-encoding"),
        accepts_ranges=False if transcoded else _accepts_ranges(headers.get("accept-ranges")),
        storage_class=headers.get("x-amz-storage-class"),
        declared=() if transcoded else declared_by_headers(headers),
        headers=headers,
    )


def _agreed(headers: Headers, name: str) -> str | None:
    """The value of a field; None where an answer names several, or one that no request could name again."""
    values = headers.get_all(name)
    is_one = values and values.count(values[0]) == len(values)
    return values[0] if is_one and not _CONTROL.search(values[0]) else None


def _without_echoes(headers: Headers, secrets: tuple[str, ...]) -> Headers:
    if not secrets:
        return headers
    from fastget.core.redaction import repeats_secret

    # Nearly always all of them are looked through in vain: together, that is one look.
    if not repeats_secret("\n".join([value for _, value in headers]), secrets):
        return headers
    return Headers(item for item in headers if not repeats_secret(item[1], secrets))


def _size(head: ResponseHead) -> int | None:
    if head.content_length is not None:
        return head.content_length
    # The answer to a HEAD has no body, but its Content-Length is that of the object (RFC 9110 §8.6).
    # A coding beside it wins in the answer to a GET, and does here (RFC 9112 §6.3).
    declared = head.headers.get("content-length") if "transfer-encoding" not in head.headers else None
    if head.framing is not Framing.NONE or declared is None or not _DIGITS.fullmatch(declared.strip()):
        return None
    size = int(declared)
    return size if size <= MAXIMUM_SIZE else None


def _accepts_ranges(value: str | None) -> bool | None:
    if value is None:
        return None
    return "bytes" in {unit.strip().lower() for unit in value.split(",")}
