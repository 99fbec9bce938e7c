"""The keywords of GetObject, as the SDKs take them, read into parameters, a range and a part number.

A keyword that is None counts as not given. Values of a wrong type are refused here; what does not go together is
refused where the request is made.
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastget.config import is_text
from fastget.core.checksums.declared import declared_by_headers, etag_digest
from fastget.core.ranges import ContentRange
from fastget.errors import ConfigError, ProtocolError
from fastget.records import record
from fastget.sources.parameters import Parameters
from fastget.sources.request_rules import check_part, check_user_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastget.config import Config
    from fastget.core.messages import ResponseHead
    from fastget.core.ranges import Span
    from fastget.sources.endpoints import S3Endpoints
    from fastget.sources.s3 import S3Source

# A single range, as RFC 9110 §14.1.2 has it; others are up to the store.
# The end may be any number that lies far enough (2 ** 64 - 1); int() takes 640 digits at any rate.
_SPAN = re.compile(r"bytes=([0-9]{0,640})-([0-9]{0,640})", re.ASCII)
# A range that no byte is in, of an empty object, as MinIO and others write it (faults.md H51).
_OF_NOTHING = "bytes 0--1/0"
_KEY_BYTES = 32
# With each part of several, also in stores that answer with 200 (Ceph).
_PARTS_COUNT = "x-amz-mp-parts-count"
# Keyword to the field of Parameters, for those that are a text.
_TEXTS = {
    "IfMatch": "if_match",
    "IfNoneMatch": "if_none_match",
    "VersionId": "version_id",
    "ResponseCacheControl": "response_cache_control",
    "ResponseContentDisposition": "response_content_disposition",
    "ResponseContentEncoding": "response_content_encoding",
    "ResponseContentLanguage": "response_content_language",
    "ResponseContentType": "response_content_type",
    "SSECustomerAlgorithm": "sse_customer_algorithm",
    "SSECustomerKeyMD5": "sse_customer_key_md5",
    "RequestPayer": "request_payer",
    "ExpectedBucketOwner": "expected_bucket_owner",
    "ChecksumMode": "checksum_mode",
    "MirrorDestination": "mirror_destination",
}
_DATES = {
    "IfModifiedSince": "if_modified_since",
    "IfUnmodifiedSince": "if_unmodified_since",
    "ResponseExpires": "response_expires",
}
KEYWORDS = ("Bucket", "Key", *_TEXTS, *_DATES, "Range", "PartNumber", "SSECustomerKey")


@record
class Selection:
    """Which object, and what of it: at most one of a range (the text of a Range header) and a part number."""

    bucket: str
    key: str
    parameters: Parameters
    range: str | None = None
    part_number: int | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], config: Config) -> Selection:
        """Read the keywords; what they leave open is up to the options of the same meaning in `config`.

        Raises ConfigError for one that lacks, that cannot have its value, or that excludes another.
        """
        bucket, key = (_needed(given, name) for name in ("Bucket", "Key"))
        part_number = given.get("PartNumber")
        if part_number is not None and (isinstance(part_number, bool) or not isinstance(part_number, int)):
            raise _wrong("PartNumber", part_number, "a whole number")
        span = _text(given, "Range")
        if span is not None and any(letter in span for letter in "\r\n\0"):
            raise ConfigError("Range holds a line break", hint="write it as bytes=0-9")
        check_part(part_number, has_range=span is not None)
        fields: dict[str, Any] = {}
        for name, value in given.items():
            if name in _TEXTS and (text := _text(given, name)) is not None:
                fields[_TEXTS[name]] = text
            elif name in _DATES and value is not None:
                fields[_DATES[name]] = _moment(name, value)
        if given.get("SSECustomerKey") is not None:
            is_encoded = given.get("SSECustomerKeyMD5") is not None
            fields["sse_customer_key"] = _customer_key(given["SSECustomerKey"], is_encoded=is_encoded)
        parameters = Parameters.of(config)
        return cls(bucket, key, replace(parameters, **fields) if fields else parameters, span, part_number)

    def source(self, config: Config, endpoints: S3Endpoints) -> S3Source:
        """Where and how it is asked for. Raises ConfigError for what a store would refuse."""
        from fastget.sources.s3 import S3Source

        check_user_headers(config.headers)
        return S3Source.named(self.bucket, self.key, config, self.parameters, endpoints)

    @property
    def is_of_whole(self) -> bool:
        """Whether the whole object is asked for: nothing but a 200 answers that."""
        return self.range is None and self.part_number is None

    def check_answer(self, head: ResponseHead, display_url: str) -> None:
        """Raises ProtocolError for an answer with other bytes than were asked for (rows 8, 49), or that names another
        version or customer's key than was asked with (rows 44, 55, 56); for several ranges in one body (row 50).
        """
        number = self.part_number
        is_silent = number is not None and head.status == 200 and _PARTS_COUNT not in head.headers
        if is_silent and (number != 1 or _has_many_parts(head)):
            raise ProtocolError(
                f"{display_url}: the whole object came, and not part {number} of it",
                hint="the store ignores part numbers: ask by Range for the bytes of the part",
                url=display_url,
                is_transient=False,
            )
        if head.status == 206 and "content-range" not in head.headers and _is_multipart(head):
            raise ProtocolError(
                f"{display_url}: several ranges came in one body (multipart/byteranges)",
                hint="ask for one range at a time",
                url=display_url,
                is_transient=False,
            )
        asked = _SPAN.fullmatch(self.range or "")
        is_range = head.status == 206 or "content-range" in head.headers
        if is_range and asked is not None and not _answers(head, asked[1], asked[2]):
            raise ProtocolError(
                f"{display_url}: other bytes came than were asked for by {self.range}",
                hint="the store, or something before it, has ranges wrong",
                url=display_url,
                is_transient=False,
            )
        if asked is not None and _is_of_more(head, asked[1], asked[2]):
            raise ProtocolError(
                f"{display_url}: the whole object came, and not {self.range} of it",
                hint="the store ignores ranges: ask for the object without Range",
                url=display_url,
                is_transient=False,
            )
        span, length = _span_of(head), head.content_length
        if not self.is_of_whole and span is not None and length not in (None, span.length):
            raise ProtocolError(
                f"{display_url}: a body of {length} bytes came as the bytes {span.start}-{span.stop - 1} of the object",
                hint="the store, or something before it, sends something else under their name: ask again",
                url=display_url,
            )
        self.parameters.check_answer(head.headers, display_url)


def _span_of(head: ResponseHead) -> Span | None:
    """The bytes of the object that an answer says to hold; None where it does not tell."""
    found = ContentRange.of(head.headers)
    return None if found is None else found.span


def _has_many_parts(head: ResponseHead) -> bool:
    """Whether the digests of an answer are over more than one part: it is not the first of them, then."""
    etag = etag_digest(head.headers.get("etag"))
    declared = declared_by_headers(head.headers)
    return any(digest.parts is not None and digest.parts > 1 for digest in (*declared, *((etag,) if etag else ())))


def _is_multipart(head: ResponseHead) -> bool:
    return (head.headers.get("content-type") or "").strip().lower().startswith("multipart/byteranges")


def _answers(head: ResponseHead, first: str, last: str) -> bool:
    """Whether the Content-Range of an answer is the range from `first` to `last`, as far as there are bytes."""
    if head.headers.get_all("content-range") == (_OF_NOTHING,) and head.content_length == 0:
        return not (first and int(first))
    found = ContentRange.of(head.headers)
    if found is None or found.span is None or found.total is None or not (first or last):
        return False
    start = int(first) if first else max(found.total - int(last), 0)
    stop = min(int(last) + 1, found.total) if first and last else found.total
    return (found.span.start, found.span.stop) == (start, stop)


def _is_of_more(head: ResponseHead, first: str, last: str) -> bool:
    """Whether a 200 brings all of an object of which less was asked for.

    A range that none can be (`9-0`, `-`) asks for nothing less (RFC 9110 §14.2).
    """
    if head.status != 200 or "content-range" in head.headers or not (first or last):
        return False
    if first and last and int(last) < int(first):
        return False
    size = head.content_length
    if size == 0:
        return False
    if not first:
        return size is None or int(last) < size
    return int(first) > 0 or (bool(last) and (size is None or int(last) + 1 < size))


def _needed(given: Mapping[str, Any], name: str) -> str:
    found = _text(given, name)
    if not found:
        raise ConfigError(f"get_object needs {name}", hint="give it as get_object(Bucket=…, Key=…)")
    if not is_text(found):
        raise ConfigError(f"{name} cannot be written as UTF-8", hint="S3 has no names of other kinds")
    return found


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise _wrong(name, value, "a text")
    return value


def _wrong(name: str, value: object, wanted: str) -> ConfigError:
    """The value is not quoted: it may be a key."""
    return ConfigError(f"{name} must be {wanted}, not of type {type(value).__name__}")


def _moment(name: str, value: object) -> datetime:
    """A moment from all that the SDKs take. One without a time zone is in UTC, as they have it."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        from botocore.utils import parse_to_aware_datetime

        try:
            value = parse_to_aware_datetime(value)
        except (ValueError, TypeError, OverflowError, RuntimeError):
            raise ConfigError(f"{name} is not a date: {value!r}", hint="give a datetime with a time zone") from None
    if not isinstance(value, datetime):
        raise _wrong(name, value, "a datetime")
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _customer_key(value: object, *, is_encoded: bool) -> bytes:
    """The 32 bytes of an SSE-C key: raw or as characters; in base64 where its MD5 is given, as the SDKs have it."""
    if not isinstance(value, str | bytes | bytearray):
        raise _wrong("SSECustomerKey", value, "bytes, or a text")
    key = value.encode() if isinstance(value, str) else bytes(value)
    if is_encoded:
        try:
            key = b64decode(key, validate=True)
        except ValueError:
            key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigError(
            "SSECustomerKey is not a key of 32 bytes",
            hint="with SSECustomerKeyMD5, give the key in base64; without, the 32 bytes themselves",
        )
    return key
