"""What a signed URL says of itself: who has to be asked how, and until when (wire-spec.md §5).

The signature covers the query, so nothing can be added to it: no part number, no version. It covers the method, so a
URL for GET is good for nothing else. Of the header fields it covers those that it names, and a store refuses any
x-amz- field beside them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from fastget.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastget.core.urls import URL

# How far this machine's clock may be off before an announced end is believed without asking the store.
TOLERANCE = timedelta(minutes=15)
_LONGEST = 20 * 366 * 24 * 3600


@record
class Signature:
    """The signature in a URL's query: `kind` for people, the header fields that it names, and its end, if it says so.

    `headers` are in lower case, without the host.
    """

    kind: str
    headers: frozenset[str] = frozenset()
    expires: datetime | None = None

    def has_expired(self, now: datetime) -> bool:
        return self.expires is not None and self.expires <= now

    def is_long_over(self, now: datetime) -> bool:
        """Whether it has ended even if this machine's clock is off."""
        return self.has_expired(now - TOLERANCE)

    def missing(self, headers: Mapping[str, str]) -> list[str]:
        """The signed header fields that `headers` lack."""
        return sorted(self.headers - {name.lower() for name in headers})


def signature_of(url: URL) -> Signature | None:
    """The signature in the query of a URL of S3 (version 4 or 2), GCS, Azure or CloudFront, or one of another kind.

    None where there is no signature.
    """
    if not url.query:
        return None
    query = {name.lower(): value for name, value in parse_qsl(url.query, keep_blank_values=True)}
    for prefix, kind in (("x-amz-", "SigV4"), ("x-goog-", "GCS V4")):
        if f"{prefix}signature" in query:
            names = frozenset(query.get(f"{prefix}signedheaders", "").lower().split(";"))
            end = _after(query.get(f"{prefix}date", ""), query.get(f"{prefix}expires", ""))
            return Signature(kind, names - {"", "host"}, end)
    if "sig" in query:
        return Signature("Azure SAS", expires=_iso(query.get("se", "")))
    if "signature" in query:
        kind = "SigV2" if "awsaccesskeyid" in query else "CloudFront" if "key-pair-id" in query else "signature"
        return Signature(kind, expires=_epoch(query.get("expires", "")))
    return Signature("signature") if any("signature" in name for name in query) else None


def _after(date: str, seconds: str) -> datetime | None:
    if not (seconds.isascii() and seconds.isdigit()) or int(seconds) > _LONGEST:
        return None
    try:
        began = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return began + timedelta(seconds=int(seconds))
    except (ValueError, OverflowError):
        return None


def _epoch(text: str) -> datetime | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        return None
    return datetime.fromtimestamp(int(text), UTC)


def _iso(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
