"""The answer to GetObject as the SDKs shape it: their names, their types (wire-spec.md rows 25 - 72).

Nothing that a server sends makes the mapping fail: a value that cannot be read is left out, and stands as it came
in `ResponseMetadata`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from fastget.core.checksums.algorithms import Algorithm

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastget.core.messages import Headers, ResponseHead

METADATA_PREFIX = "x-amz-meta-"

_NUMBER = re.compile(r"\s*[+-]?[0-9]+(?:_[0-9]+)*\s*", re.ASCII)
_IMF_FIXDATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT", re.ASCII)
_LONGEST_DATE = 100


def _text(value: str) -> str:
    return value


def _whole_number(value: str) -> int | None:
    return int(value) if len(value) <= _LONGEST_DATE and _NUMBER.fullmatch(value) else None


def _flag(value: str) -> bool:
    return value == "true"


def _moment(value: str) -> datetime | None:
    """A date in any form that the SDKs read: IMF-fixdate, ISO 8601, seconds since 1970, and more by botocore."""
    if len(value) > _LONGEST_DATE:
        return None
    try:
        if _IMF_FIXDATE.fullmatch(value):
            return parsedate_to_datetime(value).replace(tzinfo=UTC)
        from botocore.utils import parse_timestamp

        found = parse_timestamp(value)
    except (ValueError, TypeError, OverflowError, RuntimeError, Warning):  # a zone unknown to dateutil, with -W error
        return None
    return found if isinstance(found, datetime) else None


_ENCRYPTION = "x-amz-server-side-encryption"
_LOCK = "x-amz-object-lock"
# Field of the SDKs, header field, how its value is read.
FIELDS: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    ("DeleteMarker", "x-amz-delete-marker", _flag),
    ("AcceptRanges", "accept-ranges", _text),
    ("Expiration", "x-amz-expiration", _text),
    ("Restore", "x-amz-restore", _text),
    ("LastModified", "last-modified", _moment),
    ("ContentLength", "content-length", _whole_number),
    ("ETag", "etag", _text),
    *((f"Checksum{algorithm.upper()}", f"x-amz-checksum-{algorithm}", _text) for algorithm in Algorithm),
    ("ChecksumType", "x-amz-checksum-type", _text),
    ("MissingMeta", "x-amz-missing-meta", _whole_number),
    ("VersionId", "x-amz-version-id", _text),
    ("CacheControl", "cache-control", _text),
    ("ContentDisposition", "content-disposition", _text),
    ("ContentEncoding", "content-encoding", _text),
    ("ContentLanguage", "content-language", _text),
    ("ContentRange", "content-range", _text),
    ("ContentType", "content-type", _text),
    ("Expires", "expires", _moment),
    ("WebsiteRedirectLocation", "x-amz-website-redirect-location", _text),
    ("ServerSideEncryption", _ENCRYPTION, _text),
    ("SSECustomerAlgorithm", f"{_ENCRYPTION}-customer-algorithm", _text),
    ("SSECustomerKeyMD5", f"{_ENCRYPTION}-customer-key-md5", _text),
    ("SSEKMSKeyId", f"{_ENCRYPTION}-aws-kms-key-id", _text),
    ("BucketKeyEnabled", f"{_ENCRYPTION}-bucket-key-enabled", _flag),
    ("StorageClass", "x-amz-storage-class", _text),
    ("RequestCharged", "x-amz-request-charged", _text),
    ("ReplicationStatus", "x-amz-replication-status", _text),
    ("PartsCount", "x-amz-mp-parts-count", _whole_number),
    ("TagCount", "x-amz-tagging-count", _whole_number),
    ("ObjectLockMode", f"{_LOCK}-mode", _text),
    ("ObjectLockRetainUntilDate", f"{_LOCK}-retain-until-date", _moment),
    ("ObjectLockLegalHoldStatus", f"{_LOCK}-legal-hold", _text),
    ("ObjectLockEventHold", f"{_LOCK}-event-hold", _text),
    ("ObjectLockEventHoldDurationDays", f"{_LOCK}-event-hold-duration-days", _whole_number),
    ("ObjectLockEventHoldDurationYears", f"{_LOCK}-event-hold-duration-years", _whole_number),
    ("RetentionExpirationDate", "retention-expiration-date", _moment),
    ("RetentionLegalHoldCount", "retention-legal-hold-count", _whole_number),
    ("RetentionPeriod", "retention-period", _whole_number),
    ("IbmRestoredCopyStorageClass", "x-ibm-restored-copy-storage-class", _text),
    ("IbmTransition", "x-ibm-transition", _text),
)


def sdk_response(head: ResponseHead, retries: int = 0) -> dict[str, Any]:
    """The fields of GetObject but `Body`, by the names and with the types of the SDKs; an absent header, no field.

    `ExpiresString` is the Expires header as it came, whether it is a date or not (row 51). Metadata keeps the
    encoding that it was sent in (RFC 2047 words stay as they are, as in botocore). `ResponseMetadata` has all headers.
    """
    joined = head.headers.joined()
    values = ((name, read(joined[header])) for name, header, read in FIELDS if header in joined)
    found = {name: value for name, value in values if value is not None}
    if joined.get("expires"):
        found["ExpiresString"] = joined["expires"]
    found["Metadata"] = _metadata(head.headers, joined)
    found["ResponseMetadata"] = _response_metadata(head.status, joined, retries)
    return found


def _metadata(headers: Headers, joined: dict[str, str]) -> dict[str, str]:
    """The user's own fields, by their names as sent (first) and without the prefix."""
    own = {name: value for name, value in joined.items() if name.startswith(METADATA_PREFIX)}
    sent = {name.lower(): name for name, _ in reversed([*headers])} if own else {}
    return {sent[name][len(METADATA_PREFIX) :]: value for name, value in own.items()}


def _response_metadata(status: int, joined: dict[str, str], retries: int) -> dict[str, Any]:
    found: dict[str, Any] = {"HTTPStatusCode": status, "HTTPHeaders": joined, "RetryAttempts": retries}
    if "x-amzn-requestid" in joined:
        found["RequestId"] = joined["x-amzn-requestid"]
    elif "x-amz-request-id" in joined:
        found |= {"RequestId": joined["x-amz-request-id"], "HostId": joined.get("x-amz-id-2", "")}
    return found
